"""JSON documents from a seed: valid ones of every kind, and what damage makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from support.json_edges import (
    CODE_POINTS,
    SHORT_ESCAPES,
    fractions,
    halfway_cases,
    integers,
    overflows,
)

SPACES: Final = ("", "", "", " ", "\n", "\r\n", "\t", "  \n    ")
KEYS: Final = (
    "id",
    "a",
    "b",
    "text",
    "role",
    "content",
    "x" * 70,
    "ключ",
    "",
    "a/b",
    "m~n",
    "0",
    "1",
)
# What a single byte becomes: structure, parts of escapes and numbers, control characters, parts of UTF-8.
DAMAGE: Final = b'"\\{}[]:,0123456789eE+-.utrfn \n\t\x00\x1f\x7f\x80\xbf\xc3\xe2\xed\xf0\xff'
MAX_LEVEL: Final = 5

_NUMBERS: Final = tuple(
    text for text in (*integers(), *halfway_cases(), *fractions(), *overflows()) if len(text) < 60
)


class Documents:
    """A stream of documents; the same seed gives the same stream."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            text = self._space() + self._value(0) + self._space()
            data = text.encode("utf-8", "surrogatepass")
            yield data
            choice = self._random.random()
            if choice < 0.02:
                yield from (data[:end] for end in range(min(len(data), 300)))
            for _ in range(8):
                yield self._damaged(data)
            yield self._nested(data)

    def _damaged(self, data: bytes) -> bytes:
        pick = self._random
        place = pick.randrange(len(data) + 1)
        kind = pick.randrange(5)
        byte = bytes((pick.choice(DAMAGE),)) if pick.random() < 0.9 else pick.randbytes(1)
        if kind == 0:
            return data[:place]
        if kind == 1:
            return data[:place] + data[place + 1 :]
        if kind == 2:
            return data[:place] + byte + data[place:]
        return data[:place] + byte + data[place + 1 :]

    def _nested(self, data: bytes) -> bytes:
        levels = self._random.choice((1, 2, 3, 30))
        if self._random.random() < 0.01:
            levels = self._random.randrange(500, 514)
        if self._random.random() < 0.5:
            return b"[" * levels + data + b"]" * levels
        return b'{"k":' * levels + data + b"}" * levels

    def _space(self) -> str:
        return self._random.choice(SPACES)

    def _value(self, level: int) -> str:
        kind = self._random.randrange(10 if level < MAX_LEVEL else 6)
        if kind < 2:
            return self._string()
        if kind < 4:
            return self._number()
        if kind == 4:
            return self._random.choice(("true", "false", "null"))
        if kind == 5:
            return self._random.choice(("[]", "{}", "0", '""', "[ ]", "{\n}"))
        return self._array(level) if kind < 8 else self._object(level)

    def _array(self, level: int) -> str:
        numbers = self._random.random() < 0.2
        items = [
            self._space() + (self._number() if numbers else self._value(level + 1)) + self._space()
            for _ in range(self._random.randrange(6))
        ]
        return f"[{','.join(items)}]"

    def _object(self, level: int) -> str:
        members = []
        for _ in range(self._random.randrange(6)):
            key = (
                f'"{self._random.choice(KEYS)}"' if self._random.random() < 0.7 else self._string()
            )
            members.append(
                f"{self._space()}{key}{self._space()}:{self._space()}{self._value(level + 1)}{self._space()}"
            )
        return "{" + ",".join(members) + "}"

    def _number(self) -> str:
        pick = self._random
        kind = pick.randrange(5)
        if kind == 0:
            return pick.choice(_NUMBERS)
        if kind == 1:
            return str(pick.randrange(-1000, 100_000))
        if kind == 2:
            return repr(pick.uniform(-1000, 1000))
        if kind == 3:
            return repr(round(pick.uniform(-100, 100), pick.randrange(8)))
        digits = str(pick.randrange(10 ** pick.randrange(1, 40)))
        exponent = f"e{pick.randrange(-330, 320)}" if pick.random() < 0.5 else ""
        return f"{pick.choice(('', '-'))}{digits[:1]}.{digits[1:] or 0}{exponent}"

    def _string(self) -> str:
        size = self._random.choice((0, 1, 2, 5, 15, 16, 17, 31, 32, 33, 70))
        style = self._random.randrange(4)
        return '"' + "".join(self._piece(style) for _ in range(size)) + '"'

    def _piece(self, style: int) -> str:
        pick = self._random
        if style == 0 or pick.random() < 0.6:
            return pick.choice("abcdefghijklmnopqrstuvwxyz .,:{}[]")
        if style == 1:
            point = pick.choice(CODE_POINTS)
            return chr(point)
        if style == 2:
            return "\\" + pick.choice(tuple(SHORT_ESCAPES))
        if pick.random() < 0.1:
            return f"\\u{pick.randrange(0x10000):04x}"
        point = pick.choice(CODE_POINTS)
        if point < 0x10000:
            return f"\\u{point:04X}"
        point -= 0x10000
        return f"\\ud{0x800 + (point >> 10):03x}\\uD{0xC00 + (point & 0x3FF):03X}"
