"""What is done for each intent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aisys.errors import AgentError, CallError
from aisys_agents.foundation.request_flow import OpenQuestion, Outcome, Turn
from aisys_agents.foundation.request_recall import BUFFERED, Recall, name_away
from aisys_agents.foundation.request_reminders import Reminders
from aisys_agents.memory.facts import user_source

if TYPE_CHECKING:
    from aisys_agents.foundation.request_flow import RequestFlow
    from aisys_agents.language.model_orchestrator import TaskDone

__all__ = ["Services"]

_CHAT = ("greeting", "farewell", "thanks", "how_are_you", "joke", "about_self", "small_talk")
_BY_OTHERS = {"command", "web_search"}
_FORGET_SCORE = 0.3


class Services:
    """Serves a request by its intent, and says honestly what could not be done.

    Args:
        flow: the way that the request is on.
    """

    def __init__(self, flow: RequestFlow) -> None:
        self._flow = flow
        self._recall = Recall(flow)
        self._reminders = Reminders(flow)
        self._handlers: dict[str, Callable[[Turn], Awaitable[Outcome]]] = {
            "remember": self._remember,
            "recall": self._recall.answer,
            "list_memories": self._recall.list_known,
            "forget": self._forget,
            "reminder": self._reminders.set,
            "list_reminders": self._reminders.list_waiting,
            "cancel_reminder": self._reminders.cancel,
            "snooze": self._reminders.snooze,
            "stop": self._stop,
            "confirm": self._nothing_open,
            "deny": self._nothing_open,
            **dict.fromkeys(_CHAT, self._chat),
        }

    async def serve(self, turn: Turn) -> Outcome:
        """Serve a request whose intent is known."""
        if turn.intent in _BY_OTHERS and not self._flow.peers.has_peer(turn.agent):
            text = turn.say("not_built", intent=turn.intent.replace("_", " "), agent=turn.agent)
            return Outcome(text, ok=False, status="not_built", agent=turn.agent, backend="none")
        handler = self._handlers.get(turn.intent, self._orchestrate)
        try:
            return await handler(turn)
        except CallError as error:
            return self._failed(turn, error)

    async def confirmed(self, turn: Turn, question: OpenQuestion) -> Outcome:
        """The yes or no to something asked before."""
        validator = self._flow.peers.validator
        try:
            reply = await self._flow.guard(
                "IntentionValidatorAgent",
                validator.resolve_confirmation(
                    question.confirm_id, "no" if turn.intent == "stop" else turn.text
                ),
            )
        except CallError as error:
            return self._failed(turn, error)
        if not reply["understood"]:
            self._flow.ask_back(turn, question)
            return Outcome(turn.say("unknown"), status="needs_clarification")
        if not reply["approved"]:
            return Outcome(turn.say("stopped"), agent="IntentionValidatorAgent", status="declined")
        try:
            if question.intent == "cancel_reminder":
                return await self._reminders.cancel_all(turn, question.payload)
            return await self._forget_fact(turn, question.payload)
        except CallError as error:
            return self._failed(turn, error)

    def _failed(self, turn: Turn, error: CallError) -> Outcome:
        text = turn.say("unavailable", agent=turn.agent, reason=error)
        outcome = Outcome(text, ok=False, status="failed", agent=turn.agent, backend="none")
        outcome.data["error"] = getattr(error, "code", "call_failed")
        return outcome

    async def _remember(self, turn: Turn) -> Outcome:
        content, topic = turn.entity("content"), turn.entity("topic")
        if content is None:
            return Outcome(turn.say("ask_content"), status="needs_clarification")
        try:
            added = await self._flow.guard(
                "KnowledgeBase",
                self._flow.peers.knowledge.add_fact(
                    topic["value"][:200] if topic else content["value"][:60],
                    content["value"],
                    source=user_source(turn.request.user_id),
                ),
            )
        except CallError as error:
            text = turn.say("not_remembered", reason=error)
            return Outcome(text, ok=False, status="failed", agent="KnowledgeBase", backend="none")
        stored = added["stored"]
        if stored == BUFFERED:
            text = turn.say("buffered", content=content["value"], machine=self._flow.memory_machine)
        else:
            name = "remembered_again" if added["supersedes"] else "remembered"
            text = turn.say(name, content=content["value"], where=stored)
        return Outcome(
            text, agent="KnowledgeBase", data={"stored": stored, "fact_id": added["fact_id"]}
        )

    async def _forget(self, turn: Turn) -> Outcome:
        found = await self._flow.guard(
            "KnowledgeBase",
            self._flow.peers.knowledge.search_facts(
                turn.text, limit=3, user_id=turn.request.user_id
            ),
        )
        facts = [fact for fact in found["facts"] if fact["score"] >= _FORGET_SCORE]
        if not facts:
            text = turn.say("not_found")
            if found["unreached"]:
                text += " " + turn.say(
                    "not_reached", names=name_away(found["unreached"], self._flow.memory_machine)
                )
            return Outcome(text, status="not_found", agent="KnowledgeBase")
        if len(facts) > 1 and facts[1]["score"] > 0.95 * facts[0]["score"]:
            choices = "; ".join(f'"{fact["content"]}"' for fact in facts)
            return Outcome(turn.say("forget_which", choices=choices), status="needs_clarification")
        fact = {"fact_id": facts[0]["fact_id"], "content": facts[0]["content"]}
        asked = await self._flow.guard(
            "IntentionValidatorAgent",
            self._flow.peers.validator.confirm_action(
                "forget",
                f'"{facts[0]["content"]}"',
                user_id=turn.request.user_id,
                language=turn.language,
            ),
        )
        if not asked["needs_confirmation"] or asked["confirm_id"] is None:
            return await self._forget_fact(turn, fact)
        question = OpenQuestion(
            "confirm", turn.text, "forget", self._flow.lapse(), asked["confirm_id"], fact
        )
        self._flow.ask_back(turn, question)
        return Outcome(asked["prompt"] or "", status="needs_confirmation", agent="KnowledgeBase")

    async def _forget_fact(self, turn: Turn, fact: dict[str, Any]) -> Outcome:
        gone = await self._flow.guard(
            "KnowledgeBase", self._flow.peers.knowledge.forget_fact(fact["fact_id"])
        )
        if not gone["forgotten"]:
            return Outcome(turn.say("not_found"), status="not_found", agent="KnowledgeBase")
        outcome = Outcome(turn.say("forgotten", content=fact["content"]), agent="KnowledgeBase")
        outcome.notes.append("the record of the conversation still contains it")
        return outcome

    async def _chat(self, turn: Turn) -> Outcome:
        said = await self._flow.guard(
            "ChitchatAgent",
            self._flow.peers.chitchat.chat(
                turn.text, user_id=turn.request.user_id, session_id=turn.session_id
            ),
        )
        return Outcome(
            said["reply"],
            agent="ChitchatAgent",
            backend=said["backend"],
            data={"topic": said["topic"]},
        )

    async def _stop(self, turn: Turn) -> Outcome:
        stopped = await self._flow.guard("Responder", self._flow.peers.responder.stop_response())
        any_stopped = bool(stopped["stopped"]) or turn.dropped_question
        text = turn.say("stopped" if any_stopped else "nothing_to_stop")
        return Outcome(text, agent="Responder", data={"stopped": stopped["stopped"]})

    async def _nothing_open(self, turn: Turn) -> Outcome:
        return Outcome(turn.say("nothing_open"), agent="IntentionValidatorAgent")

    async def _orchestrate(self, turn: Turn) -> Outcome:
        """Calculation, units, dates, questions, writing: whatever tools, memory or a model can do."""
        done = await self._run_task(turn)
        status, text = done["status"], done["text"] or ""
        if turn.intent == "unknown" and status == "needs_model":
            status, text = "not_understood", turn.say("unknown")
        data = {"kind": done["kind"], "tool_result": done["tool_result"], "code": done["code"]}
        return Outcome(
            text,
            ok=status == "ok",
            status=status,
            agent="ModelOrchestrator",
            backend=done["backend"],
            data=data,
            notes=list(done["notes"]),
        )

    async def _run_task(self, turn: Turn) -> TaskDone:
        orchestrator = self._flow.peers.orchestrator
        kind = "question" if turn.intent == "unknown" else "auto"
        if not turn.request.streaming:
            call = orchestrator.run_task(
                turn.text, kind=kind, session_id=turn.session_id, user_id=turn.request.user_id
            )
            return await self._flow.guard("ModelOrchestrator", call)
        return await self._flow.guard("ModelOrchestrator", self._stream_task(turn, kind))

    async def _stream_task(self, turn: Turn, kind: str) -> TaskDone:
        pieces = self._flow.peers.orchestrator.stream_task(
            turn.text, kind=kind, session_id=turn.session_id, user_id=turn.request.user_id
        )
        try:
            async for piece in pieces:
                if piece["done"] is not None:
                    return piece["done"]
                turn.request.say(piece["text"])
        finally:
            # An answer that is cut short ends the model's work too.
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        raise AgentError("ModelOrchestrator ended its stream without an outcome")
