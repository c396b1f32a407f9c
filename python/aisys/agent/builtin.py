"""The methods every agent has: `ping`, `health`, `describe`, `submit_task`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from aisys.agent.local import LocalAgent
from aisys.agent.markers import MethodOptions
from aisys.agent.spec import MethodSpec, method_spec
from aisys.agent.suggest import did_you_mean
from aisys.errors import Refused


async def ping(agent: LocalAgent) -> dict[str, Any]:
    """Answer; says which instance answered, and where it runs."""
    context = agent.context
    return {
        "agent": agent.name,
        "machine": context.machine,
        "host": context.host,
        "instance_id": context.instance_id,
        "time": context.clock.time(),
    }


async def health(agent: LocalAgent) -> dict[str, Any]:
    """The agent's health: phase, alive, ready, healthy, reasons, checks."""
    return {"agent": agent.name, **agent.context.health.to_dict()}


async def describe(agent: LocalAgent) -> dict[str, Any]:
    """What the agent declares: methods with JSON Schema, subscriptions, timers, tasks."""
    return agent.spec.to_dict()


async def submit_task(
    agent: LocalAgent,
    task: str,
    arguments: dict[str, Any],
    priority: int | None = None,
    retries: int | None = None,
    delay_s: float = 0.0,
    task_id: str | None = None,
) -> str:
    """Store a task of this agent and return its id."""
    spec = agent.spec.tasks.get(task)
    if spec is None:
        hint = did_you_mean(task, agent.spec.tasks)
        raise Refused(f"{agent.name} has no task {task!r}{hint}", reason="unknown_method")
    queue = agent.context.tasks
    if queue is None:
        raise Refused(f"{spec.qualname}: this host has no task queue", reason="not_ready")
    schema = agent.spec.methods[task].arguments
    checked = schema.validate(arguments)
    return await queue.submit(
        spec.qualname,
        schema.adapter.dump_python(checked, mode="json"),
        priority=spec.options.priority if priority is None else priority,
        retries=spec.options.retries if retries is None else retries,
        delay_s=delay_s,
        task_id=task_id,
    )


_FUNCTIONS: tuple[Callable[..., Awaitable[Any]], ...] = (ping, health, describe, submit_task)
_OPTIONS = MethodOptions(timeout_s=5.0, priority=10, idempotent=True)

BUILTIN_SPECS: dict[str, MethodSpec] = {
    function.__name__: method_spec(f"Agent.{function.__name__}", function, _OPTIONS)
    for function in _FUNCTIONS
}


def add_builtins(agent: LocalAgent) -> None:
    """Give an agent the methods that every agent has."""
    for function in _FUNCTIONS:
        agent.add_builtin(BUILTIN_SPECS[function.__name__], functools.partial(function, agent))
