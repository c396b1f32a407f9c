"""Exact arithmetic on expressions as people type and say them: no `eval`, and bounded."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import ClassVar

from aisys.errors import AgentError
from aisys_agents.text.numbers import (
    NUMBER,
    format_number,
    numbers_left,
    parse_number,
    words_to_digits,
)

__all__ = ["ArithmeticProblem", "Calculation", "evaluate", "find_expression", "is_only_expression"]

MAX_TEXT = 500
MAX_DEPTH = 40
MAX_BITS = 8192
"""No intermediate result may need more bits than this (about 2,400 digits)."""


class ArithmeticProblem(AgentError):
    """No expression that can be worked out: malformed, division by zero, or too large."""

    code: ClassVar[str] = "bad_arithmetic"


@dataclass(frozen=True, slots=True)
class Calculation:
    """The outcome of an expression.

    Attributes:
        expression: the expression as it was understood, with symbols for words.
        value: the value; exact unless `exact` is False (square roots that do not come out even).
        exact: whether `value` is the true value.
        text: the value for people, with thousands separators.
        rounded: whether `text` shows fewer digits than the value has.
    """

    expression: str
    value: Fraction
    exact: bool
    text: str
    rounded: bool

    @property
    def sentence(self) -> str:
        """The expression and its value as one line."""
        return f"{self.expression} {'≈' if self.rounded or not self.exact else '='} {self.text}"


# Longest first; applied to the lower-cased text before it is cut into tokens.
_N = rf"[$₱€£]?((?:{NUMBER})(?:\s*(?:%|percent\b))?)"
_WORDS: tuple[tuple[str, str], ...] = (
    (rf"\bwhat (?:percent|percentage) of {_N} is {_N}", r"\2 / \1 * 100"),
    (rf"{_N} is what (?:percent|percentage) of {_N}", r"\1 / \2 * 100"),
    (rf"{_N} off(?: of)? {_N}", r"\2 - \1"),
    (rf"\b(?:increase|raise) {_N} by {_N}", r"\1 + \2"),
    (rf"\b(?:decrease|reduce|lower) {_N} by {_N}", r"\1 - \2"),
    (rf"\bdivide {_N} by {_N}", r"\1 / \2"),
    (rf"\bmultiply {_N} (?:by|and|with) {_N}", r"\1 * \2"),
    (rf"\bsubtract {_N} from {_N}", r"\2 - \1"),
    (rf"\b(?:add|(?:the )?sum of) {_N} (?:and|to) {_N}", r"\1 + \2"),
    (rf"\b(?:the )?factorial of {_N}", r"\1!"),
    (rf"{_N} factorial\b", r"\1!"),
    (r"\bto the power of\b|\braised to(?: the)?\b|\bpower of\b", "^"),
    (r"\b(?:the )?square root of\b|\bsquare root ng\b", " sqrt "),
    (r"\bmultiplied by\b|\btimes\b|\bbeses\b|\bi-?multiply sa\b", "*"),
    (r"\bdivided by\b|\bhinati sa\b|\bhatiin sa\b|\bover\b", "/"),
    (r"\bpercent of\b|\bporsyento ng\b|\bpercent ng\b", "% of "),
    (r"\bpercent\b|\bper cent\b|\bporsyento\b", "%"),
    (r"\bplus\b|\badded to\b|\bdagdagan ng\b", "+"),
    (r"\bminus\b|\bless\b|\bbawasan ng\b", "-"),
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"\bhalf of\b|\bkalahati ng\b", "0.5*"),
    (r"\b(?:a )?third of\b", "(1/3)*"),
    (r"\b(?:a )?quarter of\b", "0.25*"),
    (r"\b(?:double|twice)\b", "2*"),
    (r"\bmodulo\b|\bmod\b", " mod "),
    (r"(?<=\d)\s*x\s*(?=\d)", "*"),
    (r"(?<=\d)%\s*ng\b", "% of "),
)
_COMPILED = tuple((re.compile(pattern), symbol) for pattern, symbol in _WORDS)
_TOKEN = re.compile(rf"\s*(?:({NUMBER})|(\*\*|[-+*/^()%!])|(sqrt|mod|of|pi)\b)")
_PIECE = rf"(?:{NUMBER})|\*\*|[-+*/^()%!]|\b(?:sqrt|mod|of|pi)\b"
_SPAN = re.compile(rf"(?:(?:{_PIECE})\s*)+")
_PI = Fraction("3.14159265358979323846264338327950288")


def _normalise(text: str) -> str:
    out = words_to_digits(text).lower()
    for old, new in (
        ("×", "*"),
        ("·", "*"),
        ("÷", "/"),
        ("−", "-"),
        ("√", " sqrt "),
        ("π", " pi "),
    ):
        out = out.replace(old, new)
    for pattern, symbol in _COMPILED:
        out = pattern.sub(symbol, out)
    return out


def find_expression(text: str) -> str | None:
    """The arithmetic inside a sentence (`What is 15% of 2,340?` holds `15% of 2,340`), or None.

    Dates (`2026-11-22`), telephone numbers, names (`gadget1x0`) and lone numbers are not arithmetic, and a sentence
    with numbers beside the expression is not settled by it.
    """
    whole = _normalise(text[:MAX_TEXT])
    best, at = "", (0, 0)
    for match in _SPAN.finditer(whole):
        piece = re.sub(r"^(?:\s*of\b)+|(?:\bof\s*)+$", "", match.group()).strip()
        if _is_sum(piece) and len(piece) > len(best) and not _is_in_a_name(whole, match):
            best, at = piece, match.span()
    # A number that is not part of it would be ignored by the answer.
    return best if best and not numbers_left(whole, at) else None


def is_only_expression(text: str) -> bool:
    """Whether a text is an expression and nothing else, as in `sqrt(2)` or `5 factorial`."""
    found = find_expression(text)
    return found is not None and found == _normalise(text[:MAX_TEXT]).strip(" ?=.!")


def _is_in_a_name(whole: str, match: re.Match[str]) -> bool:
    """Whether letters touch an expression: `gadget1x0` and `my 4x4's` are names."""
    before, after = whole[: match.start()][-1:], whole[match.end() :][:2]
    starts_with_digit = match.group()[:1].isdigit()
    ends_with_digit = match.group()[-1:].isdigit()
    touched = (before.isalpha() or before == "_") and starts_with_digit
    return touched or (ends_with_digit and (after[:1].isalpha() or after in {"'s", "’s"}))


def _is_sum(piece: str) -> bool:
    if re.fullmatch(
        r"\d{4}-\d{1,2}-\d{1,2}|\+?[\d-]{7,}|\d{1,2}/\d{1,2}/\d{2,4}", piece.replace(" ", "")
    ):
        return False
    numbers = re.findall(NUMBER, piece)
    operators = re.findall(r"[-+*/^!]|sqrt|mod|% ?of", piece)
    unary = re.search(r"sqrt|!", piece) is not None
    return bool(operators) and (len(numbers) >= 2 or unary or ("pi" in piece and bool(numbers)))


def evaluate(text: str) -> Calculation:
    """Work out an expression, exactly.

    `a% of b` is that share of b; `a + b%` and `a - b%` add and take off a share of a, as pocket
    calculators do.

    Args:
        text: an expression in symbols or words; thousands separators are allowed.

    Raises:
        ArithmeticProblem: malformed, division by zero, or a result beyond the size limit.
    """
    if len(text) > MAX_TEXT:
        raise ArithmeticProblem(f"the expression is longer than {MAX_TEXT} characters")
    expression = " ".join(_normalise(text).strip().rstrip("=?").split())
    parser = _Parser(_tokens(expression))
    value = parser.run()
    shown, complete = format_number(value)
    return Calculation(_pretty(expression), value, parser.exact, shown, rounded=not complete)


def _pretty(expression: str) -> str:
    spaced = re.sub(r"\s*([*/])\s*", r" \1 ", expression)
    spaced = re.sub(r"(?<=[\d)%!])\s*([-+])\s*", r" \1 ", spaced)
    return re.sub(r"\s*\^\s*", "^", re.sub(r"\s+%", "%", spaced)).replace("*", "×").strip()


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ArithmeticProblem(f"cannot read {expression[at:].strip()!r} as arithmetic")
        tokens.append(match.group().strip().replace("**", "^"))
        at = match.end()
    if not tokens:
        raise ArithmeticProblem("there is nothing to calculate")
    return tokens


class _Parser:
    """Recursive descent: sum < product < sign < power < postfix < atom."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self.exact = True

    def run(self) -> Fraction:
        value = self._sum()
        if self._at < len(self._tokens):
            raise ArithmeticProblem(f"cannot use {self._tokens[self._at]!r} here")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _sum(self) -> Fraction:
        value = self._product()
        while self._peek() in {"+", "-"}:
            operator = self._next()
            begin = self._at
            right = self._product()
            if self._at - begin == 2 and self._tokens[self._at - 1] == "%":
                right *= value
            value = _checked(value + right if operator == "+" else value - right)
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while self._peek() in {"*", "/", "mod", "of", "("}:
            operator = self._next() if self._peek() != "(" else "*"
            right = self._signed()
            if operator in {"/", "mod"} and right == 0:
                raise ArithmeticProblem("division by zero")
            if operator == "/":
                value = _checked(value / right)
            elif operator == "mod":
                value = value % right
            else:
                value = _checked(value * right)
        return value

    def _signed(self) -> Fraction:
        sign = 1
        while self._peek() in {"+", "-"}:
            sign = -sign if self._next() == "-" else sign
        return sign * self._power()

    def _power(self) -> Fraction:
        base = self._postfix()
        if self._peek() != "^":
            return base
        self._next()
        self._enter()
        exponent = self._signed()
        self._depth -= 1
        return self._raise(base, exponent)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ArithmeticProblem(f"nested deeper than {MAX_DEPTH} levels")

    def _raise(self, base: Fraction, exponent: Fraction) -> Fraction:
        if exponent.denominator == 2 and base >= 0:
            return self._root(self._raise(base, Fraction(exponent.numerator)))
        if exponent.denominator != 1:
            raise ArithmeticProblem("only whole and half powers are worked out")
        if base == 0 and exponent < 0:
            raise ArithmeticProblem("division by zero")
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if base not in (0, 1, -1) and bits * abs(exponent.numerator) > MAX_BITS:
            raise ArithmeticProblem("the result is too large to write down")
        return base ** (
            exponent.numerator % 2 + 2
            if base in (0, 1, -1) and exponent > 1
            else exponent.numerator
        )

    def _postfix(self) -> Fraction:
        value = self._atom()
        while self._peek() in {"%", "!"}:
            value = value / 100 if self._next() == "%" else _factorial(value)
        return value

    def _atom(self) -> Fraction:
        part = self._next()
        if part == "(":
            self._enter()
            value = self._sum()
            if self._next() != ")":
                raise ArithmeticProblem("a closing parenthesis is missing")
            self._depth -= 1
            return value
        if part == "sqrt":
            self._enter()
            value = self._root(self._postfix())
            self._depth -= 1
            return value
        if part == "pi":
            self.exact = False
            return _PI
        if not part or not re.fullmatch(NUMBER, part):
            raise ArithmeticProblem(
                f"a number is missing before {part!r}" if part else "a number is missing at the end"
            )
        return parse_number(part)

    def _root(self, value: Fraction) -> Fraction:
        if value < 0:
            raise ArithmeticProblem("the square root of a negative number is not a real number")
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
        self.exact = False
        context = Context(prec=30)
        root = context.sqrt(context.divide(Decimal(value.numerator), Decimal(value.denominator)))
        return Fraction(root)


def _checked(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise ArithmeticProblem("the result is too large to write down")
    return value


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or value < 0:
        raise ArithmeticProblem("only whole numbers from 0 have a factorial")
    if value > 500:
        raise ArithmeticProblem("the result is too large to write down")
    work: Callable[[int], int] = math.factorial
    return Fraction(work(value.numerator))
