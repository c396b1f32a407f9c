"""What can go wrong with memories, each with a code of its own."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors import AgentError

__all__ = [
    "BufferFull",
    "FactNotFound",
    "MemoryNotFound",
    "SessionClosed",
    "SessionNotFound",
    "StoreAway",
    "StoreFailed",
    "StoreFull",
]


class MemoryNotFound(AgentError):
    """No memory has this id.

    Attributes:
        memory_id: the id asked for.
    """

    code: ClassVar[str] = "memory_not_found"
    fields: ClassVar[tuple[str, ...]] = ("memory_id",)

    def __init__(self, memory_id: str) -> None:
        super().__init__(f"no memory {memory_id!r}")
        self.memory_id = memory_id


class StoreFailed(AgentError):
    """The file of the store could not be read or written; what was asked for was not done."""

    code: ClassVar[str] = "memory_store_failed"


class StoreFull(StoreFailed):
    """The disk or the waiting list of the store is full; what was asked for was not done."""

    code: ClassVar[str] = "memory_store_full"


class StoreAway(AgentError):
    """The store on the other machine cannot be reached, and the answer is not here.

    Attributes:
        unreached: the agent that could not be reached.
    """

    code: ClassVar[str] = "memory_store_away"
    retryable: ClassVar[bool] = True
    fields: ClassVar[tuple[str, ...]] = ("unreached",)

    def __init__(self, message: str, *, unreached: str) -> None:
        super().__init__(message)
        self.unreached = unreached


class BufferFull(AgentError):
    """The store is away and the buffer for it is full: the memory was not accepted."""

    code: ClassVar[str] = "memory_buffer_full"


class FactNotFound(AgentError):
    """No fact has this id or topic."""

    code: ClassVar[str] = "fact_not_found"


class SessionNotFound(AgentError):
    """No conversation has this id.

    Attributes:
        session_id: the id asked for.
    """

    code: ClassVar[str] = "session_not_found"
    fields: ClassVar[tuple[str, ...]] = ("session_id",)

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no conversation {session_id!r}")
        self.session_id = session_id


class SessionClosed(AgentError):
    """The conversation has ended: open a new one."""

    code: ClassVar[str] = "session_closed"
