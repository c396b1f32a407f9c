"""Remembers who said what in each conversation and supplies the recent turns as context."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, every, method, subscribe
from aisys.ids import new_id
from aisys_agents.memory.errors import MemoryNotFound, SessionClosed, SessionNotFound, StoreAway
from aisys_agents.memory.memory_client import MemoryClient, SearchFilters
from aisys_agents.memory.models import (
    Content,
    Hit,
    Limit,
    Memory,
    MemoryChanges,
    Tier,
    Turn,
    TurnHit,
)
from aisys_agents.text.words import estimate_tokens

__all__ = [
    "SESSION_KIND",
    "TURN_KIND",
    "ContextTurns",
    "SessionClosedResult",
    "SessionCreated",
    "SessionMemoryAgent",
    "TurnAdded",
    "TurnsFound",
]

SESSION_KIND = "session"
TURN_KIND = "turn"

_RECENT_TURNS = 200
_TURN_IMPORTANCE = 0.4
_ALL_TIERS: list[Tier] = ["short", "medium", "long", "archive"]


class SessionCreated(TypedDict):
    """The id of a conversation."""

    session_id: str


class TurnAdded(TypedDict):
    """The id of an utterance, how many the conversation has, and where it was stored."""

    turn_id: str
    turns: int
    stored: str


class ContextTurns(TypedDict):
    """Recent utterances, oldest first; whether some were left out; whom it could not reach."""

    turns: list[Turn]
    trimmed: bool
    unreached: list[str]


class TurnsFound(TypedDict):
    """Utterances, best first, and whom the search could not reach."""

    turns: list[TurnHit]
    unreached: list[str]


class SessionClosedResult(TypedDict):
    """How many utterances the conversation had, and whether they were erased."""

    turns: int
    deleted: bool


@dataclass(slots=True)
class _Session:
    session_id: str
    user_id: str
    kind: str
    opened_at: float
    last_at: float
    turns: int = 0


@dataclass(slots=True)
class _Recent:
    """The newest utterances of a conversation; complete unless the store could not be asked."""

    turns: deque[Turn] = field(default_factory=lambda: deque(maxlen=_RECENT_TURNS))
    unreached: list[str] = field(default_factory=list)


class SessionMemoryAgent(Agent):
    """Conversations and their turns.

    The text lives in the memory store; here is the table of open conversations with their last
    activity and their newest turns. The table survives a restart, and a conversation that is not in
    it any more is taken up again from the store.
    """

    memory: MemoryClient

    class Config(Agent.Config):
        """Settings.

        Attributes:
            max_sessions: how many conversations are held at once; the longest idle goes first.
            idle_s: after this time without a turn a conversation is put away, to be taken up
                again when somebody speaks.
        """

        max_sessions: int = Field(100, ge=1)
        idle_s: float = Field(3_600.0, gt=0)

    async def on_start(self) -> None:
        """Read the table of open conversations."""
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._recent: dict[str, _Recent] = {}
        self._unsaved: set[str] = set()
        for key in await self.state.keys("session/"):
            record = await self.state.get(key)
            self._sessions[record["session_id"]] = _Session(**record)
        ordered = sorted(self._sessions.items(), key=lambda item: item[1].last_at)
        self._sessions = OrderedDict(ordered)

    async def on_stop(self) -> None:
        """Write the table."""
        await self.save()

    @method(timeout_s=15)
    async def create_session(
        self,
        user_id: str,
        kind: str = "conversation",
        meta: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> SessionCreated:
        """Open a conversation.

        Args:
            user_id: who with.
            kind: what sort of conversation.
            meta: anything worth keeping about it.
            session_id: the id it is to have; a conversation of this id is continued, also one
                that had ended.
        """
        if session_id is not None and await self._continue(session_id):
            return SessionCreated(session_id=session_id)
        now = self.clock.time()
        session = _Session(session_id or new_id("session"), user_id, kind, now, now)
        await self.memory.add_memory(
            f"{kind} with {user_id}",
            kind=SESSION_KIND,
            tier="long",
            meta={**(meta or {}), "user_id": user_id, "session_kind": kind},
            memory_id=session.session_id,
        )
        await self._take(session)
        await self._changed(session, "created")
        return SessionCreated(session_id=session.session_id)

    @method(timeout_s=15)
    async def add_turn(
        self,
        session_id: str,
        role: Annotated[str, Field(min_length=1, max_length=50)],
        text: Content,
        meta: dict[str, Any] | None = None,
    ) -> TurnAdded:
        """Append an utterance.

        Args:
            session_id: the conversation.
            role: who spoke: `user`, `assistant`, or a name.
            text: what was said.
            meta: anything worth keeping about it.

        Raises:
            SessionNotFound: there is no such conversation.
            SessionClosed: it has ended.
        """
        session = await self._session(session_id)
        recent = await self._turns(session)
        now = self.clock.time()
        session.turns += 1
        turn = Turn(
            turn_id=new_id("turn"),
            session_id=session_id,
            role=role,
            text=text,
            at=now,
            meta=meta or {},
        )
        recent.turns.append(turn)
        session.last_at = now
        self._sessions.move_to_end(session_id)
        self._unsaved.add(session_id)
        stored = await self.memory.add_memory(
            text,
            kind=TURN_KIND,
            tier="short",
            importance=_TURN_IMPORTANCE,
            parent_id=session_id,
            meta={
                "role": role,
                "user_id": session.user_id,
                "number": session.turns,
                "meta": meta or {},
            },
            memory_id=turn["turn_id"],
        )
        await self._changed(session, "turn")
        return TurnAdded(turn_id=turn["turn_id"], turns=session.turns, stored=stored["stored"])

    @method(timeout_s=15, idempotent=True)
    async def get_context(
        self,
        session_id: str,
        max_turns: Limit = 20,
        max_tokens: Annotated[int, Field(ge=1)] = 2_000,
    ) -> ContextTurns:
        """The newest turns in order, as many as fit into both limits.

        Raises:
            SessionNotFound: there is no such conversation.
        """
        session = await self._session(session_id, open_only=False)
        recent = await self._turns(session)
        chosen: deque[Turn] = deque()
        spent = 0
        for turn in reversed(recent.turns):
            spent += estimate_tokens(turn["text"])
            if len(chosen) >= max_turns or spent > max_tokens:
                break
            chosen.appendleft(turn)
        return ContextTurns(
            turns=list(chosen),
            trimmed=len(chosen) < max(session.turns, len(recent.turns)),
            unreached=list(recent.unreached),
        )

    @method(timeout_s=15, idempotent=True)
    async def search_turns(
        self,
        query: str,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: Limit = 10,
    ) -> TurnsFound:
        """Find past utterances, best first, also those that have faded.

        Args:
            query: words or a question; empty for the newest.
            session_id: only of this conversation.
            user_id: only of conversations with this user.
            limit: how many at most.
        """
        filters = SearchFilters(tiers=_ALL_TIERS)
        if user_id is not None:
            filters["meta"] = {"user_id": user_id}
        found = await self.memory.search_memory(
            query, kind=TURN_KIND, parent_id=session_id, limit=limit, filters=filters
        )
        return TurnsFound(
            turns=[_turn_hit(hit) for hit in found["results"]], unreached=found["unreached"]
        )

    @method(timeout_s=15)
    async def close_session(self, session_id: str, delete: bool = False) -> SessionClosedResult:
        """End a conversation, and with `delete` erase it.

        Raises:
            SessionNotFound: there is no such conversation.
            StoreAway: it is in the store, which cannot be reached; it stays open.
        """
        session = await self._session(session_id, open_only=False)
        if delete:
            await self.memory.delete_memory(session_id, cascade=True)
        else:
            await self.memory.update_memory(
                session_id, MemoryChanges(meta={"closed_at": self.clock.time()})
            )
        await self._drop(session_id)
        await self._changed(session, "deleted" if delete else "closed")
        return SessionClosedResult(turns=session.turns, deleted=delete)

    @subscribe("interaction.done")
    async def on_interaction(self, event: dict[str, Any]) -> None:
        """An exchange is over: the conversation is not idle."""
        session = self._sessions.get(str(event.get("session_id")))
        if session is not None:
            session.last_at = self.clock.time()
            self._sessions.move_to_end(session.session_id)
            self._unsaved.add(session.session_id)

    @every(seconds=5)
    async def save(self) -> None:
        """Write the rows of the table that changed."""
        unsaved, self._unsaved = self._unsaved, set()
        rows = {
            f"session/{session_id}": asdict(self._sessions[session_id])
            for session_id in unsaved
            if session_id in self._sessions
        }
        if rows:
            await self.state.set_many(rows)

    @every(minutes=1)
    async def put_idle_away(self) -> None:
        """Let go of conversations without a turn for long; they can be taken up again."""
        limit = self.clock.time() - self.config.idle_s
        for session in list(self._sessions.values()):
            if session.last_at <= limit:
                await self._drop(session.session_id)
                await self._changed(session, "idle")

    async def _continue(self, session_id: str) -> bool:
        """Take a conversation up again, if there is one of this id and the store can say so."""
        try:
            session = await self._session(session_id, open_only=False)
        except (SessionNotFound, StoreAway):
            return False
        if session_id not in self._sessions:
            await self.memory.update_memory(session_id, MemoryChanges(meta={"closed_at": None}))
            await self._take(session)
        return True

    async def _take(self, session: _Session) -> None:
        """Enter a conversation in the table, letting go of the longest idle if it is full."""
        self._sessions[session.session_id] = session
        await self.state.set(f"session/{session.session_id}", asdict(session))
        while len(self._sessions) > self.config.max_sessions:
            oldest = next(iter(self._sessions.values()))
            await self._drop(oldest.session_id)
            await self._changed(oldest, "idle")

    async def _drop(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._recent.pop(session_id, None)
        self._unsaved.discard(session_id)
        await self.state.delete(f"session/{session_id}")

    async def _session(self, session_id: str, *, open_only: bool = True) -> _Session:
        """The conversation, taken up from the store if it is not in the table."""
        session = self._sessions.get(session_id)
        if session is not None:
            return session
        try:
            memory = (await self.memory.get_memory(session_id))["memory"]
        except MemoryNotFound:
            raise SessionNotFound(session_id) from None
        if memory["kind"] != SESSION_KIND:
            raise SessionNotFound(session_id)
        session = _resumed(memory)
        if memory["meta"].get("closed_at") is not None:
            if open_only:
                raise SessionClosed(f"conversation {session_id!r} has ended: open a new one")
            return session
        await self._take(session)
        return session

    async def _turns(self, session: _Session) -> _Recent:
        """The newest turns, read from the store once, and again if it was away at the time."""
        recent = self._recent.get(session.session_id)
        if recent is not None and not recent.unreached:
            return recent
        found = await self.memory.search_memory(
            "",
            mode="recent",
            kind=TURN_KIND,
            parent_id=session.session_id,
            limit=_RECENT_TURNS,
            filters=SearchFilters(tiers=_ALL_TIERS),
        )
        recent = self._recent.get(session.session_id)  # as it is now, after waiting
        if recent is not None and not recent.unreached:
            return recent
        loaded = _Recent(unreached=found["unreached"])
        known = {hit["memory_id"]: _turn(hit) for hit in reversed(found["results"])}
        # What was said here since is not always in the store already.
        known.update((turn["turn_id"], turn) for turn in (recent.turns if recent else ()))
        loaded.turns.extend(sorted(known.values(), key=lambda turn: turn["at"]))
        numbers = [int(hit["meta"].get("number", 0)) for hit in found["results"]]
        session.turns = max([session.turns, len(known), *numbers])
        if session.session_id in self._sessions:
            self._recent[session.session_id] = loaded
        return loaded

    async def _changed(self, session: _Session, change: str) -> None:
        await self.publish(
            "session.changed",
            {"session_id": session.session_id, "user_id": session.user_id, "change": change},
        )


def _resumed(memory: Memory) -> _Session:
    meta = memory["meta"]
    return _Session(
        session_id=memory["memory_id"],
        user_id=str(meta.get("user_id", "")),
        kind=str(meta.get("session_kind", "conversation")),
        opened_at=memory["created_at"],
        last_at=memory["updated_at"],
    )


def _turn(memory: Memory | Hit) -> Turn:
    return Turn(
        turn_id=memory["memory_id"],
        session_id=memory["parent_id"] or "",
        role=str(memory["meta"].get("role", "")),
        text=memory["content"],
        at=memory["created_at"],
        meta=memory["meta"].get("meta", {}),
    )


def _turn_hit(hit: Hit) -> TurnHit:
    return TurnHit(
        **_turn(hit),
        user_id=hit["meta"].get("user_id"),
        score=hit["score"],
        stored=hit["stored"],
    )
