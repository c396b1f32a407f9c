"""Finds the intent and the entities in a sentence."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, method
from aisys_agents.language.classifier import LinearClassifier
from aisys_agents.language.entities import (
    KINDS,
    Entity,
    content_to_keep,
    content_to_remind,
    find_entities,
    topic_of,
)
from aisys_agents.language.intents import INTENTS, served_by
from aisys_agents.language.patterns import is_deliberate, is_question, match_intent
from aisys_agents.text.cues import guess_language, plain
from aisys_agents.text.now import local_now

__all__ = [
    "Alternative",
    "Analysis",
    "EntitiesFound",
    "ExamplesAdded",
    "IntentInfo",
    "IntentsListed",
    "NLUAgent",
    "UnknownEntityKind",
    "Utterance",
]

Utterance = Annotated[str, Field(max_length=20_000)]
"""What somebody said or typed."""

IntentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]

SURE = 0.35
UNKNOWN_BELOW = 0.15
MAX_TAUGHT = 5_000
_EXAMPLES_KEY = "examples"


class UnknownEntityKind(AgentError):
    """No such kind of entity."""

    code: ClassVar[str] = "unknown_entity_kind"


class TooManyExamples(AgentError):
    """More examples than the agent keeps."""

    code: ClassVar[str] = "too_many_examples"


class Alternative(TypedDict):
    """Another intent it could have been."""

    intent: str
    confidence: float


class Analysis(TypedDict):
    """What a sentence means. `backend` is `rules` throughout; `method` says `pattern` or `classifier`."""

    intent: str
    confidence: float
    entities: list[Entity]
    language: str
    alternatives: list[Alternative]
    agent: str
    method: str
    backend: str


class EntitiesFound(TypedDict):
    """The entities of a sentence."""

    entities: list[Entity]


class IntentInfo(TypedDict):
    """An intent with its examples and the agent that serves it."""

    intent: str
    agent: str
    examples: list[str]
    taught: int


class IntentsListed(TypedDict):
    """Every known intent."""

    intents: list[IntentInfo]


class ExamplesAdded(TypedDict):
    """The version of the classifier and the number of examples it now rests on."""

    version: int
    examples: int


class NLUAgent(Agent):
    """Understands English, Tagalog and both mixed, with patterns first and a small classifier behind them.

    Sentences taught with `add_examples` are kept; they count for more than the shipped patterns when they are
    said in the same words.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            timezone: IANA name of the zone that times are meant in; the computer's own when empty.
        """

        timezone: str = ""

    async def on_start(self) -> None:
        """Read what was taught and train the classifier."""
        local_now(self.clock.time(), self.config.timezone)
        stored = await self.state.get(_EXAMPLES_KEY, default={})
        self._taught: dict[str, list[str]] = {name: list(texts) for name, texts in stored.items()}
        self._version = 0
        self._train()

    @method(timeout_s=5, priority=50, idempotent=True)
    async def analyze_text(self, text: Utterance, language: str | None = None) -> Analysis:
        """Find the intent, the entities and the language of a sentence.

        Args:
            text: what was said.
            language: `en`, `tl` or `mixed` if it is known already.
        """
        now = local_now(self.clock.time(), self.config.timezone)
        intent, confidence, method_used, alternatives = self._intent(text)
        entities = find_entities(text, now)
        if intent == "remember":
            content = content_to_keep(text)
            if content:
                topic = topic_of(content)
                entities.append(Entity(kind="content", value=content, text=content))
                entities.append(Entity(kind="topic", value=topic, text=topic))
        elif intent == "reminder":
            content = content_to_remind(text, now)
            if content:
                entities.append(Entity(kind="content", value=content, text=content))
        elif intent in {"recall", "forget"}:
            topic = topic_of(text)
            entities.append(Entity(kind="topic", value=topic, text=topic))
        return Analysis(
            intent=intent,
            confidence=round(confidence, 3),
            entities=entities,
            language=language or guess_language(text),
            alternatives=alternatives,
            agent=served_by(intent),
            method=method_used,
            backend="rules",
        )

    @method(timeout_s=5, idempotent=True)
    async def extract_entities(
        self, text: Utterance, kinds: list[str] | None = None
    ) -> EntitiesFound:
        """Numbers, times, durations, names, places, file names, expressions, phones, addresses.

        Raises:
            UnknownEntityKind: one of `kinds` is not known.
        """
        unknown = sorted(set(kinds or ()) - set(KINDS))
        if unknown:
            raise UnknownEntityKind(
                f"no such kind: {', '.join(unknown)}; known: {', '.join(KINDS)}"
            )
        now = local_now(self.clock.time(), self.config.timezone)
        return EntitiesFound(entities=find_entities(text, now, kinds))

    @method(timeout_s=5, idempotent=True)
    async def list_intents(self) -> IntentsListed:
        """Every intent with its examples and the agent that serves it."""
        shipped = {intent.name: list(intent.examples) for intent in INTENTS}
        names = [*shipped, *(name for name in self._taught if name not in shipped)]
        return IntentsListed(
            intents=[
                IntentInfo(
                    intent=name,
                    agent=served_by(name),
                    examples=shipped.get(name, []) + self._taught.get(name, []),
                    taught=len(self._taught.get(name, [])),
                )
                for name in names
            ]
        )

    @method(timeout_s=10, idempotent=True)
    async def add_examples(
        self,
        intent: IntentName,
        examples: Annotated[list[str], Field(min_length=1, max_length=500)],
    ) -> ExamplesAdded:
        """Teach an intent; takes effect at once and is kept.

        Raises:
            TooManyExamples: the agent keeps that many examples already.
        """
        known = self._taught.get(intent, [])
        fresh = [
            text for text in dict.fromkeys(map(str.strip, examples)) if text and text not in known
        ]
        if sum(map(len, self._taught.values())) + len(fresh) > MAX_TAUGHT:
            raise TooManyExamples(f"{MAX_TAUGHT} taught examples are the most that are kept")
        taught = {**self._taught, intent: known + fresh}
        await self.state.set(_EXAMPLES_KEY, taught)
        self._taught = taught
        self._train()
        return ExamplesAdded(version=self._version, examples=self._examples)

    def _train(self) -> None:
        sentences = {intent.name: list(intent.examples) for intent in INTENTS}
        for name, texts in self._taught.items():
            sentences[name] = sentences.get(name, []) + texts
        self._exact = {plain(text): name for name, texts in self._taught.items() for text in texts}
        self._examples = sum(map(len, sentences.values()))
        self._classifier = LinearClassifier(sentences)
        self._version += 1

    def _intent(self, text: str) -> tuple[str, float, str, list[Alternative]]:
        ranked = self._classifier.scores(text)
        alternatives = [
            Alternative(intent=name, confidence=round(share, 3)) for name, share in ranked[:4]
        ]
        taught = self._exact.get(plain(text))
        now = local_now(self.clock.time(), self.config.timezone)
        matched = (taught, 1.0) if taught is not None else match_intent(text, now)
        if matched is not None:
            others = [other for other in alternatives if other["intent"] != matched[0]]
            return *matched, "taught" if taught else "pattern", others[:3]
        if not ranked:
            return "unknown", 0.0, "classifier", []
        name, share = ranked[0]
        if not is_deliberate(name, text):
            # What sounds like a command about something known is rather a question about it.
            name = "recall" if name == "forget" else self._harmless(ranked, text)
        if name == "remember" and is_question(text):
            name = "recall"
        if share < SURE and is_question(text) and len(text.split()) > 1:
            return "question", 0.6, "pattern", alternatives[:3]
        if share < UNKNOWN_BELOW or not self._classifier.knows(text):
            return "unknown", share, "classifier", alternatives[:3]
        return name, share, "classifier", alternatives[1:4]

    def _harmless(self, ranked: list[tuple[str, float]], text: str) -> str:
        return next((name for name, _ in ranked if is_deliberate(name, text)), "unknown")
