"""Recall: what was told before, with where it is stored and who could not be asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aisys.errors import CallError
from aisys_agents.foundation.request_flow import Outcome, Turn, gathered
from aisys_agents.language.patterns import match_intent
from aisys_agents.memory.facts import is_open_to
from aisys_agents.text.now import local_now
from aisys_agents.text.words import terms

if TYPE_CHECKING:
    from aisys_agents.foundation.request_flow import RequestFlow

__all__ = ["Recall"]

# A fact must share a content word with the question, or be about this alike.
MIN_SCORE = 0.25
MIN_CONFIDENCE = 0.4
MAX_LISTED = 20
_COMMANDS = {"remember", "forget", "recall", "reminder", "list_reminders", "command"}
_WITH_THE_MEMORIES = {
    "MemoryOrchestratorService",
    "UnifiedMemoryReasoningAgent",
    "CacheManager",
    "ContextManager",
}
_CONVERSATION = {"turn", "session", "summary"}


BUFFERED = "buffered"


def name_place(stored: str, machine: str) -> str:
    """Where a memory is, in words; `machine` is where memories are kept."""
    return f"this machine until {machine} is back" if stored == BUFFERED else stored


def name_away(agents: Iterable[str], machine: str) -> str:
    """Whom a search could not reach; those on the machine of the memories are named with it."""
    names = list(agents)
    here = [name for name in names if name not in _WITH_THE_MEMORIES]
    there = [name for name in names if name in _WITH_THE_MEMORIES]
    return ", ".join([*here, *([f"{machine} ({', '.join(there)})"] if there else [])])


class Recall:
    """Answers from memory: facts first, then what the reasoning finds, then other memories.

    Args:
        flow: the way that the request is on.
    """

    def __init__(self, flow: RequestFlow) -> None:
        self._flow = flow

    async def answer(self, turn: Turn) -> Outcome:
        """Ask all memories at once and quote the best of what they know."""
        flow, peers = self._flow, self._flow.peers
        away: list[str] = []
        limit = flow.remote_timeout_s
        facts, memories, reasoned = await gathered(
            flow.guard(
                "KnowledgeBase",
                peers.knowledge.search_facts(turn.text, limit=5, user_id=turn.request.user_id),
            ),
            flow.guard("MemoryClient", peers.memory.search_memory(turn.text, limit=20)),
            flow.guard(
                "UnifiedMemoryReasoningAgent",
                peers.reasoning.with_options(timeout_s=limit).answer_from_memory(
                    turn.text, user_id=turn.request.user_id
                ),
            ),
        )
        outcome = Outcome("", agent="KnowledgeBase", backend="retrieval")
        for name, result in (("KnowledgeBase", facts), ("MemoryClient", memories)):
            away += [name] if isinstance(result, CallError) else result["unreached"]
        if isinstance(reasoned, CallError):
            away.append("UnifiedMemoryReasoningAgent")
            outcome.notes.append(str(reasoned))
        found = self._from_facts(turn, outcome, facts)
        found = found or self._from_reasoning(turn, outcome, reasoned)
        found = found or self._from_memories(turn, outcome, memories)
        away = list(dict.fromkeys(away))
        outcome.data["unreached"] = away
        if not found:
            outcome.text, outcome.status, outcome.backend = (
                turn.say("not_found"),
                "not_found",
                "none",
            )
        if away:
            outcome.text += " " + turn.say(
                "not_reached", names=name_away(away, self._flow.memory_machine)
            )
        if found and not isinstance(reasoned, CallError):
            # Where the reasoning is away its neighbour is too: the answer does not wait to learn that again.
            await self._keep_in_mind(outcome)
        return outcome

    async def list_known(self, turn: Turn) -> Outcome:
        """What the person has told, the newest first."""
        found = await self._flow.guard(
            "KnowledgeBase",
            self._flow.peers.knowledge.search_facts(
                "", limit=MAX_LISTED + 1, user_id=turn.request.user_id
            ),
        )
        facts, away = found["facts"], found["unreached"]
        items = "; ".join(f'"{fact["content"]}"' for fact in facts[:MAX_LISTED])
        if len(facts) > MAX_LISTED:
            items += "; …"
        count = f"{min(len(facts), MAX_LISTED)} thing{'s' if len(facts) != 1 else ''}"
        if turn.language in {"tl", "mixed"}:
            count = str(min(len(facts), MAX_LISTED))
        text = turn.say("known_facts", count=count, items=items) if facts else ""
        outcome = Outcome(text or turn.say("nothing_known"), agent="KnowledgeBase")
        outcome.backend, outcome.data["unreached"] = "retrieval", away
        outcome.data["facts"] = [
            {name: fact[name] for name in ("fact_id", "topic", "content", "stored")}
            for fact in facts[:MAX_LISTED]
        ]
        if away:
            names = name_away(away, self._flow.memory_machine)
            outcome.text += " " + turn.say("not_reached", names=names)
        return outcome

    def _from_facts(self, turn: Turn, outcome: Outcome, facts: Any) -> bool:
        if isinstance(facts, CallError):
            return False
        wanted = set(terms(turn.text))
        good = [
            fact
            for fact in facts["facts"]
            if fact["score"] >= MIN_SCORE
            or wanted & {*terms(fact["content"]), *terms(fact["topic"])}
        ]
        if not good:
            return False
        best = good[0]
        outcome.text = turn.say(
            "recalled",
            content=best["content"],
            where=name_place(best["stored"], self._flow.memory_machine),
        )
        outcome.data["stored"] = best["stored"]
        outcome.data["facts"] = [
            {name: fact[name] for name in ("fact_id", "topic", "content", "stored", "score")}
            for fact in good[:3]
        ]
        if (
            len(good) > 1
            and good[1]["score"] >= 0.9 * best["score"]
            and good[1]["topic"] == best["topic"]
        ):
            second = good[1]
            text = turn.say(
                "recalled_more",
                content=second["content"],
                where=name_place(second["stored"], self._flow.memory_machine),
            )
            outcome.text += " " + text
        return True

    def _from_reasoning(self, turn: Turn, outcome: Outcome, reasoned: Any) -> bool:
        if isinstance(reasoned, CallError) or reasoned["answer"] is None:
            return False
        # What was said as a command is no evidence: the fact it made was found above, or is forgotten.
        now = local_now(self._flow.peers.clock.time())
        said = [e for e in reasoned["evidence"] if not _is_command(e, now)]
        if not said or said[0]["score"] < MIN_CONFIDENCE:
            return False
        whole = len(said) == len(reasoned["evidence"])
        best = said[0]
        outcome.text = (
            f"{reasoned['answer']} ({best['stored']})"
            if whole
            else turn.say("recalled", content=best["text"], where=best["stored"])
        )
        outcome.agent = "UnifiedMemoryReasoningAgent"
        outcome.data["evidence"] = said[:3]
        outcome.data["stored"] = best["stored"]
        return True

    def _from_memories(self, turn: Turn, outcome: Outcome, memories: Any) -> bool:
        if isinstance(memories, CallError):
            return False
        hits = [
            hit
            for hit in memories["results"]
            if hit["kind"] not in _CONVERSATION
            and hit["score"] >= MIN_SCORE
            and hit["meta"].get("user_id") in {None, turn.request.user_id}
            and is_open_to(turn.request.user_id, hit["meta"].get("source"))
        ]
        if not hits:
            return False
        outcome.text = turn.say(
            "recalled",
            content=hits[0]["content"],
            where=name_place(hits[0]["stored"], self._flow.memory_machine),
        )
        outcome.agent = "MemoryClient"
        outcome.data["stored"] = hits[0]["stored"]
        return True

    async def _keep_in_mind(self, outcome: Outcome) -> None:
        """What was just recalled matters to what is said next."""
        context = self._flow.peers.working_context.with_options(
            timeout_s=self._flow.remote_timeout_s
        )
        try:
            await self._flow.guard(
                "ContextManager", context.add_item(outcome.text[:2000], speaker="assistant")
            )
        except CallError as error:
            outcome.notes.append(f"not kept in mind: ContextManager did not answer ({error})")


def _is_command(evidence: Any, now: datetime) -> bool:
    """Whether a piece of evidence is an utterance that asked for something to be done."""
    if evidence["kind"] != "turn":
        return False
    matched = match_intent(evidence["text"], now)
    return matched is not None and matched[0] in _COMMANDS
