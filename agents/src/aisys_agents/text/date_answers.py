"""Questions about dates and the time of day, answered exactly from the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from dateutil.relativedelta import relativedelta

from aisys_agents.text.cues import guess_language
from aisys_agents.text.dates import find_dates, impossible_dates
from aisys_agents.text.durations import Span, add_span, find_span
from aisys_agents.text.numbers import numbers_left, words_to_digits

__all__ = ["DateAnswer", "answer_date", "long_date"]

_FROM = re.compile(
    r"\s*(?P<how>after|from now|mula ngayon|from|since|later|before|ago|prior to|pagkatapos ng|"
    r"mula|bago ang|bago mag)\b"
)
_BETWEEN = re.compile(r"\b(?:between|from|mula(?: sa)?|sa pagitan ng|pagitan ng|since)\b")
_UNTIL = re.compile(r"\b(?:until|till|to|before|bago(?: ang| mag)?|hanggang|left|away)\b")
_HOW_MANY = re.compile(r"\b(?:how many|how long|ilang|ilan|gaano katagal|number of)\b")
_TIME = re.compile(r"\b(?:what(?:'s| is)? (?:the )?time|time is it|what time|anong oras|oras na)\b")
_DAY_OR_DATE = re.compile(r"\b(?:date|day|petsa|araw|when)\b")
_UNIT = re.compile(r"\b(day|days|week|weeks|month|months|year|years|araw|linggo|buwan|taon)\b")
_UNITS = {"araw": "day", "linggo": "week", "buwan": "month", "taon": "year"}
_COUNT = re.compile(r"(?:the )?(?:days|weeks|months|years) (?:between|from|until|till|since)\b")
_ELSEWHERE = re.compile(r"\d|\bin (?!the\b|my\b|our\b)[a-z]|\bsa (?!oras\b|relo\b)[a-z]")
_ARAW = ("Lunes", "Martes", "Miyerkules", "Huwebes", "Biyernes", "Sabado", "Linggo")
_BUWAN = (
    *("Enero", "Pebrero", "Marso", "Abril", "Mayo", "Hunyo"),
    *("Hulyo", "Agosto", "Setyembre", "Oktubre", "Nobyembre", "Disyembre"),
)
_UNIT_TL = {"day": "araw", "week": "linggo", "month": "buwan", "year": "taon"}
_ASKS = re.compile(r"\b(?:what|which|when|tell me|anong?|kailan|date of)\b")


@dataclass(frozen=True, slots=True)
class DateAnswer:
    """An answer about dates.

    Attributes:
        kind: `date`, `weekday`, `difference` or `time`; `none` when there is no such date.
        text: the answer as a sentence.
        date: the ISO date it is about, or None for a difference.
        days: the difference in days, or None.
    """

    kind: str
    text: str
    date: str | None = None
    days: int | None = None


def long_date(day: date, *, tagalog: bool = False) -> str:
    """`Wednesday, 6 January 2027 (2027-01-06)`, or `Miyerkules, ika-6 ng Enero 2027 (2027-01-06)`."""
    if tagalog:
        name, month = _ARAW[day.weekday()], _BUWAN[day.month - 1]
        return f"{name}, ika-{day.day} ng {month} {day.year:04d} ({day.isoformat()})"
    return f"{day:%A}, {day.day} {day:%B} {day.year:04d} ({day.isoformat()})"


def answer_date(text: str, now: datetime) -> DateAnswer | None:
    """The answer to a question about dates or the time, or None when the text asks neither.

    Args:
        text: `What date is 45 days after 2026-11-22?`, `How many days until Christmas?`,
            `Anong petsa bukas?`, `What time is it?`
        now: the present moment, with its time zone.
    """
    lowered = words_to_digits(text).lower().strip(" ?.!")
    tagalog = guess_language(text) != "en"
    if _TIME.search(lowered):
        return None if _ELSEWHERE.search(lowered) else _time(now, tagalog=tagalog)
    if _DAY_OR_DATE.search(lowered) or _HOW_MANY.search(lowered):
        wrong = impossible_dates(lowered, now)
        if wrong:
            return DateAnswer("none", f"There is no such date: {wrong[0]}.")
    named = find_dates(lowered, now)
    if (_HOW_MANY.search(lowered) or _COUNT.match(lowered)) and (named or "christmas" in lowered):
        counted = _difference(lowered, named, now, tagalog=tagalog)
        if counted is not None:
            return counted
    span = find_span(lowered, any_length=True)
    # `How many seconds in a year` asks for a number, not for the day in a year.
    if span is not None and (named or not _HOW_MANY.search(lowered)):
        moved = _moved(lowered, span, named, now, tagalog=tagalog)
        if moved is not None:
            return moved
    # A number that is no part of a date would be ignored by the answer.
    left = numbers_left(lowered, *((start, end) for _, start, end in named))
    if _DAY_OR_DATE.search(lowered) and not left:
        return _plain(named, now, lowered, tagalog=tagalog)
    return None


def _time(now: datetime, *, tagalog: bool) -> DateAnswer:
    day = long_date(now.date(), tagalog=tagalog)
    said = f"Alas {now:%H:%M} na, {day}." if tagalog else f"It is {now:%H:%M} on {day}."
    return DateAnswer("time", said, now.date().isoformat())


def _difference(
    text: str, named: list[tuple[date, int, int]], now: datetime, *, tagalog: bool
) -> DateAnswer | None:
    today = now.date()
    first, second = (named[0][0], named[1][0]) if len(named) >= 2 else (today, named[0][0])
    asked = _UNIT.search(text)
    if not asked or (
        len(named) < 2 and not (_UNTIL.search(text) or _BETWEEN.search(text) or "ago" in text)
    ):
        return None
    if numbers_left(text, *((start, end) for _, start, end in named)):
        return None
    days = (second - first).days
    unit = asked[1].removesuffix("s")
    unit = _UNITS.get(unit, unit)
    size = _in_unit(min(first, second), max(first, second), unit)
    if tagalog:
        return DateAnswer(
            "difference", _difference_tl(first, second, size, len(named)), second.isoformat(), days
        )
    if len(named) >= 2:
        sentence = f"From {long_date(first)} to {long_date(second)} it is {size}."
    elif days >= 0:
        sentence = f"It is {size} until {long_date(second)}."
    else:
        sentence = f"{long_date(second)} was {size} ago."
    return DateAnswer("difference", sentence, second.isoformat(), days)


def _difference_tl(first: date, second: date, size: str, named: int) -> str:
    english = re.compile(r"\b(day|week|month|year)s?\b")
    size = english.sub(lambda m: _UNIT_TL[m[1]], size).replace(" and ", " at ")
    last = long_date(second, tagalog=True)
    if named >= 2:
        return f"Mula {long_date(first, tagalog=True)} hanggang {last}: {size}."
    if second >= first:
        return f"{size} bago mag {last}."
    return f"{size} na mula noong {last}."


def _in_unit(first: date, second: date, unit: str) -> str:
    days = (second - first).days
    if unit == "day":
        return _count(days, "day")
    if unit == "week":
        weeks, rest = divmod(days, 7)
        return _count(weeks, "week") + (f" and {_count(rest, 'day')}" if rest else "")
    gap = relativedelta(second, first)
    if unit == "month":
        months = gap.years * 12 + gap.months
        return _count(months, "month") + (f" and {_count(gap.days, 'day')}" if gap.days else "")
    parts = [
        _count(n, name)
        for n, name in ((gap.years, "year"), (gap.months, "month"), (gap.days, "day"))
        if n
    ]
    return ", ".join(parts) or "0 days"


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _moved(
    text: str,
    span: Span,
    named: list[tuple[date, int, int]],
    now: datetime,
    *,
    tagalog: bool,
) -> DateAnswer | None:
    """`45 days after 2026-11-22`, `3 weeks before Christmas`, `10 days ago`, `in 45 days`."""
    match = _FROM.match(text, span.end)
    led = re.search(r"\b(?:in|after|pagkatapos ng|pagkaraan ng)\s*$", text[: span.start])
    if match is None and led is None:
        return None
    how = match["how"] if match else "later"
    after = [day for day, start, _ in named if start >= span.end]
    anchored = how in {
        "after",
        "from",
        "since",
        "before",
        "prior to",
        "pagkatapos ng",
        "mula",
        "bago ang",
        "bago mag",
    }
    if anchored and not after:
        return None
    if numbers_left(text, (span.start, span.end), *((a, b) for _, a, b in named)):
        return None
    sign = -1 if how in {"before", "ago", "prior to", "bago ang", "bago mag"} else 1
    start_day = after[0] if after else now.date()
    begin = now.replace(year=start_day.year, month=start_day.month, day=start_day.day)
    try:
        day = add_span(begin, span, sign).date()
    except OverflowError:
        return DateAnswer(
            "date", "That date is out of range: the calendar has the years 1 to 9999."
        )
    if tagalog:
        when = f"bago ang {start_day.isoformat()}" if sign < 0 else f"mula {start_day.isoformat()}"
        said = f"{span.text} {when}: {long_date(day, tagalog=True)}."
        return DateAnswer("date", said, day.isoformat())
    relation = "before" if sign < 0 else "after"
    origin = start_day.isoformat() if after else "today"
    return DateAnswer(
        "date", f"{span.text} {relation} {origin} is {long_date(day)}.", day.isoformat()
    )


def _plain(
    named: list[tuple[date, int, int]], now: datetime, text: str, *, tagalog: bool
) -> DateAnswer | None:
    """`What day is it?`, `What day is 2026-12-25?`, `When is Christmas?`."""
    if named and _ASKS.search(text):
        day = named[0][0]
        if tagalog:
            said = f"{long_date(day, tagalog=True)}."
            return DateAnswer("weekday", said, day.isoformat())
        verb = "is" if day >= now.date() else "was"
        return DateAnswer("weekday", f"{day.isoformat()} {verb} {long_date(day)}.", day.isoformat())
    if re.search(
        r"\b(?:date|day|petsa|araw)\b.*\b(?:is it|is today|today|ngayon|now)\b"
        r"|\btoday's date\b|^(?:the )?date$",
        text,
    ):
        today = long_date(now.date(), tagalog=tagalog)
        said = f"Ngayon ay {today}." if tagalog else f"Today is {today}."
        return DateAnswer("date", said, now.date().isoformat())
    return None
