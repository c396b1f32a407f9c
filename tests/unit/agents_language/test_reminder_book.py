"""How long and how many announcements are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aisys.backends import MemoryBackend, State
from aisys_agents.proactive.reminders import MAX_UNSEEN, Reminder, ReminderBook

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _reminder(name: str, user_id: str | None = "ana") -> Reminder:
    at = NOW.timestamp()
    return Reminder(
        id=name,
        text=name,
        at=at,
        first_at=at,
        user_id=user_id,
        repeat=None,
        language="en",
        state="waiting",
        created_at=at,
        announced_at=None,
    )


async def test_unseen_announcements_are_bounded_by_person() -> None:
    """The newest hundred of each person stay; the others go."""
    book = ReminderBook(State(MemoryBackend(), "test"))
    for number in range(MAX_UNSEEN + 3):
        await book.announce(_reminder(f"r{number}"), NOW + timedelta(seconds=number))
    await book.announce(_reminder("other", None), NOW)

    assert [entry["id"] for entry in book.unseen("ana")] == [
        f"r{number}" for number in range(3, MAX_UNSEEN + 3)
    ]
    assert [entry["id"] for entry in book.unseen("default")] == ["other"]


async def test_announcements_go_in_time() -> None:
    """A seen one is kept for a day, an unseen one for thirty."""
    book = ReminderBook(State(MemoryBackend(), "test"))
    await book.announce(_reminder("seen"), NOW)
    await book.announce(_reminder("unseen"), NOW)
    await book.see(book.announced()[0])

    await book.drop_old((NOW + timedelta(days=2)).timestamp())
    assert [entry["id"] for entry in book.announced()] == ["unseen"]
    await book.drop_old((NOW + timedelta(days=31)).timestamp())
    assert book.announced() == []
