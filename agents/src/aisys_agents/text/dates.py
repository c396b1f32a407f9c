"""Moments and dates in words: when a reminder is due, and what a question about dates asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from dateutil.relativedelta import relativedelta

from aisys_agents.text.durations import add_span, find_span
from aisys_agents.text.numbers import words_to_digits

__all__ = ["When", "find_dates", "impossible_dates", "parse_when"]


@dataclass(frozen=True, slots=True)
class When:
    """A moment that a text names.

    Attributes:
        at: the moment, with its time zone.
        text: the words it was read from.
        start: where they begin in the (digit-normalised) text.
        end: where they end.
        repeat: `daily`, `weekly`, `weekdays`, `hourly`, `monthly`, or None.
        assumed: what had to be assumed (`9:00, because no time was given`), or "".
    """

    at: datetime
    text: str
    start: int
    end: int
    repeat: str | None = None
    assumed: str = ""


MONTHS = {
    name: index
    for index, names in enumerate(
        (
            "january jan enero",
            "february feb pebrero",
            "march mar marso",
            "april apr abril",
            "may mayo",
            "june jun hunyo",
            "july jul hulyo",
            "august aug agosto",
            "september sep sept setyembre",
            "october oct oktubre",
            "november nov nobyembre",
            "december dec disyembre",
        ),
        start=1,
    )
    for name in names.split()
}
WEEKDAYS = {
    name: index
    for index, names in enumerate(
        (
            "monday mon lunes",
            "tuesday tue tues martes",
            "wednesday wed miyerkules",
            "thursday thu thurs huwebes",
            "friday fri biyernes",
            "saturday sat sabado",
            "sunday sun linggo",
        )
    )
    for name in names.split()
}
_HOLIDAYS = {
    "christmas eve": (12, 24), "christmas": (12, 25), "pasko": (12, 25), "new year's eve": (12, 31),
    "new year": (1, 1), "new year's day": (1, 1), "bagong taon": (1, 1), "halloween": (10, 31),
    "valentine's day": (2, 14), "all saints' day": (11, 1), "undas": (11, 1), "rizal day": (12, 30),
    "independence day": (6, 12), "labor day": (5, 1),
}  # fmt: skip
_CLOCK_WORDS = {
    "una": 1, "alauna": 1, "dos": 2, "tres": 3, "kwatro": 4, "singko": 5, "sais": 6, "siyete": 7,
    "otso": 8, "nuwebe": 9, "diyes": 10, "onse": 11, "dose": 12,
}  # fmt: skip
_NAMED = {"noon": 12, "midday": 12, "tanghali": 12, "midnight": 0, "hatinggabi": 0}
_PARTS = {
    "morning": 8,
    "umaga": 8,
    "afternoon": 15,
    "hapon": 15,
    "evening": 19,
    "tonight": 20,
    "gabi": 20,
}
DEFAULT_HOUR = 9

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_DAY = "|".join(sorted(WEEKDAYS, key=len, reverse=True))
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DMY = re.compile(
    rf"\b(?:ika-)?(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of|\s+ng)?\s+({_MONTH})\b\.?(?:,?\s+(\d{{4}}))?\b"
)
_MDY = re.compile(rf"\b({_MONTH})\b\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(\d{{4}}))?")
_SLASH = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")
_HOLIDAY = re.compile(
    rf"\b({'|'.join(sorted(_HOLIDAYS, key=len, reverse=True))})\b(?:\s+(\d{{4}}))?"
)
_RELATIVE = re.compile(
    r"\b(day after tomorrow|samakalawa|makalawa|tomorrow|bukas|yesterday|kahapon|today|tonight|"
    r"ngayong araw|"
    r"ngayong gabi|mamayang|mamaya|next week|next month|next year|"
    r"this morning|this afternoon|this evening)\b"
)
_WEEKDAY = re.compile(
    rf"\b(?:(next|this|on|sa|tuwing|every|last|noong|darating na)\s+)?((?<!\d )(?:{_DAY}))\b"
)
_CLOCK = re.compile(
    r"(?:\b(?:at|by|ng|sa|@|around)\s*)?(?P<mark>\balas[- ]?|\bala[- ]?)?"
    rf"\b(?P<hour>\d{{1,2}}|{'|'.join(_CLOCK_WORDS)})(?:[:.](?P<minute>\d{{2}}))?"
    r"(?P<half>\s+y\s+medya|\s+imedya)?(?:\s*o'?clock)?"
    r"\s*(?P<half_day>a\.?m\.?|p\.?m\.?|in the (?:morning|afternoon|evening)|at night|"
    r"(?:sa|ng) (?:umaga|tanghali|hapon|gabi))?(?!\w|-\d|/\d|%)"
)
_NAMED_CLOCK = re.compile(rf"\b(?:at |by |ng |sa )?({'|'.join(_NAMED)})\b")
_PART = re.compile(rf"\b(?:in the |this |ngayong |mamayang |bukas ng )?({'|'.join(_PARTS)})\b")
_REPEAT = (
    (
        re.compile(r"\b(?:every day|daily|araw-araw|each day|every (?:morning|evening|night))\b"),
        "daily",
    ),
    (re.compile(r"\b(?:every weekday|on weekdays|weekdays)\b"), "weekdays"),
    (re.compile(r"\b(?:every hour|hourly|oras-oras|kada oras)\b"), "hourly"),
    (
        re.compile(rf"\b(?:every week|weekly|linggo-linggo|(?:every|tuwing)\s+(?:{_DAY}))\b"),
        "weekly",
    ),
    (re.compile(r"\b(?:every month|monthly|buwan-buwan)\b"), "monthly"),
)
_IN = re.compile(
    r"\b(?:in|after|within|sa loob ng|pagkatapos ng|pagkaraan ng|makalipas ang)\s+(?:about\s+)?$"
)
_MINUS = re.compile(r"(?:(?<=\s)[-−]|\b(?:minus|negative)\s)\s*$")
_LATER = re.compile(r"\s*(?:from now|later|mula ngayon|mamaya)\b")
_AGO = re.compile(r"\s*(?:ago|ang nakalipas|nang nakalipas|ang nakaraan)\b")


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Day(_Piece):
    day: date
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class _Clock(_Piece):
    at: time
    sure: bool


def _safe_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _yearless(month: int, day: int, year: str | None, today: date) -> date | None:
    """A date without a year is the next one of that name."""
    if year:
        return _safe_date(int(year), month, day)
    for candidate in range(today.year, today.year + 9):
        found = _safe_date(candidate, month, day)
        if found is not None and found >= today:
            return found
    return None


def _read_days(text: str, today: date) -> list[tuple[re.Match[str], date | None]]:
    """What is written like a date, with the day, or None when the calendar has no such day."""
    return [
        *((m, _safe_date(int(m[1]), int(m[2]), int(m[3]))) for m in _ISO.finditer(text)),
        *((m, _slashed(int(m[1]), int(m[2]), int(m[3]))) for m in _SLASH.finditer(text)),
        *((m, _yearless(MONTHS[m[2]], int(m[1]), m[3], today)) for m in _DMY.finditer(text)),
        *((m, _yearless(MONTHS[m[1]], int(m[2]), m[3], today)) for m in _MDY.finditer(text)),
        *((m, _yearless(*_HOLIDAYS[m[1]], m[2], today)) for m in _HOLIDAY.finditer(text)),
    ]


def _calendar_days(text: str, today: date) -> list[_Day]:
    return [_Day(*m.span(), day) for m, day in _read_days(text, today) if day is not None]


def impossible_dates(text: str, now: datetime) -> list[str]:
    """What a lower-case text writes like dates that no calendar has, such as `2026-02-30`."""
    read = _read_days(text, now.date())
    good = [m.span() for m, day in read if day is not None]
    return [
        m.group().strip()
        for m, day in read
        if day is None and not any(a < m.end() and m.start() < b for a, b in good)
    ]


def _slashed(first: int, second: int, year: int) -> date | None:
    """Month first, as in the Philippines and the United States, unless that cannot be."""
    month, day = (second, first) if first > 12 else (first, second)
    return _safe_date(year, month, day)


_OFFSETS = {
    "day after tomorrow": (2, None), "samakalawa": (2, None), "makalawa": (2, None),
    "tomorrow": (1, None), "bukas": (1, None), "yesterday": (-1, None), "kahapon": (-1, None),
    "today": (0, None), "ngayong araw": (0, None), "tonight": (0, 20), "ngayong gabi": (0, 20),
    "mamayang": (0, None), "mamaya": (0, None), "this morning": (0, 8), "this afternoon": (0, 15),
    "this evening": (0, 19), "next week": (7, None),
}  # fmt: skip


def _relative_days(text: str, today: date) -> list[_Day]:
    out = []
    for m in _RELATIVE.finditer(text):
        word = m[1]
        if word in _OFFSETS:
            days, hour = _OFFSETS[word]
            out.append(_Day(*m.span(), today + timedelta(days=days), hour))
        else:
            step = relativedelta(months=1) if word == "next month" else relativedelta(years=1)
            out.append(_Day(*m.span(), today + step))
    for m in _WEEKDAY.finditer(text):
        mark, name = m[1], m[2]
        if name in {"sun", "sat", "mar", "wed", "mon", "linggo"} and mark is None:
            continue  # ordinary words too: only after `on`, `next`, `tuwing` are they days
        ahead = (WEEKDAYS[name] - today.weekday()) % 7
        if mark in {"last", "noong"}:
            ahead = ahead - 7 if ahead else -7
        elif ahead == 0:
            ahead = 7
        out.append(_Day(*m.span(), today + timedelta(days=ahead)))
    return out


def find_dates(text: str, now: datetime) -> list[tuple[date, int, int]]:
    """The dates named in a lower-case text, in order, each with where its words begin and end."""
    days = _calendar_days(text, now.date()) + _relative_days(text, now.date())
    days.sort(key=lambda day: (day.start, -(day.end - day.start)))
    out: list[tuple[date, int, int]] = []
    for day in days:
        if not out or day.start >= out[-1][2]:
            out.append((day.day, day.start, day.end))
    return out


def _half_day(hour: int, words: str | None) -> tuple[int, bool]:
    """The hour of the day, and whether the words settle which half of it is meant."""
    if not words:
        return hour, hour > 12 or hour == 0
    morning = (
        (words.startswith("a") and "night" not in words) or "morning" in words or "umaga" in words
    )
    if morning:
        return hour % 12 if hour <= 12 else hour, True
    if "night" in words or "gabi" in words:
        return (0 if hour == 12 else hour + 12 if hour < 12 else hour), True
    return (hour + 12 if hour < 12 else hour), True


def _clocks(text: str, taken: list[_Day]) -> list[_Clock]:
    out: list[_Clock] = []
    for m in _CLOCK.finditer(text):
        if any(day.start < m.end() and m.start("hour") < day.end for day in taken):
            continue
        explicit = m["mark"] or m["minute"] or m["half_day"] or "clock" in m.group()
        led = re.match(r"(?:at|by|@|around)", m.group())
        if not explicit and not led:
            continue
        hour = _CLOCK_WORDS[m["hour"]] if m["hour"] in _CLOCK_WORDS else int(m["hour"])
        minute = int(m["minute"] or (30 if m["half"] else 0))
        if hour > 24 or minute > 59 or (m["half_day"] and hour > 12):
            continue
        hour, sure = _half_day(hour % 24, m["half_day"])
        out.append(_Clock(*m.span(), time(hour, minute), sure))
    out.extend(
        _Clock(*m.span(), time(_NAMED[m[1]]), sure=True) for m in _NAMED_CLOCK.finditer(text)
    )
    return out


def parse_when(text: str, now: datetime) -> When | None:
    """The moment that a text names, seen from `now` (which carries the time zone), or None.

    A duration (`in 10 seconds`, `sa loob ng 5 minuto`) counts from now; an hour without am or pm
    is the next one to come; a day without a time gets 9:00, and `assumed` says so.

    Args:
        text: English, Tagalog or mixed.
        now: the present moment, with its time zone.
    """
    lowered = words_to_digits(text).lower()
    repeat = next((name for pattern, name in _REPEAT if pattern.search(lowered)), None)
    days = _calendar_days(lowered, now.date()) + _relative_days(lowered, now.date())
    days.sort(key=lambda day: (day.start, -(day.end - day.start)))
    clocks = _clocks(lowered, days)
    if not clocks:
        after = _after(lowered, now)
        if after is not None and not (days and after.start > days[0].end):
            return replace(after, repeat=repeat)
    if not days and not clocks and repeat is None:
        return None
    return _combine(lowered, now, days, clocks, repeat)


def _after(text: str, now: datetime) -> When | None:
    """`in 10 seconds`, `5 minutes from now`, `2 days ago`."""
    span = find_span(text)
    while span is not None:
        head = text[: span.start]
        negative = _MINUS.search(head)
        before = _IN.search(head[: negative.start()] if negative else head)
        later, ago = _LATER.match(text, span.end), _AGO.match(text, span.end)
        if before or later or ago:
            begin = before.start() if before else span.start
            tail = later or ago
            end = tail.end() if tail else span.end
            try:
                at = add_span(now, span, -1 if bool(ago) != bool(negative) else 1)
            except OverflowError:
                return None
            return When(at, text[begin:end], begin, end)
        span = find_span(text, span.end)
    return None


def _combine(
    text: str, now: datetime, days: list[_Day], clocks: list[_Clock], repeat: str | None
) -> When | None:
    day, clock = (days[0] if days else None), (clocks[0] if clocks else None)
    part = _PART.search(text)
    assumed = ""
    hour = day.hour if day and day.hour is not None else (_PARTS[part[1]] if part else None)
    if clock is not None:
        at_time = _settle(clock, hour)
    else:
        at_time = time(hour if hour is not None else DEFAULT_HOUR)
        assumed = f"{at_time:%H:%M}, because no time of day was given"
        if repeat == "hourly" and day is None:
            start, end = _bounds(text, [], None, repeat)
            return When(now + timedelta(hours=1), text[start:end], start, end, repeat)
    moment = datetime.combine(day.day if day else now.date(), at_time, now.tzinfo)
    if day is None or day.day == now.date():
        moment = _not_past(
            moment, now, sure=clock is None or clock.sure or hour is not None, fixed=day is not None
        )
    while repeat == "weekdays" and moment.weekday() >= 5:
        moment += timedelta(days=1)
    start, end = _bounds(text, [p for p in (day, clock) if p], part, repeat)
    return When(moment, text[start:end], start, end, repeat, assumed)


def _settle(clock: _Clock, hour: int | None) -> time:
    """Take am or pm from the part of the day (`evening at 7`) when the clock does not say."""
    if not clock.sure and hour is not None and hour >= 12 and clock.at.hour < 12:
        return clock.at.replace(hour=clock.at.hour + 12)
    return clock.at


def _not_past(moment: datetime, now: datetime, *, sure: bool, fixed: bool) -> datetime:
    """The next such moment: twelve hours later if the half of the day is open, else a day."""
    if moment > now:
        return moment
    if not sure and moment + timedelta(hours=12) > now:
        return moment + timedelta(hours=12)
    return moment if fixed else moment + timedelta(days=1)


def _bounds(
    text: str,
    pieces: list[_Piece] | list[_Day | _Clock],
    part: re.Match[str] | None,
    repeat: str | None,
) -> tuple[int, int]:
    """The stretch of the text from the first to the last word about time."""
    spans = [(piece.start, piece.end) for piece in pieces]
    if part is not None:
        spans.append(part.span())
    for pattern, name in _REPEAT:
        match = pattern.search(text) if name == repeat else None
        if match is not None:
            spans.append(match.span())
    if not spans:
        return 0, len(text)
    return min(start for start, _ in spans), max(end for _, end in spans)
