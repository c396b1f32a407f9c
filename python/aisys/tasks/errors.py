"""How work with a task can be refused, beside what every store may raise."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors import AisysError, Refused


class StaleClaim(AisysError):
    """The claim is no longer the current one: its lease ran out, or the task is finished.

    Whoever gets this must drop its result: somebody else has the task, or had it.

    Attributes:
        task_id: the task.
        token: the token that is no longer good.
    """

    code: ClassVar[str] = "stale_claim"
    fields: ClassVar[tuple[str, ...]] = ("task_id", "token")

    def __init__(self, task_id: str, token: int) -> None:
        super().__init__(
            f"task {task_id}: the claim with token {token} is no longer the current one"
        )
        self.task_id = task_id
        self.token = token


class TaskConflict(Refused):
    """The id is taken by a task with another name or payload.

    Attributes:
        task_id: the id.
    """

    code: ClassVar[str] = "task_conflict"
    fields: ClassVar[tuple[str, ...]] = ("reason", "task_id")

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"task {task_id}: the id is taken by a task with another name or payload",
            reason="conflict",
        )
        self.task_id = task_id


class NonRetryable(AisysError):
    """Raised by a handler for a failure that no second attempt can mend."""

    code: ClassVar[str] = "non_retryable"
