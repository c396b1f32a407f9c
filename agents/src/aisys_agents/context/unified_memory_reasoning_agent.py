"""Reasons over what is remembered: answers, user models, and which fix belongs to which error."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, every, method, subscribe
from aisys.errors import CallError
from aisys_agents.context.answers import Evidence, evidence_for, quoted
from aisys_agents.context.context_manager import ContextManager
from aisys_agents.context.digests import Trouble, digest_turns
from aisys_agents.context.error_patterns import PatternBook
from aisys_agents.memory.errors import MemoryNotFound, SessionNotFound
from aisys_agents.memory.facts import user_source
from aisys_agents.memory.memory_orchestrator_service import MemoryOrchestratorService
from aisys_agents.memory.models import Hit, Tier, Turn
from aisys_agents.text.words import terms

__all__ = [
    "AnswerFromMemory",
    "PatternRecorded",
    "SessionSummary",
    "SolutionFound",
    "UnifiedMemoryReasoningAgent",
    "UserModel",
    "UserModelResult",
]

_BACKEND = "retrieval"
_ALL_TIERS: list[Tier] = ["short", "medium", "long", "archive"]
_TURNS = 500
_MAX_FACTS = 500
_MAX_TOPICS = 200
_MAX_USERS = 1_000
_MAX_SUMMARIES = 1_000

Text = Annotated[str, Field(min_length=1, max_length=65_536)]
UserId = Annotated[str, Field(min_length=1, max_length=200)]


class AnswerFromMemory(TypedDict):
    """The answer in the memories' own words, or none; what it rests on; how sure it is, 0 to 1."""

    answer: str | None
    evidence: list[Evidence]
    confidence: float
    backend: str


class SessionSummary(TypedDict):
    """What a conversation came to, in its own sentences."""

    summary: str
    decisions: list[str]
    errors: list[Trouble]
    topics: list[str]
    backend: str


class UserModel(TypedDict):
    """What is known of a user. Times are seconds since the epoch."""

    user_id: str
    facts: dict[str, Any]
    intents: dict[str, int]
    topics: dict[str, int]
    interactions: int
    updated_at: float | None


class UserModelResult(TypedDict):
    """The model as it is now."""

    model: UserModel


class PatternRecorded(TypedDict):
    """The id of an error pattern."""

    pattern_id: str


class SolutionFound(TypedDict):
    """The cure of an error, its pattern, how often that was seen and how often the cure worked."""

    solution: str | None
    pattern_id: str | None
    seen: int
    success_rate: float | None


