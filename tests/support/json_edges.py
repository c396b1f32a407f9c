"""Edge cases of JSON text, made by rule: every member of a class instead of examples of it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from itertools import pairwise, product
from math import inf, nextafter, ulp
from typing import Final

POWERS: Final = (7, 8, 15, 16, 24, 31, 32, 52, 53, 54, 62, 63, 64, 65, 127, 128, 1023)
MIN_NORMAL: Final = 2.2250738585072014e-308
MAX_DOUBLE: Final = 1.7976931348623157e308
DOUBLES: Final = (
    *(5e-324, 1e-323, nextafter(MIN_NORMAL, 0), MIN_NORMAL, nextafter(MIN_NORMAL, 1)),
    *(nextafter(1.0, 0), 1.0, nextafter(1.0, 2), 0.1, 0.3, 1 / 3, 1e-5, 1e-4, 1e15, 1e16, 1e17),
    *(1e21, 1e22, 1e23, 8.5e24, 2.0**53, 2.0**63, 2.0**64, nextafter(MAX_DOUBLE, 0), MAX_DOUBLE),
)

CODE_POINTS: Final = (
    *(0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7E, 0x7F),  # one byte
    *(0x80, 0xFF, 0x100, 0x7FF),  # two
    *(0x800, 0xFFF, 0x1000, 0x2028, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF),  # three
    *(0x10000, 0x1F600, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF),  # four
)
SHORT_ESCAPES: Final = dict(zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True))


def integers() -> Iterator[str]:
    """Around powers of two and ten, and one to thirty digits of each kind."""
    for power in POWERS:
        for off in (-1, 0, 1):
            yield str(2**power + off)
            yield str(-(2**power) + off)
    for digits in range(1, 31):
        yield "9" * digits
        yield "-1" + "0" * (digits - 1)


def halfway_cases() -> Iterator[str]:
    """The exact middle between two doubles, and a hair to either side of it."""
    with localcontext() as context:
        context.prec = 1200
        for value in DOUBLES:
            middle = Decimal(value) + Decimal(ulp(value)) / 2
            text = f"{middle:f}" if 1e-30 < value < 1e30 else f"{middle:e}"
            yield text
            mantissa, mark, exponent = text.partition("e")
            yield f"{mantissa}{'' if '.' in mantissa else '.'}0000000000000000000001{mark}{exponent}"
            below = middle * (1 - Decimal(10) ** -40)
            yield f"{below:.60e}"


def fractions() -> Iterator[str]:
    """Doubles as Python spells them, with more digits, with other exponents, and zeros in every place."""
    for value in DOUBLES:
        yield repr(value)
        yield f"-{value:.17e}"
        yield f"{value:.25E}"
    for digits, exponent in product(
        (1, 2, 8, 15, 16, 17, 18, 19, 20, 21, 40, 800), (-330, -310, -22, 0, 22, 290)
    ):
        yield "1234567890" * (digits // 10) + "1234567890"[: digits % 10] + f"e{exponent}"
        yield "0." + "0" * 5 + "7" * digits + f"E{exponent:+d}"
        yield "1." + "0" * digits + "1" + f"e{exponent}"
    yield from ("0e0", "-0e-0", "0.0e999999999999", "0E+400", "1e-400", "-1e-99999999999999999999")
    yield "0." + "0" * 400 + "1e401"
    yield "1" + "0" * 400 + "e-400"


def overflows() -> Iterator[str]:
    """Numbers that no double holds, the first of them included."""
    with localcontext() as context:
        context.prec = 400
        yield f"{Decimal(MAX_DOUBLE) + Decimal(ulp(MAX_DOUBLE)) / 2:f}.0"
    yield from (
        "1e309",
        "-1e309",
        "1.8e308",
        "1e99999999999999999999",
        "1" + "0" * 400 + ".0",
        "0.1e310",
    )


def numbers() -> Iterator[tuple[str, int | float]]:
    """Every number that is read, and what Python makes of it."""
    for text in integers():
        yield text, int(text)
    for text in (*halfway_cases(), *fractions()):
        value = float(text) if any(mark in text for mark in ".eE") else int(text)
        if value not in {inf, -inf}:
            yield text, value


def bad_numbers() -> Iterator[str]:
    """Every way to put up to three marks where they do not belong, next to digits."""
    for text in ("".join(marks) for size in (1, 2, 3) for marks in product("0.eE+-", repeat=size)):
        for token in (text, f"1{text}", f"{text}1", f"1{text}1", f"-{text}", f"0{text}0"):
            try:
                is_number = _is_number(token)
            except ValueError:
                is_number = False
            if not is_number:
                yield token


def _is_number(token: str) -> bool:
    """By the grammar of RFC 8259, character by character."""
    rest = token.removeprefix("-")
    whole = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if not whole or (whole[0] == "0" and len(whole) > 1):
        return False
    rest = rest[len(whole) :]
    if rest[:1] == ".":
        digits = rest[1 : 1 + len(rest[1:]) - len(rest[1:].lstrip("0123456789"))]
        if not digits:
            return False
        rest = rest[1 + len(digits) :]
    if rest[:1] in {"e", "E"} and rest:
        rest = rest[1:]
        rest = rest[1:] if rest[:1] in {"+", "-"} and rest else rest
        return rest.isascii() and rest.isdigit()
    return not rest


def utf8_strings() -> Iterator[str]:
    """Characters of every length class, alone, next to each other, and at every place of a block of 64 bytes."""
    for point in CODE_POINTS:
        yield chr(point)
    for one, other in pairwise(CODE_POINTS):
        yield chr(one) + chr(other) + chr(one)
    for character in ("é", "語", "😀"):
        for before in range(66):
            yield "x" * before + character + "y" * (66 - before)


def bad_utf8() -> Iterator[bytes]:
    """Every malformed form: stray and missing continuations, overlong, surrogates, beyond Unicode."""
    for lead in range(0x80, 0x100):
        yield bytes((lead,))
        for second in (0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF):
            for rest in (b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xbf\x41"):
                form = bytes((lead, second)) + rest
                try:
                    form.decode()
                except UnicodeDecodeError:
                    yield form


def nested(levels: int) -> Iterator[str]:
    """Texts so many levels deep: arrays, objects, both by turns, with something beside the way."""
    yield "[" * levels + "]" * levels
    yield '{"a":' * levels + "1" + "}" * levels
    pairs, odd = divmod(levels, 2)
    yield '[{"a":' * pairs + "[]" * odd + "null" * (1 - odd) + "}]" * pairs
    yield "[1,[2]," * (levels - 1) + "[]" + "]" * (levels - 1) if levels > 1 else "[]"
