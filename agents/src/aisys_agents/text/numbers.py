"""Numbers as people write and say them, in English and Tagalog."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["NUMBER", "format_number", "numbers_left", "parse_number", "words_to_digits"]

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
"""A number in digits, with or without thousands separators."""

MAX_DIGITS = 60
"""Longer numbers are shown in scientific notation."""

_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "isa": 1,
    "isang": 1, "dalawa": 2, "dalawang": 2, "tatlo": 3, "tatlong": 3, "apat": 4, "lima": 5,
    "limang": 5, "anim": 6, "pito": 7, "pitong": 7, "walo": 8, "walong": 8, "siyam": 9,
    "sampu": 10, "sampung": 10, "labing-isa": 11, "labindalawa": 12, "labingtatlo": 13,
    "labing-apat": 14, "labinlima": 15, "labinlimang": 15, "labing-anim": 16, "labimpito": 17,
    "labingwalo": 18, "labinsiyam": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90, "dalawampu": 20, "dalawampung": 20, "tatlumpu": 30, "tatlumpung": 30,
    "apatnapu": 40, "apatnapung": 40, "limampu": 50, "limampung": 50, "animnapu": 60,
    "pitumpu": 70, "walumpu": 80, "siyamnapu": 90,
}  # fmt: skip
_SCALES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "daan": 100, "raan": 100, "libo": 1000, "libong": 1000, "milyon": 10**6,
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*", re.UNICODE)
_TOKEN = re.compile(rf"(?:{NUMBER})|[^\W\d_]+(?:-[^\W\d_]+)*|\s+|.", re.UNICODE | re.DOTALL)


_POINTS_AND_COMMA = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d+)(?![\d.,]*\d)")


def numbers_left(text: str, *used: tuple[int, int]) -> bool:
    """Whether a text has digits outside the stretches that were used: then an answer would ignore them."""
    return any(
        not any(start <= match.start() < end for start, end in used)
        for match in re.finditer(r"\d+", text)
    )


def parse_number(text: str) -> Fraction:
    """The exact value of a number written in digits, such as `2,340.50`.

    Raises:
        ValueError: the text is not a number.
    """
    if not re.fullmatch(NUMBER, text.strip()):
        raise ValueError(f"not a number: {text!r}")
    return Fraction(text.strip().replace(",", ""))


def _value_of_word(word: str) -> tuple[str, int] | None:
    """What a number word adds: ("unit" | "ten" | "scale", value), or None for any other word."""
    for kind, table in (("unit", _UNITS), ("ten", _TENS), ("scale", _SCALES)):
        if word in table:
            return kind, table[word]
    tens, _, unit = word.partition("-")
    if tens in _TENS and _UNITS.get(unit, 99) < 10:
        return "unit", _TENS[tens] + _UNITS[unit]
    return None


class _Spoken:
    """Adds number words up, the way `two thousand three hundred and forty` is meant."""

    def __init__(self) -> None:
        self.total = 0
        self.group = 0
        self.last = ""

    def take(self, kind: str, value: int) -> bool:
        """Add one word; False when it begins another number (`five six`)."""
        if kind == "unit" and self.last == "unit":
            return False
        if kind == "ten" and self.last in {"unit", "ten"}:
            return False
        if kind != "scale":
            self.group += value
        elif value == 100:
            self.group = max(self.group, 1) * 100
        else:
            self.total += max(self.group, 1) * value
            self.group = 0
        self.last = kind
        return True

    @property
    def value(self) -> int:
        return self.total + self.group


def _split(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _spoken_at(tokens: list[str], start: int) -> tuple[int, int] | None:
    """The value of the number words that begin at a token and the index after them."""
    spoken, end, index = _Spoken(), start, start
    while index < len(tokens):
        token = tokens[index].lower()
        if token.isspace():
            index += 1
            continue
        if (
            token in {"and", "at", "'t"}
            and spoken.last == "scale"
            and _next_is_number(tokens, index)
        ):
            index += 1
            continue
        found = _value_of_word(token)
        if found is None or not spoken.take(*found):
            break
        index += 1
        end = index
    return (spoken.value, end) if end > start else None


def _next_is_number(tokens: list[str], index: int) -> bool:
    for token in tokens[index + 1 :]:
        if not token.isspace():
            found = _value_of_word(token.lower())
            return found is not None and found[0] != "scale"
    return False


def words_to_digits(text: str) -> str:
    """The text with number words replaced by digits: `twenty-five minutes` becomes `25 minutes`.

    A lone `hundred` or `thousand` counts as one of it; `a hundred` is 100. Everything else
    is kept as it is.
    """
    # `2.340,50` can only be two thousand three hundred and forty and a half.
    english = _POINTS_AND_COMMA.sub(lambda m: f"{m[1].replace('.', '')}.{m[2]}", text)
    tokens = _split(english)
    out: list[str] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        found = _spoken_at(tokens, index) if _WORD.fullmatch(token) else None
        if found is None:
            out.append(token)
            index += 1
            continue
        value, end = found
        if len(out) >= 2 and out[-1].isspace() and out[-2].lower() in {"a", "an"} and value >= 100:
            del out[-2:]
        out.append(str(value))
        index = end
        # "two point five": the fraction is spoken digit by digit
        index = _spoken_fraction(tokens, index, out)
    return "".join(out)


def _spoken_fraction(tokens: list[str], index: int, out: list[str]) -> int:
    rest = [i for i in range(index, len(tokens)) if not tokens[i].isspace()]
    if not rest or tokens[rest[0]].lower() not in {"point", "punto"}:
        return index
    digits, end = "", index
    for i in rest[1:]:
        found = _value_of_word(tokens[i].lower())
        if found is None or found[0] != "unit" or found[1] > 9:
            break
        digits += str(found[1])
        end = i + 1
    if digits:
        out.append("." + digits)
    return end


def format_number(value: Fraction, significant: int = 12) -> tuple[str, bool]:
    """The number for people, with thousands separators, and whether the text is exact.

    Args:
        value: the exact value.
        significant: digits kept when the decimal expansion does not end or is longer than that.
    """
    exact = _exact_decimal(value)
    if (
        exact is not None
        and len(exact.replace("-", "").replace(".", "").strip("0")) <= max(significant, 15)
        and len(exact) <= MAX_DIGITS
    ):
        return _group(exact), True
    if value.denominator == 1 and len(str(value.numerator)) <= MAX_DIGITS:
        return _group(str(value.numerator)), True
    return _group(_rounded(value, significant)), False


def _exact_decimal(value: Fraction) -> str | None:
    """The finite decimal expansion, or None when there is none of a reasonable length."""
    denominator, places = value.denominator, 0
    twos = fives = 0
    while denominator % 2 == 0:
        denominator //= 2
        twos += 1
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    places = max(twos, fives)
    if denominator != 1 or places > 40:
        return None
    scaled = abs(value.numerator) * 10**places // value.denominator
    digits = str(scaled).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    whole, fraction = (digits[:-places], digits[-places:].rstrip("0")) if places else (digits, "")
    return sign + whole + (f".{fraction}" if fraction else "")


def _rounded(value: Fraction, significant: int) -> str:
    """The value rounded half-even to a number of significant digits."""
    if value == 0:
        return "0"
    magnitude = len(str(abs(value.numerator))) - len(str(value.denominator))
    if abs(value) < Fraction(10) ** magnitude:
        magnitude -= 1
    places = significant - 1 - magnitude
    scaled = round(value * Fraction(10) ** places)
    if -8 <= magnitude < 21:
        return _exact_decimal(Fraction(scaled) / Fraction(10) ** places) or "0"
    digits = str(abs(scaled))
    mantissa = (digits[0] + "." + digits[1:]).rstrip("0").rstrip(".")
    return f"{'-' if value < 0 else ''}{mantissa}e{magnitude:+d}"


def _group(text: str) -> str:
    """Put thousands separators in the whole part."""
    if "e" in text:
        return text
    sign = "-" if text.startswith("-") else ""
    whole, dot, fraction = text.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{dot}{fraction}"
