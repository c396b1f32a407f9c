"""The flows of the assistant end to end, all built agents in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisys.errors import Refused
from aisys.testing import VirtualClock
from support.agents_language import Person, whole_fleet

PC2 = (
    "MemoryOrchestratorService",
    "CacheManager",
    "ContextManager",
    "UnifiedMemoryReasoningAgent",
    "TieredResponder",
    "AdvancedRouter",
)


@pytest.mark.parametrize(
    ("question", "part", "agent"),
    [
        ("What is 15% of 2,340?", "351", "ModelOrchestrator"),
        ("How many kilometres is a marathon of 26.2 miles?", "42.16", "ModelOrchestrator"),
        ("What date is 45 days after 2026-11-22?", "2027-01-06", "ModelOrchestrator"),
        ("Ano ang 20 porsyento ng 500?", "100", "ModelOrchestrator"),
        ("10 / 0", "division by zero", "ModelOrchestrator"),
        ("5 kg in metres", "different things", "ModelOrchestrator"),
        ("hello", "Hello", "ChitchatAgent"),
        ("Magandang umaga po", "Magandang umaga", "ChitchatAgent"),
        ("Salamat!", "Walang anuman", "ChitchatAgent"),
        ("open the browser", "not part of this fleet", "AdvancedCommandHandler"),
        ("asdf qwer", "did not understand", "ModelOrchestrator"),
    ],
)
async def test_question(question: str, part: str, agent: str) -> None:
    """A typed question is answered by the agent whose job it is."""
    async with whole_fleet() as fleet:
        result = await Person(fleet).ask(question)

    assert part in result["text"]
    assert result["data"]["agent"] == agent
    assert result["data"]["spoken"] is False
    assert fleet.errors == []


async def test_both_sides_are_recorded_and_announced() -> None:
    """An interaction leaves two turns in its session and the events that others live on."""
    async with whole_fleet() as fleet:
        result = await Person(fleet).ask("What is 2 + 2?", session_id="s-1")
        context = await fleet.call("SessionMemoryAgent.get_context", session_id="s-1")
        await fleet.until(lambda: fleet.published("interaction.done"))
        done = fleet.published("interaction.done")[0]
        topics = ("request.accepted", "intent.validated", "response.delivered", "request.done")
        counts = {topic: len(fleet.published(topic)) for topic in topics}

    assert [(turn["role"], turn["text"]) for turn in context["turns"]] == [
        ("user", "What is 2 + 2?"),
        ("assistant", "2 + 2 = 4."),
    ]
    assert result["data"]["session_id"] == "s-1"
    assert (done["user_input"], done["reply"], done["intent"]) == (
        "What is 2 + 2?",
        "2 + 2 = 4.",
        "calculate",
    )
    assert set(counts.values()) == {1}


async def test_remember_and_recall_over_a_restart(tmp_path: Path) -> None:
    """What was told is quoted with where it is stored, also by a fleet started anew."""
    async with whole_fleet(state="file", directory=tmp_path, machine="pc2") as fleet:
        told = await Person(fleet).ask("Remember that my dentist is Dr. Cruz, 555 0199")
    async with whole_fleet(state="file", directory=tmp_path, machine="pc2") as fleet:
        asked = await Person(fleet).ask("Who is my dentist?")
        in_mind = await fleet.call("ContextManager.get_context")

    assert told["data"]["stored"] == "pc2"
    assert "stored on pc2" in told["text"]
    assert "Dr. Cruz, 555 0199" in asked["text"]
    assert "pc2" in asked["text"]
    assert asked["data"]["backend"] == "retrieval"
    assert any("Dr. Cruz" in item["text"] for item in in_mind["items"])


async def test_remember_and_recall_in_tagalog() -> None:
    """Tagalog in, Tagalog out."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        told = await person.says("Tandaan mo na ang dentista ko ay si Dr. Cruz")
        asked = await person.says("Sino ang dentista ko?")

    assert told.startswith("Tatandaan ko: ang dentista ko ay si Dr. Cruz")
    assert asked.startswith('Sabi mo sa akin: "ang dentista ko ay si Dr. Cruz"')


