"""The language and routing agents one by one."""

from __future__ import annotations

import pytest

from aisys.errors import Refused
from aisys.testing import VirtualClock
from aisys_agents.foundation.breakers import AgentResting, Breakers
from aisys_agents.foundation.request_book import priority_of
from aisys_agents.language.intention_validator_agent import (
    IntentionValidatorAgent,
    NoSuchConfirmation,
)
from aisys_agents.language.model_orchestrator import ModelOrchestrator
from aisys_agents.language.risk import grade_risk
from aisys_agents.proactive.models import BadTime
from aisys_agents.proactive.proactive_agent import ProactiveAgent
from aisys_agents.routing.advanced_router import AdvancedRouter, BadRule
from aisys_agents.routing.rules import RULES, classify
from aisys_agents.routing.tiered_responder import BadTiers, TieredResponder
from aisys_agents.routing.tiers import DEFAULT_TIERS, tier_for
from support.agents_language import whole_fleet


@pytest.mark.parametrize(
    ("action", "target", "risk"),
    [
        ("delete everything", None, "high"),
        ("pay", "the electricity bill", "high"),
        ("delete", "notes.txt", "medium"),
        ("burahin", "ang tala", "medium"),
        ("open", "the window", "low"),
        ("tell me a joke", None, "none"),
        ("deleted scenes", None, "none"),
    ],
)
def test_risk(action: str, target: str | None, risk: str) -> None:
    """The risk of an action follows whole words, in both languages."""
    assert grade_risk(action, target) == risk


async def test_confirmation_is_answered_once_and_lapses() -> None:
    """An unclear reply leaves the question open; a yes closes it; time closes it too."""
    clock = VirtualClock()
    async with whole_fleet(clock=clock) as fleet:
        validator = fleet.proxy(IntentionValidatorAgent)
        asked = await validator.confirm_action("delete", "notes.txt")
        confirm_id = asked["confirm_id"] or ""
        unclear = await validator.resolve_confirmation(confirm_id, "maybe")
        yes = await validator.resolve_confirmation(confirm_id, "opo")
        with pytest.raises(NoSuchConfirmation):
            await validator.resolve_confirmation(confirm_id, "yes")
        again = await validator.confirm_action("delete", "notes.txt")
        clock.tick(121)
        with pytest.raises(NoSuchConfirmation, match="lapses"):
            await validator.resolve_confirmation(again["confirm_id"] or "", "yes")

    assert asked["risk"] == "medium"
    assert (unclear["approved"], unclear["understood"]) == (False, False)
    assert (yes["approved"], yes["understood"]) == (True, True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("def f(): fix this python function", "code"),
        ("what is 3 * 4?", "maths"),
        ("convert 5 miles to kilometers", "maths"),
        ("why would it rain? compare both", "reasoning"),
        ("write a poem about rain", "creative"),
        ("who was born in Cebu", "factual"),
        ("kumusta ka", "chat"),
        ("zzz", "general"),
    ],
)
def test_route_kind(text: str, kind: str) -> None:
    """A request is classified by weighted cues; nothing matched is `general`."""
    assert classify(text, list(RULES))[0] == kind


@pytest.mark.parametrize("pattern", ["(", "(a+)+", "(a*)*b", "a**", "x{2}+"])
async def test_bad_rules_are_refused(pattern: str) -> None:
    """A pattern that is wrong or could take for ever is refused."""
    async with whole_fleet() as fleet:
        with pytest.raises(BadRule):
            await fleet.proxy(AdvancedRouter).add_rule("code", pattern)


@pytest.mark.parametrize(
    ("wanted", "budget_ms", "tier"),
    [
        ("deep", None, "deep"),
        ("deep", 3000, "deep"),
        ("deep", 900, "fast"),
        ("deep", 90, "instant"),
        ("fast", 9000, "fast"),
        ("instant", 9000, "instant"),
    ],
)
def test_tier_fits_the_time(wanted: str, budget_ms: int | None, tier: str) -> None:
    """The deepest tier that the question needs and the time allows."""
    assert tier_for(wanted, budget_ms, list(DEFAULT_TIERS))[0] == tier


