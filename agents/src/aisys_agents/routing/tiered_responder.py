"""Answers at the right depth for the time there is: at once, quickly or thoroughly."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, method, subscribe
from aisys.errors import CallError
from aisys.ids import new_id
from aisys_agents.context.unified_memory_reasoning_agent import UnifiedMemoryReasoningAgent
from aisys_agents.language.chitchat_lines import COURTESIES
from aisys_agents.language.model_orchestrator import ModelOrchestrator
from aisys_agents.language.nlu_agent import Utterance
from aisys_agents.language.phrases import phrase
from aisys_agents.language.tools import use_tool, use_tool_async
from aisys_agents.memory.cache_manager import CacheManager
from aisys_agents.routing.tiers import DEFAULT_TIERS, Tier, natural_tier, tier_for
from aisys_agents.text.cues import greeting_of, guess_language, is_farewell, is_thanks, plain
from aisys_agents.text.now import local_now

__all__ = ["BadTiers", "TierChoice", "TierStats", "TieredReply", "TieredResponder", "TiersSet"]

CACHE_KIND = "answers"
SURE_ENOUGH = 0.5


class BadTiers(AgentError):
    """The tiers are not in rising order of time, or not the three that are known."""

    code: ClassVar[str] = "bad_tiers"


class TieredReply(TypedDict):
    """An answer and its depth; `complete` is False when a deeper tier would have been needed."""

    text: str
    tier: str
    ms: int
    complete: bool
    backend: str
    status: str


class TierChoice(TypedDict):
    """The decision alone."""

    tier: str
    why: str


class TiersSet(TypedDict):
    """The tiers as they are now."""

    tiers: list[Tier]


class TierStats(TypedDict):
    """For each tier: count, share, mean and longest time in ms, and how often it took too long."""

    by_tier: dict[str, dict[str, float]]


class _Tally:
    __slots__ = ("count", "longest", "over", "total")

    def __init__(self) -> None:
        self.count = self.over = 0
        self.total = self.longest = 0.0


class TieredResponder(Agent):
    """Courtesies at once, tools and memory quickly, the rest through ModelOrchestrator."""

    cache: CacheManager
    memory: UnifiedMemoryReasoningAgent
    orchestrator: ModelOrchestrator

    class Config(Agent.Config):
        """Settings.

        Attributes:
            tiers: the tiers with their limits in milliseconds, fastest first.
            timezone: IANA name of the zone; the computer's own when empty.
        """

        tiers: list[Tier] = Field(default_factory=lambda: [*DEFAULT_TIERS])
        timezone: str = ""

    async def on_start(self) -> None:
        """Begin with the configured tiers."""
        self._tiers = _checked(self.config.tiers)
        self._tallies: dict[str, _Tally] = {}
        self._pressed = False

    @method(timeout_s=60)
    async def respond(
        self,
        text: Utterance,
        budget_ms: Annotated[int, Field(ge=1, le=600_000)] | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> TieredReply:
        """Reply in the deepest tier that fits the question and the time.

        Args:
            text: the question.
            budget_ms: the time there is.
            session_id: the conversation.
            user_id: who asks.
        """
        began = self.clock.monotonic()
        chosen = self._choose(text, budget_ms)[0]
        wanted = natural_tier(text, self._now())[0]
        limit_ms = self._limit(chosen) if budget_ms is None else min(budget_ms, self._limit("deep"))
        reply = self._instant(text)
        if reply is None and chosen != "instant":
            reply = await self._fast(
                text, user_id, limit_ms if chosen == "fast" else self._limit("fast")
            )
        if reply is None and chosen == "deep":
            left_ms = limit_ms - (self.clock.monotonic() - began) * 1000
            reply = await self._deep(text, session_id, user_id, max(left_ms, 50.0))
        if reply is None:
            reply = TieredReply(
                text=phrase("unknown", guess_language(text)),
                tier=chosen,
                ms=0,
                complete=False,
                backend="none",
                status="too_little_time" if wanted != chosen else "not_found",
            )
        reply["ms"] = round((self.clock.monotonic() - began) * 1000)
        self._count(reply)
        return reply

    @method(timeout_s=5, idempotent=True)
    async def choose_tier(
        self, text: Utterance, budget_ms: Annotated[int, Field(ge=1, le=600_000)] | None = None
    ) -> TierChoice:
        """Which tier would answer, and why."""
        tier, why = self._choose(text, budget_ms)
        return TierChoice(tier=tier, why=why)

    @method(timeout_s=5, idempotent=True)
    async def set_tiers(self, tiers: list[Tier]) -> TiersSet:
        """Change the limits; the configuration holds again after a restart.

        Raises:
            BadTiers: not `instant`, `fast` and `deep` in rising order of time.
        """
        self._tiers = _checked(tiers)
        return TiersSet(tiers=self._tiers)

    @method(timeout_s=5, idempotent=True)
    async def get_stats(self) -> TierStats:
        """Share, latency and overruns by tier."""
        total = sum(tally.count for tally in self._tallies.values())
        return TierStats(
            by_tier={
                name: {
                    "count": tally.count,
                    "share": round(tally.count / total, 3),
                    "avg_ms": round(tally.total / tally.count, 1),
                    "max_ms": tally.longest,
                    "overruns": tally.over,
                }
                for name, tally in self._tallies.items()
            }
        )

    @subscribe("resource.pressure")
    async def on_pressure(self, event: dict[str, Any]) -> None:
        """Under pressure the deep tier is left out."""
        self._pressed = str(event.get("level", "")) in {"high", "critical"}

    def _now(self) -> Any:
        return local_now(self.clock.time(), self.config.timezone)

    def _choose(self, text: str, budget_ms: int | None) -> tuple[str, str]:
        wanted, why = natural_tier(text, self._now())
        if self._pressed and wanted == "deep":
            return "fast", "the machine is under pressure"
        tier, cut = tier_for(wanted, budget_ms, self._tiers)
        return tier, cut or why

    def _limit(self, name: str) -> int:
        return next(tier["limit_ms"] for tier in self._tiers if tier["name"] == name)

    def _instant(self, text: str) -> TieredReply | None:
        """Courtesies and the time, from rules."""
        tagalog = guess_language(text) in {"tl", "mixed"}
        if natural_tier(text, self._now())[0] != "instant":
            return None
        if is_thanks(text):
            return _reply(COURTESIES["thanks"][tagalog][0], "instant", "rules")
        if is_farewell(text):
            return _reply(COURTESIES["farewell"][tagalog][0], "instant", "rules")
        greeting = greeting_of(text)
        if greeting is not None:
            kind = f"greeting_{greeting}"
            lines = COURTESIES.get(kind, COURTESIES["greeting"])[tagalog]
            return _reply(lines[0], "instant", "rules")
        tool = use_tool(text, self._now(), "date")
        return _reply(tool["text"], "instant", "rules") if tool is not None else None

    async def _fast(self, text: str, user_id: str | None, limit_ms: float) -> TieredReply | None:
        """Tools, then the cache, then the memory."""
        tool = await use_tool_async(text, self._now())
        if tool is not None:
            return _reply(tool["text"], "fast", "rules", "ok" if tool["ok"] else "cannot")
        limit_s = max(limit_ms / 1000, 0.01)
        key = f"{user_id or ''}:{plain(text)}"[:500]
        try:
            async with asyncio.timeout(limit_s):
                entry = await self.cache.get_entry(CACHE_KIND, key)
                if entry["hit"] and isinstance(entry["value"], str):
                    return _reply(entry["value"], "fast", "cache")
                found = await self.memory.answer_from_memory(text, user_id=user_id)
        except TimeoutError:
            return None
        except CallError as error:
            self.log.warning("fast tier without memory", reason=str(error))
            return None
        if found["answer"] is None or found["confidence"] < SURE_ENOUGH:
            return None
        return _reply(found["answer"], "fast", "retrieval")

    async def _deep(
        self, text: str, session_id: str | None, user_id: str | None, limit_ms: float
    ) -> TieredReply | None:
        """Hand over to ModelOrchestrator, with a word that it takes a moment."""
        await self.publish(
            "responder.thinking",
            {"request_id": new_id("think"), "text": phrase("thinking", guess_language(text))},
        )
        limit_s = max(limit_ms / 1000, 0.05)
        try:
            done = await self.orchestrator.with_options(timeout_s=limit_s).run_task(
                text, session_id=session_id, user_id=user_id
            )
        except CallError as error:
            language = guess_language(text)
            said = phrase("unavailable", language, agent="ModelOrchestrator", reason=error)
            reply = _reply(said, "deep", "none", "failed")
            reply["complete"] = False
            return reply
        reply = _reply(done["text"] or "", "deep", done["backend"], done["status"])
        reply["complete"] = done["status"] == "ok"
        if done["backend"] == "endpoint" and reply["complete"]:
            await self._keep(text, reply["text"])
        return reply

    async def _keep(self, text: str, answer: str) -> None:
        try:
            await self.cache.put_entry(CACHE_KIND, f":{plain(text)}"[:500], answer)
        except CallError as error:
            self.log.warning("answer not cached", reason=str(error))

    def _count(self, reply: TieredReply) -> None:
        tally = self._tallies.setdefault(reply["tier"], _Tally())
        tally.count += 1
        tally.total += reply["ms"]
        tally.longest = max(tally.longest, reply["ms"])
        tally.over += reply["ms"] > self._limit(reply["tier"])


def _reply(text: str, tier: str, backend: str, status: str = "ok") -> TieredReply:
    return TieredReply(text=text, tier=tier, ms=0, complete=True, backend=backend, status=status)


def _checked(tiers: list[Tier]) -> list[Tier]:
    names = [tier["name"] for tier in tiers]
    limits = [tier["limit_ms"] for tier in tiers]
    if names != ["instant", "fast", "deep"]:
        raise BadTiers(f"the tiers are instant, fast and deep, not {', '.join(names)}")
    if limits != sorted(set(limits)):
        raise BadTiers("each tier must be given more time than the one before")
    return list(tiers)
