"""Reading by long steps: every length and place of what the steps look for, against the standard library."""

from __future__ import annotations

import gc
import json as stdlib_json
import random
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from aisys.json import JSONDecodeError, tier_native, tier_stdlib
from support.json_tiers import each_tier

KINDS = ["a", "é", "ж", "語", "😀", "\x7f", "\uffff"]
ESCAPES = ["\n", '"', "\\", "\x00", "é", "😀"]
LONGEST = 100


@pytest.mark.parametrize("kind", KINDS)
def test_strings_of_every_length(kind: str) -> None:
    """As values and as keys, at the end of a text and before more of it, alone and behind another kind."""
    for length in range(LONGEST):
        for before in ("", "x", "ж", "語" * 7):
            value = before + kind * length
            for document in (value, [value], {value: value}, [value, "y" * LONGEST]):
                text = stdlib_json.dumps(document, ensure_ascii=False).encode()
                assert tier_native.loads(text) == document


@pytest.mark.parametrize("escape", ESCAPES)
def test_escapes_at_every_place(escape: str) -> None:
    """Written short or with a code, between ASCII and between other characters."""
    for filler in ("x", "語"):
        for place in range(LONGEST):
            value = filler * place + escape + filler * (LONGEST - place) + escape
            for ascii_only in (True, False):
                text = stdlib_json.dumps([value], ensure_ascii=ascii_only).encode()
                assert tier_native.loads(text) == [value]
                assert tier_native.loads(text.decode()) == [value]


@pytest.mark.parametrize(
    "bad",
    [
        b"\xc3",
        b"\xc0\xaf",
        b"\xe8\xaa",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xff",
    ],
    ids=bytes.hex,
)
def test_invalid_utf8_at_every_place(bad: bytes) -> None:
    """Refused, and the place is that of the standard library's tier."""
    for kind in KINDS:
        for place in range(0, 70, 3):
            for behind in ("", "x" * 40, "語" * 20):
                text = b'["' + (kind * place).encode() + bad + behind.encode() + b'"]'
                with pytest.raises(JSONDecodeError) as ours:
                    tier_native.loads(text)
                with pytest.raises(JSONDecodeError) as theirs:
                    tier_stdlib.loads(text)
                assert ours.value.offset == theirs.value.offset


def test_control_characters_at_every_place() -> None:
    """Refused where they stand, before and behind an escape."""
    for start in ('"', '"\\n', '"語'):
        for place in range(LONGEST):
            for control in ("\n", "\x00", "\x1f"):
                text = (start + "x" * place + control + '"').encode()
                with pytest.raises(JSONDecodeError, match="control character") as caught:
                    tier_native.loads(text)
                assert caught.value.offset == len(start.encode()) + place


@each_tier
def test_a_long_document_cut_anywhere(tier: ModuleType) -> None:
    """Each cut is refused by loads and by get, for each kind of string and number."""
    document = {
        "text": "plain words " * 9 + 'and "quotes"\n' * 3,
        "mixed": "naïve — “yes” " * 5 + "😀",
        "numbers": [0.1234567890123456, -1.5e-7, 12345678901234567890, 3],
        "語": {"inner": ["語の" * 30, {}]},
        "last": 1,
    }
    text = stdlib_json.dumps(document, ensure_ascii=False).encode()
    assert tier.loads(text) == document

    for end in range(len(text)):
        with pytest.raises(JSONDecodeError):
            tier.loads(text[:end])
        with pytest.raises(JSONDecodeError):
            tier.get(text[:end], "/last")


@each_tier
def test_objects_of_the_same_keys_are_apart(tier: ModuleType) -> None:
    """Many objects of one shape: each has its own values, and changing one leaves the others alone."""
    for keys in ("a", "abc", "abcdefgh", [f"key{number}" for number in range(40)]):
        documents = [{key: [number, key] for key in keys} for number in range(50)]
        text = stdlib_json.dumps(documents).encode()
        for _ in range(4):
            read = tier.loads(text)
            assert read == documents
            assert [list(value) for value in read] == [list(keys)] * 50
            read[0][keys[0]] = "changed"
            read[1]["another"] = 1
            del read[2][keys[-1]]
            assert read[3:] == documents[3:]
            assert tier.loads(text) == documents


@each_tier
def test_a_name_twice_in_objects_of_one_shape(tier: ModuleType) -> None:
    """The last counts, in the place of the first, however often the shape has come."""
    for _ in range(5):
        read = tier.loads(b'[{"a":1,"b":2,"a":3},{"a":4,"b":5,"a":{}},{"a":6,"\\u0061":7}]')
        assert read == [{"a": 3, "b": 2}, {"a": {}, "b": 5}, {"a": 7}]
        assert list(read[0]) == ["a", "b"]


def test_the_collector_sees_what_objects_hold() -> None:
    """A cycle through an object of a known shape is collected."""
    for _ in range(5):
        plain, outer = tier_native.loads(b'[{"name":1,"other":"x"},{"name":[1],"other":null}]')
        assert not gc.is_tracked(plain)
        assert gc.is_tracked(outer)
    outer["name"].append(outer)
    gc.collect()
    del outer
    assert gc.collect() >= 2


