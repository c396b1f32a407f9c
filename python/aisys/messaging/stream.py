"""The consumer's end of a streamed reply."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aisys.messaging.model import Reply

if TYPE_CHECKING:
    from aisys.messaging.client_link import ClientLink

__all__ = ["ReplyStream"]


class ReplyStream:
    """An asynchronous iterator over the items of one call.

    The producer is at most one window ahead of the consumer. Leaving the iteration early needs
    `aclose` (or `async with`), which stops the producer; so does the deadline.

    Attributes:
        target: what was called.
        timeout_s: the time for the whole stream, in seconds.
    """

    __slots__ = (
        "_ended",
        "_error",
        "_items",
        "_link",
        "_loop",
        "_taken",
        "_waiter",
        "_window",
        "corr",
        "target",
        "timeout_s",
    )

    def __init__(
        self,
        link: ClientLink,
        target: str,
        timeout_s: float,
        window: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._link = link
        self._loop = loop
        self._window = window
        self._items: deque[Reply] = deque()
        self._taken = 0
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.corr = 0
        self.target = target
        self.timeout_s = timeout_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Reply:
        while not self._items:
            if self._error is not None:
                error, self._error = self._error, None
                self._ended = True
                raise error
            if self._ended:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("a ReplyStream has one consumer: iterate over it in one task")
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._items.popleft()
        self._taken += 1
        # Half a window at a time: one credit frame for sixteen items, and the producer never runs
        # dry.
        if self._taken * 2 >= self._window and not self._ended:
            self._link.grant(self.corr, self._taken)
            self._taken = 0
        return item

    async def aclose(self) -> None:
        """Take no more items and stop the producer."""
        if not self.done():
            self._ended = True
            self._link.cancelled(self)
        self._items.clear()
        self._error = None
        self._ended = True
        self._notify()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- called by the link

    def done(self) -> bool:
        """Whether no more items can come."""
        return self._ended or self._error is not None

    def put(self, item: Reply) -> bool:
        """Take an item from the link; False if the producer exceeds its credit."""
        if len(self._items) + self._taken >= self._window:
            return False
        self._items.append(item)
        self._notify()
        return True

    def set_result(self, item: Reply) -> None:
        """A plain reply: a stream of one item."""
        self._items.append(item)
        self.set_ended()

    def set_ended(self) -> None:
        """The producer is done."""
        self._ended = True
        self._notify()

    def set_exception(self, error: Exception) -> None:
        """The stream failed; raised after the items that came before."""
        if not self.done():
            self._error = error
            self._notify()

    def _notify(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
