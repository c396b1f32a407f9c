"""Requests from acceptance to answer: kept durably while open, and for a while after."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aisys import AgentError
from aisys.backends import State
from aisys.tracing import TraceContext

__all__ = [
    "MAX_FINISHED",
    "MAX_SAID_BYTES",
    "AnswerTooLong",
    "Request",
    "RequestBook",
    "priority_of",
]

MAX_FINISHED = 1_000
MAX_SAID_BYTES = 1024 * 1024
_PREFIX = "open/"
_URGENCY = {"critical": -4, "high": -2, "normal": 0, "low": 2}
_KIND = {"audio": -1, "text": 0, "vision": 1}
_USER = {"owner": -1, "guest": 1}


class AnswerTooLong(AgentError):
    """A model that does not come to an end."""

    code: ClassVar[str] = "answer_too_long"


def priority_of(kind: str, urgency: str, user_class: str | None, fill: float) -> int:
    """The rank of a request, 1 (first) to 10: by kind, user class, urgency and how full the queue is.

    Args:
        kind: `text`, `audio` or `vision`; a speaker waits less patiently than a typist.
        urgency: `low`, `normal`, `high` or `critical`.
        user_class: `owner`, `guest`, or another.
        fill: how full the queue is, 0 to 1; above 0.8 what is not urgent goes back further.
    """
    rank = 5 + _KIND.get(kind, 0) + _URGENCY.get(urgency, 0) + _USER.get(user_class or "", 0)
    if fill > 0.8 and urgency in {"low", "normal"}:
        rank += 1
    return min(max(rank, 1), 10)


@dataclass(slots=True, eq=False)
class Request:
    """One request and, in the end, its answer."""

    request_id: str
    kind: str
    data: str
    user_id: str
    session_id: str | None
    urgency: str
    context: dict[str, Any]
    accepted_at: float
    attempts: int = 1
    state: str = "queued"
    text: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    streaming: bool = False
    trace: TraceContext | None = None
    queue_id: int = 0
    unwanted: bool = False
    running: asyncio.Task[Any] | None = None
    tokens: list[str] = field(default_factory=list)
    said_bytes: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def to_json(self) -> dict[str, Any]:
        """What is kept while the request is open."""
        return {
            "request_id": self.request_id,
            "kind": self.kind,
            "data": self.data,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "urgency": self.urgency,
            "context": self.context,
            "accepted_at": self.accepted_at,
            "attempts": self.attempts,
        }

    def say(self, token: str) -> None:
        """Let whoever follows the request have a piece of the answer.

        Raises:
            AnswerTooLong: there are more than 1 MiB of pieces.
        """
        if not self.streaming:
            return
        self.said_bytes += len(token.encode(errors="replace"))
        if self.said_bytes > MAX_SAID_BYTES:
            raise AnswerTooLong(f"the answer is longer than {MAX_SAID_BYTES} bytes")
        self.tokens.append(token)
        self.changed.set()

    def unfollow(self) -> None:
        """Nobody follows the pieces any more: let them go."""
        self.streaming = False
        self.tokens.clear()

    def finish(
        self, state: str, text: str | None, result: dict[str, Any] | None, error: str | None
    ) -> None:
        """Put down the outcome and wake whoever waits for it."""
        self.state, self.text, self.result, self.error = state, text, result, error
        self.done.set()
        self.changed.set()


class RequestBook:
    """The open requests, in memory and in state, and the newest finished ones in memory."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.open: dict[str, Request] = {}
        self._finished: OrderedDict[str, Request] = OrderedDict()

    async def load(self) -> list[Request]:
        """The requests that were open when the agent ended, oldest first."""
        found: list[Request] = []
        for key in await self._state.keys(_PREFIX):
            kept = await self._state.get(key)
            if kept is not None:
                found.append(Request(**kept))
        return sorted(found, key=lambda request: request.accepted_at)

    async def keep(self, request: Request) -> None:
        """Write an open request; it survives everything once this has returned."""
        await self._state.set(_PREFIX + request.request_id, request.to_json())
        self.open[request.request_id] = request

    async def close(self, request: Request) -> None:
        """Move a request to the finished ones."""
        self.open.pop(request.request_id, None)
        self._finished[request.request_id] = request
        while len(self._finished) > MAX_FINISHED:
            self._finished.popitem(last=False)
        await self._state.delete(_PREFIX + request.request_id)

    def find(self, request_id: str) -> Request | None:
        """A request, open or finished not too long ago."""
        return self.open.get(request_id) or self._finished.get(request_id)
