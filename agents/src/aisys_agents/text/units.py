"""Conversion between units of measurement, by the exact factors of pint (imported on first use)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from aisys.errors import AgentError
from aisys_agents.text.numbers import (
    NUMBER,
    format_number,
    numbers_left,
    parse_number,
    words_to_digits,
)
from aisys_agents.text.unit_words import spelled_feet

if TYPE_CHECKING:
    import pint

__all__ = ["Conversion", "UnitProblem", "convert", "find_conversion", "known_unit"]

MAX_TEXT = 300
SIGNIFICANT = 6


class UnitProblem(AgentError):
    """A unit is unknown, or two units measure different things."""

    code: ClassVar[str] = "bad_unit"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A quantity in two units.

    Attributes:
        amount: the given number.
        source: the given unit, as written.
        target: the wanted unit, as written.
        value: the exact result.
        exact: the result in full, with thousands separators; longer results are cut and end in `…`.
        rounded: the result to six significant digits.
        note: what was taken for granted, such as the length of a year; or "".
    """

    amount: Fraction
    source: str
    target: str
    value: Fraction
    exact: str
    rounded: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """The conversion as one line that says whether it was rounded."""
        return self._line() + (f", {self.note}" if self.note else "")

    def _line(self) -> str:
        given = format_number(self.amount)[0]
        if self.exact == self.rounded:
            return f"{given} {self.source} = {self.exact} {self.target}"
        if self.exact.endswith("…"):
            note = f"rounded to {SIGNIFICANT} digits"
            return f"{given} {self.source} ≈ {self.rounded} {self.target} ({note})"
        return f"{given} {self.source} ≈ {self.rounded} {self.target} (exactly {self.exact})"


# Spellings that pint does not know, in English and Tagalog; everything else is asked of pint.
_ALIASES = {
    "kilometro": "kilometer", "metro": "meter", "sentimetro": "centimeter",
    "milimetro": "millimeter", "milya": "mile", "pulgada": "inch", "talampakan": "foot",
    "yarda": "yard", "dangkal": "decimeter", "kilo": "kilogram", "kilos": "kilogram",
    "kilogramo": "kilogram", "gramo": "gram", "libra": "pound", "onsa": "ounce",
    "tonelada": "tonne", "litro": "liter", "mililitro": "milliliter", "tasa": "cup",
    "kutsara": "tablespoon", "kutsarita": "teaspoon", "galon": "gallon", "segundo": "second",
    "minuto": "minute", "oras": "hour", "araw": "day", "linggo": "week", "buwan": "month",
    "taon": "year", "dekada": "decade", "ektarya": "hectare", "celsius": "degC",
    "centigrade": "degC", "fahrenheit": "degF", "°c": "degC", "°f": "degF",
    "degree celsius": "degC", "degrees celsius": "degC", "degree fahrenheit": "degF",
    "degrees fahrenheit": "degF", "degrees c": "degC", "degrees f": "degF", "deg c": "degC",
    "deg f": "degF", "c": "degC", "f": "degF", "k": "kelvin", "mph": "mile/hour",
    "kph": "kilometer/hour", "kmh": "kilometer/hour", "km/h": "kilometer/hour",
    "miles per hour": "mile/hour", "kilometers per hour": "kilometer/hour",
    "kilometres per hour": "kilometer/hour", "meters per second": "meter/second",
    "metres per second": "meter/second", "m/s": "meter/second", "feet per second": "foot/second",
    "sq ft": "foot**2", "sqft": "foot**2", "sq m": "meter**2", "sqm": "meter**2",
    "nautical miles": "nautical_mile", "nautical mile": "nautical_mile",
    "light years": "light_year", "light-years": "light_year", "light year": "light_year",
    "fluid ounces": "fluid_ounce", "fluid ounce": "fluid_ounce", "fl oz": "fluid_ounce",
    "imperial gallons": "imperial_gallon", "imperial gallon": "imperial_gallon",
    "imperial pints": "imperial_pint", "us gallons": "gallon", "short tons": "short_ton",
    "metric tons": "tonne", "metric ton": "tonne", "calories": "calorie", "gb": "gigabyte",
    "mb": "megabyte", "kb": "kilobyte", "tb": "terabyte", "lbs": "pound", "in": "inch",
    "horse power": "horsepower", "hp": "horsepower", "liters": "liter", "l": "liter",
    "minutes": "minute", "kib": "kibibyte", "mib": "mebibyte", "gib": "gibibyte",
    "tib": "tebibyte",
}  # fmt: skip
# Calendar units in months: their length in days varies, so it is taken for granted and said.
_IN_MONTHS = {
    "month": 1, "months": 1, "year": 12, "years": 12, "yr": 12, "yrs": 12, "buwan": 1, "taon": 12,
    "decade": 120, "decades": 120, "dekada": 120, "century": 1200, "centuries": 1200,
    "millennium": 12000, "millennia": 12000,
}  # fmt: skip
# pint knows these as something nobody means in a sentence (`a` is a year, `as` an attosecond).
_NEVER = frozenset(
    {"a", "an", "as", "at", "is", "am", "are", "the", "of", "for", "to", "on", "my", "me", "us"}
    | {"one", "and", "or", "by", "do", "it", "h"}
)
_POWERS = (
    ("square ", "**2"),
    ("sq ", "**2"),
    ("cubic ", "**3"),
    ("cu ", "**3"),
    ("kwadradong ", "**2"),
)
_UNIT = r"(?:°\s?)?[a-z][a-z°]*(?:[-/][a-z]+)?(?:\s+[a-z]+){0,2}"
_QUANTITY = rf"(-?(?:{NUMBER}))\s*({_UNIT})"
_TARGET_FIRST = re.compile(
    rf"\b(?:how many|how much|ilang|ilan(?: ang)?|number of|what is)\s+(?P<target>{_UNIT}?)\s+"
    rf"(?:is|are|in|equal|equals|make|makes|to|ay|ang|nasa|sa|does|do)\b(?P<rest>.*)$"
)
_SOURCE_FIRST = re.compile(
    rf"(?P<amount>-?(?:{NUMBER}))\s*(?P<source>{_UNIT}?)\s+(?:in|into|to|as|sa|tungong|=)\s+(?P<target>{_UNIT})"
)
_BARE_TARGET = re.compile(
    rf"^(?:the )?(?P<target>{_UNIT}?)\s+in\s+(?P<rest>(?:a|an|{NUMBER})(?:\s*[a-z]).*)$"
)
_PART_BEFORE = re.compile(
    rf"(?P<amount>{NUMBER})\s*(?P<unit>[a-z]+(?: [a-z]+)??)\s*(?:,|\band|\bat)?\s*$"
)
_SCALES_WITH_ZERO = frozenset({"degC", "degF", "kelvin"})
_REST = re.compile(_QUANTITY)
_ONE = re.compile(rf"\b(?:a|an|one|isang|bawat)\s+(?P<source>{_UNIT})")


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    """The registry, computing in fractions; it takes half a second, so it waits for first use."""
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)


