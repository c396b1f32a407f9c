"""What kinds of request there are, by weighted keywords and patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aisys_agents.text.arithmetic import find_expression
from aisys_agents.text.cues import is_farewell, is_greeting, is_thanks, plain

__all__ = ["AGENT_OF", "CAPABILITIES", "KINDS", "Rule", "classify"]

# The order settles ties.
KINDS = ("code", "maths", "reasoning", "creative", "factual", "chat", "general")

CAPABILITIES: dict[str, tuple[str, ...]] = {
    "code": ("code_generation",),
    "maths": ("arithmetic", "unit_conversion"),
    "reasoning": ("reasoning", "text_generation"),
    "creative": ("text_generation",),
    "factual": ("memory_search", "knowledge"),
    "chat": ("small_talk",),
    "general": ("text_generation",),
}

# Each kind's agents, best first; the first that is part of the fleet gets the request.
AGENT_OF: dict[str, tuple[str, ...]] = {
    "code": ("CodeGenerator", "ModelOrchestrator"),
    "maths": ("ModelOrchestrator",),
    "reasoning": ("ChainOfThoughtAgent", "ModelOrchestrator"),
    "creative": ("ModelOrchestrator",),
    "factual": ("UnifiedMemoryReasoningAgent", "KnowledgeBase"),
    "chat": ("ChitchatAgent",),
    "general": ("ModelOrchestrator",),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that speaks for a kind, with its weight."""

    kind: str
    pattern: str
    weight: float = 1.0

    def compiled(self) -> re.Pattern[str]:
        """The pattern, ready to search lower-case text."""
        return re.compile(self.pattern, re.IGNORECASE)


RULES: tuple[Rule, ...] = (
    Rule("code", r"```", 3.0),
    Rule("code", r"\b(?:python|javascript|java|bash|sql|rust|html|css|regex|c\+\+)\b", 2.0),
    Rule("code", r"\b(?:function|script|code|program|bug|debug|compile|class|api|refactor)\b", 1.0),
    Rule(
        "maths", r"\b(?:calculate|compute|sum|percent|square root|multiply|divide|kwentahin)\b", 2.0
    ),
    Rule(
        "maths", r"\b(?:convert|kilomet(?:er|re)s?|miles?|kilos?|pounds?|celsius|fahrenheit)\b", 1.5
    ),
    Rule(
        "reasoning",
        r"\b(?:why|bakit|prove|deduce|compare|pros and cons|step by step|analy[sz]e)\b",
        1.5,
    ),
    Rule("reasoning", r"\b(?:if .+ then|should i|which is better|explain|ipaliwanag|paano)\b", 1.5),
    Rule("creative", r"\b(?:write|compose|draft|sumulat|gumawa)\b", 1.0),
    Rule("creative", r"\b(?:poem|story|song|haiku|essay|speech|tula|kwento|kanta|sulat)\b", 2.0),
    Rule("factual", r"\b(?:who|when|where|which|what is|what are|sino|kailan|saan|ano ang)\b", 1.0),
    Rule("factual", r"\b(?:capital|born|invented|population|meaning|definition|kabisera)\b", 1.0),
    Rule("chat", r"\b(?:hello|hi|how are you|joke|bored|sad|happy|kumusta|salamat|biro)\b", 1.5),
)


def classify(text: str, rules: list[Rule]) -> tuple[str, float, list[str]]:
    """The kind, the confidence from its margin, and what matched.

    Args:
        text: the request.
        rules: the rules to go by.
    """
    scores = dict.fromkeys(KINDS, 0.0)
    matched: list[str] = []
    # A longer text is cut: patterns that people added may be slow on it.
    flat = plain(text[:4000])
    for rule in rules:
        found = rule.compiled().search(flat)
        if found is not None:
            scores[rule.kind] = scores.get(rule.kind, 0.0) + rule.weight
            matched.append(f"{rule.kind}: {found.group()}")
    if find_expression(text) is not None:
        scores["maths"] += 2.5
        matched.append("maths: an expression")
    if is_greeting(text) or is_thanks(text) or is_farewell(text):
        scores["chat"] += 3.0
        matched.append("chat: a courtesy")
    order = [*KINDS, *(kind for kind in scores if kind not in KINDS)]
    ranked = sorted(order, key=lambda kind: (-scores[kind], order.index(kind)))
    best, second = scores[ranked[0]], scores[ranked[1]]
    if best == 0.0:
        return "general", 0.3, []
    return ranked[0], round(0.5 + 0.5 * (best - second) / best, 3), matched
