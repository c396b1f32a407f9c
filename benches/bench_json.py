"""JSON against orjson: decoding, encoding, arrays of numbers, pointers into undecoded documents.

The floor is a copy of the text. Ours and the peer have objects of their own, several documents to a
row, and the same number of each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, fresh, over, run_case

Make = Callable[[int], Any]


def groups() -> list[Group]:
    """The rows."""
    chats: dict[str, Make] = {
        name: partial(documents.chat, phrase=phrase)
        for name, phrase in (
            ("ASCII", documents.ascii_phrase),
            ("mixed", documents.mixed_phrase),
            ("CJK", documents.cjk_phrase),
        )
    }
    rows = [_loads("loads 95 B", documents.small), _loads("loads 590 B", documents.envelope)]
    rows += [_loads(f"loads 20 kB chat, {name}", make) for name, make in chats.items()]
    rows += [_loads("loads 3072 floats", documents.floats), _loads_array()]
    rows += [
        _dumps("dumps 95 B", documents.small),
        _dumps("dumps 590 B, interned keys", documents.envelope),
        _dumps("dumps 590 B, private keys", _private_envelope),
    ]
    rows += [_dumps(f"dumps 20 kB chat, {name}, again", make) for name, make in chats.items()]
    rows += [_dumps_first(f"dumps 20 kB chat, {name}, first", make) for name, make in chats.items()]
    rows += [_dumps("dumps 3072 floats", documents.floats)]
    rows += [_pointers(20_000), _pointers(220_000)]
    return rows


def _variants(make: Make) -> list[Any]:
    return [make(seed) for seed in range(documents.VARIANTS)]


def _private_envelope(seed: int) -> Any:
    return documents.private_keys(documents.envelope(seed))


def _loads(name: str, make: Make) -> Group:
    texts = [orjson.dumps(document) for document in _variants(make)]
    return Group(
        name,
        (
            Side("aisys", over(json.loads, texts), "ours"),
            Side("orjson", over(orjson.loads, texts)),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


def _loads_array() -> Group:
    texts = [orjson.dumps(document) for document in _variants(documents.floats)]
    raw = [np.array(orjson.loads(text), dtype=np.float32).tobytes() for text in texts]
    return Group(
        "loads 3072 floats to float32",
        (
            Side(
                "aisys", over(lambda text: json.loads_array(text, dtype="float32"), texts), "ours"
            ),
            Side(
                "orjson + np.array",
                over(lambda text: np.array(orjson.loads(text), dtype=np.float32), texts),
            ),
            Side("frombuffer", over(lambda data: np.frombuffer(data, np.float32), raw), "floor"),
        ),
    )


def _copies(values: list[Any]) -> list[bytearray]:
    return [bytearray(orjson.dumps(value)) for value in values]


def _dumps(name: str, make: Make) -> Group:
    # Each side has objects of its own: orjson leaves a UTF-8 copy in every str that is not ASCII.
    return Group(
        name,
        (
            Side("aisys", over(json.dumps, _variants(make)), "ours"),
            Side("orjson", over(orjson.dumps, _variants(make))),
            Side("memcpy", over(bytes, _copies(_variants(make))), "floor"),
        ),
    )


def _dumps_first(name: str, make: Make) -> Group:
    """Objects that were never encoded before, as those that a program has just made."""
    texts = [orjson.dumps(document) for document in _variants(make)]
    kinds = len(texts)
    return Group(
        name,
        (
            Side(
                "aisys",
                fresh(json.dumps, lambda i: json.loads(texts[i]), kinds=kinds),
                "ours",
                most=400,
            ),
            Side(
                "orjson", fresh(orjson.dumps, lambda i: json.loads(texts[i]), kinds=kinds), most=400
            ),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


def _pointers(size_bytes: int) -> Group:
    """Two fields behind everything else: the worst position."""
    makers = (documents.ascii_phrase, documents.mixed_phrase, documents.cjk_phrase)
    texts = [
        orjson.dumps(documents.chat(seed, phrase, size_bytes)) for seed, phrase in enumerate(makers)
    ]

    def whole(text: bytes) -> tuple[Any, Any]:
        last = orjson.loads(text)["last"]
        return last["agent"], last["tokens"]

    return Group(
        f"2 last fields of {size_bytes // 1000} kB",
        (
            Side("aisys", over(_get_two, texts), "ours"),
            Side("orjson", over(whole, texts)),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


def _get_two(text: bytes) -> tuple[Any, ...]:
    return json.get_many(text, "/last/agent", "/last/tokens")


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_json(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
