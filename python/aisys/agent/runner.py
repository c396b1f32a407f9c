"""One agent's life: built, injected, started, ready, drained, stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any

from pydantic import ValidationError

from aisys.agent.base import Agent, bind, end_spawned
from aisys.agent.builtin import add_builtins
from aisys.agent.context import AgentContext
from aisys.agent.driving import drive
from aisys.agent.events import EventDecoder, EventQueue
from aisys.agent.local import AgentTable, LocalAgent
from aisys.agent.proxy import Proxy
from aisys.agent.schema import describe_problem
from aisys.agent.spec import AgentSpec, TaskSpec, TimerSpec
from aisys.errors import ConfigError, Problem

STOP_HOOK_LIMIT_S = 10.0
_POLL_S = 0.01


class AgentRunner:
    """Takes one agent through its life in this host.

    `start` and `ready` are two steps, so that a host can start all of its agents before the first
    of them begins to call the others.

    Args:
        cls: the agent's class.
        context: its surroundings.
        table: the agents of this host; the agent is entered there.
    """

    def __init__(self, cls: type[Agent], context: AgentContext, table: AgentTable) -> None:
        self.cls = cls
        self.context = context
        self.spec = AgentSpec.of(cls)
        self.health = context.health
        self._table = table
        table.place(context.name)
        self._local: LocalAgent | None = None
        self._agent: Agent | None = None
        self._queues: list[EventQueue] = []
        self._background: list[asyncio.Task[None]] = []

    @property
    def agent(self) -> Agent:
        """The running instance.

        Raises:
            RuntimeError: before `start`.
        """
        if self._agent is None:
            raise RuntimeError(f"{self.context.name} has not been started")
        return self._agent

    @property
    def idle(self) -> bool:
        """Whether no event waits and none is being handled."""
        return all(queue.idle for queue in self._queues)

    async def start(self) -> None:
        """Build the agent, inject its proxies, run `on_start`, let calls in.

        Raises:
            ConfigError: its settings do not fit its `Config`.
        """
        context = self.context
        config = build_config(self.cls, context.name, context.settings)
        agent = self.cls()
        bind(agent, context, config)
        self._inject(agent)
        local = LocalAgent(self.spec, agent, context, self._table)
        add_builtins(local)
        self._table.add(local)
        self._agent = agent
        self._local = local
        try:
            await self._run(agent.on_start())
        except BaseException:
            self.health.enter("failed")
            self._table.remove(context.name)
            raise
        self._register_tasks(agent)
        local.accepting = True
        self.health.enter("ready")

    async def ready(self) -> None:
        """Run `on_ready`, then let events in and timers begin."""
        agent = self.agent
        await self._run(agent.on_ready())
        for subscription in self.spec.subscriptions:
            name = f"{self.context.name}.{subscription.attribute}"
            queue = EventQueue(
                name,
                EventDecoder(name, subscription.annotation),
                getattr(agent, subscription.attribute),
                self.context.errors,
            )
            self._queues.append(queue)
            self._begin(queue.run(), name)
            await queue.open(self.context.publisher, subscription.topic)
        for timer in self.spec.timers:
            self._begin(self._run_timer(agent, timer), f"{self.context.name}.{timer.attribute}")

    async def drain(self, grace_s: float = STOP_HOOK_LIMIT_S) -> bool:
        """Let no new work in and wait for what runs; say whether all of it ended in time."""
        local = self._local
        if local is None:
            return True
        local.accepting = False
        self.health.enter("draining")
        for name in self.spec.tasks:
            if self.context.tasks is not None:
                self.context.tasks.unregister(f"{self.context.name}.{name}")
        for queue in self._queues:
            await queue.close()
        limit = self.context.clock.monotonic() + grace_s
        await self._hook("on_drain", self.agent.on_drain(), grace_s)
        while local.running or not self.idle:
            if self.context.clock.monotonic() >= limit:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def stop(self, limit_s: float = STOP_HOOK_LIMIT_S) -> None:
        """End timers, events and background work, run `on_stop`, leave the host's table."""
        if self._local is not None:
            self._local.accepting = False
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background.clear()
        for queue in self._queues:
            await queue.close()
        self._queues.clear()
        if self._agent is not None:
            await end_spawned(self._agent)
            await self._hook("on_stop", self._agent.on_stop(), limit_s)
        self._table.remove(self.context.name)
        self.health.enter("stopped")

    def _inject(self, agent: Agent) -> None:
        caller = self.context.caller
        for injection in self.spec.injected:
            if injection.optional and not caller.knows(injection.agent):
                setattr(agent, injection.attribute, None)
                continue
            spec = AgentSpec.of(injection.cls)
            setattr(agent, injection.attribute, Proxy(caller, injection.agent, spec))

    def _register_tasks(self, agent: Agent) -> None:
        queue = self.context.tasks
        if queue is None:
            return
        for task in self.spec.tasks.values():
            queue.register(
                task.qualname,
                self._task_handler(agent, task),
                retries=task.options.retries,
                timeout_s=task.options.timeout_s,
            )

    def _task_handler(self, agent: Agent, task: TaskSpec) -> Any:
        method = self.spec.methods[task.name]
        bound = getattr(agent, task.name)

        async def execute(arguments: Mapping[str, Any]) -> Any:
            checked = method.arguments.validate(arguments)
            result = await self._run(bound(**checked), timeout_s=task.options.timeout_s)
            return method.result.adapter.dump_python(method.result.validate(result), mode="json")

        return execute

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._background.append(
            asyncio.get_running_loop().create_task(
                work, name=name, context=self.context.background.copy()
            )
        )

    async def _run(self, work: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> Any:
        """Run agent code outside of any call: nobody else's deadline and trace hold."""
        loop = asyncio.get_running_loop()
        if timeout_s is not None:
            deadline = self.context.clock.monotonic() + timeout_s
            work = _limited(work, self._table, deadline, self.context.name)
        task = loop.create_task(work, context=self.context.background.copy())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            raise

    async def _hook(self, name: str, work: Coroutine[Any, Any, None], limit_s: float) -> None:
        """Run a hook of the way down: what it raises is reported and stops nothing."""
        try:
            await self._run(work, timeout_s=limit_s)
        except Exception as error:  # noqa: BLE001 - stopping goes on whatever a hook does
            self.context.errors.report(error, method=f"{self.context.name}.{name}")

    async def _run_timer(self, agent: Agent, timer: TimerSpec) -> None:
        context = self.context
        run = getattr(agent, timer.attribute)
        name = f"{context.name}.{timer.attribute}"
        while True:
            pause_s = timer.period_s * (1.0 + timer.jitter * context.random.random())
            await context.clock.sleep(pause_s)
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - the next run may succeed
                context.errors.report(error, method=name)


async def _limited(
    work: Coroutine[Any, Any, Any], table: AgentTable, deadline: float, name: str
) -> Any:
    return await drive(work, table.wheel, deadline, name)


def build_config(cls: type[Agent], name: str, settings: Mapping[str, Any]) -> Any:
    """An instance of the agent's `Config`.

    Raises:
        ConfigError: the settings do not fit; every problem is named.
    """
    try:
        return cls.Config.model_validate(dict(settings))
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False, include_context=False):
            setting = ".".join(str(part) for part in detail["loc"])
            known = ", ".join(cls.Config.model_fields) or "none"
            problems.append(
                Problem(
                    f"settings of agent {name}",
                    setting,
                    describe_problem({**detail, "loc": ()}),
                    f"Settings of this agent: {known}.",
                )
            )
        raise ConfigError(problems) from None
