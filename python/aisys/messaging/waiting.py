"""Calls that have not been sent because there is no connection yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from aisys.messaging.call import Call
from aisys.messaging.limits import Limits
from aisys.messaging.model import Buffer
from aisys.messaging.stream import ReplyStream

__all__ = ["OpenCall", "Waiting", "WaitingCalls"]

OpenCall: TypeAlias = Call | ReplyStream


class Waiting(NamedTuple):
    """One call with what is needed to send it."""

    call: OpenCall
    body: bytes
    deadline: float
    attachments: Sequence[Buffer]
    priority: int
    trace: bytes | None
    flags: int


class WaitingCalls:
    """The calls that wait for one connection, in order, bounded by number and bytes."""

    __slots__ = ("_bytes", "_calls", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._calls: dict[int, tuple[Waiting, int]] = {}
        self._bytes = 0
        self._limits = limits

    def __len__(self) -> int:
        return len(self._calls)

    def has_room(self, size: int) -> bool:
        """Whether a call of `size` bytes may wait too."""
        limits = self._limits
        return (
            len(self._calls) < limits.max_waiting_calls
            and self._bytes + size <= limits.max_waiting_bytes
        )

    def put(self, waiting: Waiting, size: int) -> None:
        """Let a call of `size` bytes wait."""
        self._calls[waiting.call.corr] = waiting, size
        self._bytes += size

    def discard(self, corr: int) -> bool:
        """Let a call wait no longer; whether it did."""
        found = self._calls.pop(corr, None)
        if found is None:
            return False
        self._bytes -= found[1]
        return True

    def take_all(self) -> list[Waiting]:
        """Every call, in order; none waits any more."""
        calls = [waiting for waiting, _ in self._calls.values()]
        self._calls.clear()
        self._bytes = 0
        return calls
