"""The durable task queue of a fleet in one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aisys.agent.ports import TaskHandler
from aisys.clock import Clock
from aisys.errors import Refused
from aisys.tasks import Claim, TaskInfo, TaskRunner, TaskStore
from aisys.testing.errors import ErrorLog


class LocalTasks:
    """Stores and runs the tasks of a `LocalFleet`, as a host does.

    Args:
        path: the file of the store.
        errors: where failed attempts are reported.
        clock: when tasks are due.
    """

    def __init__(self, path: Path, errors: ErrorLog, clock: Clock) -> None:
        self.store = TaskStore(path, durability="process", clock=clock)
        self._clock = clock
        self._errors = errors
        self._handlers: dict[str, TaskHandler] = {}
        self._runner: TaskRunner | None = None

    def register(self, name: str, handler: TaskHandler, *, retries: int, timeout_s: float) -> None:
        """Let `handler` execute the tasks called `name`."""
        del retries, timeout_s  # the task has its attempts, the handler its time limit
        self._handlers[name] = handler

    def unregister(self, name: str) -> None:
        """Let nobody execute the tasks called `name`."""
        self._handlers.pop(name, None)

    async def submit(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        priority: int,
        delay_s: float = 0.0,
        task_id: str | None = None,
        retries: int = 5,
    ) -> str:
        """Accept a task and return its id."""
        receipt = await self.store.submit(
            name,
            arguments,
            id=task_id,
            priority=priority,
            delay_s=delay_s,
            max_attempts=retries + 1,
        )
        return receipt.id

    async def wait(self, task_id: str, timeout_s: float = 5.0) -> TaskInfo:
        """The task when it has ended.

        Raises:
            DeadlineExceeded: it has not.
        """
        return await self.store.wait(task_id, timeout_s=timeout_s)

    async def start(self, names: Iterable[str]) -> None:
        """Begin to run the tasks of these names."""
        handlers = {name: partial(self._execute, name) for name in names}
        self._runner = TaskRunner(
            self.store, handlers, worker="test", on_error=self._failed, clock=self._clock
        )
        await self._runner.start()

    async def close(self) -> None:
        """Stop running tasks and close the store."""
        if self._runner is not None:
            await self._runner.stop(1.0)
        await self.store.close()

    async def _execute(self, name: str, arguments: Mapping[str, Any]) -> Any:
        handler = self._handlers.get(name)
        if handler is None:
            raise Refused(f"{name}: its agent does not run", reason="not_ready")
        return await handler(arguments)

    def _failed(self, claim: Claim | None, error: BaseException) -> None:
        agent = claim.name.partition(".")[0] if claim is not None else ""
        method = claim.name if claim is not None else None
        self._errors.for_agent(agent).report(error, category="task", method=method)
