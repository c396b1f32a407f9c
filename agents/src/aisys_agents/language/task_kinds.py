"""What sort of work a task is: a tool, memory, talk, code, or what only a model can do."""

from __future__ import annotations

import re
from datetime import datetime

from aisys_agents.language.classifier import LinearClassifier
from aisys_agents.language.intents import INTENTS
from aisys_agents.language.patterns import is_question, match_intent
from aisys_agents.text.cues import plain

__all__ = ["KIND_OF_INTENT", "TASK_KINDS", "TaskClassifier"]

KIND_OF_INTENT: dict[str, str] = {
    "greeting": "chat",
    "farewell": "chat",
    "thanks": "chat",
    "how_are_you": "chat",
    "joke": "chat",
    "about_self": "chat",
    "small_talk": "chat",
    "recall": "memory",
    "calculate": "calculate",
    "convert_units": "convert_units",
    "date_question": "date",
    "question": "question",
    "write": "write",
    "code": "code",
    "translate": "translate",
    "web_search": "web_search",
}
TASK_KINDS = frozenset({*KIND_OF_INTENT.values(), "reasoning"})

_REASONING = re.compile(
    r"\b(?:if .+ then|prove|deduce|compare|pros and cons|step by step|reason(?:ing)?|why would|which is better|"
    r"analy[sz]e|evaluate the|decide|solve (?:this|the) (?:puzzle|riddle|problem))\b"
)


class TaskClassifier:
    """Decides by patterns, then by the shipped examples, then by cue words."""

    def __init__(self) -> None:
        examples: dict[str, list[str]] = {}
        for intent in INTENTS:
            kind = KIND_OF_INTENT.get(intent.name)
            if kind is not None:
                examples.setdefault(kind, []).extend(intent.examples)
        self._classifier = LinearClassifier(examples)

    def classify(self, text: str, now: datetime) -> tuple[str, float, str]:
        """The kind, the confidence and the method (`pattern`, `keyword` or `classifier`)."""
        matched = match_intent(text, now)
        if matched is not None and matched[0] in KIND_OF_INTENT:
            return KIND_OF_INTENT[matched[0]], matched[1], "pattern"
        if _REASONING.search(plain(text)):
            return "reasoning", 0.8, "keyword"
        ranked = self._classifier.scores(text)
        if ranked and ranked[0][1] >= 0.35:
            return ranked[0][0], round(ranked[0][1], 3), "classifier"
        if is_question(text):
            return "question", 0.6, "keyword"
        return ("chat", 0.3, "keyword") if not ranked else (*ranked[0], "classifier")
