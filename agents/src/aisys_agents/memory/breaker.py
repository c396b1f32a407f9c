"""A circuit breaker: after some failures in a row, stop asking for a while."""

from __future__ import annotations

from typing import Literal

from aisys.clock import Clock

__all__ = ["BreakerState", "CircuitBreaker"]

BreakerState = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Counts failures of the other side.

    Closed: calls go through. Open: none do, until `open_s` has passed; then half open, where the
    next call decides. Any success closes it at once, also one that the owner tried on its own
    account while it was open: proof that the other side is back is worth more than a timer.

    Args:
        clock: monotonic time.
        failures: so many in a row open it.
        open_s: how long it then stays open, in seconds.
    """

    def __init__(self, clock: Clock, *, failures: int = 3, open_s: float = 60.0) -> None:
        self._clock = clock
        self._limit = failures
        self._open_s = open_s
        self._opened_at: float | None = None
        self.failures = 0
        self.last_ok: float | None = None

    @property
    def state(self) -> BreakerState:
        """closed, open, or half_open."""
        if self._opened_at is None:
            return "closed"
        waited = self._clock.monotonic() - self._opened_at
        return "half_open" if waited >= self._open_s else "open"

    def allows(self) -> bool:
        """Whether a call should be made."""
        return self.state != "open"

    def succeeded(self) -> None:
        """A call was answered: close."""
        self.failures = 0
        self._opened_at = None
        self.last_ok = self._clock.time()

    def failed(self) -> None:
        """A call was not answered: open after enough of them, or stay open for another while."""
        self.failures += 1
        if self.failures >= self._limit or self._opened_at is not None:
            self._opened_at = self._clock.monotonic()
