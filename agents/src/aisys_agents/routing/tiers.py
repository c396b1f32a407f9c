"""Tiers of depth: which one fits a question and the time there is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from aisys_agents.language.patterns import match_intent
from aisys_agents.text.cues import is_farewell, is_greeting, is_thanks

__all__ = ["DEFAULT_TIERS", "Tier", "natural_tier", "tier_for"]


class Tier(TypedDict):
    """A depth of answer and the time it may take."""

    name: str
    limit_ms: Annotated[int, Field(ge=1, le=600_000)]


DEFAULT_TIERS: tuple[Tier, ...] = (
    Tier(name="instant", limit_ms=100),
    Tier(name="fast", limit_ms=1_000),
    Tier(name="deep", limit_ms=5_000),
)

_FAST = {
    "calculate",
    "convert_units",
    "date_question",
    "recall",
    "how_are_you",
    "about_self",
    "joke",
}


def natural_tier(text: str, now: datetime) -> tuple[str, str]:
    """The tier that a question needs by its nature, and why."""
    if is_greeting(text) or is_thanks(text) or is_farewell(text):
        return "instant", "a courtesy"
    matched = match_intent(text, now)
    if matched is not None and matched[0] == "date_question" and "time" in text.lower():
        return "instant", "the time of day"
    if matched is not None and matched[0] in _FAST:
        return "fast", f"{matched[0].replace('_', ' ')} needs no model"
    return "deep", "it may take a model"


def tier_for(wanted: str, budget_ms: int | None, tiers: list[Tier]) -> tuple[str, str]:
    """The deepest tier up to the wanted one that fits the time, and why it is not deeper."""
    names = [tier["name"] for tier in tiers]
    deepest = names.index(wanted) if wanted in names else len(names) - 1
    if budget_ms is None:
        return names[deepest], ""
    for index in range(deepest, 0, -1):
        # A tier fits when the time reaches beyond what the one before it takes.
        if budget_ms > tiers[index - 1]["limit_ms"]:
            cut = "" if index == deepest else f"{budget_ms} ms is too little for {names[deepest]}"
            return names[index], cut
    return names[0], "" if deepest == 0 else f"{budget_ms} ms is too little for more"
