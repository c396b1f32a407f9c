"""Reminders as records: kept in the agent's state, in order of their time, repeated by the calendar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from dateutil.relativedelta import relativedelta
from typing_extensions import TypedDict

from aisys.backends import State

__all__ = ["REPEATS", "Reminder", "ReminderBook", "Repeat", "next_time"]

Repeat = Literal["hourly", "daily", "weekdays", "weekly", "monthly"]
REPEATS: tuple[Repeat, ...] = ("hourly", "daily", "weekdays", "weekly", "monthly")

_PREFIX = "reminder/"


class Reminder(TypedDict):
    """A reminder. `state` is `waiting`, or `announced` until somebody answers it."""

    id: str
    text: str
    at: float
    first_at: float
    user_id: str | None
    repeat: str | None
    language: str
    state: str
    created_at: float
    announced_at: float | None


def next_time(at: float, repeat: str, now: datetime) -> float:
    """The next moment of a repeated reminder that is still to come; missed ones are not made up for.

    Args:
        at: the first moment, in seconds since the epoch.
        repeat: how often.
        now: the present moment, with the time zone whose calendar counts.
    """
    moment = datetime.fromtimestamp(at, now.tzinfo)
    if repeat == "hourly":
        hours = max(int((now - moment).total_seconds() // 3600) + 1, 1)
        return at + 3600 * hours
    step: dict[str, Any] = {
        "daily": {"days": 1},
        "weekdays": {"days": 1},
        "weekly": {"days": 7},
        "monthly": {"months": 1},
    }[repeat]
    # Counted from the first moment, so that a monthly reminder of the 31st returns to the 31st.
    for count in range(1, 5000):
        following = moment + relativedelta(**{name: value * count for name, value in step.items()})
        weekend = repeat == "weekdays" and following.weekday() >= 5
        if following > now and not weekend:
            return following.timestamp()
    return (now + timedelta(days=1)).timestamp()


class ReminderBook:
    """The reminders of all people, in memory and in the agent's state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._entries: dict[str, Reminder] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def load(self) -> None:
        """Read what was kept."""
        for key in await self._state.keys(_PREFIX):
            entry: Reminder | None = await self._state.get(key)
            if entry is not None:
                self._entries[entry["id"]] = entry

    async def put(self, entry: Reminder) -> None:
        """Keep a reminder; it survives everything once this has returned."""
        await self._state.set(_PREFIX + entry["id"], dict(entry))
        self._entries[entry["id"]] = entry

    async def remove(self, reminder_id: str) -> None:
        """Drop a reminder."""
        await self._state.delete(_PREFIX + reminder_id)
        self._entries.pop(reminder_id, None)

    def get(self, reminder_id: str) -> Reminder | None:
        """One reminder."""
        return self._entries.get(reminder_id)

    def waiting(self, user_id: str | None = None) -> list[Reminder]:
        """Those still to come, soonest first."""
        found = [e for e in self._entries.values() if e["state"] == "waiting"]
        return sorted(
            (e for e in found if user_id is None or e["user_id"] in {None, user_id}),
            key=lambda e: e["at"],
        )

    def announced(self) -> list[Reminder]:
        """Those that were announced and not answered."""
        return [e for e in self._entries.values() if e["state"] == "announced"]
