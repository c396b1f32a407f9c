"""What the memory agents take and give, so that their callers are type-checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field

# pydantic cannot read typing's own TypedDict before Python 3.12.
from typing_extensions import TypedDict

__all__ = [
    "ARCHIVE",
    "Content",
    "Fact",
    "FactHit",
    "Hit",
    "Importance",
    "Limit",
    "Memory",
    "MemoryChange",
    "MemoryChanges",
    "NewMemory",
    "Read",
    "SearchMode",
    "StoreStats",
    "Tier",
    "Turn",
    "TurnHit",
]

Tier = Literal["short", "medium", "long", "archive"]
"""How long a memory lasts: short and medium age, long stays, archive is kept but not searched."""

ARCHIVE: Tier = "archive"

SearchMode = Literal["auto", "text", "similarity", "recent"]
"""How to search: by terms, by likeness, by both, or simply the newest."""

Content = Annotated[str, Field(min_length=1, max_length=65_536)]
"""What a memory says, in letters."""

Importance = Annotated[float, Field(ge=0.0, le=1.0)]
"""How much a memory matters, 0 to 1."""

Limit = Annotated[int, Field(ge=1, le=1_000)]
"""How many results to give at most."""


class Memory(TypedDict):
    """One memory as it is kept. Times are seconds since the epoch, UTC."""

    memory_id: str
    content: str
    kind: str
    tier: str
    importance: float
    tags: list[str]
    parent_id: str | None
    meta: dict[str, Any]
    created_at: float
    updated_at: float
    accessed_at: float
    accesses: int
    expires_at: float | None
    revision: int
    stored: str


class Hit(Memory):
    """A memory that a search found, with its relevance (0 to 1) and the ways it was found."""

    score: float
    found_by: list[str]


class NewMemory(TypedDict):
    """A memory to store; what is left out takes the value given for all."""

    content: Content
    memory_id: NotRequired[str]
    kind: NotRequired[str]
    tier: NotRequired[Tier]
    importance: NotRequired[Importance]
    tags: NotRequired[list[str]]
    parent_id: NotRequired[str | None]
    meta: NotRequired[dict[str, Any]]
    created_at: NotRequired[float]
    expires_at: NotRequired[float | None]


class MemoryChanges(TypedDict, total=False):
    """What may be changed in a memory. `meta` is merged key by key; a null removes its key."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    content: Content
    kind: str
    tier: Tier
    importance: Importance
    tags: list[str]
    parent_id: str | None
    meta: dict[str, Any]
    expires_at: float | None


class Read(TypedDict):
    """One memory with the neighbours that were asked for."""

    memory: Memory
    children: list[Memory] | None
    related: list[dict[str, Any]] | None


class MemoryChange(TypedDict):
    """The event `memory.changed`: what happened to which memory."""

    memory_id: str
    kind: str
    change: str
    tier: str
    tags: list[str]
    stored: str


class StoreStats(TypedDict):
    """How much the store holds: memories, how many by tier, links, the size of the file."""

    memories: int
    tiers: dict[str, int]
    links: int
    bytes: int


class Fact(TypedDict):
    """A lasting fact. `stored` names the machine that has it, or says that it is still buffered."""

    fact_id: str
    topic: str
    content: str
    source: str | None
    confidence: float
    created_at: float
    updated_at: float
    history: list[dict[str, Any]]
    supersedes: str | None
    stored: str


class FactHit(Fact):
    """A fact that a search found."""

    score: float
    found_by: list[str]


class Turn(TypedDict):
    """One utterance of a conversation."""

    turn_id: str
    session_id: str
    role: str
    text: str
    at: float
    meta: dict[str, Any]


class TurnHit(Turn):
    """An utterance that a search found."""

    user_id: str | None
    score: float
    stored: str
