"""One host: a process with one event loop and the agents of its plan."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from aisys import logs
from aisys.agent import AgentRunner, AgentSpec
from aisys.agent.task_queue import StoredTasks
from aisys.config import Fleet, socket_path
from aisys.errors import AisysError, ConfigError
from aisys.runtime.agents import agent_class, agent_settings, check_agents
from aisys.runtime.internal_agents import HostAgent
from aisys.runtime.node import Node
from aisys.runtime.options import Options
from aisys.runtime.places import Places, host_agent_name, load_keys
from aisys.runtime.registration import Registration
from aisys.runtime.task_queue import open_task_queue
from aisys.supervision import CONFIGURATION_EXIT_CODE, Channel, os_process

TICK_S = 1.0
EXIT_FAILED = 1


def warm(machine: str) -> Callable[[str, socket.socket], int]:
    """Import everything that a machine's hosts need and return what runs one; called once, by the zygote.

    Raises:
        ConfigError: an agent's class is missing or refuses its settings.
    """
    import uvloop  # noqa: F401 - so that hosts share it
    import zmq  # noqa: F401 - imported only: a context must not exist before the fork

    fleet = Options.from_environment().load()
    problems = check_agents(fleet, machine)
    if problems:
        raise ConfigError(problems)
    for entry in fleet.machine_agents(machine):
        if entry.built:
            AgentSpec.of(agent_class(entry.name)).warm()
    AgentSpec.of(HostAgent).warm()
    return lambda host, channel: run(fleet, host, channel)


def run(
    fleet: Fleet, host: str, channel: socket.socket | None, agents: Sequence[str] | None = None
) -> int:
    """Run a host until it is told to stop; gives the exit code."""
    import uvloop

    os_process.set_process_name(host.partition("/")[2])
    settings = fleet.settings_for(host.partition("/")[0])
    logs.configure(
        settings.logs.level,
        json=settings.logs.json_lines,
        machine=host.partition("/")[0],
        host=host,
    )
    return uvloop.run(HostProcess(fleet, host, channel, agents).run())


class AgentStartError(AisysError):
    """An agent's `on_start` raised."""

    code = "agent_start_failed"


class HostProcess:
    """The life of a host: start its agents, say so, tick, drain, stop."""

    def __init__(
        self,
        fleet: Fleet,
        host: str,
        channel: socket.socket | None,
        agents: Sequence[str] | None = None,
    ) -> None:
        self._fleet = fleet
        self._host = host
        self._machine = host.partition("/")[0]
        self._agents = tuple(agents) if agents is not None else fleet.hosts[host].agents
        self._socket = channel
        self._channel: Channel | None = None
        self._stop = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._tasks: StoredTasks | None = None
        self._log = logs.get_logger(f"aisys.host.{host}")

    async def run(self) -> int:
        """Run until SIGTERM, SIGINT or the end of the supervisor."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self._socket is not None:
            self._channel = Channel(self._socket, lambda _packet: None, self._stop.set)
        try:
            keys = load_keys(self._fleet, self._machine)
            node = Node(self._fleet, self._host, keys, Places.of(self._fleet))
        except ConfigError as error:
            return self._give_up(error, CONFIGURATION_EXIT_CODE)
        try:
            await self._start(node)
        except ConfigError as error:
            return self._give_up(error, CONFIGURATION_EXIT_CODE)
        except Exception as error:  # noqa: BLE001 - agents' own code runs here; whatever it raises is the reason
            node.reporter().report(error, severity="critical", category="startup")
            await node.spool.flush()
            return self._give_up(error, EXIT_FAILED)
        try:
            await self._stop.wait()
        finally:
            await self._end(node)
        return 0

    async def _start(self, node: Node) -> None:
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self._loop_problem(node, context))
        await node.start_forwarding()
        classes = {name: agent_class(name) for name in self._agents}
        tasks = self._tasks = await open_task_queue(node, classes)
        runners = [
            node.add_agent(
                cls,
                name,
                agent_settings(self._fleet, self._fleet.agents[name], cls.Config),
                tasks=tasks,
            )
            for name, cls in classes.items()
        ]
        host_agent = node.add_internal(HostAgent, host_agent_name(self._host))
        await host_agent.start()
        instance = host_agent.agent
        if isinstance(instance, HostAgent):
            instance.attach(node.metrics, node.spans)
        await node.listen(
            socket_path(self._fleet, self._host),
            [self._fleet.agents[name].port for name in self._agents],
        )
        for runner in runners:
            await _started(runner)
        for runner in runners:
            await runner.ready()
        if tasks is not None:
            await tasks.start()
        registration = Registration(node, runners)
        self._background.append(asyncio.create_task(registration.run()))
        self._background.append(asyncio.create_task(self._tick(runners)))
        self._tell({"op": "ready", "agents": _describe(runners)})
        self._log.info(
            "ready", ms=round((time.monotonic() - began) * 1000), agents=list(self._agents)
        )

    async def _tick(self, runners: Sequence[AgentRunner]) -> None:
        """A sign of life from the event loop itself: a hung handler silences it."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            lag_ms = round((time.monotonic() - due) * 1000, 1)
            self._tell({"op": "tick", "lag_ms": max(0.0, lag_ms), "agents": _describe(runners)})

    async def _end(self, node: Node) -> None:
        """Drain and stop the agents in reverse order, then close everything, within the grace period."""
        self._log.info("stopping")
        runners = list(reversed(node.runners.values()))
        grace_s = self._fleet.settings_for(self._machine).stop_grace_s * 0.8
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(runner.drain(grace_s) for runner in runners))
                if self._tasks is not None:
                    await self._tasks.close(grace_s)
                for runner in runners:
                    await runner.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await node.close()

    def _loop_problem(self, node: Node, context: dict[str, Any]) -> None:
        error = context.get("exception")
        node.reporter().report(error or str(context.get("message")), category="event_loop")

    def _give_up(self, error: Exception, code: int) -> int:
        self._log.error("cannot start", problem=str(error))
        self._tell({"op": "problem", "problem": str(error)[:8000]})
        return code

    def _tell(self, packet: dict[str, Any]) -> None:
        if self._channel is not None:
            self._channel.send(packet)


async def _started(runner: AgentRunner) -> None:
    try:
        await runner.start()
    except AisysError:
        raise
    except Exception as error:
        problem = f"{runner.context.name} cannot start: {type(error).__name__}: {error}"
        raise AgentStartError(problem) from error


def _describe(runners: Sequence[AgentRunner]) -> dict[str, Any]:
    return {
        runner.context.name: {
            "state": runner.health.phase,
            "healthy": runner.health.healthy,
            "reasons": runner.health.reasons[:8],
            "instance": runner.context.instance_id,
        }
        for runner in runners
    }
