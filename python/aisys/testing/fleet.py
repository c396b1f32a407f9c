"""Agents in one process and one event loop, through the router and runner of a real fleet."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from aisys.agent import (
    Agent,
    AgentContext,
    AgentRunner,
    AgentSpec,
    AgentTable,
    Caller,
    Dispatcher,
    Event,
    Proxy,
)
from aisys.agent.events import EventDecoder, encode_event
from aisys.agent.wire import decode_any
from aisys.backends import Backend, FileBackend, MemoryBackend, State
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.logs import get_logger
from aisys.metrics import Registry
from aisys.testing.bus import LocalBus
from aisys.testing.errors import ErrorLog, LoggedError
from aisys.testing.tasks import LocalTasks

A = TypeVar("A", bound=Agent)

_SETTLE_TURNS = 20


class LocalFleet:
    """Runs agents in this process: `async with LocalFleet(KnowledgeBase) as fleet:`.

    Calls between the agents, and those of the test, are checked, timed and limited as in a real
    fleet; events are encoded and decoded; nothing listens on a socket.

    Args:
        classes: the agents, in the order in which they start.
        settings: the settings of agents by name, as in the fleet file.
        state: where agents keep their state; `file` survives `restart` and a second fleet on the
            same directory.
        directory: for state and files; a temporary one by default.
        planned: agents that the fleet is to know of and not have.
        clock: time; give a `VirtualClock` to own it.
        machine: the machine the agents believe to be on.
        seed: makes the jitter of timers repeatable.
    """

    def __init__(
        self,
        *classes: type[Agent],
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        state: Literal["memory", "file"] = "memory",
        directory: Path | None = None,
        planned: tuple[str, ...] = (),
        clock: Clock = SYSTEM_CLOCK,
        machine: str = "local",
        seed: int = 0,
    ) -> None:
        self._classes = {(cls.agent_name or cls.__name__): cls for cls in classes}
        self._settings = {name: dict(values) for name, values in (settings or {}).items()}
        self._state_kind = state
        self._given_directory = directory
        self._clock = clock
        self._tasks: LocalTasks | None = None
        self._machine = machine
        self._host = f"{machine}/test"
        self._random = random.Random(seed)  # noqa: S311 - jitter, not secrets
        fleet = dict.fromkeys(self._classes, "built") | dict.fromkeys(planned, "planned")
        self.metrics = Registry()
        self.error_log = ErrorLog()
        self.table = AgentTable(metrics=self.metrics, clock=clock)
        self.dispatcher = Dispatcher(self.table, metrics=self.metrics)
        self.caller = Caller(self.table, fleet=fleet)
        self._runners: dict[str, AgentRunner] = {}
        self._bus: LocalBus | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._backend: Backend | None = None

    async def __aenter__(self) -> Self:
        self._backend = self._open_backend()
        self._bus = LocalBus(self._host, self._machine, self.dispatcher)
        declares_tasks = any(AgentSpec.of(cls).tasks for cls in self._classes.values())
        try:
            if declares_tasks:
                self._tasks = LocalTasks(self.directory / "tasks.db", self.error_log, self._clock)
                await self._tasks.store.open()
            for name in self._classes:
                await self._start(name)
            for runner in list(self._runners.values()):
                await runner.ready()
            if self._tasks is not None:
                await self._tasks.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    @property
    def directory(self) -> Path:
        """Where state and files of the agents are."""
        if self._given_directory is not None:
            return self._given_directory
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="aisys-fleet-")
        return Path(self._temporary.name)

    @property
    def bus(self) -> LocalBus:
        """Where events go.

        Raises:
            RuntimeError: the fleet is not running.
        """
        if self._bus is None:
            raise RuntimeError("LocalFleet is used as `async with LocalFleet(...) as fleet`")
        return self._bus

    @property
    def tasks(self) -> LocalTasks:
        """The task queue, for agents that declare tasks.

        Raises:
            RuntimeError: none does, or the fleet is not running.
        """
        if self._tasks is None:
            raise RuntimeError("no running agent of this fleet declares a @task")
        return self._tasks

    @property
    def errors(self) -> list[LoggedError]:
        """What the agents reported, and what they raised without meaning to."""
        return self.error_log.reports

    def agent(self, agent: str | type[A]) -> A:
        """The running instance, to look inside of."""
        name = agent if isinstance(agent, str) else agent.agent_name or agent.__name__
        return cast("A", self._runners[name].agent)

    def proxy(self, cls: type[A]) -> A:
        """A typed proxy, as another agent would have it injected."""
        spec = AgentSpec.of(cls)
        return cast("A", Proxy(self.caller, spec.name, spec))

    async def call(self, target: str, /, **kwargs: Any) -> Any:
        """Call `Agent.method` with arguments by name."""
        agent, _, method = target.rpartition(".")
        return await self.caller.call(agent, method, kwargs)

    def stream(self, target: str, /, **kwargs: Any) -> AsyncIterator[Any]:
        """Call a streamed `Agent.method`."""
        agent, _, method = target.rpartition(".")
        return self.caller.stream(agent, method, kwargs)

    async def publish(self, topic: str, event: Any) -> None:
        """Publish as an agent would, and let the handlers begin."""
        body, attachments = encode_event(event)
        self.bus.publish(topic, body, attachments)
        await self.settle()

    @contextlib.asynccontextmanager
    async def listen(self, pattern: str) -> AsyncIterator[list[Event]]:
        """A list that fills with the events of a topic while the block runs."""
        heard: list[Event] = []
        decoder = EventDecoder("LocalFleet.listen", Event)
        subscription = await self.bus.subscribe(
            pattern, lambda event: heard.append(decoder.decode(event))
        )
        try:
            yield heard
        finally:
            await subscription.aclose()

    def published(self, topic: str) -> list[Any]:
        """The payloads published under a topic so far."""
        return [
            decode_any(event.body, event.attachments)
            for event in self.bus.published
            if event.topic == topic
        ]

    async def settle(self) -> None:
        """Let events on their way be handled, as far as that needs no time and no files."""
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
        """Wait for something that the agents will do.

        Raises:
            TimeoutError: it did not become true.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.005)

    async def stop(self, agent: str | type[Agent]) -> None:
        """Stop one agent; calls to it are refused from here on."""
        runner = self._runners.pop(_name(agent))
        await runner.drain()
        await runner.stop()

    async def restart(self, agent: str | type[Agent]) -> None:
        """Stop one agent, or take one that was stopped, and start it anew on its state."""
        name = _name(agent)
        if name in self._runners:
            await self.stop(name)
        await self._start(name)
        await self._runners[name].ready()

    async def _start(self, name: str) -> None:
        context = AgentContext(
            name=name,
            machine=self._machine,
            host=self._host,
            caller=self.caller,
            errors=self.error_log.for_agent(name),
            log=get_logger(f"agent.{name}", agent=name),
            metrics=self.metrics,
            state=self._state(name),
            publisher=self.bus,
            tasks=self._tasks,
            settings=self._settings.get(name, {}),
            clock=self._clock,
            random=self._random,
        )
        runner = AgentRunner(self._classes[name], context, self.table)
        await runner.start()
        self._runners[name] = runner

    def _open_backend(self) -> Backend:
        if self._state_kind == "file":
            self.directory.mkdir(parents=True, exist_ok=True)
            return FileBackend(self.directory / "state.db")
        return MemoryBackend()

    def _state(self, name: str) -> State:
        if self._backend is None:
            raise RuntimeError("LocalFleet is used as `async with LocalFleet(...) as fleet`")
        return State(self._backend, name, path=self.directory / "agents" / name)

    async def _close(self) -> None:
        if self._tasks is not None:
            await self._tasks.close(1.0)
            self._tasks = None
        for runner in reversed(list(self._runners.values())):
            await runner.drain(grace_s=1.0)
            await runner.stop()
        self._runners.clear()
        await self.dispatcher.close()
        if self._bus is not None:
            await self._bus.endpoint.close()
            self._bus = None
        self.table.wheel.close()
        if self._backend is not None:
            await self._backend.close()
            self._backend = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None


def _name(agent: str | type[Agent]) -> str:
    return agent if isinstance(agent, str) else agent.agent_name or agent.__name__
