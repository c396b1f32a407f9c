"""The durable task queue of one host, opened when one of its agents declares a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aisys.agent import Agent, AgentSpec
from aisys.errors import Refused
from aisys.runtime.node import Node
from aisys.tasks import Claim, TaskRunner, TaskStore

Handler = Callable[[dict[str, Any]], Awaitable[Any]]


class HostTaskQueue:
    """Takes the tasks of a host's agents in and runs them.

    Args:
        store: the open store.
        node: the host's process, for its error bus.
    """

    def __init__(self, store: TaskStore, node: Node) -> None:
        self._store = store
        self._node = node
        self._handlers: dict[str, Handler] = {}
        self._runner: TaskRunner | None = None

    def register(self, name: str, handler: Handler, *, retries: int, timeout_s: float) -> None:
        """Let `handler` execute the tasks called `name`; before `start`."""
        del (
            retries,
            timeout_s,
        )  # a task carries its own number of attempts; the handler keeps its own time limit
        self._handlers[name] = handler

    def unregister(self, name: str) -> None:
        """Take no more tasks called `name` in."""
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
        """
        if name not in self._handlers:
            raise Refused(f"{name}: no agent of this host runs this task now", reason="not_ready")
        receipt = await self._store.submit(
            name,
            arguments,
            id=task_id,
            priority=priority,
            delay_s=delay_s,
            max_attempts=retries + 1,
        )
        return receipt.id

    async def start(self) -> None:
        """Begin to run tasks, those that an earlier run of this host left included."""
        self._runner = TaskRunner(
            self._store, self._handlers, worker=self._node.host, on_error=self._failed
        )
        await self._runner.start()

    async def close(self, grace_s: float) -> None:
        """Let running tasks end, hand back the others, close the store."""
        if self._runner is not None:
            await self._runner.stop(grace_s)
        await self._store.close()

    def _failed(self, claim: Claim | None, error: BaseException) -> None:
        agent, _, method = claim.name.partition(".") if claim is not None else ("", "", "tasks")
        self._node.reporter(agent).report(error, category="task", method=method)


async def open_task_queue(node: Node, classes: Mapping[str, type[Agent]]) -> HostTaskQueue | None:
    """The queue of a host, or None when none of its agents declares a task.

    Raises:
        AisysError: the store is damaged, or another process owns it.
    """
    if not any(AgentSpec.of(cls).tasks for cls in classes.values()):
        return None
    name = node.host.partition("/")[2]
    store = TaskStore(node.places.state(node.machine) / "tasks" / f"{name}.sqlite")
    await store.open()
    return HostTaskQueue(store, node)
