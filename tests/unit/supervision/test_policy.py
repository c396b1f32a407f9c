"""The restart policy under a clock of the test's own."""

from __future__ import annotations

import random

from aisys.supervision.policy import RestartLimits, RestartPolicy


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_gives_up_after_the_allowed_restarts() -> None:
    """Five restarts in the window are granted and the sixth is not."""
    clock = _Clock()
    policy = RestartPolicy(RestartLimits(), clock=clock, rng=random.Random(1))

    delays = [policy.next_delay_s() for _ in range(6)]

    assert [delay is None for delay in delays] == [False] * 5 + [True]


def test_no_restart_is_faster_than_the_first_backoff() -> None:
    """Every wait lies between the first back-off and the doubling cap."""
    clock = _Clock()
    limits = RestartLimits(max_restarts=8, backoff_s=0.2, backoff_max_s=3.0)
    for seed in range(50):
        policy = RestartPolicy(limits, clock=clock, rng=random.Random(seed))
        for attempt in range(8):
            delay = policy.next_delay_s()
            assert delay is not None
            assert 0.2 <= delay <= min(3.0, 0.2 * 2**attempt)


def test_old_restarts_leave_the_window() -> None:
    """A host that dies rarely is restarted for ever."""
    clock = _Clock()
    policy = RestartPolicy(RestartLimits(max_restarts=2, window_s=60), clock=clock)

    for _ in range(20):
        assert policy.next_delay_s() is not None
        clock.now += 31.0


def test_backoff_starts_over_after_a_healthy_time() -> None:
    """A host that ran well for ten times the cap waits only the first back-off again."""
    clock = _Clock()
    policy = RestartPolicy(
        RestartLimits(max_restarts=10, backoff_s=1.0), clock=clock, rng=random.Random(3)
    )
    for _ in range(4):
        policy.started()
        policy.next_delay_s()
    policy.started()
    clock.now += 10 * 16.0 + 1

    assert policy.next_delay_s() == 1.0
