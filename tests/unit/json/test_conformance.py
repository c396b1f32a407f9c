"""What is read and what is refused, the same on every tier."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest

from aisys.json import JSONDecodeError
from support.json_corpus import ACCEPTED, DEEPEST, REFUSED
from support.json_tiers import each_tier


def _deep_lists(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@each_tier
@pytest.mark.parametrize("name", ACCEPTED)
def test_valid_text_gives_its_value(tier: ModuleType, name: str) -> None:
    """Every accepted text gives the value of the table, with its exact types."""
    text, value = ACCEPTED[name]
    expected = _deep_lists(DEEPEST) if name == "array_512_deep" else value

    read = tier.loads(text)

    assert read == expected
    assert type(read) is type(expected)
    if isinstance(expected, float):
        assert math.copysign(1, read) == math.copysign(1, expected)


@each_tier
@pytest.mark.parametrize("name", ACCEPTED)
def test_every_kind_of_input_is_read_alike(tier: ModuleType, name: str) -> None:
    """Bytes, bytearray, memoryview (also a strided one) and str mean the same."""
    text = ACCEPTED[name][0]
    expected = tier.loads(text)
    doubled = bytes(byte for byte in text for _ in range(2))

    assert tier.loads(bytearray(text)) == expected
    assert tier.loads(memoryview(text)) == expected
    assert tier.loads(memoryview(b"x" + text + b"y")[1:-1]) == expected
    assert tier.loads(memoryview(doubled)[::2]) == expected
    assert tier.loads(text.decode()) == expected


@each_tier
@pytest.mark.parametrize("name", REFUSED)
def test_invalid_text_is_refused(tier: ModuleType, name: str) -> None:
    """Every refused text raises the decode error with a place inside the text."""
    text = REFUSED[name]

    with pytest.raises(JSONDecodeError) as caught:
        tier.loads(text)

    assert 0 <= caught.value.offset <= len(text)
    assert caught.value.line >= 1
    assert caught.value.column >= 1


@each_tier
@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_text_is_refused_with_something_behind_it(tier: ModuleType, name: str) -> None:
    """A valid text followed by another is not valid."""
    text = ACCEPTED[name][0]

    for rest in (b"]", b" x", b",", b" {}", b"\x00"):
        with pytest.raises(JSONDecodeError):
            tier.loads(text + rest)


@each_tier
def test_a_document_cut_anywhere_is_refused(tier: ModuleType) -> None:
    """No proper prefix of an object is a document."""
    text = (
        '{"a":[1,-2.5e3,"é\\u00e9\\n😀",true,false,null,{"b":{}}],"long key with ü":"x"}'.encode()
    )
    tier.loads(text)

    for end in range(len(text)):
        with pytest.raises(JSONDecodeError):
            tier.loads(text[:end])


@each_tier
@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 1_000_000,
        b'{"a":' * 300_000,
        b'[{"a":' * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'"' + b"\\" * 999_999,
        b"[" + b"1," * 300_000,
    ],
    ids=["arrays", "objects", "both", "closed", "backslashes", "commas"],
)
def test_bombs_are_refused_without_harm(tier: ModuleType, bomb: bytes) -> None:
    """Text that nests or runs on for ever costs an error, not the stack."""
    with pytest.raises(JSONDecodeError):
        tier.loads(bomb)


@each_tier
@pytest.mark.parametrize("thing", [None, 1, 1.5, ["1"], {}, object()])
def test_other_types_are_a_type_error(tier: ModuleType, thing: object) -> None:
    """Only bytes-like objects and str are text."""
    with pytest.raises(TypeError, match="bytes, bytearray, memoryview or str"):
        tier.loads(thing)


@each_tier
def test_a_str_with_a_lone_surrogate_is_refused(tier: ModuleType) -> None:
    """A str that has no UTF-8 form is no JSON text; the place counts characters and bytes."""
    with pytest.raises(JSONDecodeError, match="lone surrogate") as caught:
        tier.loads('["é\ud800"]')

    assert (caught.value.line, caught.value.column, caught.value.offset) == (1, 4, 4)


@each_tier
@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"[1,\n 2,\n x]", (3, 2, 9)),
        ('["é", x]'.encode(), (1, 7, 7)),
        (b'{"a":1} x', (1, 9, 8)),
        (b'["\\ud800"]', (1, 3, 2)),
        (b'["ok", "\xff"]', (1, 9, 8)),
        (b"[1, 1e999]", (1, 5, 4)),
        (b"\n\n" + b"[" * 513, (3, 513, 514)),
    ],
)
def test_the_place_of_a_problem(tier: ModuleType, text: bytes, place: tuple[int, int, int]) -> None:
    """Line and column count from 1 in characters, the offset from 0 in bytes."""
    with pytest.raises(JSONDecodeError) as caught:
        tier.loads(text)

    assert (caught.value.line, caught.value.column, caught.value.offset) == place
    assert f"line {place[0]} column {place[1]} (byte {place[2]})" in str(caught.value)


@each_tier
def test_keys_of_one_hash_stay_apart(tier: ModuleType) -> None:
    """Many keys of one length and alike: each comes back as itself, again and again."""
    keys = [f"key{number:05d}" for number in range(20_000)] + [
        f"{number}" for number in range(2000)
    ]
    text = ("{" + ",".join(f'"{key}":{index}' for index, key in enumerate(keys)) + "}").encode()

    for _ in range(2):
        assert tier.loads(text) == {key: index for index, key in enumerate(keys)}
