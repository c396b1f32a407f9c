"""Batches that a transport does not take yet, with their bytes counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["Outbox"]


class Outbox:
    """What waits for one peer.

    Args:
        limit_bytes: where the pressure begins.
    """

    __slots__ = ("_batches", "_limit", "bytes", "over")

    def __init__(self, limit_bytes: int) -> None:
        self._batches: deque[bytes] = deque()
        self._limit = limit_bytes
        self.bytes = 0
        self.over = False

    def put(self, data: bytes) -> None:
        """Queue a batch."""
        self._batches.append(data)
        self.bytes += len(data)

    def drain(self, send: Callable[[bytes], bool]) -> None:
        """Send in order until `send` says no."""
        while self._batches and send(self._batches[0]):
            self.bytes -= len(self._batches.popleft())

    def pressure(self) -> bool | None:
        """True when the limit was crossed upwards, False downwards, None when nothing changed."""
        if not self.over and self.bytes > self._limit:
            self.over = True
            return True
        if self.over and self.bytes <= self._limit // 2:
            self.over = False
            return False
        return None
