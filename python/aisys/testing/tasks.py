"""The durable task queue of a fleet in one process."""

from __future__ import annotations

from pathlib import Path

from aisys.agent.task_queue import StoredTasks
from aisys.clock import Clock
from aisys.tasks import TaskInfo, TaskStore
from aisys.testing.errors import ErrorLog


class LocalTasks(StoredTasks):
    """Stores and runs the tasks of a `LocalFleet`, as a host does.

    Args:
        path: the file of the store.
        errors: where failed attempts are reported.
        clock: when tasks are due.
    """

    def __init__(self, path: Path, errors: ErrorLog, clock: Clock) -> None:
        store = TaskStore(path, durability="process", clock=clock)
        super().__init__(store, worker="test", reporter=errors.for_agent, clock=clock)

    async def wait(self, task_id: str, timeout_s: float = 5.0) -> TaskInfo:
        """The task when it has ended.

        Raises:
            DeadlineExceeded: it has not.
        """
        return await self.store.wait(task_id, timeout_s=timeout_s)
