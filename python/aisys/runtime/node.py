"""One process of a fleet: its end of the links, its agents, and everything they need, wired together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aisys import logs, tracing
from aisys.agent import (
    Agent,
    AgentContext,
    AgentRunner,
    AgentTable,
    Caller,
    CallOptions,
    Dispatcher,
    TaskQueue,
)
from aisys.backends import MemoryBackend, State, open_backend
from aisys.config import Fleet, resolve_secret
from aisys.errorbus import Forwarder, Reporter, Spool
from aisys.errors import ConfigError, Problem
from aisys.logs.redaction import redact_text
from aisys.messaging import Endpoint, Limits
from aisys.messaging.keys import KeyRing
from aisys.metrics import Registry
from aisys.registry import RouteTable
from aisys.runtime.places import Places, machine_agent_name, other_hosts, static_routes
from aisys.tracing import SpanStore

_FORWARDING = CallOptions(timeout_s=10.0, priority=200)


def _current_trace_id() -> str:
    trace = tracing.current()
    return trace.trace_id.hex() if trace is not None else ""


class Node:
    """What every process of a fleet has, be it a host or a supervisor.

    Args:
        fleet: the configuration.
        host: the id of this process, `machine/name`.
        keys: the keys of its machine, or None without encryption.
        places: the fleet's folders.
    """

    def __init__(self, fleet: Fleet, host: str, keys: KeyRing | None, places: Places) -> None:
        self.fleet = fleet
        self.host = host
        self.machine = host.partition("/")[0]
        self.keys = keys
        self.places = places
        self.settings = fleet.settings_for(self.machine)
        self.metrics = Registry()
        self.spans = SpanStore()
        self.table = AgentTable(metrics=self.metrics, spans=self.spans)
        self.dispatcher = Dispatcher(
            self.table,
            metrics=self.metrics,
            max_waiting=self.settings.limits.max_waiting,
        )
        self.endpoint = Endpoint(
            host=host,
            machine=self.machine,
            service=self.dispatcher,
            keys=keys,
            limits=Limits(
                max_frame_bytes=self.settings.limits.max_frame_bytes,
                heartbeat_s=self.settings.heartbeat_s,
            ),
            metrics=self.metrics,
        )
        self.routes = RouteTable(static_routes(fleet, keys))
        self.caller = Caller(
            self.table,
            routes=self.routes,
            remote=self.endpoint,
            fleet={entry.name: entry.status for entry in fleet.agents.values()},
        )
        self.spool = Spool(
            places.errors(self.machine) / "spool" / host.partition("/")[2],
            machine=self.machine,
            host=host,
            env=fleet.env,
            redact=redact_text,
            max_bytes=self.settings.limits.spool_bytes,
        )
        self._forwarders = [
            Forwarder(self.spool, self._sender(machine), destination=machine)
            for machine in fleet.machines
        ]
        self.runners: dict[str, AgentRunner] = {}
        self._states: list[State] = []

    def reporter(self, agent: str = "") -> Reporter:
        """Where an agent's errors go, or those of the process itself."""
        return Reporter(self.spool, agent=agent, trace_id=_current_trace_id)

    async def start_forwarding(self) -> None:
        """Begin to send error reports to every machine; what cannot be sent now waits in the spool."""
        for forwarder in self._forwarders:
            await forwarder.start()

    def _sender(self, machine: str) -> Callable[[list[dict[str, Any]]], Awaitable[None]]:
        async def send(reports: list[dict[str, Any]]) -> None:
            await self.caller.call(
                machine_agent_name(machine),
                "ingest_errors",
                {"reports": reports},
                options=_FORWARDING,
            )

        return send

    async def listen(self, unix_path: Path, ports: Sequence[int]) -> None:
        """Open this process to the others: on this machine, and on TCP if the fleet has other machines.

        Raises:
            OSError: a port or the socket is taken.
        """
        await self.endpoint.listen_unix(unix_path)
        if len(self.fleet.machines) > 1 and ports:
            address = self.fleet.machines[self.machine].address
            await self.endpoint.listen_tcp([f"tcp://{address}:{port}" for port in ports])
        self.endpoint.set_peers(other_hosts(self.fleet, self.host, self.keys))

    def add_agent(
        self,
        cls: type[Agent],
        name: str,
        settings: Mapping[str, Any],
        *,
        tasks: TaskQueue | None = None,
    ) -> AgentRunner:
        """Prepare an agent of the fleet; nothing of its own code runs yet."""
        return self._prepare(cls, name, settings, self._open_state(name), tasks)

    def add_internal(self, cls: type[Agent], name: str) -> AgentRunner:
        """Prepare an agent that the runtime itself needs; it keeps nothing."""
        return self._prepare(cls, name, {}, State(MemoryBackend(), "internal"), None)

    def _prepare(
        self,
        cls: type[Agent],
        name: str,
        settings: Mapping[str, Any],
        state: State,
        tasks: TaskQueue | None,
    ) -> AgentRunner:
        context = AgentContext(
            name=name,
            machine=self.machine,
            host=self.host,
            caller=self.caller,
            errors=self.reporter(name),
            log=logs.get_logger(name),
            metrics=self.metrics,
            state=state,
            publisher=self.endpoint,
            tasks=tasks,
            settings=dict(settings),
        )
        runner = AgentRunner(cls, context, self.table)
        self.runners[name] = runner
        return runner

    def _open_state(self, agent: str) -> State:
        folder = self.places.state(self.machine) / agent
        settings = self.settings.state
        if settings.backend == "redis":
            where = self.fleet.origin("state.backend").where
            if settings.redis_url is None:
                raise ConfigError(
                    [
                        Problem(
                            where,
                            "state.redis_url",
                            "is not set",
                            "Give the URL of the server, or use `file`.",
                        )
                    ]
                )
            url = resolve_secret(settings.redis_url, data_dir=self.places.data, where=where)
            backend = open_backend(url, prefix=f"{self.fleet.name}:")
        else:
            backend = open_backend(settings.backend, path=folder)
        state = State(backend, agent, path=folder)
        self._states.append(state)
        return state

    async def close(self) -> None:
        """Close what this process opened: links first, so that nothing new comes in."""
        for forwarder in self._forwarders:
            await forwarder.stop()
        await self.endpoint.close()
        await asyncio.gather(
            *(state.backend.close() for state in self._states), return_exceptions=True
        )
        await self.spool.close()
