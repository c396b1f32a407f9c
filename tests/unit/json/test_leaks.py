"""References and memory: as many afterwards as before, whether it went well or not."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from aisys.json import JSONDecodeError, JSONEncodeError, JSONPointerError, Raw, tier_native
from support.json_corpus import REFUSED
from support.json_tiers import each_tier


def _resident_kib() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


def _growth_kib(action: Callable[[], object], rounds: int) -> int:
    for _ in range(rounds // 5):
        action()
    gc.collect()
    before = _resident_kib()
    for _ in range(rounds):
        action()
    gc.collect()
    return _resident_kib() - before


DOCUMENT = (
    '{"messages":['
    + ",".join(['{"role":"user","text":"é\\n語 😀 plain","n":[1.5,-2,null,true]}'] * 200)
    + "]}"
).encode()
VALUE = tier_native.loads(DOCUMENT)


def _refuse(read: Callable[[Any], Any], thing: Any) -> None:
    try:
        read(thing)
    except (JSONDecodeError, JSONEncodeError, JSONPointerError, ZeroDivisionError):
        return
    pytest.fail("it was accepted")


ACTIONS: dict[str, Callable[[], object]] = {
    "loads": lambda: tier_native.loads(DOCUMENT),
    "loads a copy": lambda: tier_native.loads(bytearray(DOCUMENT)),
    "loads cut": lambda: _refuse(tier_native.loads, DOCUMENT[:-2]),
    "loads cut in the middle": lambda: _refuse(tier_native.loads, DOCUMENT[: len(DOCUMENT) // 2]),
    "loads with many keys": lambda: tier_native.loads(
        b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(5000)) + b"}"
    ),
    "dumps": lambda: tier_native.dumps(VALUE),
    "dumps_str": lambda: tier_native.dumps_str(VALUE),
    "dumps sorted": lambda: tier_native.dumps(VALUE, sort_keys=True),
    "dumps refused": lambda: _refuse(tier_native.dumps, [VALUE, {1}]),
    "dumps refused sorted": lambda: _refuse(
        lambda v: tier_native.dumps(v, sort_keys=True), {"a": VALUE, "b": {1}}
    ),
    "dumps default raises": lambda: _refuse(
        lambda v: tier_native.dumps(v, default=lambda _: 1 / 0), [VALUE, {1}]
    ),
    "raw": lambda: tier_native.dumps([Raw(DOCUMENT)]),
    "raw refused": lambda: _refuse(tier_native.dumps, [Raw(DOCUMENT[:-1])]),
    "get": lambda: tier_native.get(DOCUMENT, "/messages/150/text"),
    "get raw": lambda: tier_native.get(DOCUMENT, "/messages", raw=True),
    "get missing": lambda: tier_native.get(DOCUMENT, "/messages/900", default=None),
    "get_many": lambda: tier_native.get_many(DOCUMENT, "/messages/150/text", "/messages/150/n"),
    "get_many missing": lambda: _refuse(
        lambda v: tier_native.get_many(v, "/messages/150/text", "/messages/150/x"), DOCUMENT
    ),
    "loads floats": lambda: tier_native.loads(b"[" + b"1.5,-2.25e3, " * 2000 + b"2]"),
    "loads floats refused": lambda: _refuse(tier_native.loads, b"[" + b"1.5," * 5000 + b"x]"),
    "loads new keys": lambda: [tier_native.loads(b'{"%d":[%d]}' % (n, n)) for n in range(2000)],
    "get broken": lambda: _refuse(lambda v: tier_native.get(v, "/messages/1"), DOCUMENT[:-1]),
    "loads_array": lambda: tier_native.loads_array(b"[" + b"1.5," * 5000 + b"2]"),
    "loads_array refused": lambda: _refuse(tier_native.loads_array, b"[" + b"1.5," * 5000 + b"x]"),
    "canonical": lambda: tier_native.canonical(VALUE),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_memory_does_not_grow(name: str) -> None:
    """Some hundred large documents, also on the error path, leave less than 2 MiB behind."""
    action = ACTIONS[name]

    assert _growth_kib(action, 300) < 2048


def test_refused_texts_leave_nothing() -> None:
    """Every refused text of the corpus, again and again."""

    def refuse_all() -> None:
        for text in REFUSED.values():
            _refuse(tier_native.loads, text)

    assert _growth_kib(refuse_all, 100) < 2048


@each_tier
def test_references_are_balanced(tier: ModuleType) -> None:
    """Singletons, keys, values, input and default are held as often as before."""
    key, text, number, document = (
        f"key{len(DOCUMENT)}é",
        f"text{len(DOCUMENT)}",
        10**15 + 1,
        b"[1,2,[3]]",
    )
    value = {key: [text, number, None, True, 1.5, (text,)], "other": {"in": text}}
    broken = [value, {1}]

    def default(_: Any) -> Any:
        return text

    things: list[Any] = [
        key,
        text,
        number,
        value,
        broken,
        default,
        document,
        None,
        True,
        default,
        b"[",
    ]

    def counts() -> list[int]:
        return [sys.getrefcount(thing) for thing in things]

    def use_all() -> None:
        tier.dumps(value)
        tier.dumps(value, sort_keys=True)
        tier.dumps(broken, default=default)
        tier.canonical(value)
        for _ in range(10):
            _refuse(tier.dumps, broken)
            _refuse(tier.loads, things[-1])
            tier.loads(document)
            tier.loads(b"[null,true,false,null]")

    use_all()
    gc.collect()
    before = counts()
    for _ in range(20):
        use_all()
    gc.collect()

    assert all(abs(after - count) < 10 for after, count in zip(counts(), before, strict=True))


def test_first_dumps_leave_no_utf8_copy_in_the_str() -> None:
    """Writing a str does not make it larger, as PyUnicode_AsUTF8 would."""
    text = "".join(["語"] * 1000)
    before = sys.getsizeof(text)

    tier_native.dumps([text])

    assert sys.getsizeof(text) == before
