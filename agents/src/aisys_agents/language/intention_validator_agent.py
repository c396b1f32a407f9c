"""Makes sure the assistant understood, asks when unclear, and asks before anything risky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, method
from aisys.ids import new_id
from aisys_agents.language.nlu_agent import NLUAgent, Utterance
from aisys_agents.language.patterns import is_question
from aisys_agents.language.phrases import phrase
from aisys_agents.language.risk import grade_risk
from aisys_agents.text.cues import guess_language, read_yes_no

__all__ = [
    "ActionConfirmation",
    "IntentionValidatorAgent",
    "NoSuchConfirmation",
    "Resolution",
    "Validation",
    "ValidatorStats",
]

Kind = Literal["question", "command", "request", "clarification", "greeting", "goodbye", "unknown"]

_KIND_OF: dict[str, Kind] = {
    "greeting": "greeting",
    "how_are_you": "greeting",
    "farewell": "goodbye",
    "recall": "question",
    "question": "question",
    "date_question": "question",
    "calculate": "question",
    "convert_units": "question",
    "about_self": "question",
    "list_reminders": "question",
    "list_memories": "question",
    "web_search": "request",
    "translate": "request",
    "write": "request",
    "code": "request",
    "joke": "request",
    "remember": "command",
    "forget": "command",
    "reminder": "command",
    "cancel_reminder": "command",
    "snooze": "command",
    "command": "command",
    "stop": "command",
    "confirm": "clarification",
    "deny": "clarification",
}
# What an intent cannot do without, and how to ask for it.
_NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "remember": (("content", "ask_content"),),
    "reminder": (("time", "ask_time"),),
}
HIGH, LOW = 0.75, 0.35
MAX_PENDING = 1_000


class NoSuchConfirmation(AgentError):
    """The confirmation is unknown, was answered already, or has lapsed."""

    code: ClassVar[str] = "no_such_confirmation"


class Validation(TypedDict):
    """What kind of utterance it was, and the question to ask when something is missing."""

    kind: Kind
    confidence: str
    entities: dict[str, Any]
    needs_clarification: bool
    question: str | None


class ActionConfirmation(TypedDict):
    """How risky an action is, and the are-you-sure to ask with its id."""

    needs_confirmation: bool
    risk: str
    prompt: str | None
    confirm_id: str | None


class Resolution(TypedDict):
    """Whether the reply was understood, and whether it was a yes."""

    approved: bool
    understood: bool


class ValidatorStats(TypedDict):
    """How often which kind came, and the share that had to be asked back."""

    counts: dict[str, int]
    unclear_share: float


@dataclass(frozen=True, slots=True)
class _Pending:
    action: str
    user_id: str | None
    lapses_at: float


class IntentionValidatorAgent(Agent):
    """Judges utterances by cues and a risk table; what it asked lapses after a while and at a restart."""

    nlu: NLUAgent

    class Config(Agent.Config):
        """Settings.

        Attributes:
            confirm_s: how long a confirmation may be answered, in seconds.
            ask_from: the risk from which on the person is asked: `low`, `medium` or `high`.
        """

        confirm_s: float = Field(default=120.0, gt=0)
        ask_from: Literal["low", "medium", "high"] = "medium"

    async def on_start(self) -> None:
        """Begin with nothing asked."""
        self._pending: dict[str, _Pending] = {}
        self._counts: dict[str, int] = {}
        self._unclear = 0

    @method(timeout_s=5, priority=50)
    async def validate_intention(
        self,
        text: Utterance,
        intent: str | None = None,
        confidence: float | None = None,
        context: dict[str, Any] | None = None,
    ) -> Validation:
        """Question, command, request, clarification, greeting, goodbye or unknown; and what is missing.

        Args:
            text: what was said.
            intent: the intent, if NLUAgent was asked already.
            confidence: how sure that is, 0 to 1.
            context: `entities` (list) and `language`, if known; else NLUAgent is asked.
        """
        known = dict(context or {})
        if intent is None or "entities" not in known:
            analysis = await self.nlu.analyze_text(text)
            intent = intent or analysis["intent"]
            confidence = analysis["confidence"] if confidence is None else confidence
            known.setdefault("entities", analysis["entities"])
            known.setdefault("language", analysis["language"])
        sure = 1.0 if confidence is None else confidence
        grouped = _grouped(known["entities"])
        kind = _KIND_OF.get(intent, "unknown")
        if kind == "unknown":
            kind = "question" if is_question(text) else ("request" if intent != "unknown" else kind)
        language = str(known.get("language") or guess_language(text))
        question = self._question(text, intent, grouped, language)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._unclear += question is not None
        level = "high" if sure >= HIGH else "medium" if sure >= LOW else "low"
        await self.publish(
            "intent.validated",
            {
                "text": text,
                "intent": intent,
                "kind": kind,
                "confidence": level,
                "needs_clarification": question is not None,
            },
        )
        return Validation(
            kind=kind,
            confidence=level,
            entities=grouped,
            needs_clarification=question is not None,
            question=question,
        )

    @method(timeout_s=5)
    async def confirm_action(
        self,
        action: str,
        target: str | None = None,
        user_id: str | None = None,
        language: str | None = None,
    ) -> ActionConfirmation:
        """Grade the risk of an action and word the are-you-sure, in a language or that of the action."""
        risk = grade_risk(action, target)
        order = ("none", "low", "medium", "high")
        if order.index(risk) < order.index(self.config.ask_from):
            return ActionConfirmation(
                needs_confirmation=False, risk=risk, prompt=None, confirm_id=None
            )
        self._lapse()
        if len(self._pending) >= MAX_PENDING:
            # The oldest lapses early: an unanswered question must never read as a yes.
            del self._pending[next(iter(self._pending))]
        confirm_id = new_id("confirm")
        lapses_at = self.clock.monotonic() + self.config.confirm_s
        self._pending[confirm_id] = _Pending(action, user_id, lapses_at)
        what = f"{action} {target}" if target else action
        prompt = phrase(f"confirm_{risk}", language or guess_language(action), action=what)
        return ActionConfirmation(
            needs_confirmation=True, risk=risk, prompt=prompt, confirm_id=confirm_id
        )

    @method(timeout_s=5)
    async def resolve_confirmation(self, confirm_id: str, reply: str) -> Resolution:
        """Read the yes or no, in English or Tagalog; an unclear reply leaves the question open.

        Raises:
            NoSuchConfirmation: unknown, answered, or lapsed.
        """
        self._lapse()
        if confirm_id not in self._pending:
            raise NoSuchConfirmation(
                f"no open confirmation {confirm_id!r}: it lapses after {self.config.confirm_s:g} s"
            )
        meaning = read_yes_no(reply)
        if meaning == "unclear":
            return Resolution(approved=False, understood=False)
        del self._pending[confirm_id]
        return Resolution(approved=meaning == "yes", understood=True)

    @method(timeout_s=5, idempotent=True)
    async def get_stats(self) -> ValidatorStats:
        """How often people had to be asked."""
        total = sum(self._counts.values())
        return ValidatorStats(
            counts=dict(self._counts), unclear_share=self._unclear / total if total else 0.0
        )

    def _question(
        self, text: str, intent: str, entities: dict[str, Any], language: str
    ) -> str | None:
        """What to ask back, or None when nothing is missing."""
        for kind, name in _NEEDS.get(intent, ()):
            missing = kind not in entities and not (kind == "time" and "duration" in entities)
            if missing:
                return phrase(name, language)
        if intent == "unknown" and not text.strip():
            return phrase("ask_nothing", language)
        return None

    def _lapse(self) -> None:
        now = self.clock.monotonic()
        for key in [key for key, open_ in self._pending.items() if open_.lapses_at <= now]:
            del self._pending[key]


def _grouped(entities: list[Any]) -> dict[str, Any]:
    """Entities by kind: a single value as it is, several as a list."""
    grouped: dict[str, Any] = {}
    for entity in entities:
        kind, value = entity["kind"], entity["value"]
        if kind not in grouped:
            grouped[kind] = value
        elif isinstance(grouped[kind], list):
            grouped[kind].append(value)
        else:
            grouped[kind] = [grouped[kind], value]
    return grouped
