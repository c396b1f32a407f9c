"""The class that agents derive from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from aisys.agent.context import AgentContext
from aisys.agent.events import encode_event
from aisys.agent.names import remember
from aisys.agent.proxy import Proxy
from aisys.backends import State
from aisys.clock import Clock
from aisys.errors import Refused

if TYPE_CHECKING:
    from aisys.agent.health import Health
    from aisys.agent.ports import ErrorReporter
    from aisys.agent.spec import AgentSpec
    from aisys.logs import Logger
    from aisys.metrics import Registry

MAX_SPAWNED = 1000

_C_co = TypeVar("_C_co", covariant=True)
_C = TypeVar("_C")


class _HasConfig(Protocol[_C_co]):
    @property
    def Config(self) -> type[_C_co]: ...  # noqa: N802 - the name authors give the nested class


class Agent:
    """One member of the fleet.

    A subclass declares methods with `@method`, `@task`, `@subscribe` and `@every`, settings in a
    nested `Config`, and the agents it needs as annotations. The runtime makes one instance and
    gives it its surroundings before `on_start`.

    Attributes:
        agent_name: the name in the fleet; the name of the class when empty.
        name: the name in the fleet.
        machine: the machine it runs on.
        host: the host process it runs in.
        state: its key-value data, kept across restarts.
        log: a logger that takes fields: `self.log.info("learned", topic=topic)`.
        metrics: the registry of its host, for counters of its own.
        errors: the error bus: `self.errors.report(error, severity="medium")`.
        clock: time, which tests own.
        health: what it says about itself: `self.health.set("llm", False, "no endpoint")`.
    """

    agent_name: ClassVar[str] = ""
    __aisys_spec__: ClassVar[AgentSpec]

    name: str
    machine: str
    host: str
    state: State
    log: Logger
    metrics: Registry
    errors: ErrorReporter
    clock: Clock
    health: Health

    class Config(BaseModel):
        """Settings of an agent; subclass it as `class Config(Agent.Config)` inside of the agent."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        remember(cls)

    @property
    def config(self: _HasConfig[_C]) -> _C:
        """The agent's settings: an instance of its `Config`."""
        settings: _C = self.__dict__["_config"]
        return settings

    async def on_start(self) -> None:
        """Open what the agent needs; it takes no calls yet. Raising here is a failed start."""

    async def on_ready(self) -> None:
        """The agent and those of its host take calls; runs before its timers and events begin."""

    async def on_drain(self) -> None:
        """No new work comes in; running work is being finished."""

    async def on_stop(self) -> None:
        """Close what `on_start` opened."""

    async def publish(self, topic: str, event: Mapping[str, Any] | BaseModel | object) -> int:
        """Send an event to whoever subscribes to its topic.

        Args:
            topic: a dotted name such as `speech.final`.
            event: a dict, a pydantic model or a dataclass.

        Returns:
            The number of links it left on; local subscribers are not counted.

        Raises:
            TypeError: the event is nothing that can travel.
        """
        body, attachments = encode_event(event)
        return _context(self).publisher.publish(topic, body, attachments)

    async def call(self, target: str, /, **kwargs: Any) -> Any:
        """Call `Agent.method` of an agent whose class this code does not import.

        Raises:
            Refused: with reason `unknown_agent` when the fleet has no such agent or it is only
                planned.
        """
        agent, _, method = target.rpartition(".")
        return await _context(self).caller.call(agent, method, kwargs)

    def stream(self, target: str, /, **kwargs: Any) -> AsyncIterator[Any]:
        """Call a streamed `Agent.method` of an agent whose class this code does not import."""
        agent, _, method = target.rpartition(".")
        return _context(self).caller.stream(agent, method, kwargs)

    def peer(self, agent: str) -> Any:
        """An untyped proxy: `await self.peer("Name").with_options(timeout_s=2).method(…)`."""
        return Proxy(_context(self).caller, agent)

    def has_peer(self, agent: str) -> bool:
        """Whether the fleet has this agent, rather than only planning it."""
        return _context(self).caller.knows(agent)

    async def enqueue(self, target: str, /, **kwargs: Any) -> str:
        """Store the task `Agent.task` in its queue and return the task's id."""
        agent, _, task = target.rpartition(".")
        return await _context(self).caller.enqueue(agent or self.name, task, (), kwargs)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str = "") -> asyncio.Task[Any]:
        """Run a coroutine in the background: errors are reported, and it ends with the agent.

        Raises:
            Refused: the agent has too much background work.
        """
        context = _context(self)
        spawned = self._spawned
        if len(spawned) >= MAX_SPAWNED:
            work.close()
            raise Refused(
                f"{self.name} has {MAX_SPAWNED} background tasks already", reason="overloaded"
            )
        task = asyncio.get_running_loop().create_task(
            work,
            name=f"{self.name}.{name or getattr(work, '__name__', 'spawned')}",
            context=context.background.copy(),
        )
        spawned.add(task)
        task.add_done_callback(self._spawn_done)
        return task

    def with_options(
        self,
        *,
        timeout_s: float | None = None,  # noqa: ARG002 - the signature that type checkers see
        priority: int | None = None,  # noqa: ARG002 - as above
    ) -> Self:
        """On an injected proxy: the same agent, called with another time limit or priority.

        Raises:
            TypeError: on the agent itself, which is called without a router.
        """
        raise TypeError("with_options belongs to an injected proxy, not to the agent itself")

    def _spawn_done(self, task: asyncio.Task[Any]) -> None:
        self._spawned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.report(error, method=task.get_name())

    @property
    def _spawned(self) -> set[asyncio.Task[Any]]:
        tasks: set[asyncio.Task[Any]] = self.__dict__.setdefault("_spawned_tasks", set())
        return tasks


def bind(agent: Agent, context: AgentContext, config: BaseModel) -> None:
    """Give an agent its surroundings; called by the `AgentRunner`."""
    agent.__dict__["_context"] = context
    agent.__dict__["_config"] = config
    agent.name = context.name
    agent.machine = context.machine
    agent.host = context.host
    agent.state = context.state
    agent.log = context.log
    agent.metrics = context.metrics
    agent.errors = context.errors
    agent.clock = context.clock
    agent.health = context.health


async def end_spawned(agent: Agent) -> None:
    """Cancel an agent's background tasks and wait for them to end."""
    tasks = list(agent._spawned)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _context(agent: Agent) -> AgentContext:
    context: AgentContext | None = agent.__dict__.get("_context")
    if context is None:
        raise RuntimeError(
            f"{type(agent).__name__} was not started by a runtime; "
            "in tests use aisys.testing.LocalFleet"
        )
    return context
