"""The circuit breaker before the memory store."""

from __future__ import annotations

from aisys_agents.memory.breaker import CircuitBreaker


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1_000_000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def broken(clock: Hand) -> CircuitBreaker:
    breaker = CircuitBreaker(clock, failures=3, open_s=60.0)
    for _ in range(3):
        breaker.failed()
    return breaker


def test_opens_after_three_failures_in_a_row() -> None:
    """Two are not enough, and a success in between starts the count again."""
    breaker = CircuitBreaker(Hand(), failures=3, open_s=60.0)
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.allows()


def test_lets_one_try_after_its_time_and_opens_again_when_that_fails() -> None:
    """After a minute the next call decides."""
    clock = Hand()
    breaker = broken(clock)
    clock.now += 60.0
    assert breaker.state == "half_open"
    assert breaker.allows()
    breaker.failed()
    assert breaker.state == "open"


def test_a_successful_probe_closes_it_at_once() -> None:
    """Nobody waits out the minute when the other side has answered."""
    clock = Hand()
    breaker = broken(clock)
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.failures == 0
    assert breaker.last_ok == clock.time()
