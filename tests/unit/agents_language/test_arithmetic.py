"""Arithmetic is exact, bounded, and found inside sentences."""

from __future__ import annotations

from fractions import Fraction

import pytest

from aisys_agents.text.arithmetic import ArithmeticProblem, evaluate, find_expression
from aisys_agents.text.numbers import format_number, words_to_digits


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 15% of 2,340?", "351"),
        ("what's two plus two times three", "8"),
        ("twenty-five percent of four hundred", "100"),
        ("ilan ang lima plus pito", "12"),
        ("magkano ang 20 porsyento ng 500", "100"),
        ("12 x 12", "144"),
        ("2^10", "1,024"),
        ("2**10", "1,024"),
        ("(1+2)*3/4", "2.25"),
        ("square root of 144", "12"),
        ("sqrt(2.25)", "1.5"),
        ("200 + 15%", "230"),
        ("200 - 10%", "180"),
        ("5!", "120"),
        ("half of 90", "45"),
        ("a third of 99", "33"),
        ("double 21", "42"),
        ("17 mod 5", "2"),
        ("one thousand two hundred and five minus five", "1,200"),
        ("0.1 + 0.2", "0.3"),
        ("what is 10 over 4", "2.5"),
        ("two point five times four", "10"),
        ("2(3+4)", "14"),
        ("-3 squared", "-9"),
        ("(-3)^2", "9"),
        ("2^-2", "0.25"),
        ("1234567 * 7654321", "9,449,772,114,007"),
        ("10^30", "1,000,000,000,000,000,000,000,000,000,000"),
        ("how much is a hundred plus one", "101"),
        ("15% of 80 plus 3", "15"),
        ("1^99999999", "1"),
        ("(-1)^99999999", "-1"),
        ("8 ÷ 2 × 3", "12"),
        ("7 − 2", "5"),
        ("100 divided by 8", "12.5"),
        ("3 multiplied by 1,000,000", "3,000,000"),
        ("√81 + 1", "10"),
    ],
)
def test_sentence_gives_value(question: str, answer: str) -> None:
    """The expression in a sentence is found and worked out exactly."""
    expression = find_expression(question)

    assert expression is not None
    assert answer == evaluate(expression).text


@pytest.mark.parametrize(
    "text",
    [
        "Call 555-0199",
        "2026-11-22",
        "What date is 45 days after 2026-11-22?",
        "the year 2026",
        "I am 30",
        "hello",
        "",
        "12/25/2026",
    ],
)
def test_no_arithmetic(text: str) -> None:
    """Dates, telephone numbers and lone numbers are not sums."""
    assert find_expression(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10 / 0", "division by zero"),
        ("0^-1", "division by zero"),
        ("5 mod 0", "division by zero"),
        ("2^100000", "too large"),
        ("9^9^9^9", "too large"),
        ("501!", "too large"),
        ("2.5!", "whole numbers"),
        ("sqrt(-4)", "negative"),
        ("2^0.3", "powers"),
        ("(1+2", "parenthesis"),
        ("1 +", "missing"),
        ("1 2", "cannot use"),
        ("__import__('os')", "cannot read"),
        ("", "nothing"),
        ("(" * 60 + "1" + ")" * 60, "nested"),
        ("1+" * 400 + "1", "longer"),
        ("2^(" * 45 + "1" + ")" * 45, "nested"),
    ],
)
def test_problem_is_named(text: str, problem: str) -> None:
    """What cannot be worked out is an error that says why, whatever the text."""
    with pytest.raises(ArithmeticProblem, match=problem):
        evaluate(text)


def test_rounding_is_stated() -> None:
    """A value that does not come out even is marked as rounded, its fraction kept exact."""
    third = evaluate("1/3")

    assert Fraction(1, 3) == third.value
    assert third.rounded
    assert third.sentence == "1 / 3 ≈ 0.333333333333"


def test_root_is_not_exact() -> None:
    """A root that does not come out even says so."""
    assert not evaluate("sqrt 2").exact


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("twenty-five minutes", "25 minutes"),
        ("two thousand three hundred and forty", "2340"),
        ("a hundred and one", "101"),
        ("three point one four", "3.14"),
        ("dalawampu", "20"),
        ("sampung minuto", "10 minuto"),
        ("five six", "5 6"),
        ("a dog and one cat", "a dog and 1 cat"),
        ("one million", "1000000"),
        ("no numbers here", "no numbers here"),
    ],
)
def test_number_words(text: str, digits: str) -> None:
    """Number words become digits; other words stay."""
    assert digits == words_to_digits(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(-1234567), "-1,234,567"),
        (Fraction(1, 8), "0.125"),
        (Fraction(2, 3), "0.666666666667"),
        (Fraction(10) ** 70, "1e+70"),
        (Fraction(-1, 3), "-0.333333333333"),
    ],
)
def test_format_number(value: Fraction, text: str) -> None:
    """Numbers are shown with separators, rounded half-even only when they do not end."""
    assert text == format_number(value)[0]
