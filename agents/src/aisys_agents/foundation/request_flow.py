"""The way of one request: understood, checked, served by its intent, remembered, delivered."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aisys.clock import Clock
from aisys.errors import CallError
from aisys_agents.foundation.breakers import Breakers
from aisys_agents.foundation.request_book import Request
from aisys_agents.language.entities import Entity
from aisys_agents.language.phrases import phrase
from aisys_agents.text.cues import guess_language

if TYPE_CHECKING:
    from aisys.logs import Logger
    from aisys_agents.context.context_manager import ContextManager
    from aisys_agents.context.unified_memory_reasoning_agent import UnifiedMemoryReasoningAgent
    from aisys_agents.language.chitchat_agent import ChitchatAgent
    from aisys_agents.language.intention_validator_agent import IntentionValidatorAgent
    from aisys_agents.language.model_orchestrator import ModelOrchestrator
    from aisys_agents.language.nlu_agent import Analysis, NLUAgent
    from aisys_agents.language.responder import Responder
    from aisys_agents.memory.knowledge_base import KnowledgeBase
    from aisys_agents.memory.memory_client import MemoryClient
    from aisys_agents.memory.session_memory_agent import SessionMemoryAgent
    from aisys_agents.proactive.proactive_agent import ProactiveAgent

__all__ = ["OpenQuestion", "Outcome", "Peers", "RequestFlow", "Turn", "gathered"]

_T = TypeVar("_T")

MAX_OPEN_QUESTIONS = 1_000


class Peers(Protocol):
    """The agents that a request passes through."""

    nlu: NLUAgent
    validator: IntentionValidatorAgent
    orchestrator: ModelOrchestrator
    chitchat: ChitchatAgent
    knowledge: KnowledgeBase
    memory: MemoryClient
    sessions: SessionMemoryAgent
    reasoning: UnifiedMemoryReasoningAgent
    working_context: ContextManager
    proactive: ProactiveAgent
    responder: Responder
    clock: Clock
    log: Logger

    def has_peer(self, agent: str) -> bool:
        """Whether the fleet has this agent, rather than only planning it."""
        ...


@dataclass(slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        text: the answer.
        ok: whether the request was served; an honest "nothing found" is.
        status: `ok`, `needs_model`, `not_found`, `needs_clarification`, `not_built`, `failed`, ….
        agent: who served it.
        backend: where the text comes from.
        data: details for programs.
        notes: what could not be reached or done on the way.
    """

    text: str
    ok: bool = True
    status: str = "ok"
    agent: str = ""
    backend: str = "rules"
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Turn:
    """One request on its way, with what is known about it by now."""

    request: Request
    text: str
    session_id: str
    intent: str = "unknown"
    confidence: float = 0.0
    language: str = "en"
    agent: str = ""
    entities: list[Entity] = field(default_factory=list)
    dropped_question: bool = False

    def entity(self, kind: str) -> Entity | None:
        """The first entity of a kind."""
        return next((entity for entity in self.entities if entity["kind"] == kind), None)

    def say(self, name: str, **values: object) -> str:
        """A phrase in the language of the person."""
        return phrase(name, self.language, **values)


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """What the assistant asked last in a conversation: for something missing, or for a yes."""

    kind: str
    text: str
    intent: str
    lapses_at: float
    confirm_id: str = ""
    payload: dict[str, Any] = field(default_factory=dict)


