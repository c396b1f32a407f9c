"""What a task is to those who submit it, those who run it and those who look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aisys.backends import Durability

TaskState = Literal["delayed", "ready", "running", "done", "dead", "cancelled"]
MAX_PRIORITY: Final = 255


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `submit` returns: the task is accepted.

    Attributes:
        id: the task's id.
        durability: what the acceptance survives.
        retention_s: how long the same id returns this receipt after the task has finished.
        duplicate: whether the task was there already.
        state: its state when this was written.
    """

    id: str
    durability: Durability
    retention_s: float
    duplicate: bool
    state: TaskState


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a task, held by a lease.

    Attributes:
        id: the task's id.
        name: what is to be run.
        payload: its arguments.
        priority: 0 is the most urgent.
        attempt: 1 for the first.
        max_attempts: after so many the task becomes a dead letter.
        token: grows with every claim of the store; only the latest is accepted.
        lease_s: how long the claim is good without a heartbeat.
    """

    id: str
    name: str
    payload: dict[str, Any] = field(repr=False)
    priority: int
    attempt: int
    max_attempts: int
    token: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task as it is shown.

    Attributes:
        id: the task's id.
        name: what is to be run.
        state: `delayed`, `ready`, `running`, `done`, `dead` or `cancelled`.
        priority: 0 is the most urgent.
        attempts: attempts begun.
        max_attempts: the most there will be.
        submitted: when it was accepted, seconds since the epoch.
        due: when a delayed task becomes ready, seconds since the epoch; 0 when at once.
        finished: when it was finished, 0 before.
        worker: who has it, or had it last.
        reason: why it is dead, or why its last attempt failed.
        payload: its arguments, None once it is finished.
        result: what the handler returned, None before.
    """

    id: str
    name: str
    state: TaskState
    priority: int
    attempts: int
    max_attempts: int
    submitted: float
    due: float
    finished: float
    worker: str
    reason: str
    payload: dict[str, Any] | None
    result: Any
