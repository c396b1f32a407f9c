"""Classifies a request and names the skills and the agent it needs."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, method, subscribe
from aisys.errors import CallError
from aisys_agents.foundation.service_registry import ServiceRegistry
from aisys_agents.language.nlu_agent import Utterance
from aisys_agents.routing.rules import AGENT_OF, CAPABILITIES, RULES, Rule, classify

__all__ = ["AdvancedRouter", "BadRule", "Capabilities", "Route", "RouterStats", "RuleAdded"]

MAX_RULES = 1_000
_RULES_KEY = "rules"


class BadRule(AgentError):
    """The pattern is no regular expression, could take too long, or there are too many rules."""

    code: ClassVar[str] = "bad_rule"


class Route(TypedDict):
    """What sort of request it is, the skills it needs, and who should have it."""

    kind: str
    capabilities: list[str]
    agent: str
    confidence: float
    matched: list[str]


class Capabilities(TypedDict):
    """The skills that a kind needs, and who has them, most trusted first."""

    capabilities: list[str]
    agents: list[dict[str, Any]]


class RuleAdded(TypedDict):
    """How many rules there are now."""

    rules: int


class RouterStats(TypedDict):
    """What has been asked."""

    counts: dict[str, int]
    total: int


class AdvancedRouter(Agent):
    """Routes by weighted keywords and patterns; rules that were added are kept."""

    registry: ServiceRegistry

    async def on_start(self) -> None:
        """Read the added rules."""
        kept = await self.state.get(_RULES_KEY, default=[])
        self._added = [Rule(**entry) for entry in kept]
        self._counts: dict[str, int] = {}
        self._trust: dict[str, float] = {}

    @method(timeout_s=5, idempotent=True)
    async def route_task(self, text: Utterance, context: dict[str, Any] | None = None) -> Route:
        """Code, maths, reasoning, creative, factual, chat or general; and who should have it.

        Args:
            text: the request.
            context: `avoid`, a list of agents that should not be named.
        """
        kind, confidence, matched = classify(text, [*RULES, *self._added])
        self._counts[kind] = self._counts.get(kind, 0) + 1
        avoid = set((context or {}).get("avoid") or ())
        return Route(
            kind=kind,
            capabilities=list(CAPABILITIES.get(kind, ("text_generation",))),
            agent=self._agent(kind, avoid),
            confidence=confidence,
            matched=matched,
        )

    @method(timeout_s=10, idempotent=True)
    async def get_capabilities(self, kind: str) -> Capabilities:
        """The skills that a kind needs and who has them: those of the registry, then the fixed ones."""
        skills = list(CAPABILITIES.get(kind, ()))
        agents: dict[str, dict[str, Any]] = {}
        for skill in skills:
            try:
                found = await self.registry.with_options(timeout_s=3).find_by_capability(skill)
            except CallError as error:
                self.log.warning("registry not asked", reason=str(error))
                break
            for entry in found["agents"]:
                name = str(entry.get("agent", ""))
                agents[name] = {
                    "agent": name,
                    "capability": skill,
                    "trust": self._trust.get(name, 0.5),
                }
        for name in AGENT_OF.get(kind, ()):
            if name not in agents and self.has_peer(name):
                agents[name] = {
                    "agent": name,
                    "capability": "",
                    "trust": self._trust.get(name, 0.5),
                }
        ranked = sorted(agents.values(), key=lambda entry: -entry["trust"])
        return Capabilities(capabilities=skills, agents=ranked)

    @method(timeout_s=5)
    async def add_rule(
        self,
        kind: Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,30}$")],
        pattern: Annotated[str, Field(min_length=1, max_length=200)],
        weight: Annotated[float, Field(gt=0, le=10)] = 1.0,
    ) -> RuleAdded:
        """Extend the rules; the same pattern for the same kind replaces its weight.

        Raises:
            BadRule: not a regular expression, or one with nested repetition, or too many rules.
        """
        try:
            re.compile(pattern)
        except re.error as error:
            raise BadRule(f"{pattern!r} is not a regular expression: {error}") from None
        if re.search(r"[*+}]\)?[*+{]|\([^)]*[*+][^)]*\)[*+{]", pattern):
            raise BadRule(f"{pattern!r} repeats a repetition, which can take for ever")
        others = [r for r in self._added if (r.kind, r.pattern) != (kind, pattern)]
        if len(others) >= MAX_RULES:
            raise BadRule(f"{MAX_RULES} added rules are the most that are kept")
        added = [*others, Rule(kind, pattern, weight)]
        await self.state.set(
            _RULES_KEY, [{"kind": r.kind, "pattern": r.pattern, "weight": r.weight} for r in added]
        )
        self._added = added
        return RuleAdded(rules=len(RULES) + len(added))

    @method(timeout_s=5, idempotent=True)
    async def get_stats(self) -> RouterStats:
        """What has been asked since the start."""
        return RouterStats(counts=dict(self._counts), total=sum(self._counts.values()))

    @subscribe("trust.changed")
    async def on_trust(self, event: dict[str, Any]) -> None:
        """Keep how far an agent is trusted."""
        name, score = event.get("agent"), event.get("score")
        if isinstance(name, str) and isinstance(score, int | float):
            self._trust[name] = float(score)

    @subscribe("registry.changed")
    async def on_registry(self, event: dict[str, Any]) -> None:
        """An agent that is gone is not trusted from before when it returns."""
        if event.get("change") in {"removed", "expired"}:
            self._trust.pop(str(event.get("agent", "")), None)

    def _agent(self, kind: str, avoid: set[str]) -> str:
        wanted = AGENT_OF.get(kind, AGENT_OF["general"])
        ranked = sorted(wanted, key=lambda name: -self._trust.get(name, 0.5))
        for name in ranked:
            if name not in avoid and self.has_peer(name):
                return name
        return wanted[-1]
