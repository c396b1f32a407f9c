"""Units convert by exact factors, and the rounding is stated."""

from __future__ import annotations

from fractions import Fraction

import pytest

from aisys_agents.text.units import UnitProblem, convert, find_conversion, known_unit


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (
            "How many kilometres is a marathon of 26.2 miles?",
            "26.2 miles ≈ 42.1648 kilometres (exactly 42.1648128)",
        ),
        ("26.2 miles in km", "26.2 miles ≈ 42.1648 km (exactly 42.1648128)"),
        ("ilang kilometro ang 26.2 milya?", "26.2 milya ≈ 42.1648 kilometro (exactly 42.1648128)"),
        ("convert 5 kg to pounds", "5 kg ≈ 11.0231 pounds (rounded to 6 digits)"),
        ("how many seconds are in a day", "1 day = 86,400 seconds"),
        ("100 fahrenheit to celsius", "100 fahrenheit ≈ 37.7778 celsius (rounded to 6 digits)"),
        ("what is 37 degrees celsius in fahrenheit", "37 degrees celsius = 98.6 fahrenheit"),
        ("what is -40 C in F", "-40 c = -40 f"),
        ("how many feet in a mile", "1 mile = 5,280 feet"),
        ("twelve inches to cm", "12 inches = 30.48 cm"),
        ("ilang gramo ang isang kilo", "1 kilo = 1,000 gramo"),
        ("ilang minuto sa 2 oras", "2 oras = 120 minuto"),
        ("60 mph in km/h", "60 mph ≈ 96.5606 km/h (exactly 96.56064)"),
        ("how many meters per second is 36 km/h", "36 km/h = 10 meters per second"),
        ("how many bits in 8 bytes", "8 bytes = 64 bits"),
        ("1 gb in mb", "1 gb = 1,000 mb"),
        ("how many teaspoons in a tablespoon", "1 tablespoon = 3 teaspoons"),
        ("how many hours is 90 minutes", "90 minutes = 1.5 hours"),
        ("2 square feet to square inches", "2 square feet = 288 square inches"),
    ],
)
def test_question_is_answered(question: str, sentence: str) -> None:
    """A question about units in English or Tagalog is worked out."""
    found = find_conversion(question)

    assert found is not None
    assert sentence == found.sentence


@pytest.mark.parametrize(
    "text",
    [
        "how many people live in Manila",
        "how many days until Christmas",
        "how much is 100 dollars in pesos",
        "meet me in 5 minutes in Manila",
        "what is 15% of 2,340",
        "hello",
    ],
)
def test_no_conversion(text: str) -> None:
    """Other questions are left to others."""
    assert find_conversion(text) is None


def test_different_dimensions() -> None:
    """Kilograms in metres is an error that says so."""
    with pytest.raises(UnitProblem, match="measure different things"):
        find_conversion("5 kg in metres")


def test_unknown_unit() -> None:
    """An unknown unit is named."""
    with pytest.raises(UnitProblem, match="florps"):
        convert(1, "florps", "km")


@pytest.mark.parametrize(
    "name", ["m**99999999", "kg*(", "", "2", "x" * 100, "__class__", "meter meter"]
)
def test_expressions_do_not_reach_the_parser(name: str) -> None:
    """Only plain names of units are looked up."""
    assert known_unit(name) is None


def test_value_is_exact() -> None:
    """The factor of the mile is exact by definition."""
    assert Fraction("42.1648128") == convert("26.2", "miles", "km").value