def test_keys_that_come_again_are_one_object() -> None:
    """Names are shared, and interned where that ends with them, so that looking them up compares pointers."""
    for name in ("reading_key", "a much longer key than sixteen bytes"):
        text = stdlib_json.dumps({name: 1}).encode()
        tier_native.loads(text)
        first, second = (next(iter(tier_native.loads(text))) for _ in range(2))
        assert first is second
        # 3.12 never frees what is interned, and names may come from outside.
        assert (first is sys.intern(name)) == (sys.version_info[:2] != (3, 12))


def test_keys_that_are_written_with_escapes() -> None:
    """Also those that begin like one that has come before, however often it has."""
    names = [
        "\\",
        '"',
        '\\"',
        '"\\',
        "a\\",
        'a\\"',
        'a"',
        "\n",
        "\\\\",
        "\\" * 20,
        "x" * 15 + '\\"',
    ]
    for _ in range(5):
        for name in names:
            for other in names:
                document = {name: 1, "z": 2} if name == other else {name: 1, other: 2}
                text = stdlib_json.dumps(document).encode()
                assert tier_native.loads(text) == document
                assert tier_native.loads(text + b" " * 20) == document


def test_strings_are_like_any_other() -> None:
    """Hash, equality, size and interning of short and long ASCII strings, made without the interpreter."""
    for length in range(70):
        value = tier_native.loads(b'["' + b"k" * length + b'"]')[0]
        same = "".join(["k"] * length)
        assert value == same
        assert hash(value) == hash(same)
        assert sys.getsizeof(value) == sys.getsizeof(same)
        assert {value: 1}[same] == 1
        assert sys.intern(value) == same
        assert (value + "é")[:-1] == same
        assert value.isascii()


def _float_texts() -> dict[str, list[str]]:
    pick = random.Random(5)
    values = [pick.gauss(0.0, 1.0) * 10.0 ** pick.randrange(-6, 6) for _ in range(500)]
    return {
        "full": [repr(value) for value in values],
        "short": [f"{value:.3f}" for value in values],
        "exponent": [f"{value:.9e}" for value in values],
        "float32": [repr(float(np.float32(value))) for value in values],
        "mixed": [repr(value) if value < 0 else str(int(value)) for value in values],
        "digits": [f"{value:.{digits % 24 + 1}f}" for digits, value in enumerate(values)],
    }


@each_tier
@pytest.mark.parametrize("name", _float_texts())
@pytest.mark.parametrize("separator", [",", ", ", " ,\n  "])
def test_arrays_of_numbers(tier: ModuleType, name: str, separator: str) -> None:
    """Lists have what float and int give, arrays what numpy makes of the list."""
    texts = _float_texts()[name]
    expected = [float(text) if any(mark in text for mark in ".e") else int(text) for text in texts]
    for count in (*range(1, 70), len(texts)):
        text = f"[{separator.join(texts[:count])}]".encode()
        read = tier.loads(text)
        assert read == expected[:count]
        assert list(map(type, read)) == list(map(type, expected[:count]))
        for dtype in ("float32", "float64"):
            array = tier.loads_array(text, "", dtype)
            assert (array == np.array(expected[:count], dtype=dtype)).all()


@each_tier
@pytest.mark.parametrize(
    "text",
    [
        b"[1.5,]",
        b"[1.5,,2.5]",
        b"[1.5,-]",
        b"[1.5,01.5]",
        b"[1.5,1.]",
        b"[1.5 2.5]",
        b"[1.5,1e999]",
    ],
)
def test_a_flaw_behind_floats(tier: ModuleType, text: bytes) -> None:
    """It is found however many floats stand before it."""
    for count in range(70):
        longer = text.replace(b"1.5,", b"1.5," * (count + 1), 1)
        with pytest.raises(JSONDecodeError):
            tier.loads(longer)
        with pytest.raises(JSONDecodeError):
            tier.loads_array(longer)


@each_tier
def test_numbers_too_large_for_float32_between_others(tier: ModuleType) -> None:
    """Refused wherever they stand, never infinite."""
    for place in range(70):
        text = stdlib_json.dumps([0.5] * place + [1e39] + [0.5] * 70).encode()
        with pytest.raises(JSONDecodeError, match="does not fit"):
            tier.loads_array(text)


def _walk(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        value = value[int(token) if isinstance(value, list) else token]
    return value


@each_tier
def test_pointers_beside_everything(tier: ModuleType) -> None:
    """What is passed over may hold quotes, backslashes and brackets at every place of a step."""
    for place in range(140):
        value = {
            "filler": "x" * place,
            "text": '"]}\\' * 3 + "\\" * (place % 5),
            "inner": [[{"a": '{["'}], {"b": "\\"}] * (place % 3),
            "last": {"field": place},
        }
        text = tier.dumps(value)
        for pointer in ("/last/field", "/text", "/inner"):
            assert tier.get(text, pointer) == _walk(value, pointer)
        assert tier.get(text.replace(b'"last":', b'"last" : \n'), "/last/field") == place
