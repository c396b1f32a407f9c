"""Reminders that nobody saw, and those that are cancelled or put off in words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from aisys.testing import LocalFleet, VirtualClock
from support.agents_language import Person, whole_fleet


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


async def test_reminders_are_cancelled_in_words() -> None:
    """The reminder that is meant is cancelled; what is open is asked, and all only after a yes."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        for what in ("sleep", "call mom", "buy milk", "call Ana"):
            await person.says(f"remind me to {what} in 2 hours")
        sleep = await person.says("cancel my reminder to sleep")
        milk = await person.says("delete the milk reminder")
        unknown = await person.says("cancel the reminder about the dog")
        which = await person.says("cancel the call reminder")
        mom = await person.says("mom")
        await person.says("remind me to rest in 3 hours")
        asked = await person.says("cancel all reminders")
        gone = await person.says("yes")
        left = await person.says("what reminders do I have")

    assert sleep.startswith("Cancelled: sleep")
    assert milk.startswith("Cancelled: buy milk")
    assert unknown.startswith("I have no such reminder")
    assert which.startswith("Which one: call mom")
    assert mom.startswith("Cancelled: call mom")
    assert "Are you sure" in asked
    assert "call Ana" in gone
    assert "rest" in gone
    assert left == "You have no reminders."


async def test_the_last_reminder_is_snoozed() -> None:
    """Snooze puts off what was announced last; without one it says so."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        nothing = await person.says("snooze")
        await _announced(fleet, "stretch")
        later = await person.says("snooze 3 minutes")
        waiting = await fleet.call("ProactiveAgent.list_suggestions", user_id="ana")

    assert nothing == "There is no reminder to snooze."
    assert later.startswith("I will remind you again at ")
    assert [item["text"] for item in waiting["items"]] == ["stretch"]


async def test_stop_says_what_it_stopped() -> None:
    """Nothing is said to be stopped when nothing was going on."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        nothing = await person.says("cancel that")
        await person.says("remind me to call Ana")
        question = await person.says("cancel that")
        tagalog = await person.says("kanselahin mo ang paalala ko")

    assert nothing == "There was nothing to stop."
    assert question == "Stopped."
    assert tagalog == "Wala kang paalala."


async def test_a_past_time_is_refused() -> None:
    """A reminder for a time that has passed is not set."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        answers = [
            await person.says("remind me yesterday to call Ana"),
            await person.says("remind me in -5 seconds"),
        ]
        left = await person.says("what reminders do I have")

    assert answers == ["That time has passed.", "That time has passed."]
    assert left == "You have no reminders."
