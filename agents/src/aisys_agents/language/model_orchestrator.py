"""Takes a task in words, decides what sort it is, and gets it done with tools, memory and models."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, Refused, method, subscribe
from aisys.errors import CallError
from aisys_agents.context.unified_memory_reasoning_agent import UnifiedMemoryReasoningAgent
from aisys_agents.foundation.model_catalogue import NEEDS_MODEL
from aisys_agents.foundation.model_manager_suite import ModelManagerSuite
from aisys_agents.language.chitchat_agent import ChitchatAgent
from aisys_agents.language.nlu_agent import Utterance
from aisys_agents.language.phrases import phrase
from aisys_agents.language.plans import PlanStep, plan_from_lines, template_plan
from aisys_agents.language.task_kinds import TASK_KINDS, TaskClassifier
from aisys_agents.language.tools import ToolAnswer, use_tool_async
from aisys_agents.memory.session_memory_agent import SessionMemoryAgent
from aisys_agents.text.cues import guess_language
from aisys_agents.text.now import local_now

__all__ = ["ModelOrchestrator", "OrchestratorStats", "Plan", "TaskDone", "TaskKind", "TaskPiece"]

SURE_ENOUGH = 0.5
_TOOLS = {"calculate", "convert_units", "date"}
CONTEXT_TURNS = 12
SYSTEM = (
    "You are the voice of a home assistant. Answer in the language of the question (English, Tagalog or Taglish), "
    "briefly and correctly. Say so when you do not know."
)
_SYSTEM_OF = {
    "code": "Write the code that is asked for in one fenced block, then at most two sentences.",
    "translate": "Translate what is asked for. Give the translation only.",
    "reasoning": "Reason step by step in few words, then give the conclusion.",
}
_CODE = re.compile(r"```[\w+-]*\n(.*?)```", re.DOTALL)


class TaskDone(TypedDict):
    """What came of a task.

    `status` is `ok`, `needs_model`, `model_failed` or `cannot`; `backend` is `rules`, `retrieval`, `endpoint` or
    `none`; `notes` says what could not be reached on the way.
    """

    kind: str
    text: str | None
    code: str | None
    tool_result: dict[str, Any] | None
    backend: str
    ms: int
    status: str
    notes: list[str]


class TaskPiece(TypedDict):
    """A piece of a streamed task: `token` with a text, or `final` with the whole outcome."""

    type: str
    text: str
    done: TaskDone | None


class TaskKind(TypedDict):
    """The decision alone."""

    kind: str
    confidence: float
    method: str


class Plan(TypedDict):
    """Steps with their dependencies, and where they come from."""

    steps: list[PlanStep]
    backend: str


class OrchestratorStats(TypedDict):
    """How it has been doing, by kind."""

    by_kind: dict[str, int]
    success_rate: dict[str, float]
    avg_ms: dict[str, float]


class _Tally:
    __slots__ = ("count", "ms", "ok")

    def __init__(self) -> None:
        self.count = self.ok = 0
        self.ms = 0.0


class ModelOrchestrator(Agent):
    """Tools first, memory second, the model last; without a model it says that it needs one."""

    models: ModelManagerSuite
    memory: UnifiedMemoryReasoningAgent
    sessions: SessionMemoryAgent
    chitchat: ChitchatAgent

    class Config(Agent.Config):
        """Settings.

        Attributes:
            timezone: IANA name of the zone; the computer's own when empty.
            memory_timeout_s: how long the memory on the other machine may take.
        """

        timezone: str = ""
        memory_timeout_s: float = Field(default=3.0, gt=0)

    async def on_start(self) -> None:
        """Train the classifier on the shipped examples."""
        self._classifier = TaskClassifier()
        self._tallies: dict[str, _Tally] = {}
        self._model_states: dict[str, str] = {}

    @method(timeout_s=120)
    async def run_task(
        self,
        description: Utterance,
        kind: str = "auto",
        session_id: str | None = None,
        parameters: dict[str, Any] | None = None,
        execute: bool = False,
        user_id: str | None = None,
    ) -> TaskDone:
        """Get a task done.

        Args:
            description: the task in words.
            kind: one of the kinds that `classify_task` gives, or `auto`.
            session_id: the conversation whose last turns a model is shown.
            parameters: `max_tokens`, `temperature`, `model_id` for a model.
            execute: run generated code too, when Executor is part of the fleet.
            user_id: who asks; the memories of others are left out.
        """
        done: TaskDone | None = None
        async for piece in self._work(
            description, kind, session_id, user_id, parameters or {}, stream=False
        ):
            done = piece["done"]
        if done is None:
            raise RuntimeError("a task ended without an outcome")
        if execute and done["code"]:
            await self._execute(done)
        return done

    @method(timeout_s=300)
    async def stream_task(
        self,
        description: Utterance,
        kind: str = "auto",
        session_id: str | None = None,
        parameters: dict[str, Any] | None = None,
        user_id: str | None = None,
    ) -> AsyncIterator[TaskPiece]:
        """As `run_task`, with the model's words as they come; the last piece is `final`."""
        async for piece in self._work(
            description, kind, session_id, user_id, parameters or {}, stream=True
        ):
            yield piece

    @method(timeout_s=5, idempotent=True)
    async def classify_task(self, text: Utterance) -> TaskKind:
        """What sort of work a text asks for."""
        now = local_now(self.clock.time(), self.config.timezone)
        kind, confidence, how = self._classifier.classify(text, now)
        return TaskKind(kind=kind, confidence=confidence, method=how)

    @method(timeout_s=60)
    async def plan_steps(
        self, goal: Utterance, max_steps: Annotated[int, Field(ge=1, le=50)] = 8
    ) -> Plan:
        """Break a goal into steps: by the model, or from a template without one."""
        prompt = f"List at most {max_steps} numbered steps to reach this goal, one short line each: {goal}"
        try:
            done = await self.models.generate_text(prompt, system=SYSTEM, temperature=0.2)
            steps = plan_from_lines(done["text"], max_steps) if done["status"] == "ok" else []
        except CallError as error:
            self.log.warning("plan from a template", reason=str(error))
            steps = []
        if steps:
            return Plan(steps=steps, backend="endpoint")
        return Plan(steps=template_plan(goal, max_steps), backend="rules")

    @method(timeout_s=5, idempotent=True)
    async def get_stats(self) -> OrchestratorStats:
        """How it has been doing since it started."""
        tallies = self._tallies.items()
        return OrchestratorStats(
            by_kind={kind: tally.count for kind, tally in tallies},
            success_rate={kind: tally.ok / tally.count for kind, tally in tallies},
            avg_ms={kind: round(tally.ms / tally.count, 1) for kind, tally in tallies},
        )

    @subscribe("model.status")
    async def on_model_status(self, event: dict[str, Any]) -> None:
        """Keep in mind which models are ready."""
        self._model_states[str(event.get("model_id", ""))] = str(event.get("state", ""))

    async def _work(
        self,
        text: str,
        kind: str,
        session_id: str | None,
        user_id: str | None,
        parameters: dict[str, Any],
        *,
        stream: bool,
    ) -> AsyncIterator[TaskPiece]:
        began = self.clock.monotonic()
        now = local_now(self.clock.time(), self.config.timezone)
        if kind == "auto" or kind not in TASK_KINDS:
            kind = self._classifier.classify(text, now)[0]
        notes: list[str] = []
        done = await self._without_model(text, kind, session_id, user_id, notes)
        if done is None:
            async for piece in self._by_model(
                text, kind, session_id, parameters, notes, stream=stream
            ):
                if piece["done"] is None:
                    yield piece
                done = piece["done"]
        if done is None:
            raise RuntimeError("a task ended without an outcome")
        done["ms"] = round((self.clock.monotonic() - began) * 1000)
        self._tally(done)
        yield TaskPiece(type="final", text=done["text"] or "", done=done)

    async def _without_model(
        self,
        text: str,
        kind: str,
        session_id: str | None,
        user_id: str | None,
        notes: list[str],
    ) -> TaskDone | None:
        """What tools, memory and small talk can do; None when it takes a model."""
        if kind == "chat":
            said = await self.chitchat.chat(text, session_id=session_id)
            return _done(kind, said["reply"], said["backend"])
        if kind in _TOOLS or kind in {"reasoning", "question"}:
            now = local_now(self.clock.time(), self.config.timezone)
            tool = await use_tool_async(text, now, kind if kind in _TOOLS else None)
            if tool is not None:
                return _tool_done(kind, tool)
        if kind in {"memory", "question"}:
            return await self._from_memory(text, kind, user_id, notes)
        return None

    async def _from_memory(
        self, text: str, kind: str, user_id: str | None, notes: list[str]
    ) -> TaskDone | None:
        asked = self.memory.with_options(timeout_s=self.config.memory_timeout_s)
        try:
            found = await asked.answer_from_memory(text, user_id=user_id)
        except CallError as error:
            notes.append(f"UnifiedMemoryReasoningAgent could not be reached ({error})")
            return None
        if found["answer"] is None or found["confidence"] < SURE_ENOUGH:
            return None
        done = _done(kind, found["answer"], "retrieval")
        done["tool_result"] = {"evidence": found["evidence"], "confidence": found["confidence"]}
        return done

    async def _by_model(
        self,
        text: str,
        kind: str,
        session_id: str | None,
        parameters: dict[str, Any],
        notes: list[str],
        *,
        stream: bool,
    ) -> AsyncIterator[TaskPiece]:
        language = guess_language(text)
        prompt = [*await self._turns(session_id, text, notes), {"role": "user", "content": text}]
        system = f"{SYSTEM} {_SYSTEM_OF.get(kind, '')}".strip()
        options = {
            name: parameters[name]
            for name in ("max_tokens", "temperature", "model_id")
            if name in parameters
        }
        whole, status = "", "ok"
        try:
            if stream:
                async for piece in self.models.stream_text(prompt, system=system, **options):
                    if piece["type"] == "token":
                        yield TaskPiece(type="token", text=piece["text"], done=None)
                    else:
                        whole, status = piece["text"], piece["status"]
            else:
                made = await self.models.generate_text(prompt, system=system, **options)
                whole, status = made["text"], made["status"]
        except (AgentError, CallError) as error:
            notes.append(str(error))
            reason = phrase("model_failed", language, reason=error)
            yield TaskPiece(
                type="final", text=reason, done=_done(kind, reason, "none", "model_failed", notes)
            )
            return
        if status == NEEDS_MODEL:
            reason = phrase("needs_model", language)
            done = _done(kind, reason, "none", NEEDS_MODEL, notes)
        else:
            done = _done(kind, whole.strip(), "endpoint", "ok", notes)
            code = _CODE.search(whole)
            done["code"] = code[1] if code else None
        yield TaskPiece(type="final", text=done["text"] or "", done=done)

    async def _turns(
        self, session_id: str | None, text: str, notes: list[str]
    ) -> list[dict[str, Any]]:
        """The last turns of the conversation as messages, without the present one."""
        if session_id is None:
            return []
        try:
            context = await self.sessions.get_context(session_id, max_turns=CONTEXT_TURNS)
        except CallError as error:
            notes.append(f"without the conversation so far ({error})")
            return []
        turns = context["turns"]
        if turns and turns[-1]["role"] == "user" and turns[-1]["text"] == text:
            turns = turns[:-1]
        known = {"user": "user", "assistant": "assistant"}
        return [{"role": known.get(t["role"], "user"), "content": t["text"]} for t in turns]

    async def _execute(self, done: TaskDone) -> None:
        try:
            ran = await self.call("Executor.run_code", code=done["code"], language="python")
            done["tool_result"] = dict(ran)
        except Refused as error:
            done["notes"].append(
                f"the code was not run: Executor is not available ({error.reason})"
            )

    def _tally(self, done: TaskDone) -> None:
        tally = self._tallies.setdefault(done["kind"], _Tally())
        tally.count += 1
        tally.ok += done["status"] == "ok"
        tally.ms += done["ms"]


def _done(
    kind: str, text: str, backend: str, status: str = "ok", notes: list[str] | None = None
) -> TaskDone:
    return TaskDone(
        kind=kind,
        text=text,
        code=None,
        tool_result=None,
        backend=backend,
        ms=0,
        status=status,
        notes=notes if notes is not None else [],
    )


def _tool_done(kind: str, tool: ToolAnswer) -> TaskDone:
    done = _done(kind, tool["text"], "rules", "ok" if tool["ok"] else "cannot")
    done["tool_result"] = {"tool": tool["tool"], **tool["result"]}
    return done
