"""The front door: accepts requests, ranks them, and follows each through to its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field

from aisys import Agent, AgentError, Refused, method, subscribe, tracing
from aisys.ids import new_id
from aisys.queue import PriorityQueue
from aisys_agents.context.context_manager import ContextManager
from aisys_agents.context.unified_memory_reasoning_agent import UnifiedMemoryReasoningAgent
from aisys_agents.foundation.breakers import Breakers
from aisys_agents.foundation.request_book import Request, RequestBook, priority_of
from aisys_agents.foundation.request_flow import Outcome, RequestFlow
from aisys_agents.foundation.request_models import (
    Accepted,
    AnswerPiece,
    BreakersListed,
    Cancelled,
    Kind,
    KindUnavailable,
    QueueStatus,
    RequestResult,
    SuggestionTaken,
    Urgency,
    UserId,
    checked_text,
)
from aisys_agents.language.chitchat_agent import ChitchatAgent
from aisys_agents.language.intention_validator_agent import IntentionValidatorAgent
from aisys_agents.language.model_orchestrator import ModelOrchestrator
from aisys_agents.language.nlu_agent import NLUAgent
from aisys_agents.language.responder import Responder
from aisys_agents.memory.knowledge_base import KnowledgeBase
from aisys_agents.memory.memory_client import MemoryClient
from aisys_agents.memory.session_memory_agent import SessionMemoryAgent
from aisys_agents.proactive.proactive_agent import ProactiveAgent

__all__ = ["RequestCoordinator"]

MAX_WAIT_S = 110.0
MAX_SUGGESTIONS = 50
MAX_ATTEMPTS = 3


class RequestCoordinator(Agent):
    """Accepts, ranks and follows requests.

    An accepted request is kept until it is answered: after a restart it comes back, or fails openly when it was
    being served twice already. Suggestions and finished results are not kept.
    """

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

    class Config(Agent.Config):
        """Settings.

        Attributes:
            queue_size: how many requests may wait; more are refused with reason `full`.
            workers: how many are served at once.
            request_timeout_s: limit for serving one.
            remote_timeout_s: limit for calls whose answer can be done without.
            record_timeout_s: limit for recording a turn of the conversation.
            breaker_failures: failures in a row after which an agent is left alone.
            breaker_rest_s: for how long.
            question_s: how long something asked back waits for its answer.
            memory_machine: where the memory store is, for people to read.
        """

        queue_size: int = Field(default=100, ge=1, le=100_000)
        workers: int = Field(default=4, ge=1, le=64)
        request_timeout_s: float = Field(default=120.0, gt=0)
        remote_timeout_s: float = Field(default=2.0, gt=0)
        record_timeout_s: float = Field(default=6.0, gt=0)
        breaker_failures: int = Field(default=3, ge=1)
        breaker_rest_s: float = Field(default=30.0, gt=0)
        question_s: float = Field(default=120.0, gt=0)
        memory_machine: str = "pc2"

    async def on_start(self) -> None:
        """Read the requests that were open."""
        config = self.config
        self._queue: PriorityQueue[Request] = PriorityQueue(config.queue_size)
        self._book = RequestBook(self.state)
        self._breakers = Breakers(
            self.clock, failures=config.breaker_failures, rest_s=config.breaker_rest_s
        )
        self._flow = RequestFlow(
            self,
            self._breakers,
            remote_timeout_s=config.remote_timeout_s,
            record_timeout_s=config.record_timeout_s,
            question_s=config.question_s,
            memory_machine=config.memory_machine,
        )
        self._suggestions: deque[dict[str, Any]] = deque(maxlen=MAX_SUGGESTIONS)
        self._times: dict[str, deque[float]] = {}
        self._running = 0
        self._returning = await self._book.load()

    async def on_ready(self) -> None:
        """Take up the open requests again, and begin to serve."""
        for request in self._returning:
            self._book.open[request.request_id] = request
            if request.attempts >= MAX_ATTEMPTS:
                error = (
                    f"failed: the assistant ended {request.attempts} times before it was answered"
                )
                await self._finish(request, "failed", Outcome("", ok=False, status="failed"), error)
            else:
                self.spawn(self._requeue(request), name="requeue")
        self._returning = []
        for number in range(self.config.workers):
            self.spawn(self._work(), name=f"worker-{number}")

    @method(timeout_s=15)
    async def submit_request(
        self,
        kind: Kind,
        data: str | bytes,
        user_id: UserId | None = None,
        session_id: str | None = None,
        urgency: Urgency = "normal",
        context: dict[str, Any] | None = None,
    ) -> Accepted:
        """Queue a request; it is durable when this returns.

        Args:
            kind: `text`, or `audio` and `vision` where the fleet has the agents for them.
            data: the text.
            user_id: who asks.
            session_id: the conversation; one for each user by default.
            urgency: `low`, `normal`, `high` or `critical`.
            context: `language`, `user_class`, `channels`; `say` to deliver a text as it is.

        Raises:
            KindUnavailable: no agent of this fleet understands this kind.
            BadQuestion: the text is longer than 20,000 characters, or no valid text.
            Refused: with reason `full`, when too many wait.
        """
        request = await self._accept(kind, data, user_id, session_id, urgency, context or {})
        return Accepted(request_id=request.request_id, position=max(self._queue.qsize(), 1))

    @method(timeout_s=120, idempotent=True)
    async def get_result(
        self, request_id: str, wait_s: Annotated[float, Field(ge=0)] = 0
    ) -> RequestResult:
        """The outcome of a request, waiting for it if asked (110 s at most)."""
        request = self._book.find(request_id)
        if request is None:
            error = "no such request, or it was finished long ago"
            return RequestResult(state="unknown", text=None, data=None, error=error)
        if wait_s > 0 and not request.done.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, MAX_WAIT_S)):
                    await request.done.wait()
        return RequestResult(
            state=request.state, text=request.text, data=request.result, error=request.error
        )

    @method(timeout_s=300)
    async def ask(
        self, text: str, user_id: UserId | None = None, session_id: str | None = None
    ) -> AsyncIterator[AnswerPiece]:
        """Submit a text and follow its answer: a model's words as they come, then the whole.

        Raises:
            BadQuestion: the text is longer than 20,000 characters, or no valid text.
            Refused: with reason `full`, when too many wait.
        """
        request = await self._accept(
            "text", text, user_id, session_id, "normal", {}, streaming=True
        )
        sent = 0
        try:
            while True:
                request.changed.clear()
                while sent < len(request.tokens):
                    token = request.tokens[sent]
                    sent += 1
                    yield _piece(request, "token", token)
                if request.done.is_set():
                    break
                await request.changed.wait()
            yield _piece(request, "final", request.text or "")
        finally:
            request.unfollow()

    @method(timeout_s=10, priority=10)
    async def cancel_requests(
        self, request_id: str | None = None, user_id: str | None = None
    ) -> Cancelled:
        """Drop one request, one user's, or all that wait or run."""
        chosen = [
            request
            for request in list(self._book.open.values())
            if (request_id is None or request.request_id == request_id)
            and (user_id is None or request.user_id == user_id)
        ]
        for request in chosen:
            if request.running is not None:
                request.unwanted = True
                request.running.cancel()
            else:
                self._queue.cancel(request.queue_id)
                outcome = Outcome("", ok=False, status="cancelled")
                await self._finish(request, "cancelled", outcome, "cancelled")
        return Cancelled(cancelled=len(chosen))

    @method(timeout_s=5, idempotent=True)
    async def get_queue_status(self) -> QueueStatus:
        """Queue depth and response times by kind."""
        return QueueStatus(
            waiting=self._queue.qsize(),
            running=self._running,
            by_kind=dict(Counter(request.kind for request in self._book.open.values())),
            avg_ms={kind: round(sum(times) / len(times), 1) for kind, times in self._times.items()},
        )

    @method(timeout_s=5)
    async def take_suggestion(self, user_id: str | None = None) -> SuggestionTaken:
        """Hand out the next pending proactive suggestion."""
        for suggestion in self._suggestions:
            if user_id is None or suggestion.get("user_id") in {None, user_id}:
                self._suggestions.remove(suggestion)
                return SuggestionTaken(suggestion=suggestion)
        return SuggestionTaken(suggestion=None)

    @method(timeout_s=5, idempotent=True)
    async def list_breakers(self) -> BreakersListed:
        """Which downstream agents are cut off, and why."""
        return BreakersListed(breakers=self._breakers.infos())

    @subscribe("speech.language")
    async def on_speech(self, event: dict[str, Any]) -> None:
        """A spoken utterance was understood: it is a request."""
        text = str(event.get("text") or "").strip()
        if text:
            context = {"language": event.get("language")} if event.get("language") else {}
            user = event.get("user_id")
            await self._accept("text", text, str(user) if user else None, None, "normal", context)

    @subscribe("speech.interrupt")
    async def on_interrupt(self, event: dict[str, Any]) -> None:
        """The person interrupts; requests are dropped only if that was asked for."""
        if event.get("cancel"):
            await self.cancel_requests(user_id=event.get("user_id"))

    @subscribe("proactive.suggestion")
    async def on_suggestion(self, event: dict[str, Any]) -> None:
        """Keep a suggestion until somebody takes it; announced reminders have come already."""
        if not event.get("announced"):
            self._suggestions.append(event)

    async def _accept(
        self,
        kind: str,
        data: str | bytes,
        user_id: str | None,
        session_id: str | None,
        urgency: str,
        context: dict[str, Any],
        *,
        streaming: bool = False,
    ) -> Request:
        text = checked_text(await self._as_text(kind, data))
        if self._queue.full():
            raise self._full()
        request = Request(
            request_id=new_id("req"),
            kind=kind,
            data=text,
            user_id=user_id or "default",
            session_id=session_id,
            urgency=urgency,
            context=context,
            accepted_at=self.clock.time(),
            streaming=streaming,
            trace=tracing.current(),
        )
        await self._book.keep(request)
        try:
            self._enqueue(request)
        except asyncio.QueueFull:
            await self._book.close(request)
            raise self._full() from None
        await self.publish(
            "request.accepted",
            {"request_id": request.request_id, "kind": kind, "user_id": request.user_id},
        )
        return request

    async def _as_text(self, kind: str, data: str | bytes) -> str:
        """The words of a request; spoken ones are transcribed where the fleet can."""
        if kind == "text":
            return data if isinstance(data, str) else data.decode(errors="replace")
        agent = {"audio": "STTService", "vision": "FaceRecognitionAgent"}[kind]
        if not self.has_peer(agent):
            raise KindUnavailable(f"{kind} requests need {agent}, which is not part of this fleet")
        if kind == "audio":
            return str((await self.call("STTService.transcribe", audio=data))["text"])
        seen = await self.call("FaceRecognitionAgent.recognize_faces", image=data)
        return f"who is here: {len(seen['faces'])} faces"

    def _full(self) -> Refused:
        return Refused(f"{self.config.queue_size} requests wait already", reason="full")

    def _enqueue(self, request: Request) -> None:
        fill = self._queue.qsize() / self.config.queue_size
        user_class = request.context.get("user_class")
        rank = priority_of(request.kind, request.urgency, user_class, fill)
        request.queue_id = self._queue.put_nowait(request, rank)

    async def _requeue(self, request: Request) -> None:
        """Put a request of before the restart back, waiting while the queue is full."""
        user_class = request.context.get("user_class")
        rank = priority_of(request.kind, request.urgency, user_class, 0.0)
        request.attempts += 1
        await self._book.keep(request)
        self.log.info("request comes back", request=request.request_id, attempt=request.attempts)
        await self._queue.put(request, rank)

    async def _work(self) -> None:
        while True:
            request = await self._queue.get()
            if request.done.is_set():
                continue
            self._running += 1
            try:
                await self._serve(request)
            finally:
                self._running -= 1

    async def _serve(self, request: Request) -> None:
        request.state = "running"
        began = self.clock.monotonic()
        request.running = asyncio.create_task(self._flow_of(request))
        state, error = "done", None
        try:
            outcome = await request.running
            state = "done" if outcome.ok or outcome.text else "failed"
        except asyncio.CancelledError:
            if not request.unwanted:
                raise  # the agent stops: the request stays open and comes back
            outcome, state, error = (
                Outcome("", ok=False, status="cancelled"),
                "cancelled",
                "cancelled",
            )
        except TimeoutError:
            error = f"not answered within {self.config.request_timeout_s:g} s"
            outcome, state = Outcome("", ok=False, status="failed"), "failed"
        except Exception as problem:  # noqa: BLE001 - one request must not end the worker
            if not isinstance(problem, AgentError | Refused):
                self.errors.report(problem, method="RequestCoordinator.serve")
            error = f"{type(problem).__name__}: {problem}"
            outcome, state = Outcome("", ok=False, status="failed"), "failed"
        finally:
            request.running = None
        ms = (self.clock.monotonic() - began) * 1000
        self._times.setdefault(request.kind, deque(maxlen=200)).append(ms)
        await self._finish(request, state, outcome, error, ms)

    async def _flow_of(self, request: Request) -> Outcome:
        token = tracing.use(request.trace)
        try:
            async with asyncio.timeout(self.config.request_timeout_s):
                return await self._flow.run(request)
        finally:
            tracing.reset(token)

    async def _finish(
        self, request: Request, state: str, outcome: Outcome, error: str | None, ms: float = 0.0
    ) -> None:
        data = {**outcome.data, "status": outcome.status, "ms": round(ms, 1)}
        request.finish(state, outcome.text or None, data, error)
        await self._book.close(request)
        await self.publish(
            "request.done",
            {
                "request_id": request.request_id,
                "agent": outcome.agent,
                "ok": outcome.ok,
                "state": state,
                "ms": round(ms, 1),
            },
        )
        if state == "done":
            await self.publish(
                "interaction.done",
                {
                    "request_id": request.request_id,
                    "session_id": data.get("session_id"),
                    "user_id": request.user_id,
                    "user_input": request.data,
                    "reply": outcome.text,
                    "intent": data.get("intent"),
                    "confidence": data.get("confidence"),
                },
            )


def _piece(request: Request, kind: str, text: str) -> AnswerPiece:
    final = kind == "final"
    return AnswerPiece(
        type=kind,
        request_id=request.request_id,
        text=text,
        state=request.state,
        data=request.result if final else None,
        error=request.error if final else None,
    )