class UnifiedMemoryReasoningAgent(Agent):
    """Answers from what is remembered, quoting it with its sources.

    It never rewords: an answer is made of sentences that stand in memories, or there is none. It
    keeps a model of each user, digests of conversations that ended, and error patterns with cures.
    """

    memory: MemoryOrchestratorService
    context: ContextManager

    async def on_start(self) -> None:
        """Read the error patterns; user models are read when they are needed."""
        self._book = PatternBook()
        for key in await self.state.keys("pattern/"):
            self._book.load(await self.state.get(key))
        self._users: OrderedDict[str, UserModel] = OrderedDict()
        self._unsaved_users: set[str] = set()
        self._unsaved_patterns: set[str] = set()

    async def on_stop(self) -> None:
        """Write what was learned since the last time."""
        await self.save()

    @method(timeout_s=15, idempotent=True)
    async def answer_from_memory(
        self,
        question: Text,
        user_id: str | None = None,
        k: Annotated[int, Field(ge=1, le=100)] = 8,
    ) -> AnswerFromMemory:
        """Answer with the memories it rests on, or not at all.

        Args:
            question: what is asked.
            user_id: who asks; what other users said is then left out.
            k: how many memories to give as evidence at most.
        """
        facts = await self.memory.search_memory(question, kind="fact", limit=k)
        others = await self.memory.search_memory(question, limit=min(4 * k, 200))
        own: list[Hit] = []
        if user_id is not None:
            # Asked for separately too, so that the facts of others do not crowd out one's own.
            source = {"source": user_source(user_id)}
            own = (await self.memory.search_memory(question, kind="fact", limit=k, meta=source))[
                "results"
            ]
        hits: dict[str, Hit] = {
            hit["memory_id"]: hit for hit in (*own, *facts["results"], *others["results"])
        }
        evidence = evidence_for(question, list(hits.values()), user_id=user_id, limit=k)
        answer = quoted(evidence)
        if answer is not None:
            await self._keep_in_mind(answer, evidence[0])
        return AnswerFromMemory(
            answer=answer,
            evidence=evidence,
            confidence=evidence[0]["score"] if evidence else 0.0,
            backend=_BACKEND,
        )

    @method(timeout_s=15, idempotent=True)
    async def summarize_session(
        self, session_id: str, max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 500
    ) -> SessionSummary:
        """Digest a conversation: central sentences, decisions, troubles, topics.

        Raises:
            SessionNotFound: there is no such conversation.
        """
        turns = await self._turns(session_id)
        if not turns:
            kept = await self.state.get(f"summary/{session_id}")
            if kept is not None:
                summary: SessionSummary = kept["digest"]
                return summary
            try:
                await self.memory.get_memory(session_id)
            except MemoryNotFound:
                raise SessionNotFound(session_id) from None
        return SessionSummary(**digest_turns(turns, max_tokens=max_tokens), backend=_BACKEND)

    @method(timeout_s=5)
    async def update_user_model(self, user_id: UserId, facts: dict[str, Any]) -> UserModelResult:
        """Merge preferences, habits and facts into a user's model; a null removes a key."""
        model = await self._user(user_id)
        merged = {**model["facts"], **facts}
        kept = [(key, value) for key, value in merged.items() if value is not None]
        model["facts"] = dict(kept[-_MAX_FACTS:])
        model["updated_at"] = self.clock.time()
        await self.state.set(f"user/{user_id}", model)
        return UserModelResult(model=model)

    @method(timeout_s=5, idempotent=True)
    async def get_user_model(self, user_id: UserId) -> UserModelResult:
        """What is known of a user; an empty model for somebody new."""
        return UserModelResult(model=await self._user(user_id))

    @method(timeout_s=5, idempotent=True)
    async def record_error_pattern(
        self,
        kind: Annotated[str, Field(min_length=1, max_length=100)],
        pattern: Annotated[str, Field(min_length=1, max_length=500)],
        solution: str | None = None,
    ) -> PatternRecorded:
        """Teach the cure of an error.

        Args:
            kind: what sort of error.
            pattern: a regular expression that its messages match.
            solution: what cures it.

        Raises:
            BadPattern: it is no usable regular expression.
        """
        taught, dropped = self._book.teach(kind, pattern, solution)
        record = self._book.dump(taught.pattern_id)
        await self.state.set(f"pattern/{taught.pattern_id}", record)
        await self._forget_patterns(dropped)
        return PatternRecorded(pattern_id=taught.pattern_id)

    @method(timeout_s=5, idempotent=True)
    async def find_solution(self, error_message: Text) -> SolutionFound:
        """The cure for an error, by its pattern or else by its words."""
        pattern = self._book.match(error_message)
        if pattern is None or pattern.solution is None:
            pattern = self._book.nearest(error_message) or pattern
        if pattern is None:
            return SolutionFound(solution=None, pattern_id=None, seen=0, success_rate=None)
        return SolutionFound(
            solution=pattern.solution,
            pattern_id=pattern.pattern_id,
            seen=pattern.seen,
            success_rate=pattern.success_rate,
        )

    @method(timeout_s=5)
    async def report_solution(self, pattern_id: str, worked: bool) -> SolutionFound:
        """Note whether the cure of a pattern worked.

        Raises:
            PatternNotFound: there is no such pattern.
        """
        pattern = self._book.outcome(pattern_id, worked=worked)
        await self.state.set(f"pattern/{pattern_id}", self._book.dump(pattern_id))
        return SolutionFound(
            solution=pattern.solution,
            pattern_id=pattern_id,
            seen=pattern.seen,
            success_rate=pattern.success_rate,
        )

    @subscribe("interaction.done")
    async def on_interaction(self, event: dict[str, Any]) -> None:
        """Learn what a user asks for and about."""
        user_id = event.get("user_id")
        if not isinstance(user_id, str) or not 0 < len(user_id) <= 200:
            return
        model = await self._user(user_id)
        model["interactions"] += 1
        model["updated_at"] = self.clock.time()
        intent = event.get("intent")
        if isinstance(intent, str):
            model["intents"] = _counted(model["intents"], [intent])
        model["topics"] = _counted(model["topics"], terms(str(event.get("user_input") or "")))
        self._unsaved_users.add(user_id)

    @subscribe("error.report")
    async def on_error(self, event: dict[str, Any]) -> None:
        """Count an error, and learn its pattern if it is new."""
        message = event.get("message")
        if not isinstance(message, str) or event.get("agent") == self.name:
            return  # its own errors would be counted in a circle
        kind = event.get("kind") or event.get("category") or "unknown"
        pattern, dropped = self._book.saw(str(kind), message)
        if pattern is not None:
            self._unsaved_patterns.add(pattern.pattern_id)
        await self._forget_patterns(dropped)

    @subscribe("session.changed")
    async def on_session(self, event: dict[str, Any]) -> None:
        """Keep the digest of a conversation that ended; drop that of one that was deleted."""
        session_id = event.get("session_id")
        if not isinstance(session_id, str):
            return
        if event.get("change") == "deleted":
            await self.state.delete(f"summary/{session_id}")
        elif event.get("change") == "closed":
            try:
                turns = await self._turns(session_id)
            except CallError as error:
                self.log.warning("no digest made", session_id=session_id, reason=str(error))
                return
            if turns:
                await self._keep_summary(session_id, turns)

    @every(seconds=10)
    async def save(self) -> None:
        """Write what was learned from events since the last time."""
        users, self._unsaved_users = self._unsaved_users, set()
        patterns, self._unsaved_patterns = self._unsaved_patterns, set()
        rows: dict[str, Any] = {
            f"user/{user_id}": self._users[user_id] for user_id in users if user_id in self._users
        }
        rows.update(
            (f"pattern/{pattern_id}", self._book.dump(pattern_id))
            for pattern_id in patterns
            if pattern_id in self._book
        )
        if rows:
            await self.state.set_many(rows)

    async def _keep_in_mind(self, answer: str, best: Evidence) -> None:
        """What was just recalled belongs to the context, but is no condition of the answer."""
        try:
            await self.context.with_options(timeout_s=1.0).add_item(
                answer, meta={"memory_id": best["memory_id"]}
            )
        except CallError as error:
            self.log.info("answer not kept in mind", reason=str(error))

    async def _turns(self, session_id: str) -> list[Turn]:
        found = await self.memory.search_memory(
            "", mode="recent", kind="turn", parent_id=session_id, limit=_TURNS, tiers=_ALL_TIERS
        )
        return [
            Turn(
                turn_id=hit["memory_id"],
                session_id=session_id,
                role=str(hit["meta"].get("role", "")),
                text=hit["content"],
                at=hit["created_at"],
                meta={},
            )
            for hit in reversed(found["results"])
        ]

    async def _keep_summary(self, session_id: str, turns: Sequence[Turn]) -> None:
        digest = SessionSummary(**digest_turns(turns), backend=_BACKEND)
        await self.state.set(f"summary/{session_id}", {"at": self.clock.time(), "digest": digest})
        keys = await self.state.keys("summary/")
        if len(keys) > _MAX_SUMMARIES:
            kept = await self.state.get_many(keys)
            oldest = sorted(kept, key=lambda key: float(kept[key]["at"]))
            await self.state.delete(*oldest[: len(keys) - _MAX_SUMMARIES])

    async def _forget_patterns(self, pattern_ids: Sequence[str]) -> None:
        self._unsaved_patterns.difference_update(pattern_ids)
        if pattern_ids:
            await self.state.delete(*(f"pattern/{pattern_id}" for pattern_id in pattern_ids))

    async def _user(self, user_id: str) -> UserModel:
        if user_id not in self._users:
            kept: UserModel = await self.state.get(f"user/{user_id}") or _nobody(user_id)
            self._users.setdefault(user_id, kept)
            if len(self._users) > _MAX_USERS:
                # Only the table in memory is bounded: what was written stays in the state.
                await self.save()
                self._users.popitem(last=False)
        self._users.move_to_end(user_id)
        return self._users[user_id]


def _nobody(user_id: str) -> UserModel:
    return UserModel(
        user_id=user_id, facts={}, intents={}, topics={}, interactions=0, updated_at=None
    )


def _counted(counts: dict[str, int], seen: Sequence[str]) -> dict[str, int]:
    """The counts with what was seen added; the rarest go when there are too many."""
    merged = dict(counts)
    for word in seen:
        merged[word] = merged.get(word, 0) + 1
    ranked = sorted(merged.items(), key=lambda item: -item[1])
    return dict(ranked[:_MAX_TOPICS])
