"""The durable task queue of one host, opened when one of its agents declares a task."""

from __future__ import annotations

from collections.abc import Mapping

from aisys.agent import Agent, AgentSpec
from aisys.agent.task_queue import StoredTasks
from aisys.runtime.node import Node
from aisys.tasks import TaskStore


async def open_task_queue(node: Node, classes: Mapping[str, type[Agent]]) -> StoredTasks | None:
    """The queue of a host, or None when none of its agents declares a task.

    Raises:
        AisysError: the store is damaged, or another process owns it.
    """
    if not any(AgentSpec.of(cls).tasks for cls in classes.values()):
        return None
    name = node.host.partition("/")[2]
    store = TaskStore(node.places.state(node.machine) / "tasks" / f"{name}.sqlite")
    await store.open()
    return StoredTasks(store, worker=node.host, reporter=node.reporter)
