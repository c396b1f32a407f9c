"""Tools answer the whole of a question or none of it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aisys_agents.language.patterns import match_intent
from aisys_agents.language.tools import use_tool
from aisys_agents.text.cues import guess_language

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=ZoneInfo("Asia/Manila"))


@pytest.mark.parametrize(
    ("question", "intent", "part"),
    [
        ("convert 5 feet 10 inches to cm", "convert_units", "= 177.8 cm"),
        ("convert 5'10\" to cm", "convert_units", "= 177.8 cm"),
        ("5 hours and 30 minutes in seconds", "convert_units", "= 19,800 seconds"),
        ("15 % of 2.340,50", "calculate", "= 351.075"),
        ("how many seconds in a year", "convert_units", "31,536,000 seconds, counting 365 days"),
        ("how many months in a year", "convert_units", "= 12 months"),
        ("what date is 99999999999 days after 2026-11-22", "date_question", "out of range"),
        ("what day is 2026-02-30", "date_question", "no such date: 2026-02-30"),
        ("20% off 80", "calculate", "= 64"),
        ("what percent of 80 is 20", "calculate", "= 25"),
        ("increase 80 by 25%", "calculate", "= 100"),
        ("days between 2026-01-01 and 2026-02-01", "date_question", "31 days"),
        ("sqrt(2)", "calculate", "1.41421356237"),
        ("5 factorial", "calculate", "= 120"),
        ("bytes in 2 GiB", "convert_units", "2,147,483,648 bytes"),
    ],
)
def test_the_whole_question_is_answered(question: str, intent: str, part: str) -> None:
    """Compound quantities, shares and odd dates are recognised and come out right."""
    matched = match_intent(question, NOW)
    answer = use_tool(question, NOW, {"date_question": "date"}.get(intent, intent))

    assert matched is not None
    assert matched[0] == intent
    assert answer is not None
    assert part in answer["text"]


@pytest.mark.parametrize(
    "question",
    [
        "what is my 4x4's plate number?",
        "what is the plate of my 4x4?",
        "what is my gadget1x0?",
        "what is 2,5 + 1",
        "if I have 3 apples what is 2+2",
        "what time is it in 5 hours",
        "what time is it in Tokyo",
    ],
)
def test_half_understood_is_not_answered(question: str) -> None:
    """A number or place that no tool takes keeps the tools from answering."""
    assert use_tool(question, NOW) is None


def test_names_with_digits_are_recalled() -> None:
    """A thing of one's own with digits in its name is a question to the memory."""
    for question in ("what is my 4x4's plate number?", "what is my gadget1x0?"):
        assert match_intent(question, NOW) == ("recall", 0.88)


def test_a_conversion_with_numbers_to_spare_is_refused() -> None:
    """Numbers that would be ignored are said to be in the way."""
    answer = use_tool("how many kilometers is 3 trips of 5 miles", NOW)

    assert answer is not None
    assert not answer["ok"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What's the capital of Mali?", "en"),
        ("Anong oras na?", "tl"),
        ("Who is Ana?", "en"),
        ("Mali ka", "tl"),
    ],
)
def test_language_of_a_question(text: str, language: str) -> None:
    """Names of places tell nothing about the language of a question."""
    assert guess_language(text) == language


def test_the_time_in_the_language_asked() -> None:
    """Asked in Tagalog the time and the date come in Tagalog."""
    answers = [use_tool(text, NOW, "date") for text in ("Anong oras na?", "Anong petsa bukas?")]

    assert [answer["text"] for answer in answers if answer] == [
        "Alas 14:30 na, Linggo, ika-22 ng Nobyembre 2026 (2026-11-22).",
        "Lunes, ika-23 ng Nobyembre 2026 (2026-11-23).",
    ]