async def test_tiers_are_checked() -> None:
    """Tiers must be the three known ones in rising order of time."""
    async with whole_fleet() as fleet:
        responder = fleet.proxy(TieredResponder)
        falling = [
            {"name": n, "limit_ms": ms} for n, ms in (("instant", 5), ("fast", 4), ("deep", 3))
        ]
        with pytest.raises(BadTiers, match="more time"):
            await responder.set_tiers(falling)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("urgency", "user_class", "fill", "rank"),
    [
        ("normal", None, 0.0, 5),
        ("high", None, 0.9, 3),
        ("critical", "owner", 0.0, 1),
        ("low", "guest", 0.9, 9),
        ("normal", None, 0.9, 6),
    ],
)
def test_priority(urgency: str, user_class: str | None, fill: float, rank: int) -> None:
    """Rank follows urgency, user class and how full the queue is, within 1 to 10."""
    assert priority_of("text", urgency, user_class, fill) == rank


async def test_breaker_opens_and_heals() -> None:
    """Three failures open a breaker for its rest; an answer closes it; named errors do not count."""
    clock = VirtualClock()
    breakers = Breakers(clock, failures=3, rest_s=30)

    async def fail() -> None:
        raise Refused("away", reason="unreachable")

    async def answer() -> str:
        return "here"

    for _ in range(3):
        with pytest.raises(Refused):
            await breakers.guard("X", fail())
    with pytest.raises(AgentResting, match="away"):
        await breakers.guard("X", answer())
    assert breakers.infos()[0]["state"] == "open"
    clock.tick(31)

    assert await breakers.guard("X", answer()) == "here"
    assert breakers.infos()[0]["state"] == "closed"


async def test_past_and_unreadable_times_are_refused() -> None:
    """A reminder for the past, or for no time at all, is an error and not a reminder."""
    async with whole_fleet() as fleet:
        proactive = fleet.proxy(ProactiveAgent)
        with pytest.raises(BadTime, match="passed"):
            await proactive.schedule_reminder("x", "2020-01-01 at 10:00")
        with pytest.raises(BadTime, match="cannot read"):
            await proactive.schedule_reminder("x", "whenever")


async def test_same_reminder_id_is_one_reminder() -> None:
    """Scheduling again under the same id changes nothing."""
    async with whole_fleet() as fleet:
        proactive = fleet.proxy(ProactiveAgent)
        first = await proactive.schedule_reminder("x", "in 1 hour", reminder_id="rem_1")
        second = await proactive.schedule_reminder("x", "in 2 hours", reminder_id="rem_1")
        listed = await proactive.list_suggestions()

    assert first["at"] == second["at"]
    assert len(listed["items"]) == 1


async def test_plans_come_from_templates() -> None:
    """Without a model a goal gets the steps of its template, in order and marked as rules."""
    async with whole_fleet() as fleet:
        plan = await fleet.proxy(ModelOrchestrator).plan_steps("learn Spanish", max_steps=4)

    assert plan["backend"] == "rules"
    assert [step["step"] for step in plan["steps"]] == [1, 2, 3, 4]
    assert all(before < step["step"] for step in plan["steps"] for before in step["depends_on"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("what is 5 + 5", "calculate"),
        ("5 kg in pounds", "convert_units"),
        ("what date is tomorrow", "date"),
        ("who is my dentist", "memory"),
        ("write a haiku", "write"),
        ("compare both and decide which is better", "reasoning"),
        ("hello there", "chat"),
    ],
)
async def test_task_kind(text: str, kind: str) -> None:
    """A task is sorted by what it takes to do it."""
    async with whole_fleet() as fleet:
        found = await fleet.proxy(ModelOrchestrator).classify_task(text)

    assert found["kind"] == kind


async def test_embedding_needs_no_model_and_speech_does() -> None:
    """Built-in vectors are marked as rules; what has no back end says needs_model."""
    async with whole_fleet() as fleet:
        vector = await fleet.call(
            "ModelManagerSuite.run_inference", task="embed", payload={"text": "hello"}
        )
        speech = await fleet.call(
            "ModelManagerSuite.run_inference", task="speak", payload={"text": "hello"}
        )

    assert (vector["backend"], vector["result"]["quality"]) == ("builtin", "rules")
    assert sum(weight**2 for weight in vector["result"]["weights"]) == pytest.approx(1.0, abs=1e-3)
    assert speech["result"]["status"] == "needs_model"
