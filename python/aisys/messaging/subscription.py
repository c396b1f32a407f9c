"""One subscription: a bounded buffer between the link and a handler that may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from aisys.logs import get_logger
from aisys.messaging.limits import Limits
from aisys.messaging.model import Event, Gap
from aisys.messaging.stats import LinkStats

if TYPE_CHECKING:
    from aisys.messaging.subscriber import Subscriber

__all__ = ["EventHandler", "GapHandler", "Subscription"]

EventHandler: TypeAlias = Callable[[Event], Awaitable[None] | None]
GapHandler: TypeAlias = Callable[[Gap], None]

# Events handed over before the loop gets a turn for other work.
EVENTS_PER_TURN = 64

log = get_logger("aisys.messaging")


class Subscription:
    """A handler's place in the queue of events; made by `Endpoint.subscribe`.

    The handler runs from the buffer, never from the link: while an asynchronous handler is busy,
    events wait, the oldest are dropped when the buffer is full, and the loss is reported to
    `on_gap` in its place.

    Attributes:
        pattern: what was subscribed to.
        dropped: events that this subscription lost because its handler was too slow.
    """

    __slots__ = (
        "_busy",
        "_bytes",
        "_handler",
        "_hub",
        "_items",
        "_limits",
        "_loop",
        "_lost",
        "_on_gap",
        "_scheduled",
        "_stats",
        "_task",
        "closed",
        "dropped",
        "pattern",
    )

    def __init__(
        self,
        hub: Subscriber,
        pattern: str,
        handler: EventHandler,
        on_gap: GapHandler | None,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        stats: LinkStats,
    ) -> None:
        self._hub = hub
        self.pattern = pattern
        self._handler = handler
        self._on_gap = on_gap
        self._loop = loop
        self._limits = limits
        self._stats = stats
        self._items: deque[Event | Gap] = deque()
        self._bytes = 0
        self._lost: dict[str, Gap] = {}
        self._scheduled = False
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self.closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    async def aclose(self) -> None:
        """Stop; nothing is handed to the handler any more."""
        self._hub.remove(self)
        self.stop()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def stop(self) -> None:
        """Drop what is buffered and end; a running handler finishes."""
        self.closed = True
        self._items.clear()
        self._lost.clear()
        self._bytes = 0

    def put(self, item: Event | Gap) -> None:
        """Queue an event or a gap for the handler."""
        if self.closed:
            return
        self._items.append(item)
        if isinstance(item, Event):
            self._bytes += item.size_bytes
        limits = self._limits
        while len(self._items) > limits.subscription_events or (
            self._bytes > limits.subscription_bytes and len(self._items) > 1
        ):
            self._drop(self._items.popleft())
        if not (self._scheduled or self._busy):
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drop(self, item: Event | Gap) -> None:
        if isinstance(item, Event):
            self._bytes -= item.size_bytes
            self.dropped += 1
            self._stats.events_dropped.labels("subscription").inc()
            gap = Gap(item.publisher, item.seq, 1)
        else:
            gap = item
        before = self._lost.get(gap.publisher)
        if before is not None:
            restarted = before.restarted or gap.restarted
            gap = Gap(gap.publisher, before.first, before.count + gap.count, restarted)
        self._lost[gap.publisher] = gap

    def _drain(self) -> None:
        self._scheduled = False
        self._report_lost()
        items = self._items
        for _ in range(min(len(items), EVENTS_PER_TURN)):
            if not items:
                return
            item = items.popleft()
            if isinstance(item, Gap):
                self._report(item)
                continue
            self._bytes -= item.size_bytes
            try:
                result = self._handler(item)
            except Exception as error:  # noqa: BLE001 - a handler's bug concerns this one event only
                self._failed(item, error)
                continue
            if result is not None:
                self._busy = True
                self._task = self._loop.create_task(self._finish(item, result))
                return
        if items and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    async def _finish(self, item: Event, result: Awaitable[None]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001 - as in _drain
            self._failed(item, error)
        finally:
            self._busy = False
            if (self._items or self._lost) and not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._drain)

    def _failed(self, item: Event, error: Exception) -> None:
        """Note an exception that is being handled."""
        self._stats.handler_errors.inc()
        log.exception("event_handler_raised", topic=item.topic, error=repr(error))  # noqa: LOG004

    def _report_lost(self) -> None:
        if self._lost:
            lost, self._lost = list(self._lost.values()), {}
            for gap in lost:
                self._report(gap)

    def _report(self, gap: Gap) -> None:
        self._stats.gaps.inc()
        if self._on_gap is None:
            return
        try:
            self._on_gap(gap)
        except Exception as error:
            self._stats.handler_errors.inc()
            log.exception("gap_handler_raised", publisher=gap.publisher, error=repr(error))
