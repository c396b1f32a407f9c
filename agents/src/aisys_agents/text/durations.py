"""Durations in words: `10 seconds`, `2 hours and 30 minutes`, `half an hour`, `5 minuto`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from dateutil.relativedelta import relativedelta

from aisys_agents.text.numbers import parse_number, words_to_digits

__all__ = ["Span", "add_span", "describe_seconds", "find_span", "parse_span"]

UNIT_WORDS: dict[str, str] = {
    "second": "seconds", "seconds": "seconds", "sec": "seconds", "secs": "seconds", "s": "seconds",
    "segundo": "seconds", "segundos": "seconds", "minute": "minutes", "minutes": "minutes",
    "min": "minutes", "mins": "minutes", "minuto": "minutes", "minutos": "minutes",
    "hour": "hours", "hours": "hours", "hr": "hours", "hrs": "hours", "h": "hours",
    "oras": "hours", "day": "days", "days": "days", "araw": "days", "week": "weeks",
    "weeks": "weeks", "linggo": "weeks", "linggong": "weeks", "fortnight": "fortnights",
    "fortnights": "fortnights", "month": "months", "months": "months", "buwan": "months",
    "buwang": "months", "year": "years", "years": "years", "taon": "years", "taong": "years",
    "decade": "decades", "decades": "decades",
}  # fmt: skip
"""The unit that each word names."""

_SECONDS = {
    "seconds": 1,
    "minutes": 60,
    "hours": 3600,
    "days": 86400,
    "weeks": 604800,
    "fortnights": 1209600,
}
_MONTHS = {"months": 1, "years": 12, "decades": 120}
_WORDS = "|".join(sorted(UNIT_WORDS, key=len, reverse=True))
_AMOUNT = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|an?|half an?|half|kalahating|ilang|couple of|a couple of)"
_PART = (
    rf"(?P<amount>{_AMOUNT})[\s-]*(?:na\s+)?(?P<unit>{_WORDS})\b"
    r"(?P<half>\s+(?:and a half|at kalahati))?"
)
_PART_RE = re.compile(rf"(?<![\w.]){_PART}")
_JOIN = re.compile(r"\s*(?:,|and|at|,\s*and)?\s*")
MAX_YEARS = 5000


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time; calendar months are kept apart, for a month has no fixed length.

    Attributes:
        months: whole calendar months.
        seconds: everything of fixed length.
        text: the words it was read from.
        start: where these words begin in the (digit-normalised) text.
        end: where they end.
    """

    months: int
    seconds: Fraction
    text: str
    start: int = 0
    end: int = 0

    @property
    def has_time(self) -> bool:
        """Whether it is finer than whole days."""
        return self.seconds % 86400 != 0


def _amount(text: str) -> Fraction:
    if text.startswith(("half", "kalahati")):
        return Fraction(1, 2)
    if "couple" in text:
        return Fraction(2)
    return Fraction(1) if text in {"a", "an"} else parse_number(text)


def find_span(text: str, begin: int = 0, *, any_length: bool = False) -> Span | None:
    """The first duration in a text whose number words are digits already, or None.

    Args:
        text: the text.
        begin: where to begin to look.
        any_length: also one that is too long for any calendar.
    """
    lowered = text.lower()
    match = _PART_RE.search(lowered, begin)
    while match is not None and match["amount"] == "ilang":
        match = _PART_RE.search(lowered, match.end())
    if match is None:
        return None
    months, seconds, start, end = 0, Fraction(0), match.start(), match.end()
    while match is not None:
        amount = _amount(match["amount"]) + (Fraction(1, 2) if match["half"] else 0)
        unit = UNIT_WORDS[match["unit"]]
        if unit in _SECONDS:
            seconds += amount * _SECONDS[unit]
        else:
            whole = amount * _MONTHS[unit]
            months += int(whole)
            seconds += (whole - int(whole)) * 30 * 86400
        end = match.end()
        joined = _JOIN.match(lowered, end)
        match = _PART_RE.match(lowered, joined.end() if joined else end)
    too_long = months > MAX_YEARS * 12 or seconds > MAX_YEARS * 366 * 86400
    if too_long and not any_length:
        return None
    return Span(months, seconds, lowered[start:end], start, end)


def parse_span(text: str) -> Span | None:
    """The duration that a text states, numbers in words or digits, or None."""
    return find_span(words_to_digits(text))


def add_span(moment: datetime, span: Span, sign: int = 1) -> datetime:
    """The moment a span later (or earlier, with sign -1); days are calendar days.

    Raises:
        OverflowError: the result is outside the years 1 to 9999.
    """
    try:
        days, rest = divmod(span.seconds, 86400)
        moved = moment + relativedelta(months=sign * span.months, days=sign * int(days))
        if rest:
            # Hours and seconds are elapsed time, so they are added in UTC.
            return datetime.fromtimestamp(moved.timestamp() + sign * float(rest), moment.tzinfo)
    except (ValueError, OverflowError) as error:
        raise OverflowError(f"the date is outside the calendar: {error}") from None
    return moved


def describe_seconds(seconds: float) -> str:
    """A duration for people: its two largest parts (`2 hours 5 minutes`)."""
    left = max(round(seconds), 0)
    parts: list[str] = []
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count != 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"
