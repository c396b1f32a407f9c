"""The JSON codec against the standard library and orjson, on whatever hypothesis comes up with."""

from __future__ import annotations

import json as stdlib_json
import math
import re
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aisys.json import JSONDecodeError, JSONEncodeError, JSONPointerError, tier_native, tier_stdlib
from support.json_tiers import TIERS, each_tier

INTEGERS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=8) | st.dictionaries(TEXT, inside, max_size=8),
    max_leaves=30,
)
JSONISH = st.text(
    st.sampled_from(list('{}[]:,"\\/ \n\tu0123456789abcdefDdEe+-.nulltruefas😀é\x00\x1f'))
)

NOT_IN_ORJSON = re.compile(rb"[0-9]{19}")


def same(one: Any, other: Any) -> bool:
    """Equal, of equal types, down to the sign of zero."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


@each_tier
@settings(max_examples=150)
@given(value=VALUES)
def test_what_is_written_reads_back(tier: ModuleType, value: Any) -> None:
    """By ourselves, by the standard library and by orjson, with the same types and signs."""
    text = tier.dumps(value)

    assert same(tier.loads(text), value)
    assert same(stdlib_json.loads(text), value)
    assert same(orjson.loads(text), value)
    assert tier.dumps_str(value).encode() == text


@each_tier
@settings(max_examples=150)
@given(value=VALUES, indent=st.sampled_from([None, 0, 3]), ascii_only=st.booleans())
def test_what_the_standard_library_writes_is_read(
    tier: ModuleType, value: Any, indent: int | None, ascii_only: bool
) -> None:
    """With and without space, with and without escapes."""
    text = stdlib_json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert same(tier.loads(text), value)
    assert same(tier.loads(text.encode()), value)


@settings(max_examples=300)
@given(value=VALUES)
def test_native_writes_what_orjson_writes(value: Any) -> None:
    """Byte for byte, the spelling of floats included; sorted or not."""
    assert tier_native.dumps(value) == orjson.dumps(value)
    assert tier_native.dumps(value, sort_keys=True) == orjson.dumps(
        value, option=orjson.OPT_SORT_KEYS
    )


def outcome(read: Any, text: bytes) -> tuple[bool, Any]:
    try:
        return True, read(text)
    except ValueError:
        return False, None


@settings(max_examples=600)
@given(text=JSONISH.map(str.encode) | st.binary(max_size=40))
@example(b"-0")
@example(b"1e400")
@example(b'"\\ud800"')
@example(b'{"a":1,"a":2}')
def test_tiers_accept_and_refuse_the_same(text: bytes) -> None:
    """For any bytes the tiers agree; orjson agrees but for integers beyond 64 bits."""
    expected = outcome(tier_stdlib.loads, text)

    for tier in TIERS:
        accepted, value = outcome(tier.loads, text)
        assert accepted == expected[0]
        assert same(value, expected[1])
    if not NOT_IN_ORJSON.search(text):
        accepted, value = outcome(orjson.loads, text)
        assert accepted == expected[0]
        assert same(value, expected[1])


@settings(max_examples=400)
@given(value=VALUES, data=st.data())
def test_damaged_documents_are_judged_alike(value: Any, data: st.DataObject) -> None:
    """A valid document with a byte removed, changed or inserted: all tiers agree, and errors point inside it."""
    text = bytearray(tier_native.dumps(value))
    place = data.draw(st.integers(0, len(text)))
    damage = data.draw(
        st.sampled_from([b"", b"\x00", b"\xff", b'"', b"\\", b"{", b"]", b",", b"1", b"e", b"\xc3"])
    )
    text[place : place + data.draw(st.integers(0, 2))] = damage

    expected = outcome(tier_stdlib.loads, bytes(text))
    for tier in TIERS:
        accepted, read = outcome(tier.loads, bytes(text))
        assert accepted == expected[0]
        assert same(read, expected[1])
    try:
        tier_native.loads(text)
    except JSONDecodeError as error:
        assert 0 <= error.offset <= len(text)


@each_tier
@settings(max_examples=300)
@given(
    token=st.from_regex(
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
    )
)
@example("9007199254740993.0")
@example("2.2250738585072012e-308")
@example("4.9406564584124654e-324")
@example("1.7976931348623159e308")
@example("123456789012345678901234567890e-20")
@example("0.000000000000000000000000000000000000000000000001")
def test_numbers_are_rounded_as_python_rounds_them(tier: ModuleType, token: str) -> None:
    """Any number that JSON allows gives what float and int give, or overflows in both."""
    expected: int | float
    expected = float(token) if any(mark in token for mark in ".eE") else int(token)

    if expected in {math.inf, -math.inf}:
        with pytest.raises(JSONDecodeError, match="too large"):
            tier.loads(token)
    else:
        assert same(tier.loads(token), expected)


@each_tier
@settings(max_examples=200)
@given(value=FLOATS)
def test_every_double_survives(tier: ModuleType, value: float) -> None:
    """Written and read it is the same double, alone and in an array."""
    assert same(tier.loads(tier.dumps(value)), value)
    assert tier.loads_array(tier.dumps([value]), "", "float64")[0] == value


@each_tier
@settings(max_examples=150)
@given(text=st.text())
def test_any_str_is_written_or_refused(tier: ModuleType, text: str) -> None:
    """Only lone surrogates stand against it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(JSONEncodeError, match="lone surrogate"):
            tier.dumps(text)
    else:
        assert tier.loads(tier.dumps(text)) == text


