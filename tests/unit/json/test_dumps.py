"""What is written, and what is refused, the same on every tier."""
# ruff: noqa: DTZ001 - naive times are among the values written

from __future__ import annotations

import dataclasses
import enum
import json as stdlib_json
import math
import re
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import ModuleType
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pydantic
import pytest

from aisys.json import JSONEncodeError, Raw
from support.json_tiers import each_tier


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 3


class Word(enum.StrEnum):
    HELLO = "hello"


class Flagged(enum.Flag):
    A = 1
    B = 2


class MyStr(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class MyInt(int):
    def __repr__(self) -> str:
        return "not this"


class MyFloat(float):
    __slots__ = ()


class MyDict(dict[str, Any]):
    pass


class MyList(list[Any]):
    pass


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Plain:
    name: str
    items: list[int]
    _hidden: int = 1


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    inner: Plain
    at: datetime


class Model(pydantic.BaseModel):
    name: str
    when: datetime
    span: timedelta
    tags: set[int]


PLUS_TWO = timezone(timedelta(hours=2))
ODD_OFFSET = timezone(timedelta(minutes=53, seconds=28))


def _named(item: object) -> str:
    """A test id that is the same in every process: without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(item))[:40]


WRITTEN: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-1, "-1"),
    (7, "7"),
    (10, "10"),
    (99, "99"),
    (100, "100"),
    (12345678, "12345678"),
    (123456789, "123456789"),
    (2**30 - 1, str(2**30 - 1)),
    (2**30, str(2**30)),
    (-(2**30), str(-(2**30))),
    (2**60, str(2**60)),
    (2**63 - 1, str(2**63 - 1)),
    (2**63, str(2**63)),
    (-(2**63), str(-(2**63))),
    (2**64 - 1, str(2**64 - 1)),
    (1.5, "1.5"),
    (-0.0, "-0.0"),
    (1.0, "1.0"),
    (0.1, "0.1"),
    (0.30000000000000004, "0.30000000000000004"),
    ("", '""'),
    ("abc", '"abc"'),
    ('"\\/\b\f\n\r\t', '"\\"\\\\/\\b\\f\\n\\r\\t"'),
    ("\x00\x1f\x7f", '"\\u0000\\u001f\x7f"'),
    ("é", '"é"'),
    ("€", '"€"'),
    ("😀", '"😀"'),
    ("\u2028", '"\u2028"'),
    ("é\n\x01", '"é\\n\\u0001"'),
    ('€\n"', '"€\\n\\""'),
    ([], "[]"),
    ((), "[]"),
    ({}, "{}"),
    ([[], {}, ()], "[[],{},[]]"),
    ((1, "a", [2]), '[1,"a",[2]]'),
    ({"a": {"b": [1, None]}}, '{"a":{"b":[1,null]}}'),
    ({"": 0, "é": 1, '"': 2}, '{"":0,"é":1,"\\"":2}'),
    (Colour.RED, '"red"'),
    (Colour.PAIR, "[1,2]"),
    (Level.LOW, "3"),
    (Word.HELLO, '"hello"'),
    (Flagged.A | Flagged.B, "3"),
    ({Word.HELLO: 1}, '{"hello":1}'),
    ({MyStr("k"): MyStr("v")}, '{"k":"v"}'),
    (MyInt(5), "5"),
    (MyFloat(2.5), "2.5"),
    (MyDict(a=1), '{"a":1}'),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (MyList([1]), "[1]"),
    (Point(1, 2), "[1,2]"),
    (datetime(2026, 11, 22, 14, 30, 5), '"2026-11-22T14:30:05"'),
    (datetime(2026, 11, 22, 14, 30, 5, 7), '"2026-11-22T14:30:05.000007"'),
    (datetime(2026, 11, 22, 14, 30, tzinfo=UTC), '"2026-11-22T14:30:00+00:00"'),
    (datetime(2026, 11, 22, 14, 30, tzinfo=PLUS_TWO), '"2026-11-22T14:30:00+02:00"'),
    (datetime(1890, 1, 1, 0, 53, 28, tzinfo=ODD_OFFSET), '"1890-01-01T00:00:00+00:00"'),
    (datetime(1, 1, 1), '"0001-01-01T00:00:00"'),
    (date(2026, 1, 2), '"2026-01-02"'),
    (time(1, 2, 3, 4), '"01:02:03.000004"'),
    (UUID("12345678-1234-5678-1234-567812345678"), '"12345678-1234-5678-1234-567812345678"'),
    (Decimal("1.10"), '"1.10"'),
    (Plain("n", [1]), '{"name":"n","items":[1],"_hidden":1}'),
    (
        Slotted(Plain("n", []), datetime(2026, 1, 1)),
        '{"inner":{"name":"n","items":[],"_hidden":1},"at":"2026-01-01T00:00:00"}',
    ),
    (
        Model(
            name="m", when=datetime(2026, 1, 1, tzinfo=UTC), span=timedelta(seconds=90), tags={4}
        ),
        '{"name":"m","when":"2026-01-01T00:00:00Z","span":"PT1M30S","tags":[4]}',
    ),
    (np.int8(-3), "-3"),
    (np.uint64(2**64 - 1), str(2**64 - 1)),
    (np.float64(0.1), "0.1"),
    (np.float32(0.1), "0.1"),
    (np.float16(0.1), "0.1"),
    (np.bool_(True), "true"),
    (np.str_("s"), '"s"'),
    (np.array([1, 2, 3], dtype="int32"), "[1,2,3]"),
    (np.array([[1, 2], [3, 4]], dtype="uint8"), "[[1,2],[3,4]]"),
    (np.array([[1, 2], [3, 4]]).T, "[[1,3],[2,4]]"),
    (np.array([0.1, 0.2], dtype="float32"), "[0.1,0.2]"),
    (np.array([0.1, 1.0]), "[0.1,1.0]"),
    (np.array([True, False]), "[true,false]"),
    (np.array(["a", "b"]), '["a","b"]'),
    (np.array(5), "5"),
    (np.array([]), "[]"),
    (Raw(b'{"z" : 1}'), '{"z" : 1}'),
    ([Raw("[1]"), Raw('"é"')], '[[1],"é"]'),
]


@each_tier
@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=_named)
def test_a_value_has_this_text(tier: ModuleType, value: Any, text: str) -> None:
    """`dumps` gives the text in UTF-8, dumps_str as str; both are JSON to the standard library."""
    assert tier.dumps(value) == text.encode()
    assert tier.dumps_str(value) == text
    stdlib_json.loads(text)


@each_tier
@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 200])
@pytest.mark.parametrize("filler", ["x", "ü", "語", "😀"])
def test_an_escape_anywhere_in_a_string(tier: ModuleType, length: int, filler: str) -> None:
    """Whatever the length and the place, what needs an escape gets it and the rest is kept."""
    for special in ('"', "\\", "\n", "\x00", "\x1f", "\x7f", "é", "語", "😀"):
        for place in {0, 1, length // 2, max(length - 1, 0), length}:
            text = filler * place + special + filler * (length - place) + special
            written = tier.dumps(text)
            assert stdlib_json.loads(written) == text
            assert written == stdlib_json.dumps(text, ensure_ascii=False).encode()
            assert tier.loads(written) == text


@each_tier
def test_exponents_of_floats_read_back(tier: ModuleType) -> None:
    """However a tier spells an exponent, the double is the same."""
    for value in (1e16, 1e-7, 5e-324, 1.7976931348623157e308, -2.5e-10, 1e22, 123456789012345680.0):
        assert stdlib_json.loads(tier.dumps(value)) == value
        assert tier.loads(tier.dumps(value)) == value


class Unknown:
    pass


REFUSED: list[tuple[Any, str, str]] = [
    (math.nan, "JSON has no nan", ""),
    (math.inf, "JSON has no inf", ""),
    ([1, {"a": -math.inf}], "JSON has no -inf", "/1/a"),
    (np.float64("nan"), "JSON has no nan", ""),
    (np.array([1.0, math.nan], dtype="float32"), "JSON has no nan", "/1"),
    (2**64, "does not fit 64 bits", ""),
    ([-(2**63) - 1], "does not fit 64 bits", "/0"),
    ("\ud800", "lone surrogate at index 0", ""),
    ({"a": "ok\udfff"}, "lone surrogate at index 2", "/a"),
    ({1: 2}, r"str keys, not int \(1\)", ""),
    ({"a": {None: 1}}, "str keys, not NoneType", "/a"),
    ({(1, 2): 1}, "str keys, not tuple", ""),
    ({Level.LOW: 1}, "str keys, not Level", ""),
    (b"bytes", "bytes has no JSON form", ""),
    ({1, 2}, "set has no JSON form", ""),
    ([frozenset()], "frozenset has no JSON form", "/0"),
    (1j, "complex has no JSON form", ""),
    (object(), "object has no JSON form", ""),
    (Unknown(), "Unknown has no JSON form", ""),
    (Plain, "type has no JSON form", ""),
    (timedelta(1), "timedelta has no JSON form", ""),
    (time(1, tzinfo=UTC), "no RFC 3339 form", ""),
    (np.datetime64("2026-01-01"), "datetime64 has no JSON form", ""),
    (np.array([1j]), "ndarray has no JSON form", ""),
    (np.array([object()]), "ndarray has no JSON form", ""),
    ({"a/b": {"~": [1, {2}]}}, "set has no JSON form", "/a~1b/~0/1"),
    (Raw(b"{"), "Raw holds text that is not JSON", ""),
    ([Raw(b"1 2")], "Raw holds text that is not JSON", "/0"),
    (Raw(b""), "Raw holds text that is not JSON", ""),
    (Raw(b"NaN"), "Raw holds text that is not JSON", ""),
    (Raw(b'"\xff"'), "Raw holds text that is not JSON", ""),
    (Raw('"\ud800"'), "Raw holds text that is not JSON", ""),
]


@each_tier
@pytest.mark.parametrize(("value", "problem", "pointer"), REFUSED, ids=_named)
def test_a_value_without_a_json_form_is_refused(
    tier: ModuleType, value: Any, problem: str, pointer: str
) -> None:
    """The error says what is wrong and where."""
    with pytest.raises(JSONEncodeError, match=problem) as caught:
        tier.dumps(value)

    assert caught.value.pointer == pointer
    assert isinstance(caught.value, TypeError)


def _nested(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@each_tier
@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: {"a": v}, lambda v: (v,), lambda v: Plain("x", v)],
    ids=["list", "dict", "tuple", "dataclass"],
)
def test_depth_is_limited_as_for_reading(tier: ModuleType, wrap: Any) -> None:
    """512 levels are written, 513 are refused."""
    assert tier.dumps(_nested(512, wrap))
    with pytest.raises(JSONEncodeError, match="deeper than 512"):
        tier.dumps(_nested(513, wrap))


@each_tier
def test_a_value_that_contains_itself_is_refused(tier: ModuleType) -> None:
    """A cycle ends in the error, not in the stack."""
    cycle: list[Any] = []
    cycle.append({"again": cycle})

    with pytest.raises(JSONEncodeError, match="contains itself"):
        tier.dumps(cycle)


@each_tier
def test_default_gives_the_form_of_unknown_values(tier: ModuleType) -> None:
    """`default` is called for what has no form, and its result may itself need it."""
    assert tier.dumps({"s": {3, 1, 2}}, default=sorted) == b'{"s":[1,2,3]}'
    assert (
        tier.dumps(
            [1j],
            default=lambda value: (
                {"re": value.real, "im": {value.imag}}
                if isinstance(value, complex)
                else list(value)
            ),
        )
        == b'[{"re":0.0,"im":[1.0]}]'
    )
    assert tier.dumps(Unknown(), default=lambda _: Colour.RED) == b'"red"'
    assert tier.dumps([1], default=lambda _: pytest.fail("not needed")) == b"[1]"


@each_tier
def test_an_error_of_default_is_raised_as_it_is(tier: ModuleType) -> None:
    """`default` refuses a value by an exception of its own."""
    with pytest.raises(ZeroDivisionError):
        tier.dumps([{"a": {1}}], default=lambda _: 1 / 0)


@each_tier
def test_default_that_never_arrives_is_refused(tier: ModuleType) -> None:
    """`default` may not return what it was given for ever, nor nest for ever."""
    with pytest.raises(JSONEncodeError):
        tier.dumps(Unknown(), default=lambda value: value)
    with pytest.raises(JSONEncodeError, match="deeper than 512"):
        tier.dumps(Unknown(), default=lambda value: [value])


@each_tier
def test_sort_keys_orders_by_code_points(tier: ModuleType) -> None:
    """Keys come in the order of their code points, on every level."""
    value = {"b": 1, "a": {"z": 1, "é": 2, "": 3, "\uffff": 4, "😀": 5}, "B": 2, "aa": 3}

    text = '{"B":2,"a":{"":3,"z":1,"é":2,"\uffff":4,"😀":5},"aa":3,"b":1}'
    assert tier.dumps(value, sort_keys=True) == text.encode()
    assert tier.dumps_str(value, sort_keys=True) == text


@each_tier
def test_containers_may_change_while_default_runs(tier: ModuleType) -> None:
    """A default that empties what is being written ends in an error or a text, never in harm."""
    items: list[Any] = [{1}, *range(1000)]
    members: dict[str, Any] = {"a": {1}, **{f"k{number}": [number] for number in range(1000)}}

    def empty(_: Any) -> int:
        items.clear()
        members.clear()
        return 0

    for value in ([items, [str(number) for number in range(100)]], members):
        try:
            tier.dumps(value, default=empty)
        except (JSONEncodeError, RuntimeError):
            continue


@each_tier
def test_large_values_come_through(tier: ModuleType) -> None:
    """Documents larger than every buffer, and small ones after them."""
    value = {"text": "x\n" * 2_000_000, "wide": "語" * 500_000, "numbers": list(range(100_000))}

    assert tier.loads(tier.dumps(value)) == value
    assert tier.dumps([1]) == b"[1]"