async def test_the_other_machine_is_away() -> None:
    """Remembering is buffered and says so; recall names whom it could not reach; nothing is invented."""
    async with whole_fleet(*PC2) as fleet:
        person = Person(fleet)
        told = await person.ask("Remember that my dentist is Dr. Cruz, 555 0199")
        known = await person.ask("Who is my dentist?")
        unknown = await person.ask("What is my shoe size?")

    assert told["data"]["stored"] == "buffered"
    assert "buffered here until pc2 is back" in told["text"]
    assert "Dr. Cruz" in known["text"]
    assert "could not reach" in known["text"]
    assert "pc2" in known["text"]
    assert "nothing about that" in unknown["text"]
    assert "UnifiedMemoryReasoningAgent" in unknown["text"]


async def test_forgetting_asks_first() -> None:
    """A fact is forgotten after a yes, in either language, and is gone from recall."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        await person.says("Remember that my dentist is Dr. Cruz")
        asked = await person.says("Forget my dentist")
        kept = await person.says("hindi")
        still = await person.says("Who is my dentist?")
        await person.says("Forget my dentist")
        gone = await person.says("oo")
        after = await person.says("Who is my dentist?")

    assert "Are you sure" in asked
    assert kept == "Itinigil ko na."
    assert "Dr. Cruz" in still
    assert "Kinalimutan ko na" in gone
    assert "nothing about that" in after


async def test_newer_fact_replaces_the_older() -> None:
    """The newest wording is the one that is quoted."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        await person.says("Remember that my dentist is Dr. Cruz")
        again = await person.says("Remember that my dentist is Dr. Lim")
        asked = await person.says("Who is my dentist?")

    assert "replaces" in again
    assert "Dr. Lim" in asked
    assert "Dr. Cruz" not in asked


async def test_no_model_is_said_plainly() -> None:
    """What needs a model and has none says so; nothing is invented."""
    async with whole_fleet() as fleet:
        result = await Person(fleet).ask("What is the capital of France?")

    assert (result["data"]["status"], result["data"]["backend"]) == ("needs_model", "none")
    assert "AISYS_LLM_URL" in result["text"]
    assert "Paris" not in result["text"]


async def test_reminder_fires() -> None:
    """A reminder comes back by itself when it is due, and is recorded as delivered."""
    async with whole_fleet() as fleet:
        said = await Person(fleet).ask("Remind me to stretch in 1 second")
        await fleet.until(lambda: _delivered(fleet, "Reminder: stretch"))
        await fleet.until(lambda: fleet.published("proactive.suggestion"))
        suggestion = fleet.published("proactive.suggestion")[0]

    assert said["text"].endswith(": stretch.")
    assert suggestion["text"] == "Reminder: stretch"