@lru_cache(maxsize=512)
def known_unit(name: str) -> str | None:
    """The expression that pint reads for a unit as people write it, or None when it is no unit.

    Args:
        name: `kilometres`, `square feet`, `milya`, `mph`.
    """
    text = " ".join(name.lower().strip(" .?!,").split())
    if not text or text in _NEVER or len(text) > 40:
        return None
    for prefix, power in _POWERS:
        if text.startswith(prefix):
            inner = known_unit(text.removeprefix(prefix))
            return f"({inner}){power}" if inner else None
    if text in _ALIASES:
        return _ALIASES[text]
    # Only plain names reach pint's parser: it evaluates expressions, which are not bounded.
    if re.fullmatch(r"[a-z]+(?:_[a-z]+)?", text) and len(text) > 1:
        return _pint_name(text)
    top, per, bottom = text.replace(" per ", "/").partition("/")
    if per and "/" not in bottom:
        left, right = known_unit(top), known_unit(bottom)
        return f"{left}/({right})" if left and right else None
    return None


def _pint_name(text: str) -> str | None:
    for candidate in dict.fromkeys((text, text.removesuffix("s"), text.removesuffix("es"))):
        if len(candidate) > 1 and candidate in _registry():
            return candidate
    return None


def _longest_unit(text: str) -> str | None:
    """The longest leading words of a text that name a unit."""
    words = text.split()
    for count in range(min(3, len(words)), 0, -1):
        name = " ".join(words[:count])
        if known_unit(name):
            return name
    return None


def convert(amount: Fraction | float | str, source: str, target: str) -> Conversion:
    """Convert an amount between two units.

    Args:
        amount: the number; text may have thousands separators.
        source: the unit it is in.
        target: the unit wanted.

    Raises:
        UnitProblem: an unknown unit, or two units that measure different things.
        ValueError: the amount is not a number.
    """
    value = _amount(amount)
    first, size, note = _unit_of(source, target)
    second, other_size, other_note = _unit_of(target, source)
    import pint

    try:
        result = _registry().Quantity(value * size, first).to(second).magnitude / other_size
    except pint.DimensionalityError:
        raise UnitProblem(f"{source} and {target} measure different things") from None
    exact_value = Fraction(result)
    rounded = format_number(_round(exact_value))[0]
    full, complete = format_number(exact_value, 15)
    exact = full if complete else full + "…"
    return Conversion(value, source, target, exact_value, exact, rounded, note or other_note)


