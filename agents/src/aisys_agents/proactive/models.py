"""What the proactive agent gives, and what can go wrong."""

from __future__ import annotations

from typing import Any, ClassVar

from typing_extensions import TypedDict

from aisys import AgentError
from aisys_agents.proactive.suggestions import Preferences, Suggestion

__all__ = [
    "Announcement",
    "Announcements",
    "BadTime",
    "NoSuchSuggestion",
    "NothingToSnooze",
    "Observation",
    "PreferencesSet",
    "Scheduled",
    "Snoozed",
    "SuggestionAnswered",
    "TooManyReminders",
    "Waiting",
]


class BadTime(AgentError):
    """The time of a reminder cannot be read, or has passed."""

    code: ClassVar[str] = "bad_time"


class TooManyReminders(AgentError):
    """More reminders than the agent keeps."""

    code: ClassVar[str] = "too_many_reminders"


class NoSuchSuggestion(AgentError):
    """Neither a suggestion nor a reminder has this id."""

    code: ClassVar[str] = "no_such_suggestion"


class NothingToSnooze(AgentError):
    """No reminder of this person was announced lately."""

    code: ClassVar[str] = "nothing_to_snooze"


class Announcement(TypedDict):
    """A reminder that was announced while nobody saw it; `at` is the time that it was for."""

    id: str
    text: str
    at: float
    late: bool


class Announcements(TypedDict):
    """What was announced and not seen, oldest first."""

    items: list[Announcement]


class Snoozed(TypedDict):
    """The reminder that was put off, and until when."""

    reminder_id: str
    text: str
    at: float
    when: str


class Scheduled(TypedDict):
    """A reminder's id and its time, in seconds since the epoch and for people."""

    reminder_id: str
    at: float
    when: str
    repeat: str | None
    assumed: str


class Observation(TypedDict):
    """What was said, or why nothing was."""

    suggestions: list[Suggestion]
    held_back: str | None


class Waiting(TypedDict):
    """Suggestions and reminders that wait, most relevant first."""

    items: list[dict[str, Any]]


class SuggestionAnswered(TypedDict):
    """The state that the answer put it in."""

    state: str


class PreferencesSet(TypedDict):
    """The preferences as they are now."""

    preferences: Preferences
