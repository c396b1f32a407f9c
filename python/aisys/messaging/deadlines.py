"""One timer for the deadlines of all calls of a link.

A timer per call costs more than the call: 100,000 calls a second with 30 s to live would hold three
million timer handles. Here a deadline is an integer in a bucket of 1/64 s; what was answered long
before stays behind as that integer and is swept away when it outnumbers the living.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

__all__ = ["DeadlineWheel"]

TICKS_PER_S = 64
SWEEP_ABOVE = 8192


class DeadlineWheel:
    """Buckets of correlation ids by the time they expire, never early and at most 1/64 s late.

    Args:
        loop: the event loop that runs the timer.
        now: monotonic seconds.
        alive: whether an id still waits for its answer.
        expire: called once for each id whose time has come and that is still alive.
    """

    __slots__ = (
        "_alive",
        "_buckets",
        "_entries",
        "_expire",
        "_loop",
        "_now",
        "_sweep_at",
        "_ticks",
        "_timer",
        "_timer_tick",
        "last",
        "last_tick",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        alive: Callable[[int], object],
        expire: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._now = now
        self._alive = alive
        self._expire = expire
        self._buckets: dict[int, list[int]] = {}
        self._ticks: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_tick = 0
        self._entries = 0
        self._sweep_at = SWEEP_ABOVE
        self.last: list[int] = []
        self.last_tick = -1

    def add(self, corr: int, deadline: float) -> None:
        """Let `corr` expire at `deadline`, in monotonic seconds."""
        tick = int(deadline * TICKS_PER_S) + 1
        if tick != self.last_tick:
            self._open(tick)
        self.last.append(corr)

    def _open(self, tick: int) -> None:
        self._entries += len(self.last)
        if self._entries > self._sweep_at:
            self._sweep()
        self.last_tick = tick
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = []
            heapq.heappush(self._ticks, tick)
            if self._timer is None or tick < self._timer_tick:
                self._arm(tick)
        else:
            self._entries -= len(bucket)
        self.last = bucket

    def _sweep(self) -> None:
        """Drop what was answered; the next sweep waits for as many new entries as survived."""
        alive = self._alive
        entries = 0
        for tick, bucket in list(self._buckets.items()):
            bucket[:] = [corr for corr in bucket if alive(corr) is not None]
            entries += len(bucket)
            if not bucket:
                del self._buckets[tick]
        # Without the empty ticks the heap would grow by 64 a second for as long as the longest
        # deadline.
        self._ticks = sorted(self._buckets)
        self._entries = entries
        self._sweep_at = 2 * entries + SWEEP_ABOVE
        self.last = []
        self.last_tick = -1

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_tick = tick
        self._timer = self._loop.call_later(max(0.0, tick / TICKS_PER_S - self._now()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_tick = self._now() * TICKS_PER_S
        alive, expire = self._alive, self._expire
        while self._ticks:
            tick = self._ticks[0]
            bucket = self._buckets.get(tick)
            if bucket is None:
                heapq.heappop(self._ticks)
            elif tick <= now_tick:
                self._forget(tick)
                for corr in bucket:
                    if alive(corr) is not None:
                        expire(corr)
            elif any(alive(corr) is not None for corr in bucket):
                self._arm(tick)
                return
            else:
                # Nobody waits for this bucket any more: an idle process must not wake up for it.
                self._forget(tick)

    def _forget(self, tick: int) -> None:
        heapq.heappop(self._ticks)
        bucket = self._buckets.pop(tick)
        if bucket is self.last:
            self.last = []
            self.last_tick = -1
        else:
            self._entries = max(0, self._entries - len(bucket))

    def clear(self) -> None:
        """Forget everything and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._ticks.clear()
        self._entries = 0
        self.last = []
        self.last_tick = -1
