"""One timer for all deadlines of a host.

Only work that is suspended is guarded, most of it ends long before its deadline, and a deadline may
fire a few milliseconds late. So deadlines are sorted into slots of a few milliseconds, and one task
sleeps until the earliest slot in use.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math

from aisys.clock import SYSTEM_CLOCK, Clock

TICK_S = 0.01


class Guard:
    """Cancels a task at a deadline, once, unless it is disarmed before.

    Attributes:
        expired: the deadline passed and the task was cancelled for it.
    """

    __slots__ = ("cancelling", "expired", "slot", "task")

    def __init__(self, task: asyncio.Task[object], slot: int) -> None:
        self.task = task
        self.slot = slot
        self.cancelling = task.cancelling()
        self.expired = False

    def settle(self, *, cancelled: bool) -> bool:
        """Take back the cancellation of an expired guard; say whether the work ended because of it.

        Args:
            cancelled: the work ended in `CancelledError`.
        """
        if not self.expired:
            return False
        # As asyncio.timeout: when somebody else cancelled the task as well, that cancellation has
        # precedence.
        return self.task.uncancel() <= self.cancelling and cancelled


class DeadlineWheel:
    """Deadlines in slots, and one task that wakes for the earliest.

    Args:
        clock: the base of the deadlines.
        tick_s: the width of a slot; a deadline fires up to this much late, never early.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, tick_s: float = TICK_S) -> None:
        self._clock = clock
        self._per_second = 1.0 / tick_s
        self._slots: dict[int, set[Guard]] = {}
        self._order: list[int] = []
        self._driver: asyncio.Task[None] | None = None
        self._next = math.inf

    def __len__(self) -> int:
        return sum(len(guards) for guards in self._slots.values())

    def arm(self, deadline: float, task: asyncio.Task[object]) -> Guard:
        """Cancel `task` when the clock reaches `deadline`."""
        slot = math.ceil(deadline * self._per_second)
        guard = Guard(task, slot)
        guards = self._slots.get(slot)
        if guards is None:
            guards = self._slots[slot] = set()
            heapq.heappush(self._order, slot)
            if slot < self._next:
                self._restart()
        guards.add(guard)
        return guard

    def disarm(self, guard: Guard) -> None:
        """Let the task live; harmless when the guard has fired."""
        guards = self._slots.get(guard.slot)
        if guards is not None:
            guards.discard(guard)
            if not guards:
                del self._slots[guard.slot]

    def close(self) -> None:
        """Stop the driver and forget all guards."""
        if self._driver is not None:
            self._driver.cancel()
            self._driver = None
        self._slots.clear()
        self._order.clear()
        self._next = math.inf

    def _restart(self) -> None:
        if self._driver is not None:
            self._driver.cancel()
        self._next = self._order[0]
        # An empty context: the driver must not keep the variables of whoever armed the first guard
        # alive.
        self._driver = asyncio.get_running_loop().create_task(
            self._drive(), name="aisys-deadlines", context=contextvars.Context()
        )

    async def _drive(self) -> None:
        while self._slots:
            slot = self._order[0]
            if slot not in self._slots:
                heapq.heappop(self._order)
                continue
            self._next = slot
            wait_s = slot / self._per_second - self._clock.monotonic()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
                continue
            heapq.heappop(self._order)
            for guard in self._slots.pop(slot):
                guard.expired = True
                guard.task.cancel()
        self._order.clear()
        self._next = math.inf
        self._driver = None
