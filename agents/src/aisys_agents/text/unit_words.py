"""Common words for units, to see without loading pint whether a sentence may ask for a conversion."""

from __future__ import annotations

import re

from aisys_agents.text.cues import plain
from aisys_agents.text.numbers import words_to_digits

__all__ = ["UNIT_WORDS", "looks_like_conversion", "spelled_feet"]

UNIT_WORDS: frozenset[str] = frozenset(
    word
    for line in (
        "m meter meters metre metres metro km kilometer kilometers kilometre kilometres kilometro",
        "cm centimeter centimeters centimetre centimetres sentimetro mm millimeter millimeters",
        "millimetre millimetres milimetro mile miles milya yard yards yarda foot feet talampakan ft",
        "inch inches pulgada in nautical parsec parsecs light-year light-years acre acres hectare",
        "hectares ektarya kg kilo kilos kilogram kilograms kilogramo g gram grams gramo mg milligram",
        "milligrams pound pounds lb lbs libra ounce ounces oz onsa stone tonne tonnes ton tons",
        "tonelada l liter liters litre litres litro ml milliliter milliliters millilitre millilitres",
        "mililitro gallon gallons galon quart quarts pint pints cup cups tasa tablespoon tablespoons",
        "tbsp kutsara teaspoon teaspoons tsp kutsarita second seconds segundo minute minutes minuto",
        "hour hours oras day days araw week weeks linggo month months buwan year years taon decade",
        "decades century centuries celsius centigrade fahrenheit kelvin c f degree degrees degc degf",
        "radian radians bit bits byte bytes kb mb gb tb kilobyte kilobytes megabyte megabytes",
        "gigabyte gigabytes terabyte terabytes kib mib gib tib mph kph kmh km/h knot knots joule joules",
        "calorie calories kcal watt watts kw kilowatt kilowatts kwh horsepower hp psi bar bars pascal",
        "pascals volt volts ampere amperes newton newtons hertz hz mhz ghz",
    )
    for word in line.split()
)

_WORD = re.compile(r"[a-z°]+(?:[-/][a-z]+)?")
_SHAPE = re.compile(
    r"\b(?:how many|how much|ilang|ilan|convert|number of)\b|\b(?:in|into|to|as|sa)\s+[a-z]|=|"
    r"^(?:the )?[a-z]+ in \d"
)


_FEET_AND_INCHES = re.compile(r"\b(\d+)\s*['’′]\s*(\d+(?:\.\d+)?)\s*(?:''|[\"”″])")


def spelled_feet(text: str) -> str:
    """The text with `5'10"` written as `5 feet 10 inches`."""
    return _FEET_AND_INCHES.sub(r"\1 feet \2 inches", text)


def looks_like_conversion(text: str) -> bool:
    """Whether two units are named in the form of a question or a conversion."""
    flat = words_to_digits(plain(spelled_feet(text[:300])))
    if _SHAPE.search(flat) is None:
        return False
    found = [word for word in _WORD.findall(flat) if word in UNIT_WORDS]
    # `in` is a unit only after a number; as a preposition it says nothing.
    units = [word for word in found if word != "in" or re.search(r"\d\s*in\b", flat)]
    return len(units) >= 2
