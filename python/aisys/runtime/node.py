"""One process of a fleet: its end of the links, its agents, and everything they need, wired together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aisys import logs
from aisys.agent import Agent, AgentContext, AgentRunner, AgentTable, Caller, Dispatcher
from aisys.backends import State, open_backend
from aisys.config import Fleet, resolve_secret
from aisys.errorbus import Reporter, Spool
from aisys.errors import ConfigError
from aisys.messaging import Endpoint, Limits
from aisys.messaging.keys import KeyRing
from aisys.metrics import Registry
from aisys.registry import RouteTable
from aisys.runtime.places import Places, other_hosts, static_routes
from aisys.tracing import SpanStore


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
            self.table, metrics=self.metrics, max_waiting=self.settings.limits.max_waiting
        )
        self.endpoint = Endpoint(
            host=host,
            machine=self.machine,
            service=self.dispatcher,
            keys=keys,
            limits=Limits(
                max_frame_bytes=self.settings.limits.max_frame_bytes, heartbeat_s=self.settings.heartbeat_s
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
            places.errors(self.machine) / f"{self.host.partition('/')[2]}.spool",
            max_bytes=self.settings.limits.spool_bytes,
        )
        self.runners: dict[str, AgentRunner] = {}
        self._states: list[State] = []

    def reporter(self, agent: str = "") -> Reporter:
        """Where an agent's errors go, or those of the process itself."""
        return Reporter(
            self.spool,
            agent=agent,
            machine=self.machine,
            host=self.host,
            env=self.fleet.env,
            redact=logs.redact_text,
        )

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
        self, cls: type[Agent], name: str, settings: Mapping[str, Any], *, state: State | None = None, tasks: Any = None
    ) -> AgentRunner:
        """Prepare an agent of this process; nothing of its own code runs yet."""
        own_state = state if state is not None else self._open_state(name)
        context = AgentContext(
            name=name,
            machine=self.machine,
            host=self.host,
            caller=self.caller,
            errors=self.reporter(name),
            log=logs.get_logger(name),
            metrics=self.metrics,
            state=own_state,
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
            if settings.redis_url is None:
                raise ConfigError([])
            backend = open_backend(resolve_secret(settings.redis_url), prefix=f"{self.fleet.name}:")
        else:
            backend = open_backend(settings.backend, path=folder)
        state = State(backend, agent, path=folder)
        self._states.append(state)
        return state

    async def close(self) -> None:
        """Close what this process opened: links first, so that nothing new comes in."""
        await self.dispatcher.close()
        await self.endpoint.close()
        await asyncio.gather(*(state.close() for state in self._states), return_exceptions=True)
        self.spool.close()
