"""Reminders that nobody saw, and those that are cancelled or put off in words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from aisys.testing import LocalFleet, VirtualClock
from support.agents_language import whole_fleet


async def _take(fleet: LocalFleet, user_id: str = "ana") -> list[dict[str, Any]]:
    taken = await fleet.call("ProactiveAgent.take_announcements", user_id=user_id)
    return list(taken["items"])


async def _announced(fleet: LocalFleet, text: str, count: int = 1) -> None:
    await fleet.call(
        "ProactiveAgent.schedule_reminder",
        text=text,
        at=time.time() + 0.05,
        user_id="ana",
    )
    await fleet.until(lambda: len(fleet.published("proactive.suggestion")) >= count)


async def test_an_unseen_reminder_is_kept_for_its_person(tmp_path: Path) -> None:
    """What fired while nobody looked is handed to that person once, late, also after a restart."""
    clock = VirtualClock()
    async with whole_fleet(state="file", directory=tmp_path, clock=clock) as fleet:
        set_ = await fleet.call(
            "ProactiveAgent.schedule_reminder", text="call mom", at="in 1 minute", user_id="ana"
        )
        clock.tick(61)
        await fleet.until(lambda: fleet.published("proactive.suggestion"))
        shown = fleet.published("proactive.suggestion")[0]
    clock.tick(3600)
    async with whole_fleet(state="file", directory=tmp_path, clock=clock) as fleet:
        others = await _take(fleet, "ben")
        first, again = await _take(fleet), await _take(fleet)

    assert shown["id"] == set_["reminder_id"]
    assert others == []
    assert [item["id"] for item in first] == [set_["reminder_id"]]
    assert first[0]["late"]
    assert first[0]["at"] == set_["at"]
    assert first[0]["text"].startswith("Reminder (late, it was for ")
    assert again == []


async def test_a_reminder_shown_live_is_not_shown_again() -> None:
    """Accepting an announced reminder marks it as seen."""
    async with whole_fleet() as fleet:
        await _announced(fleet, "stretch")
        shown = fleet.published("proactive.suggestion")[0]
        await fleet.call("ProactiveAgent.answer_suggestion", id=shown["id"], answer="accepted")
        left = await _take(fleet)

    assert left == []


async def test_a_repeated_reminder_is_unseen_and_waits() -> None:
    """One that repeats is kept for who missed it, and comes again."""
    clock = VirtualClock()
    async with whole_fleet(clock=clock) as fleet:
        await fleet.call(
            "ProactiveAgent.schedule_reminder",
            text="medicine",
            at=clock.time() + 5,
            user_id="ana",
            repeat="daily",
        )
        clock.tick(6)
        await fleet.until(lambda: fleet.published("proactive.suggestion"))
        taken = await _take(fleet)
        waiting = await fleet.call("ProactiveAgent.list_suggestions", user_id="ana")

    assert [item["text"] for item in taken] == ["Reminder: medicine"]
    assert [item["text"] for item in waiting["items"]] == ["medicine"]
