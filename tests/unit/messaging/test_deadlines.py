"""The deadline wheel: never early, hardly late, and bounded."""

from __future__ import annotations

import asyncio
import random
import time

from aisys.messaging.deadlines import SWEEP_ABOVE, DeadlineWheel
from support.waiting import eventually


class Calls:
    """Ids that wait, and when each expired."""

    def __init__(self) -> None:
        self.alive: set[int] = set()
        self.expired: dict[int, float] = {}
        self.wheel = DeadlineWheel(
            asyncio.get_running_loop(), time.monotonic, self.get, self.expire
        )

    def get(self, corr: int) -> object | None:
        return corr if corr in self.alive else None

    def expire(self, corr: int) -> None:
        self.alive.discard(corr)
        self.expired[corr] = time.monotonic()

    def add(self, corr: int, seconds: float) -> float:
        deadline = time.monotonic() + seconds
        self.alive.add(corr)
        self.wheel.add(corr, deadline)
        return deadline


async def test_each_expires_at_its_time() -> None:
    """A thousand deadlines in random order: none early, none more than a tenth of a second late."""
    calls = Calls()
    dice = random.Random(1)
    deadlines = {corr: calls.add(corr, dice.uniform(0.0, 0.3)) for corr in range(1000)}
    await eventually(lambda: len(calls.expired) == 1000)

    late = [calls.expired[corr] - deadlines[corr] for corr in deadlines]
    assert min(late) >= 0
    # The bound of the promise is 0.1 s on an idle loop; this machine may be busy.
    assert sorted(late)[900] < 0.1


async def test_a_nearer_deadline_comes_first() -> None:
    """A later call with a shorter time is not kept waiting by an earlier one."""
    calls = Calls()
    calls.add(1, 60)
    calls.add(2, 0.02)

    await eventually(lambda: 2 in calls.expired)
    assert 1 in calls.alive
    calls.wheel.clear()


async def test_what_was_answered_does_not_expire() -> None:
    """An id that is no longer alive is passed over."""
    calls = Calls()
    calls.add(1, 0.02)
    calls.add(2, 0.02)
    calls.alive.discard(1)

    await eventually(lambda: calls.expired)
    assert list(calls.expired) == [2]


async def test_answered_calls_take_no_room() -> None:
    """A hundred thousand calls of 30 s, each answered at once, leave a bounded number of entries."""
    calls = Calls()
    most = 0
    for corr in range(100_000):
        calls.add(corr, 30 + corr / 1000)
        calls.alive.discard(corr)
        most = max(most, len(calls.wheel._buckets))
    entries = sum(len(bucket) for bucket in calls.wheel._buckets.values())

    assert entries <= 2 * SWEEP_ABOVE
    assert len(calls.wheel._ticks) <= SWEEP_ABOVE
    calls.wheel.clear()


async def test_the_living_survive_a_sweep() -> None:
    """Sweeping what was answered leaves the deadlines of the rest alone."""
    calls = Calls()
    deadline = calls.add(0, 0.3)
    for corr in range(1, 50_000):
        calls.add(corr, 30 + corr / 1000)
        calls.alive.discard(corr)

    await eventually(lambda: calls.expired)
    assert list(calls.expired) == [0]
    assert calls.expired[0] >= deadline
    calls.wheel.clear()


async def test_an_idle_wheel_has_no_timer() -> None:
    """When nobody waits any more the process is not woken."""
    calls = Calls()
    calls.add(1, 0.02)
    calls.add(2, 30)
    calls.alive.discard(2)
    await eventually(lambda: calls.expired)

    assert calls.wheel._timer is None
