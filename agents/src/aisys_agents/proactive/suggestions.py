"""What to suggest in which situation, and when to keep quiet about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

__all__ = [
    "LEVELS",
    "Preferences",
    "Suggestion",
    "acceptance",
    "default_preferences",
    "held_back",
    "in_quiet_hours",
    "relevant",
    "suggest",
]

LEVELS = ("off", "low", "normal", "high")
_MIN_RELEVANCE = {"off": 2.0, "low": 0.7, "normal": 0.4, "high": 0.2}


class Suggestion(TypedDict):
    """Something worth saying. `priority` is 1 (first) to 10."""

    id: str
    kind: str
    text: str
    priority: int
    user_id: str | None
    relevance: float
    at: float
    state: str


class Preferences(TypedDict):
    """When and how much a person wants to be spoken to."""

    quiet_hours: dict[str, str]
    max_per_hour: int
    level: str
    updated_at: NotRequired[float]


def default_preferences() -> Preferences:
    """What holds for somebody who has set nothing."""
    return Preferences(quiet_hours={"from": "22:00", "to": "07:00"}, max_per_hour=4, level="normal")


def acceptance(counts: dict[str, int]) -> float:
    """The share of a kind that was accepted, with one of each assumed before anything is known."""
    accepted, dismissed = counts.get("accepted", 0), counts.get("dismissed", 0)
    return (accepted + 1) / (accepted + dismissed + 2)


def suggest(context: dict[str, Any]) -> list[tuple[str, str, float]]:
    """The kinds, texts and relevances that a situation offers.

    Args:
        context: `suggest` (a text to pass on, with `kind` and `relevance`), `working_minutes`, `battery_percent`,
            `next_event` and `next_event_minutes`, `disk_free_percent`.
    """
    found: list[tuple[str, str, float]] = []
    text = context.get("suggest") or context.get("text")
    if text:
        relevance = float(context.get("relevance", context.get("confidence", 0.5)))
        found.append(
            (str(context.get("kind") or context.get("cue") or "advice"), str(text), relevance)
        )
    working = _number(context, "working_minutes")
    if working is not None and working >= 90:
        found.append(
            ("break", f"You have been working for {working:g} minutes. Time for a break?", 0.6)
        )
    battery = _number(context, "battery_percent")
    if battery is not None and battery <= 15:
        found.append(("battery", f"The battery is at {battery:g}%. Please plug it in.", 0.8))
    minutes = _number(context, "next_event_minutes")
    if minutes is not None and 0 <= minutes <= 15:
        event = context.get("next_event") or "Your next appointment"
        found.append(("appointment", f"{event} begins in {minutes:g} minutes.", 0.9))
    free = _number(context, "disk_free_percent")
    if free is not None and free <= 5:
        found.append(("disk", f"Only {free:g}% of the disk is free.", 0.7))
    return found


def _number(context: dict[str, Any], name: str) -> float | None:
    value = context.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def in_quiet_hours(now: datetime, hours: dict[str, str]) -> bool:
    """Whether a moment lies in the quiet hours, which may reach over midnight."""
    begin, end = hours.get("from", ""), hours.get("to", "")
    if not begin or not end or begin == end:
        return False
    clock = f"{now:%H:%M}"
    return begin <= clock < end if begin < end else clock >= begin or clock < end


def held_back(
    now: datetime, wanted: Preferences, said_this_hour: int, somebody_there: bool | None
) -> str | None:
    """Why to stay quiet whatever there is to say, or None."""
    if wanted["level"] == "off":
        return "suggestions are switched off"
    if in_quiet_hours(now, wanted["quiet_hours"]):
        return f"quiet hours from {wanted['quiet_hours']['from']} to {wanted['quiet_hours']['to']}"
    if said_this_hour >= wanted["max_per_hour"]:
        return f"{wanted['max_per_hour']} suggestions in the last hour already"
    return "nobody is there" if somebody_there is False else None


def relevant(kind_acceptance: float, relevance: float, level: str) -> bool:
    """Whether a suggestion of a kind that was accepted so often is worth it at this level."""
    return relevance * (0.5 + kind_acceptance) >= _MIN_RELEVANCE[level]
