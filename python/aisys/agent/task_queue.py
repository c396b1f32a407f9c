"""The task queue of a host: a store of tasks, and a runner that hands them to the agents that are here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aisys.agent.ports import ErrorReporter, TaskHandler
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import Refused
from aisys.tasks import Claim, TaskRunner, TaskStore


class StoredTasks:
    """Takes the tasks of a host's agents in and runs them; the `TaskQueue` of their contexts.

    Args:
        store: where the tasks are; open before `start`.
        worker: who runs them, for people.
        reporter: the error bus of an agent, by its name.
        clock: when tasks are due.
    """

    def __init__(
        self,
        store: TaskStore,
        *,
        worker: str,
        reporter: Callable[[str], ErrorReporter],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.store = store
        self._worker = worker
        self._reporter = reporter
        self._clock = clock
        self._handlers: dict[str, TaskHandler] = {}
        self._runner: TaskRunner | None = None

    def register(self, name: str, handler: TaskHandler, *, retries: int, timeout_s: float) -> None:
        """Let `handler` execute the tasks called `name`."""
        del retries, timeout_s  # a task carries its attempts, the handler keeps its time limit
        self._handlers[name] = handler

    def unregister(self, name: str) -> None:
        """Take in and claim no more tasks called `name`."""
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
        """Accept a task durably and return its id.

        Raises:
            Refused: the agent is stopping, or the queue is full.
            TaskConflict: the id is taken by a different task.
        """
        if name not in self._handlers:
            raise Refused(f"{name}: no agent of this host runs this task now", reason="not_ready")
        receipt = await self.store.submit(
            name,
            arguments,
            id=task_id,
            priority=priority,
            delay_s=delay_s,
            max_attempts=retries + 1,
        )
        return receipt.id

    async def start(self) -> None:
        """Begin to run tasks, those that an earlier run left included."""
        # The runner looks the handlers up at each claim, so agents may come and go.
        self._runner = TaskRunner(
            self.store,
            self._handlers,
            worker=self._worker,
            on_error=self._failed,
            clock=self._clock,
        )
        await self._runner.start()

    async def close(self, grace_s: float) -> None:
        """Let running tasks end, hand back the others, close the store."""
        if self._runner is not None:
            await self._runner.stop(grace_s)
        await self.store.close()

    def _failed(self, claim: Claim | None, error: BaseException) -> None:
        agent = claim.name.partition(".")[0] if claim is not None else ""
        method = claim.name if claim is not None else None
        self._reporter(agent).report(error, category="task", method=method)
