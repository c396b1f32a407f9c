"""Reminders as records: kept in the agent's state, in order of their time, repeated by the calendar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, NotRequired

from dateutil.relativedelta import relativedelta
from typing_extensions import TypedDict

from aisys.backends import State

__all__ = ["REPEATS", "Reminder", "ReminderBook", "Repeat", "is_for", "next_time"]

DEFAULT_USER = "default"

Repeat = Literal["hourly", "daily", "weekdays", "weekly", "monthly"]
REPEATS: tuple[Repeat, ...] = ("hourly", "daily", "weekdays", "weekly", "monthly")

_PREFIX = "reminder/"
MAX_UNSEEN = 100
"""Announcements kept for each person who has not seen them."""
SEEN_KEPT_S = 24 * 3600.0
UNSEEN_KEPT_S = 30 * 24 * 3600.0


class Reminder(TypedDict):
    """A reminder. `state` is `waiting`, or `announced` until somebody answers it.

    `announced_at` and `announced_for` are when it was announced last and the time that was for; `seen` says whether
    anybody has seen that. One that repeats waits for its next time and may be unseen meanwhile.
    """

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
    announced_for: NotRequired[float]
    seen: NotRequired[bool]


def is_for(entry: Reminder, user_id: str | None) -> bool:
    """Whether a reminder is for a person; one for nobody in particular is for the default user."""
    return user_id is None or (entry["user_id"] or DEFAULT_USER) == user_id


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
            (e for e in found if is_for(e, user_id)),
            key=lambda e: e["at"],
        )

    def announced(self, user_id: str | None = None) -> list[Reminder]:
        """Those that were announced, the oldest announcement first."""
        found = [e for e in self._entries.values() if e["announced_at"] is not None]
        return sorted(
            (e for e in found if is_for(e, user_id)), key=lambda e: e["announced_at"] or 0.0
        )

    def unseen(self, user_id: str) -> list[Reminder]:
        """Those that were announced to a person and that nobody has seen, oldest first."""
        return [e for e in self.announced(user_id) if not e.get("seen", True)]

    async def see(self, entry: Reminder) -> None:
        """Mark an announcement as seen."""
        await self.put({**entry, "seen": True})

    async def announce(self, entry: Reminder, now: datetime) -> None:
        """Mark a reminder as announced and unseen; one that repeats waits for its next time."""
        said: Reminder = {
            **entry,
            "announced_at": now.timestamp(),
            "announced_for": entry["at"],
            "seen": False,
        }
        if entry["repeat"]:
            await self.put({**said, "at": next_time(entry["first_at"], entry["repeat"], now)})
        else:
            await self.put({**said, "state": "announced"})
        user_id = entry["user_id"] or DEFAULT_USER
        for old in self.unseen(user_id)[:-MAX_UNSEEN]:
            await self.drop(old)

    async def drop(self, entry: Reminder) -> None:
        """Let an announcement go; a reminder that repeats goes on."""
        if entry["state"] == "announced":
            await self.remove(entry["id"])
        else:
            await self.see(entry)

    async def drop_old(self, now: float) -> None:
        """Let announcements go that nobody answered for long."""
        for entry in self.announced():
            kept_s = SEEN_KEPT_S if entry.get("seen", True) else UNSEEN_KEPT_S
            if (entry["announced_at"] or 0.0) >= now - kept_s:
                continue
            if entry["state"] == "announced" or not entry.get("seen", True):
                await self.drop(entry)