class RequestFlow:
    """Takes requests through the agents.

    Args:
        peers: the agents.
        breakers: one for each of them.
        remote_timeout_s: limit of calls whose answer can be done without.
        record_timeout_s: limit of recording a turn; longer, for what is cut off is not recorded.
        question_s: how long something asked waits for its answer.
        memory_machine: where the memory store is, for people to read.
    """

    def __init__(
        self,
        peers: Peers,
        breakers: Breakers,
        *,
        remote_timeout_s: float,
        record_timeout_s: float,
        question_s: float,
        memory_machine: str,
    ) -> None:
        # Imported here: the services need this module's names.
        from aisys_agents.foundation.request_services import Services

        self.peers = peers
        self.breakers = breakers
        self.remote_timeout_s = remote_timeout_s
        self.record_timeout_s = record_timeout_s
        self.question_s = question_s
        self.memory_machine = memory_machine
        self.questions: OrderedDict[str, OpenQuestion] = OrderedDict()
        self._known_sessions: OrderedDict[str, None] = OrderedDict()
        self._services = Services(self)

    async def guard(self, agent: str, call: Awaitable[_T]) -> _T:
        """A call through the breaker of its agent."""
        return await self.breakers.guard(agent, call)

    async def run(self, request: Request) -> Outcome:
        """Serve a request and deliver its answer.

        Raises:
            CallError: an agent that cannot be done without did not answer.
        """
        turn = Turn(request, request.data, request.session_id or f"session-{request.user_id}")
        said = request.context.get("say")
        if isinstance(said, str):
            turn.language = str(request.context.get("language") or guess_language(said))
            turn.intent, turn.agent = "announcement", "ProactiveAgent"
            outcome = Outcome(said, agent="ProactiveAgent")
            outcome.data["reminder_id"] = request.context.get("reminder_id")
        else:
            outcome = await self._answer(turn)
        outcome.data.setdefault("session_id", turn.session_id)
        # At once: the answer does not wait for the conversation to be on the disk of another machine.
        await asyncio.gather(
            self._remember_turns(turn, outcome, announced=isinstance(said, str)),
            self._deliver(turn, outcome),
        )
        self._describe(turn, outcome)
        return outcome

    def ask_back(self, turn: Turn, question: OpenQuestion) -> None:
        """Keep what was asked, so that the next utterance can answer it."""
        self.questions.pop(turn.session_id, None)
        self.questions[turn.session_id] = question
        while len(self.questions) > MAX_OPEN_QUESTIONS:
            self.questions.popitem(last=False)

    def lapse(self) -> float:
        """The moment at which a question asked now lapses."""
        return self.peers.clock.monotonic() + self.question_s

    async def _answer(self, turn: Turn) -> Outcome:
        question = self._open_question(turn)
        if question is not None and question.kind == "missing":
            # "Remind me to call Ana" — "When?" — "at six": the answer completes the request.
            combined = await self._analysed(turn, f"{question.text} {turn.text}", question.intent)
            if combined is not None:
                return combined
        await self._analyse(turn, turn.text)
        if (
            question is not None
            and question.kind == "confirm"
            and turn.intent in {"confirm", "deny", "stop"}
        ):
            return await self._services.confirmed(turn, question)
        turn.dropped_question = question is not None
        return await self._validated(turn)

    async def _analysed(self, turn: Turn, text: str, intent: str) -> Outcome | None:
        """Serve a completed request, or None when the utterance was about something else."""
        alone = await self.guard("NLUAgent", self.peers.nlu.analyze_text(turn.text))
        if _stands_alone(turn.text, alone, intent):
            return None
        await self._analyse(turn, text)
        if turn.intent != intent:
            return None
        return await self._validated(turn)

    def _open_question(self, turn: Turn) -> OpenQuestion | None:
        question = self.questions.pop(turn.session_id, None)
        if question is None or question.lapses_at <= self.peers.clock.monotonic():
            return None
        return question

    async def _analyse(self, turn: Turn, text: str) -> None:
        known = turn.request.context.get("language")
        found = await self.guard(
            "NLUAgent", self.peers.nlu.analyze_text(text, language=known or None)
        )
        turn.text = text
        turn.intent = found["intent"]
        turn.confidence = found["confidence"]
        turn.language = found["language"]
        turn.entities = found["entities"]
        turn.agent = found["agent"]

    async def _validated(self, turn: Turn) -> Outcome:
        try:
            checked = await self.guard(
                "IntentionValidatorAgent",
                self.peers.validator.validate_intention(
                    turn.text,
                    intent=turn.intent,
                    confidence=turn.confidence,
                    context={"entities": turn.entities, "language": turn.language},
                ),
            )
        except CallError as error:
            # Without the validator the request is served unchecked; nothing risky passes: see `forget`.
            outcome = await self._services.serve(turn)
            outcome.notes.append(f"not checked: IntentionValidatorAgent did not answer ({error})")
            return outcome
        if checked["needs_clarification"] and checked["question"]:
            self.ask_back(turn, OpenQuestion("missing", turn.text, turn.intent, self.lapse()))
            return Outcome(
                checked["question"], status="needs_clarification", agent="IntentionValidatorAgent"
            )
        return await self._services.serve(turn)

    async def _remember_turns(self, turn: Turn, outcome: Outcome, *, announced: bool) -> None:
        """Put both sides into the conversation; an answer is not held back by a memory that is away."""
        sessions = self.peers.sessions.with_options(timeout_s=self.record_timeout_s)
        user = turn.request.user_id
        meta = {"request_id": turn.request.request_id, "intent": turn.intent}
        try:
            if turn.session_id not in self._known_sessions:
                await self.guard(
                    "SessionMemoryAgent",
                    sessions.create_session(user_id=user, session_id=turn.session_id),
                )
                self._known_sessions[turn.session_id] = None
                while len(self._known_sessions) > 1_000:
                    self._known_sessions.popitem(last=False)
            if not announced and turn.request.data:
                call = sessions.add_turn(turn.session_id, "user", turn.request.data, meta)
                await self.guard("SessionMemoryAgent", call)
            call = sessions.add_turn(turn.session_id, "assistant", outcome.text, meta)
            await self.guard("SessionMemoryAgent", call)
        except CallError as error:
            self._known_sessions.pop(turn.session_id, None)
            outcome.notes.append(f"the conversation was not recorded: {error}")

    async def _deliver(self, turn: Turn, outcome: Outcome) -> None:
        channels = turn.request.context.get("channels")
        language = "tl" if turn.language == "mixed" else turn.language
        try:
            delivered = await self.guard(
                "Responder",
                self.peers.responder.respond(
                    outcome.text,
                    user_id=turn.request.user_id,
                    language=language,
                    channels=channels if isinstance(channels, list) else None,
                    request_id=turn.request.request_id,
                ),
            )
        except CallError as error:
            outcome.notes.append(f"not delivered by Responder: {error}")
            outcome.data["spoken"] = False
            return
        outcome.data["spoken"] = delivered["spoken"]
        outcome.data["utterance_id"] = delivered["utterance_id"]
        outcome.notes.extend(delivered["notes"])

    def _describe(self, turn: Turn, outcome: Outcome) -> None:
        outcome.data.update(
            status=outcome.status,
            backend=outcome.backend,
            agent=outcome.agent or turn.agent,
            intent=turn.intent,
            confidence=turn.confidence,
            language=turn.language,
            notes=outcome.notes,
        )


_BARE = re.compile(r"\b(?:timer|alarm|wake|gisingin)\b")


def _stands_alone(text: str, found: Analysis, intent: str) -> bool:
    """Whether an utterance is a request of its own rather than the answer to what was asked for an intent."""
    sure = found["method"] != "classifier" and found["confidence"] >= 0.85
    if found["intent"] != intent:
        expected = {"unknown", "date_question", "small_talk"}
        return found["intent"] not in expected and (sure or found["confidence"] >= 0.9)
    if intent in {"reminder", "remember"}:
        # "Remind me at six" may well be the answer; a timer needs nothing to be reminded of.
        has_content = any(entity["kind"] == "content" for entity in found["entities"])
        return sure and (has_content or _BARE.search(text.lower()) is not None)
    return sure


async def gathered(*calls: Awaitable[Any]) -> list[Any]:
    """The results of calls made at once; a call that failed gives its `CallError`.

    Raises:
        BaseException: whatever else a call raised.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, CallError):
            raise result
    return list(results)
