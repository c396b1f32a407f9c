"""Three states that must not be confused: alive, ready, healthy, each with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aisys.clock import SYSTEM_CLOCK, Clock


@dataclass(slots=True)
class Check:
    """The last result of one check.

    Attributes:
        since: monotonic seconds at which `ok` took its present value.
    """

    ok: bool
    reason: str
    since: float


class Health:
    """What an agent says about itself.

    Alive: the agent exists and its event loop turns. Ready: it takes work. Healthy: its last checks
        passed. An agent
    that is not ready or not healthy is never killed for that.

    Args:
        clock: the base of `since`.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._checks: dict[str, Check] = {}
        self._phase = "starting"
        self._listeners: list[Callable[[], None]] = []

    @property
    def phase(self) -> str:
        """The stage of its life: `starting`, `ready`, `draining`, `stopped` or `failed`."""
        return self._phase

    @property
    def alive(self) -> bool:
        """Whether the agent runs."""
        return self._phase not in ("stopped", "failed")

    @property
    def ready(self) -> bool:
        """Whether the agent takes work."""
        return self._phase == "ready"

    @property
    def healthy(self) -> bool:
        """Whether the agent takes work and all its checks passed."""
        return self.ready and all(check.ok for check in self._checks.values())

    @property
    def reasons(self) -> list[str]:
        """Why the agent is not healthy; empty when it is."""
        reasons = [] if self.ready else [f"phase: {self._phase}"]
        for name, check in self._checks.items():
            if not check.ok:
                reasons.append(f"{name}: {check.reason or 'failed'}")
        return reasons

    def set(self, check: str, ok: bool, reason: str = "") -> None:
        """Record the result of a check.

        Args:
            check: the name of the check, for example `llm`.
            ok: whether it passed.
            reason: why not, for people.
        """
        known = self._checks.get(check)
        if known is not None and known.ok == ok and known.reason == reason:
            return
        since = known.since if known is not None and known.ok == ok else self._clock.monotonic()
        self._checks[check] = Check(ok, reason, since)
        self._changed()

    def clear(self, check: str) -> None:
        """Forget a check."""
        if self._checks.pop(check, None) is not None:
            self._changed()

    def enter(self, phase: str) -> None:
        """Go to another phase; called by the `AgentRunner`."""
        if phase != self._phase:
            self._phase = phase
            self._changed()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the phase or a check changes."""
        self._listeners.append(listener)

    def to_dict(self) -> dict[str, Any]:
        """The health as JSON-like values."""
        now = self._clock.monotonic()
        return {
            "phase": self._phase,
            "alive": self.alive,
            "ready": self.ready,
            "healthy": self.healthy,
            "reasons": self.reasons,
            "checks": {
                name: {"ok": check.ok, "reason": check.reason, "age_s": round(now - check.since, 3)}
                for name, check in self._checks.items()
            },
        }

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
