"""When a dead host comes back, and when to give up: pure arithmetic over an injected clock."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from aisys.clock import SYSTEM_CLOCK, Clock


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """How often a host may be restarted.

    Attributes:
        max_restarts: restarts allowed within `window_s`; one more and the host has failed.
        window_s: the sliding window, in seconds.
        backoff_s: the first wait, and the least one; it doubles with each restart.
        backoff_max_s: the longest wait, in seconds.
    """

    max_restarts: int = 5
    window_s: float = 60.0
    backoff_s: float = 0.2
    backoff_max_s: float = 30.0


class RestartPolicy:
    """Restart intensity in the sense of Erlang/OTP, with a jittered, doubling back-off.

    The wait is drawn between the first back-off and the present cap, so that hosts that died of one cause do not come
    back in step, and none comes back faster than the first back-off.
    """

    __slots__ = ("_clock", "_consecutive", "_limits", "_random", "_restarts", "_started_at")

    def __init__(
        self,
        limits: RestartLimits,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._random = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._restarts: deque[float] = deque()
        self._consecutive = 0
        self._started_at = clock.monotonic()

    def started(self) -> None:
        """The host was started now."""
        self._started_at = self._clock.monotonic()

    def next_delay_s(self) -> float | None:
        """The host died now: seconds to wait before it is started again, or None to give up."""
        now = self._clock.monotonic()
        limits = self._limits
        if now - self._started_at > 10 * self._cap():
            self._consecutive = 0
        while self._restarts and now - self._restarts[0] > limits.window_s:
            self._restarts.popleft()
        if len(self._restarts) >= limits.max_restarts:
            return None
        self._restarts.append(now)
        delay = self._random.uniform(limits.backoff_s, self._cap())
        self._consecutive += 1
        return delay

    def _cap(self) -> float:
        limits = self._limits
        return min(limits.backoff_max_s, limits.backoff_s * 2.0 ** min(self._consecutive, 30))
