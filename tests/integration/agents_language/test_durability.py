"""Accepted requests and reminders outlive the process that accepted them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aisys.testing import VirtualClock
from aisys_agents.proactive.proactive_agent import ProactiveAgent
from support.agents_language import Person, whole_fleet

_REQUEST = {
    "request_id": "req_before",
    "kind": "text",
    "data": "What is 2 + 2?",
    "user_id": "ana",
    "session_id": None,
    "urgency": "normal",
    "context": {},
    "accepted_at": 1.0,
    "attempts": 1,
}


async def test_accepted_request_comes_back(tmp_path: Path) -> None:
    """A request that was open when the process ended is answered by the next one."""
    async with whole_fleet(state="file", directory=tmp_path) as fleet:
        await fleet.agent("RequestCoordinator").state.set("open/req_before", _REQUEST)
    async with whole_fleet(state="file", directory=tmp_path) as fleet:
        result = await fleet.call(
            "RequestCoordinator.get_result", request_id="req_before", wait_s=10
        )
        await fleet.until(lambda: fleet.published("request.done"))
        left = await fleet.agent("RequestCoordinator").state.keys("open/")

    assert (result["state"], result["text"]) == ("done", "2 + 2 = 4.")
    assert left == []


async def test_poisonous_request_fails_openly(tmp_path: Path) -> None:
    """A request that ended the process again and again is failed, and says so."""
    async with whole_fleet(state="file", directory=tmp_path) as fleet:
        poison = {**_REQUEST, "attempts": 3}
        await fleet.agent("RequestCoordinator").state.set("open/req_before", poison)
    async with whole_fleet(state="file", directory=tmp_path) as fleet:
        result = await fleet.call("RequestCoordinator.get_result", request_id="req_before")

    assert result["state"] == "failed"
    assert "3 times" in result["error"]


async def test_cancelled_request() -> None:
    """A waiting request that is cancelled is never served."""
    settings = {"RequestCoordinator": {"workers": 1}}
    async with whole_fleet(settings=settings) as fleet:
        ids = []
        for text in ("hello", "2 + 2", "3 + 3"):
            accepted = await fleet.call(
                "RequestCoordinator.submit_request", kind="text", data=text, user_id="ana"
            )
            ids.append(accepted["request_id"])
        await fleet.call("RequestCoordinator.cancel_requests", user_id="ana")
        results = [
            await fleet.call("RequestCoordinator.get_result", request_id=one, wait_s=5)
            for one in ids
        ]

    assert results[-1]["state"] == "cancelled"
    assert {result["state"] for result in results} <= {"done", "cancelled"}


async def test_unknown_request() -> None:
    """A result that nobody knows is `unknown`, not an error and not an endless wait."""
    async with whole_fleet() as fleet:
        result = await fleet.call("RequestCoordinator.get_result", request_id="nope", wait_s=5)

    assert result["state"] == "unknown"


async def test_reminder_waits_for_the_coordinator() -> None:
    """A reminder that falls due while the coordinator is away is announced when it is back."""
    async with whole_fleet() as fleet:
        await fleet.stop("RequestCoordinator")
        await fleet.call("ProactiveAgent.schedule_reminder", text="stretch", at="in 1 second")
        await fleet.until(lambda: not fleet.agent(ProactiveAgent).health.healthy, timeout_s=10)
        await fleet.restart("RequestCoordinator")
        await fleet.until(lambda: fleet.published("response.delivered"), timeout_s=10)
        text = fleet.published("response.delivered")[0]["text"]

    assert text == "Reminder: stretch"


async def test_repeated_reminder_and_snooze(tmp_path: Path) -> None:
    """A daily reminder returns each day; a snoozed one returns after its time; a dismissed one does not."""
    clock = VirtualClock()
    async with whole_fleet(state="file", directory=tmp_path, clock=clock) as fleet:
        set_ = await fleet.call(
            "ProactiveAgent.schedule_reminder",
            text="medicine",
            at=clock.time() + 60,
            repeat="daily",
        )
        await clock.advance(61)
        await fleet.until(lambda: len(_reminders(fleet)) == 1)
        await clock.advance(86_400)
        await fleet.until(lambda: len(_reminders(fleet)) == 2)
        await fleet.call(
            "ProactiveAgent.answer_suggestion",
            id=set_["reminder_id"],
            answer="snoozed",
            snooze_s=300,
        )
        await clock.advance(301)
        await fleet.until(lambda: len(_reminders(fleet)) == 3)
        await fleet.call(
            "ProactiveAgent.answer_suggestion", id=set_["reminder_id"], answer="dismissed"
        )
        listed = await fleet.call("ProactiveAgent.list_suggestions")

    assert listed["items"] == []


async def test_quiet_hours_and_rate() -> None:
    """Suggestions are held back with the reason; one that is offered can be taken once."""
    settings = {"ProactiveAgent": {"timezone": "UTC"}}
    clock = VirtualClock(time_s=1_800_000_000.0)  # 2027-01-15 08:00 UTC
    async with whole_fleet(settings=settings, clock=clock) as fleet:
        tired = {"working_minutes": 120, "user_id": "ana"}
        offered = await fleet.call("ProactiveAgent.observe_context", context=tired)
        await fleet.settle()
        taken = await fleet.call("RequestCoordinator.take_suggestion", user_id="ana")
        again = await fleet.call("RequestCoordinator.take_suggestion", user_id="ana")
        hours = {"from": "07:00", "to": "09:00"}
        await fleet.call("ProactiveAgent.set_preferences", user_id="ana", quiet_hours=hours)
        quiet = await fleet.call("ProactiveAgent.observe_context", context=tired)

    assert offered["suggestions"][0]["kind"] == "break"
    assert taken["suggestion"]["text"] == offered["suggestions"][0]["text"]
    assert again["suggestion"] is None
    assert quiet == {"suggestions": [], "held_back": "quiet hours from 07:00 to 09:00"}


async def test_voice_profile_survives() -> None:
    """A person's voice preferences are there after a restart, each set on its own."""
    async with whole_fleet(state="file") as fleet:
        await fleet.call("Responder.set_voice_profile", user_id="ana", voice="maria", speed=1.2)
        await fleet.restart("Responder")
        changed = await fleet.call("Responder.set_voice_profile", user_id="ana", speed=0.9)

    assert changed["profile"] == {"voice": "maria", "speed": 0.9}


async def test_router_rules_survive() -> None:
    """An added rule counts at once and after a restart."""
    async with whole_fleet(state="file") as fleet:
        await fleet.call(
            "AdvancedRouter.add_rule", kind="creative", pattern=r"\bkaraoke\b", weight=5
        )
        await fleet.restart("AdvancedRouter")
        route = await fleet.call("AdvancedRouter.route_task", text="karaoke")

    assert route["kind"] == "creative"


async def test_answers_survive_parallel_users() -> None:
    """Questions of many people at once each get their own answer."""
    async with whole_fleet() as fleet:
        people = [Person(fleet, f"user{n}") for n in range(20)]
        texts = await asyncio.gather(
            *(person.says(f"what is {n} + {n}?") for n, person in enumerate(people))
        )

    assert texts == [f"{n} + {n} = {2 * n}." for n in range(20)]


def _reminders(fleet: object) -> list[str]:
    events = fleet.published("response.delivered")  # type: ignore[attr-defined]
    return [event["text"] for event in events if "medicine" in event["text"]]