def _unit_of(name: str, other: str) -> tuple[str, Fraction, str]:
    """What pint reads for a unit, times what, and what is taken for granted about a calendar unit beside another."""
    unit = known_unit(name)
    if unit is None:
        raise UnitProblem(f"I do not know the unit {name!r}")
    months = _IN_MONTHS.get(name.strip())
    if months is None:
        return unit, Fraction(1), ""
    if other.strip() in _IN_MONTHS:
        return "day", Fraction(months), ""
    if months % 12:
        return "day", Fraction(months * 365, 12), "counting 365/12 days to a month"
    return "day", Fraction(months // 12 * 365), "counting 365 days to a year"


def _amount(amount: Fraction | float | str) -> Fraction:
    if isinstance(amount, str):
        sign = -1 if amount.strip().startswith("-") else 1
        return sign * parse_number(amount.strip().removeprefix("-"))
    return Fraction(str(amount)) if isinstance(amount, float) else Fraction(amount)


def _round(value: Fraction) -> Fraction:
    """Six significant digits, but never fewer than the whole part has."""
    if value == 0:
        return value
    magnitude = 0
    size = abs(value)
    while size >= 10:
        size /= 10
        magnitude += 1
    while size < 1 and magnitude > -30:
        size *= 10
        magnitude -= 1
    places = max(SIGNIFICANT - 1 - magnitude, 0)
    return Fraction(round(value * 10**places), 10**places)


def find_conversion(text: str) -> Conversion | None:
    """The conversion that a sentence asks for, worked out, or None when it asks for none.

    Understands `26.2 miles in km`, `convert 5 kg to pounds`, `how many seconds are in a day`,
    `How many kilometres is a marathon of 26.2 miles?` and `ilang kilometro ang 26.2 milya`.

    Raises:
        UnitProblem: both units are known and measure different things.
    """
    flat = " ".join(
        words_to_digits(spelled_feet(text[:MAX_TEXT])).lower().replace("?", " ").split()
    ).rstrip(".!")
    return _target_first(flat) or _source_first(flat)


def _target_first(flat: str) -> Conversion | None:
    match = _TARGET_FIRST.search(flat) or _BARE_TARGET.match(flat)
    if match is None or known_unit(match["target"]) is None:
        return None
    target, rest = match["target"], match["rest"]
    _nothing_left(flat[: match.start("rest")])
    found = [(m, _longest_unit(m[2])) for m in _REST.finditer(rest)]
    parts = [(m[1], source) for m, source in found if source is not None]
    if parts:
        _nothing_left(rest, *(m.span(1) for m, source in found if source is not None))
        return _added(parts, target)
    _nothing_left(rest)
    for single in _ONE.finditer(rest):
        source = _longest_unit(single["source"])
        if source is not None:
            return convert(1, source, target)
    source = _longest_unit(rest)
    return convert(1, source, target) if source else None


def _source_first(flat: str) -> Conversion | None:
    match = _SOURCE_FIRST.search(flat)
    if match is None:
        return None
    target = _longest_unit(match["target"])
    if target is None:
        return None
    used, parts = [match.span("amount")], [(match["amount"], match["source"])]
    begin = match.start("amount")
    if match["source"] and known_unit(match["source"]) is None:
        # `5 feet 10 inches` may have been taken as one long unit.
        return None
    while (before := _PART_BEFORE.search(flat[:begin])) is not None:
        if known_unit(before["unit"]) is None:
            break
        parts.insert(0, (before["amount"], before["unit"]))
        used.append(before.span("amount"))
        begin = before.start()
    _nothing_left(flat, *used)
    return _added(parts, target)


def _nothing_left(text: str, *used: tuple[int, int]) -> None:
    """Refuse to convert a part of what was asked.

    Raises:
        UnitProblem: the text has another number.
    """
    if numbers_left(text, *used):
        raise UnitProblem("I can convert one quantity at a time, and there are more numbers")


def _added(parts: list[tuple[str, str]], target: str) -> Conversion:
    """The conversion of a quantity in several units, such as `5 feet 10 inches`."""
    if len(parts) == 1:
        return convert(parts[0][0], parts[0][1], target)
    small = parts[-1][1]
    if known_unit(target) in _SCALES_WITH_ZERO:
        raise UnitProblem("temperatures cannot be added up")
    total = sum((convert(amount, unit, small).value for amount, unit in parts), Fraction(0))
    done = convert(total, small, target)
    said = " ".join(f"{amount} {unit}" for amount, unit in parts)
    return replace(done, source=f"{small} ({said})")
