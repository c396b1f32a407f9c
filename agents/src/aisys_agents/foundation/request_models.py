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
    "BadQuestion",
    "BreakersListed",
    "Cancelled",
    "Kind",
    "KindUnavailable",
    "QueueStatus",
    "RequestResult",
    "SuggestionTaken",
    "Urgency",
    "UserId",
    "checked_text",
]

MAX_QUESTION = 20_000

Kind = Literal["text", "audio", "vision"]
Urgency = Literal["low", "normal", "high", "critical"]
UserId = Annotated[str, Field(min_length=1, max_length=200)]


class KindUnavailable(AgentError):
    """Requests of this kind need an agent that is not part of this fleet."""

    code: ClassVar[str] = "kind_unavailable"


class BadQuestion(AgentError):
    """A question that is too long, or not made of characters."""

    code: ClassVar[str] = "bad_question"


def checked_text(text: str) -> str:
    """A question that can be served, as it is.

    Raises:
        BadQuestion: it is too long, or has half of a character that is written with two.
    """
    if len(text) > MAX_QUESTION:
        raise BadQuestion(
            f"the question is too long: {len(text)} characters, at most {MAX_QUESTION}"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadQuestion(
            f"the question is not valid text: a lone surrogate at character {error.start}"
        ) from None
    return text


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
