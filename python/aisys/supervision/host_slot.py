"""What the supervisor knows about one host."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aisys.supervision.channel import Channel
from aisys.supervision.policy import RestartPolicy

LOG_TAIL_LINES = 100

RestartRule = Literal["permanent", "transient", "temporary"]
"""OTP's words: started again always, only after a failure, or never."""


class HostState(enum.StrEnum):
    """Where a host is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    RESTARTING = "restarting"
    FAILED = "failed"


@dataclass(slots=True)
class HostSlot:
    """One host to keep running.

    Attributes:
        host: its id, `machine/name`.
        agents: the names of its agents.
        policy: when it comes back after a death.
        restart: whether it comes back at all.
        log_path: where its output goes.
        state: where it is in its life.
        pid: its process, while there is one.
        pid_started: the process's start time in ticks, to tell it from a later one with the same pid.
        started_at: monotonic seconds at which it was launched.
        ready_ms: how long it took to become ready, in milliseconds.
        last_tick_at: monotonic seconds of its last sign of life.
        lag_ms: how late its event loop was at the last tick.
        report: what it last said about its agents.
        restarts: how often it was restarted in all.
        problem: why it failed or what it said before it ended.
    """

    host: str
    agents: tuple[str, ...]
    policy: RestartPolicy
    log_path: Path
    restart: RestartRule = "permanent"
    state: HostState = HostState.WAITING
    pid: int | None = None
    pid_started: int | None = None
    started_at: float = 0.0
    ready_ms: int | None = None
    last_tick_at: float = 0.0
    lag_ms: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    problem: str = ""
    abort_sent_at: float | None = None
    channel: Channel | None = None

    def log_tail(self) -> list[str]:
        """The last lines the host wrote, for its death certificate."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(0, 2)
                log.seek(max(0, log.tell() - 64 * 1024))
                return log.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        except OSError:
            return []

    def describe(self) -> dict[str, Any]:
        """The slot as `aisys status --json` shows it."""
        return {
            "host": self.host,
            "state": self.state.value,
            "pid": self.pid,
            "ready_ms": self.ready_ms,
            "restarts": self.restarts,
            "lag_ms": self.lag_ms,
            "problem": self.problem,
            "agents": self.report or {name: {"state": self.state.value} for name in self.agents},
        }
