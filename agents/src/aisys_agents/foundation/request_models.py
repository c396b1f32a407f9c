"""What the request coordinator takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import TypedDict

from aisys import AgentError
from aisys_agents.foundation.breakers import BreakerInfo

__all__ = [
    "Accepted",
    "AnswerPiece",
    "BreakersListed",
    "Cancelled",
    "Kind",
    "KindUnavailable",
    "QueueStatus",
    "RequestResult",
    "SuggestionTaken",
    "Urgency",
    "UserId",
]

Kind = Literal["text", "audio", "vision"]
Urgency = Literal["low", "normal", "high", "critical"]
UserId = Annotated[str, Field(min_length=1, max_length=200)]


class KindUnavailable(AgentError):
    """Requests of this kind need an agent that is not part of this fleet."""

    code: ClassVar[str] = "kind_unavailable"


class Accepted(TypedDict):
    """The id of an accepted request, and how many wait before it."""

    request_id: str
    position: int


class RequestResult(TypedDict):
    """The outcome of a request.

    `state` is `queued`, `running`, `done`, `failed`, `cancelled` or `unknown`. `data` holds `status`, `backend`,
    `agent`, `intent`, `language`, `spoken`, `notes` and what the intent adds, such as `stored`.
    """

    state: str
    text: str | None
    data: dict[str, Any] | None
    error: str | None


class AnswerPiece(TypedDict):
    """A piece of an answer: `token` with a text, or `final` with everything."""

    type: str
    request_id: str
    text: str
    state: str
    data: dict[str, Any] | None
    error: str | None


class Cancelled(TypedDict):
    """How many requests were dropped."""

    cancelled: int


class QueueStatus(TypedDict):
    """Queue depth, and mean times by kind in milliseconds."""

    waiting: int
    running: int
    by_kind: dict[str, int]
    avg_ms: dict[str, float]


class SuggestionTaken(TypedDict):
    """The next pending suggestion, if any."""

    suggestion: dict[str, Any] | None


class BreakersListed(TypedDict):
    """The breakers of the downstream agents, open ones first."""

    breakers: list[BreakerInfo]
