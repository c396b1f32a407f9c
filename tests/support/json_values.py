"""Objects for the JSON writer, drawn from bytes, each with the plain value that its text must mean."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from aisys.json import JSONEncodeError, Raw

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1
INTEGERS: Final = tuple(
    sign * (power + off)
    for power in (0, 10, 100, 2**15, 2**31, 2**32, 2**53, 10**15, 10**16, 10**19, 2**63, 2**64)
    for off in (-1, 0, 1)
    for sign in (1, -1)
)
FLOATS: Final = (
    0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e17, 1e21, 1e22, 1e-4, 1e-5, 1e-6, 1e-7, 5e-324, 2.2250738585072014e-308,
    1.7976931348623157e308, float("nan"), float("inf"), -float("inf"), 9007199254740993.0, 0.30000000000000004,
)  # fmt: skip
NOT_JSON: Final = object()
# Without spaces and escapes, so that the text is also what its plain value is written as.
RAW: Final[tuple[tuple[bytes, Any], ...]] = (
    (b"1", 1),
    (b"null", None),
    (b'{"a":[1.5,"x"]}', {"a": [1.5, "x"]}),
    ('"語"'.encode(), "語"),
    (b"[1,", NOT_JSON),
    (b"", NOT_JSON),
    (b"NaN", NOT_JSON),
    (b'"\\ud800"', NOT_JSON),
)
ALPHABETS: Final = (
    "abcdefghijklmnop",
    '\\"/\b\f\n\r\t\x00\x1f\x7f ',
    "éüß\x80\xffж\u07ff",
    "\u0800語€\u2028\ud7ff\ue000\uffff",
    "😀\U00010000\U0010ffff",
    "a😀é語\n",
    "ab\ud800\udfff",
)


class Draw:
    """Choices from bytes; 0 when they have run out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.has_default = False

    def byte(self) -> int:
        """The next byte."""
        at = self._at
        if at >= len(self._data):
            return 0
        self._at = at + 1
        return self._data[at]

    def take(self, count: int) -> bytes:
        """So many bytes, zeros at the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken.ljust(count, b"\0")


class Text(str):
    """A str like any other."""

    __slots__ = ()


class Whole(int):
    """An int like any other."""


class Number(float):
    """A float like any other."""


class Items(list[Any]):
    """A list like any other."""


class Members(dict[str, Any]):
    """A dict like any other."""


class Pair(NamedTuple):
    """A tuple with names, which JSON does not keep."""

    one: Any
    other: Any


class Letter(StrEnum):
    """A str with a name."""

    ALPHA = "α"
    QUOTE = '"'


class Digit(IntEnum):
    """An int with a name."""

    ZERO = 0
    MANY = 2**63


class Anything(Enum):
    """Any value with a name."""

    NOTHING = None
    PAIR = (1, "x")
    BAD = frozenset((1,))


@dataclass
class Point:
    """A dataclass."""

    x: Any
    y: Any


@dataclass(slots=True, frozen=True)
class Slotted:
    """A dataclass without a dict."""

    name: Any


class Opaque:
    """Without a JSON form, unless `default` finds one."""

    def __init__(self, content: Any) -> None:
        self.content = content

    @staticmethod
    def inside(value: Any) -> Any:
        """A `default` for it."""
        if isinstance(value, Opaque):
            return value.content
        raise JSONEncodeError("not one of ours")


class Drawn:
    """What was drawn: the value, what it means in plain types, and whether it has no JSON form."""

    __slots__ = ("plain", "refused", "value")

    def __init__(self, value: Any, plain: Any, *, refused: bool = False) -> None:
        self.value = value
        self.plain = plain
        self.refused = refused

    def __repr__(self) -> str:
        return f"Drawn({self.value!r}, {self.plain!r}, refused={self.refused})"


MAX_NESTED: Final = 6


def draw_value(draw: Draw, *, has_default: bool = False) -> Drawn:
    """A value of any type, with smaller ones in it; with a default, `Opaque` has a form."""
    draw.has_default = has_default
    return _draw(draw, 0)


def _draw(draw: Draw, level: int) -> Drawn:
    kind = draw.byte() % len(_MAKERS)
    if level >= MAX_NESTED:
        kind %= _SCALARS
    return _MAKERS[kind](draw, level)


def _text(draw: Draw, _: int = 0) -> Drawn:
    choice = draw.byte()
    alphabet = ALPHABETS[choice % len(ALPHABETS)]
    size = draw.byte()
    size = size % 20 if size < 200 else size - 184
    picks = draw.take(min(size, 24))
    text = "".join(alphabet[pick % len(alphabet)] for pick in picks)
    if size > len(text):
        text = text.rjust(size, alphabet[0])
    return Drawn(text, text, refused=any("\ud800" <= char <= "\udfff" for char in text))


def _like(kind: Any, make: Any) -> Any:
    def drawn(draw: Draw, level: int) -> Drawn:
        inner = make(draw, level)
        return Drawn(kind(inner.value), inner.plain, refused=inner.refused)

    return drawn


def _integer(draw: Draw, _: int = 0) -> Drawn:
    choice = draw.byte()
    if choice < len(INTEGERS):
        value = INTEGERS[choice]
    else:
        value = int.from_bytes(draw.take(choice % 10 + 1), "little", signed=True)
    return Drawn(value, value, refused=not MIN_INT <= value <= MAX_INT)


def _float(draw: Draw, _: int = 0) -> Drawn:
    choice = draw.byte()
    if choice < len(FLOATS):
        value = FLOATS[choice]
    elif choice < 100:
        value = (int.from_bytes(draw.take(3), "little") - 2**23) / 10 ** (choice % 12)
    else:
        (value,) = struct.unpack("<d", draw.take(8))
    return Drawn(value, value, refused=value != value or value in (float("inf"), -float("inf")))


def _constant(value: Any) -> Callable[[Draw, int], Drawn]:
    return lambda _draw, _level: Drawn(value, value)


def _enum(draw: Draw, _: int) -> Drawn:
    members = (*Letter, *Digit, *Anything)
    member = members[draw.byte() % len(members)]
    plain = member.value
    return Drawn(
        member, list(plain) if type(plain) is tuple else plain, refused=member is Anything.BAD
    )


def _moment(draw: Draw, _: int) -> Drawn:
    a, b, c, d = draw.take(4)
    zone = (None, UTC, timezone(timedelta(minutes=(c % 47 - 23) * 15)))[d % 3]
    day = date(1 + a * 37 % 9998, 1 + b % 12, 1 + c % 28)
    clock = time(d % 24, a % 60, b % 60, (c * 3907) % 1_000_000 * (d & 1))
    if d >= 192:
        return Drawn(day, day.isoformat())
    if d >= 128:
        return Drawn(clock, clock.isoformat())
    moment = datetime.combine(day, clock, zone)
    return Drawn(moment, moment.isoformat())


def _identifier(draw: Draw, _: int) -> Drawn:
    value = UUID(bytes=draw.take(16))
    return Drawn(value, str(value))


def _decimal(draw: Draw, _: int) -> Drawn:
    value = Decimal(int.from_bytes(draw.take(5), "little", signed=True)).scaleb(
        draw.byte() % 40 - 20
    )
    return Drawn(value, str(value))


def _raw(draw: Draw, _: int) -> Drawn:
    text, plain = RAW[draw.byte() % len(RAW)]
    return Drawn(Raw(text), plain, refused=plain is NOT_JSON)


def _opaque(draw: Draw, level: int) -> Drawn:
    inner = _draw(draw, level + 1)
    return Drawn(Opaque(inner.value), inner.plain, refused=inner.refused or not draw.has_default)


def _inside(draw: Draw, level: int, count: int) -> list[Drawn]:
    return [_draw(draw, level + 1) for _ in range(count)]


def _sequence(kind: Any) -> Any:
    def drawn(draw: Draw, level: int) -> Drawn:
        items = _inside(draw, level, draw.byte() % 6)
        return Drawn(
            kind([item.value for item in items]),
            [item.plain for item in items],
            refused=any(item.refused for item in items),
        )

    return drawn


def _mapping(kind: Any) -> Any:
    def drawn(draw: Draw, level: int) -> Drawn:
        value, plain, refused = {}, {}, False
        for _ in range(draw.byte() % 6):
            key = _key(draw)
            item = _draw(draw, level + 1)
            if key.value in value:
                continue
            value[key.value] = item.value
            plain[key.plain] = item.plain
            refused = refused or item.refused or key.refused
        return Drawn(kind(value), plain, refused=refused)

    return drawn


def _key(draw: Draw) -> Drawn:
    kind = draw.byte()
    text = _text(draw)
    if kind < 200:
        return text
    if kind < 230:
        return Drawn(Text(text.value), text.plain, refused=text.refused)
    if kind < 250:
        return Drawn(Letter.ALPHA, "α")
    return Drawn((1, None, 1.5, (), b"x", True)[kind - 250], "refused", refused=True)


def _pair(draw: Draw, level: int) -> Drawn:
    one, other = _inside(draw, level, 2)
    return Drawn(
        Pair(one.value, other.value), [one.plain, other.plain], refused=one.refused or other.refused
    )


def _point(draw: Draw, level: int) -> Drawn:
    x, y = _inside(draw, level, 2)
    return Drawn(
        Point(x.value, y.value), {"x": x.plain, "y": y.plain}, refused=x.refused or y.refused
    )


def _slotted(draw: Draw, level: int) -> Drawn:
    name = _draw(draw, level + 1)
    return Drawn(Slotted(name.value), {"name": name.plain}, refused=name.refused)


def _deep(draw: Draw, level: int) -> Drawn:
    """Many levels at once, around the limit or not."""
    choice = draw.byte()
    levels = 505 - level + choice % 12 if choice >= 250 else choice % 40
    drawn = _text(draw)
    value, plain = drawn.value, drawn.plain
    for number in range(levels):
        value, plain = ([value], [plain]) if number & 1 else ({"k": value}, {"k": plain})
    return Drawn(value, plain, refused=drawn.refused or levels + level > 512)


_SCALARS: Final = 20
_MAKERS: Final[tuple[Callable[[Draw, int], Drawn], ...]] = (
    _text, _text, _text, _integer, _integer, _float, _float, _constant(None), _constant(True), _constant(False),
    _like(Text, _text), _like(Whole, _integer), _like(Number, _float), _enum, _moment, _identifier, _decimal, _raw,
    _text, _integer,
    _sequence(list), _sequence(list), _sequence(tuple), _sequence(Items), _mapping(dict), _mapping(dict),
    _mapping(Members), _mapping(OrderedDict), _pair, _point, _slotted, _deep, _opaque,
)  # fmt: skip