def walk(value: Any, tokens: list[str]) -> Any:
    for token in tokens:
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


def tokens_of(value: Any) -> st.SearchStrategy[list[str]]:
    paths: list[list[str]] = [[]]

    def collect(inside: Any, path: list[str]) -> None:
        members: Any = ()
        if isinstance(inside, dict):
            members = inside.items()
        elif isinstance(inside, list):
            members = enumerate(inside)
        for token, item in members:
            paths.append([*path, str(token)])
            collect(item, paths[-1])

    collect(value, [])
    return st.sampled_from(paths)


@each_tier
@settings(max_examples=150)
@given(value=VALUES, data=st.data(), indent=st.sampled_from([None, 1]))
def test_a_pointer_finds_what_loads_would_give(
    tier: ModuleType, value: Any, data: st.DataObject, indent: int | None
) -> None:
    """For every place of every document, decoded or raw."""
    text = stdlib_json.dumps(value, indent=indent, ensure_ascii=data.draw(st.booleans())).encode()
    tokens = data.draw(tokens_of(value))
    pointer = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
    expected = walk(tier.loads(text), tokens)

    assert same(tier.get(text, pointer), expected)
    raw = tier.get(text, pointer, raw=True)
    assert raw.data in text
    assert same(tier.loads(raw.data), expected)


@settings(max_examples=300)
@given(
    value=VALUES,
    pointer=st.lists(TEXT, max_size=3).map(lambda parts: "".join("/" + part for part in parts)),
)
def test_pointers_lead_to_the_same_on_every_tier(value: Any, pointer: str) -> None:
    """Also those that lead nowhere or are none."""
    text = tier_native.dumps(value)

    def found(tier: ModuleType) -> tuple[str, Any]:
        try:
            return "value", tier.get(text, pointer)
        except JSONPointerError:
            return "missing", None
        except ValueError as error:
            return type(error).__name__, None

    assert found(tier_native) == found(tier_stdlib)


@settings(max_examples=300)
@given(value=VALUES)
def test_canonical_text_is_one_text(value: Any) -> None:
    """The tiers agree to the byte; doubles read it back; writing what was read gives it again."""

    def small(inside: Any) -> Any:
        if isinstance(inside, dict):
            return {key: small(item) for key, item in inside.items()}
        if isinstance(inside, list):
            return [small(item) for item in inside]
        return inside % 2**53 if type(inside) is int else inside

    value = small(value)
    text = tier_native.canonical(value)

    assert text == tier_stdlib.canonical(value)
    assert stdlib_json.loads(text, parse_int=float) == value
    assert tier_native.canonical(tier_native.loads(text)) == text
