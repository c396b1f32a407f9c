"""Moments, durations and date questions, in English and Tagalog."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aisys_agents.text.date_answers import answer_date
from aisys_agents.text.dates import parse_when
from aisys_agents.text.durations import describe_seconds, parse_span

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=ZoneInfo("Asia/Manila"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("remind me to stretch in 10 seconds", "2026-11-22T14:30:10"),
        ("remind me to call mom at six", "2026-11-22T18:00:00"),
        ("tomorrow at 7 pm", "2026-11-23T19:00:00"),
        ("sa loob ng 5 minuto", "2026-11-22T14:35:00"),
        ("bukas ng alas siyete ng gabi", "2026-11-23T19:00:00"),
        ("mamayang alas-sais", "2026-11-22T18:00:00"),
        ("on Friday at noon", "2026-11-27T12:00:00"),
        ("next Monday", "2026-11-23T09:00:00"),
        ("on 2026-12-24 at 10:00", "2026-12-24T10:00:00"),
        ("in half an hour", "2026-11-22T15:00:00"),
        ("an hour and a half from now", "2026-11-22T16:00:00"),
        ("in 2 hours and 30 minutes", "2026-11-22T17:00:00"),
        ("tomorrow evening at 7", "2026-11-23T19:00:00"),
        ("at 3", "2026-11-22T15:00:00"),
        ("at 15:45", "2026-11-22T15:45:00"),
        ("at 14:30", "2026-11-23T14:30:00"),
        ("at 2:30", "2026-11-23T02:30:00"),
        ("on the 3rd of March 2027 at 9:15am", "2027-03-03T09:15:00"),
        ("in three days", "2026-11-25T14:30:00"),
        ("at midnight", "2026-11-23T00:00:00"),
        ("12 ng tanghali", "2026-11-23T12:00:00"),
        ("alas tres y medya ng hapon", "2026-11-22T15:30:00"),
        ("day after tomorrow at 6 in the morning", "2026-11-24T06:00:00"),
        ("makalipas ang dalawang oras", "2026-11-22T16:30:00"),
        ("pay rent on 1 December", "2026-12-01T09:00:00"),
        ("call 555 0199 at 5pm", "2026-11-22T17:00:00"),
        ("in one minute to check the oven", "2026-11-22T14:31:00"),
    ],
)
def test_moment(text: str, moment: str) -> None:
    """A moment in words is the moment that a listener would take it for."""
    found = parse_when(text, NOW)

    assert found is not None
    assert f"{moment}+08:00" == found.at.isoformat()


@pytest.mark.parametrize(
    ("text", "repeat", "moment"),
    [
        ("take medicine every day at 8 am", "daily", "2026-11-23T08:00:00"),
        ("every monday at 9am", "weekly", "2026-11-23T09:00:00"),
        ("drink water every hour", "hourly", "2026-11-22T15:30:00"),
        ("every weekday at 8 am", "weekdays", "2026-11-23T08:00:00"),
        ("uminom ng gamot araw-araw ng alas otso ng umaga", "daily", "2026-11-23T08:00:00"),
    ],
)
def test_repeat(text: str, repeat: str, moment: str) -> None:
    """A repeated moment says how often and when first."""
    found = parse_when(text, NOW)

    assert found is not None
    assert (repeat, f"{moment}+08:00") == (found.repeat, found.at.isoformat())


@pytest.mark.parametrize(
    "text", ["buy 6 eggs", "after lunch", "hello", "in the house", "2026-13-45", "at 99:99"]
)
def test_no_moment(text: str) -> None:
    """A text that names no moment gives none."""
    assert parse_when(text, NOW) is None


def test_assumption_is_stated() -> None:
    """A day without a time of day says which time was assumed."""
    found = parse_when("tomorrow", NOW)

    assert found is not None
    assert "09:00" in found.assumed


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("What date is 45 days after 2026-11-22?", "Wednesday, 6 January 2027 (2027-01-06)"),
        ("What date is three months before 2027-03-31", "2026-12-31"),
        ("in 45 days, what date is it", "2027-01-06"),
        ("what was the date 3 weeks ago", "2026-11-01"),
        ("what date is 2 weeks from tomorrow", "2026-12-07"),
        ("ano ang petsa 10 araw mula ngayon", "2026-12-02"),
        ("how many days until Christmas?", "33 days"),
        ("ilang araw bago mag pasko", "33 araw"),
        ("how many days between 2026-01-01 and 2026-12-31", "364 days"),
        ("how many weeks from 1 January 2027 to 1 March 2027", "8 weeks and 3 days"),
        ("how many years since 2000-01-01", "26 years, 10 months, 21 days"),
        ("What day is it?", "Sunday, 22 November 2026"),
        ("Anong araw ngayon?", "Linggo, ika-22 ng Nobyembre 2026"),
        ("Anong petsa bukas?", "2026-11-23"),
        ("what day of the week was July 4, 1976", "Sunday"),
        ("when is Christmas", "Friday, 25 December 2026"),
        ("what time is it", "14:30"),
        ("anong oras na", "14:30"),
        ("what date is 1000 years after 9500-01-01", "out of range"),
    ],
)
def test_date_question(question: str, part: str) -> None:
    """A question about dates is answered from the calendar."""
    answer = answer_date(question, NOW)

    assert answer is not None
    assert part in answer.text


@pytest.mark.parametrize(
    "text", ["When is my appointment?", "what is 2 days in hours", "who was born on 1990-01-01"]
)
def test_not_a_date_question(text: str) -> None:
    """Other questions are left to others."""
    assert answer_date(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10 seconds", 10),
        ("2 hours and 30 minutes", 9000),
        ("half an hour", 1800),
        ("an hour and a half", 5400),
        ("limang minuto", 300),
        ("tatlong araw", 259200),
        ("1.5 hours", 5400),
        ("a couple of minutes", 120),
    ],
)
def test_duration(text: str, seconds: int) -> None:
    """Durations in words, of one or several parts."""
    span = parse_span(text)

    assert span is not None
    assert seconds == span.seconds


def test_month_keeps_to_the_calendar() -> None:
    """A month is no number of seconds."""
    span = parse_span("2 months")

    assert span is not None
    assert (span.months, span.seconds) == (2, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (61, "1 minute 1 second"),
        (7500, "2 hours 5 minutes"),
        (90061, "1 day 1 hour"),
    ],
)
def test_describe_seconds(seconds: float, text: str) -> None:
    """A duration is described by its two largest parts."""
    assert text == describe_seconds(seconds)
