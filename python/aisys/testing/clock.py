"""Time that a test owns."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class VirtualClock:
    """A clock that stands still until the test moves it.

    Args:
        monotonic_s: where monotonic time begins.
        time_s: where the wall clock begins, in seconds since the epoch.
    """

    def __init__(self, monotonic_s: float = 1000.0, time_s: float = 1_800_000_000.0) -> None:
        self._monotonic_s = monotonic_s
        self._time_s = time_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @property
    def sleeping(self) -> int:
        """How many sleepers wait for this clock."""
        return sum(1 for _, _, future in self._sleepers if not future.done())

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic_s

    def time(self) -> float:
        """Seconds since the epoch, UTC."""
        return self._time_s

    async def sleep(self, seconds: float) -> None:
        """Return when the test has moved the clock by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._monotonic_s + seconds
        heapq.heappush(self._sleepers, (due, next(self._numbers), future))
        await future

    def set_time(self, time_s: float) -> None:
        """Jump the wall clock; monotonic time does not move."""
        self._time_s = time_s

    def tick(self, seconds: float) -> None:
        """Move time at once, for code that only reads the clock."""
        self._move_to(self._monotonic_s + seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic_s:
            self._wake(heapq.heappop(self._sleepers)[2])

    async def advance(self, seconds: float) -> None:
        """Move time, waking each sleeper at its moment and letting what it wakes run."""
        await self._settle()
        end = self._monotonic_s + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._move_to(due)
            self._wake(future)
            await self._settle()
        self._move_to(end)
        await self._settle()

    def _move_to(self, monotonic_s: float) -> None:
        step = max(0.0, monotonic_s - self._monotonic_s)
        self._monotonic_s += step
        self._time_s += step

    @staticmethod
    def _wake(future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_result(None)

    @staticmethod
    async def _settle() -> None:
        # Enough turns of the loop for a woken sleeper, what it wakes, and what that wakes, to come
        # to rest.
        for _ in range(10):
            await asyncio.sleep(0)