async def test_missing_time_is_asked_for() -> None:
    """A reminder without a time asks when, and the answer completes it."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        question = await person.ask("Remind me to call Ana")
        answer = await person.says("in 2 hours")
        listed = await person.says("What are my reminders?")

    assert question["data"]["status"] == "needs_clarification"
    assert "call Ana" in answer
    assert listed.startswith("You have 1 reminder: call Ana")


async def test_change_of_subject_instead_of_an_answer() -> None:
    """Who answers a question with another request gets that request served."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        await person.says("Remind me to call Ana")
        answer = await person.says("What is 2 + 2?")

    assert answer == "2 + 2 = 4."


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ("remind me to buy milk in 3 hours", ": buy milk."),
        ("set a timer for 3 minutes", "Set. I will tell you at"),
        ("Who is my dentist?", "nothing about that"),
        ("my name is Ana", "I will remember: my name is Ana"),
    ],
)
async def test_a_new_request_replaces_the_question(request_: str, part: str) -> None:
    """A complete request of the same or another kind is served as it is, not taken for an answer."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        await person.says("Remind me to call Ana")
        answer = await person.says(request_)

    assert part in answer
    assert "call Ana" not in answer


async def test_what_is_missing_is_still_taken_as_an_answer() -> None:
    """A bare time with the verb again completes what was asked about."""
    async with whole_fleet() as fleet:
        person = Person(fleet)
        await person.says("Remind me to call Ana")
        answer = await person.says("remind me in 2 hours")

    assert "call Ana" in answer


async def test_missed_reminder_is_announced_late(tmp_path: Path) -> None:
    """A reminder that fell due while nothing ran is announced at the next start, and says so."""
    clock = VirtualClock()
    async with whole_fleet(state="file", directory=tmp_path, clock=clock) as fleet:
        await fleet.call("ProactiveAgent.schedule_reminder", text="call Ana", at="in 10 minutes")
    clock.tick(7200)
    async with whole_fleet(state="file", directory=tmp_path, clock=clock) as fleet:
        await fleet.until(lambda: _delivered(fleet, "call Ana"))
        text = _texts(fleet)[0]

    assert text.startswith("Reminder (late, it was for ")
    assert text.endswith("): call Ana")


async def test_spoken_request_needs_the_ears() -> None:
    """Audio is refused with the name of the agent that is missing."""
    async with whole_fleet() as fleet:
        with pytest.raises(Exception, match="STTService") as caught:
            await fleet.call("RequestCoordinator.submit_request", kind="audio", data=b"\x00\x01")

    assert caught.value.code == "kind_unavailable"  # type: ignore[attr-defined]


async def test_tiers_and_routes() -> None:
    """The responder answers in the depth that fits; the router names the agent for the job."""
    async with whole_fleet() as fleet:
        await Person(fleet).says("Remember that my dentist is Dr. Cruz")
        hello = await fleet.call("TieredResponder.respond", text="Magandang gabi")
        dentist = await fleet.call("TieredResponder.respond", text="who is my dentist?")
        deep = await fleet.call("TieredResponder.respond", text="Why is the sky blue?")
        short = await fleet.call(
            "TieredResponder.respond", text="Why is the sky blue?", budget_ms=90
        )
        route = await fleet.call("AdvancedRouter.route_task", text="fix this python function")
        thinking = fleet.published("responder.thinking")

    assert (hello["tier"], hello["text"]) == ("instant", "Magandang gabi!")
    assert (dentist["tier"], dentist["backend"]) == ("fast", "retrieval")
    assert (deep["tier"], deep["status"], deep["complete"]) == ("deep", "needs_model", False)
    assert (short["tier"], short["complete"]) == ("instant", False)
    assert thinking
    assert (route["kind"], route["agent"]) == ("code", "ModelOrchestrator")


async def test_absent_agent_is_cut_off_and_listed() -> None:
    """After three failures an agent is left alone, and the breakers say why."""
    async with whole_fleet("ChitchatAgent") as fleet:
        person = Person(fleet)
        for _ in range(3):
            await person.ask("hello")
        rested = await person.ask("hello")
        breakers = (await fleet.call("RequestCoordinator.list_breakers"))["breakers"]

    assert rested["data"]["status"] == "failed"
    assert rested["data"]["error"] == "agent_resting"
    assert (breakers[0]["agent"], breakers[0]["state"]) == ("ChitchatAgent", "open")


async def test_full_queue_refuses() -> None:
    """More than fit are refused with reason `full`; none is dropped."""
    settings = {"RequestCoordinator": {"queue_size": 1, "workers": 1}}
    async with whole_fleet(settings=settings) as fleet:
        accepted, refused = 0, 0
        for _ in range(20):
            try:
                await fleet.call("RequestCoordinator.submit_request", kind="text", data="hello")
                accepted += 1
            except Refused as error:
                assert error.reason == "full"
                refused += 1
        await fleet.until(lambda: len(fleet.published("request.done")) == accepted)

    assert refused > 0


def _texts(fleet: object) -> list[str]:
    return [event["text"] for event in fleet.published("response.delivered")]  # type: ignore[attr-defined]


def _delivered(fleet: object, part: str) -> bool:
    return any(part in text for text in _texts(fleet))
