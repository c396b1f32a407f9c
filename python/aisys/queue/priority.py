"""Waiting, on top of the native queue."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar, cast

from aisys._native import QueueCore

__all__ = ["DEFAULT_PRIORITY", "PriorityQueue"]

T = TypeVar("T")

DEFAULT_PRIORITY: Final = 100
"""The priority of items that are given none."""

_NOTHING: Final[Any] = object()
_MIN_TIMER_S: Final = 0.001  # uvloop rounds to milliseconds: less would spin until the item is due


class PriorityQueue(QueueCore[T]):
    """A queue with 256 priorities, 0 served first, first in first out within one.

    It does what `asyncio.Queue` does and more: items may be delayed, may expire, may be cancelled
    or moved by the id that putting them gave, and may be put from other threads. It belongs to the
    event loop on which it is awaited; everything but `put_threadsafe` is called from there.

    Producers that wait for room get it in the order in which they came, and nobody overtakes them.
    A cancelled `get` never loses an item.

    Args:
        maxsize: how many items, ready and delayed, there may be; 0 is any number.
        ageing_s: an item gains one priority for each `ageing_s` seconds it waits, so that low
            priorities are served late but not never. None: strict priorities.
        on_expired: called with each item whose deadline passed before it was got. It runs within
            the call that found the item; what it raises goes to `sys.unraisablehook`.
        clock: whose `monotonic` to use instead of the system's.
    """

    _timer: asyncio.TimerHandle | None = None
    _timer_loop: asyncio.AbstractEventLoop | None = None

    async def put(
        self,
        item: T,
        priority: int = DEFAULT_PRIORITY,
        *,
        delay_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> int:
        """Put an item once there is room, and return its id.

        Args:
            item: what to put.
            priority: 0 (first) to 255 (last).
            delay_s: how long it stays out of reach, from the moment it is in.
            deadline_s: how long it may be got, from the moment it is in; None is for ever.

        Raises:
            QueueShutDown: the queue was shut down.
            ValueError: a priority or a time is out of range.
        """
        if self.maxsize == 0:
            return self.put_nowait(item, priority, delay_s=delay_s, deadline_s=deadline_s)
        putter = asyncio.get_running_loop().create_future()
        if not self._reserve(putter):
            try:
                await putter
            except BaseException:
                # If it was woken, a place is reserved for it: the next one gets it.
                if putter.done() and not putter.cancelled():
                    self._release()
                else:
                    self._forget(putter)
                raise
        return self._put_reserved(item, priority, delay_s, deadline_s)

    async def get(self) -> T:
        """Remove and return the next item, once there is one.

        Raises:
            QueueShutDown: the queue was shut down and nothing is left.
        """
        item = self._try_get(_NOTHING)
        if item is not _NOTHING:
            return cast("T", item)
        return await self._get_later()

    async def get_batch(self, max: int) -> list[T]:  # noqa: A002 - as in get_many
        """Wait for an item, and return it with what else is ready, at most `max` items.

        Raises:
            QueueShutDown: the queue was shut down and nothing is left.
            ValueError: `max` is below 1.
        """
        if max < 1:
            raise ValueError(f"max is {max}; a batch has at least one item")
        items = self.get_many(max)
        if not items:
            items.append(await self._get_later())
            items += self.get_many(max - 1)
        return items

    async def join(self) -> None:
        """Return once every item that was put was got and dealt with (`task_done`).

        Items that were cancelled or expired count as dealt with.
        """
        joiner = asyncio.get_running_loop().create_future()
        if self._wait_done(joiner):
            try:
                await joiner
            finally:
                self._forget(joiner)

    async def _get_later(self) -> T:
        loop = asyncio.get_running_loop()
        first = False
        while True:
            getter = loop.create_future()
            item = self._get_or_wait(getter, first)
            if item is not getter:
                return cast("T", item)
            self._arm()
            try:
                await getter
            except BaseException:
                getter.cancel()
                self._forget(getter)
                if not getter.cancelled():
                    # It was woken for an item that it will not take: somebody else shall.
                    self._wake()
                raise
            # Whoever came first and found the item taken stays first.
            first = True

    def _arm(self) -> None:
        """See to it that getters are woken when the earliest delayed item is due."""
        due_s = self._due_s()
        if due_s is None:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + max(due_s, _MIN_TIMER_S)
        if self._timer is not None:
            if self._timer_loop is loop and self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._on_due)
        self._timer_loop = loop

    def _on_due(self) -> None:
        self._timer = None
        if self._wake():
            self._arm()
