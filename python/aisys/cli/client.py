"""The command line's own end of the links: calls agents and supervisors by name."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from aisys.config import Fleet
from aisys.errors import ConfigError, Refused, Unreachable
from aisys.messaging import Address, Endpoint, Event, Incoming, payload
from aisys.messaging.keys import KeyRing
from aisys.runtime.options import Options
from aisys.runtime.places import (
    host_address,
    is_simulated,
    load_keys,
    machine_address,
    machine_agent_name,
    static_routes,
)
from aisys.tracing import TraceContext

T = TypeVar("T")


class _NoService:
    """The command line answers nobody."""

    def on_requests(self, requests: list[Incoming]) -> None:
        for request in requests:
            request.fail(Refused("the command line has no methods", reason="unknown_agent"))

    def on_cancel(self, request: Incoming) -> None:
        """There is nothing to cancel."""


class FleetClient:
    """Calls into a running fleet from outside it."""

    def __init__(self, fleet: Fleet, keys: KeyRing | None, machine: str) -> None:
        self.fleet = fleet
        self._keys = keys
        self._machine = machine
        self._routes = static_routes(fleet, keys)
        self._endpoints: dict[str, Endpoint] = {}

    async def call(
        self,
        target: str,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float = 30.0,
        trace: TraceContext | None = None,
    ) -> Any:
        """Call `Agent.method` and return its result as plain values.

        Raises:
            Refused: there is no such agent or method, an argument does not fit, or it cannot be reached.
            CallError: it ended otherwise than by its result.
        """
        address = self._address(target)
        body, attachments = payload.pack(dict(arguments))
        reply = await self._endpoint(address).call(
            address,
            target,
            body,
            attachments=attachments,
            timeout_s=timeout_s,
            trace=trace.to_bytes() if trace else None,
            sampled=trace is not None,
        )
        return payload.unpack(reply.body, reply.attachments)

    async def stream(
        self,
        target: str,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,
        trace: TraceContext | None = None,
    ) -> AsyncIterator[Any]:
        """Call a method whose reply is streamed."""
        address = self._address(target)
        body, attachments = payload.pack(dict(arguments))
        items = self._endpoint(address).stream(
            address,
            target,
            body,
            attachments=attachments,
            timeout_s=timeout_s,
            trace=trace.to_bytes() if trace else None,
            sampled=trace is not None,
        )
        async for item in items:
            yield payload.unpack(item.body, item.attachments)

    async def machine(
        self,
        machine: str,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = 5.0,
    ) -> Any:
        """Call a machine's supervisor."""
        if is_simulated(self.fleet) and not self._runs_here(machine):
            # On this very computer and without a socket: it does not run, and waiting would change nothing.
            raise Unreachable(f"{machine} does not run on this computer")
        target = f"{machine_agent_name(machine)}.{method}"
        return await self.call(target, arguments or {}, timeout_s=timeout_s)

    async def each_machine(
        self,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = 3.0,
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Call every machine's supervisor.

        Returns:
            The results, and for the machines out of reach the reason.
        """
        names = list(self.fleet.machines)
        calls = (self.machine(name, method, arguments, timeout_s=timeout_s) for name in names)
        replies = await asyncio.gather(*calls, return_exceptions=True)
        found: dict[str, Any] = {}
        missing: dict[str, str] = {}
        for name, reply in zip(names, replies, strict=True):
            if isinstance(reply, BaseException):
                missing[name] = str(reply)
            else:
                found[name] = reply
        return found, missing

    async def subscribe(self, pattern: str, handler: Callable[[Event], None]) -> None:
        """Hear the events of every host of the fleet."""
        peers: dict[str, dict[str, Address]] = {}
        for host in self.fleet.hosts:
            address = host_address(self.fleet, host, self._keys)
            peers.setdefault(self._side(address), {})[host] = address
        for side, addresses in peers.items():
            endpoint = self._open(side)
            endpoint.set_peers(addresses.values())
            await endpoint.subscribe(pattern, handler)

    async def close(self) -> None:
        """Close every link."""
        await asyncio.gather(
            *(endpoint.close(grace_s=0.2) for endpoint in self._endpoints.values())
        )

    def _address(self, target: str) -> Address:
        agent, dot, method = target.rpartition(".")
        if not dot or not method:
            raise Refused(f"{target!r} is not of the form Agent.method", reason="unknown_method")
        route = self._routes.get(agent)
        if route is not None:
            return route.address
        entry = self.fleet.agents.get(agent)
        if entry is not None:
            raise Refused(f"{agent} is planned but not built yet", reason="unknown_agent")
        raise Refused(
            f"there is no agent {agent!r}; `aisys status` lists them", reason="unknown_agent"
        )

    def _runs_here(self, machine: str) -> bool:
        return _has_socket(machine_address(self.fleet, machine, None))

    def _endpoint(self, address: Address) -> Endpoint:
        return self._open(self._side(address))

    def _side(self, address: Address) -> str:
        """The machine to stand on: that of the address when it is simulated here, so that its unix socket serves."""
        return address.machine if _has_socket(address) else self._machine

    def _open(self, machine: str) -> Endpoint:
        endpoint = self._endpoints.get(machine)
        if endpoint is None:
            endpoint = self._endpoints[machine] = Endpoint(
                host=f"{machine}/cli-{os.getpid()}",
                machine=machine,
                service=_NoService(),
                keys=self._keys,
            )
        return endpoint


def _has_socket(address: Address) -> bool:
    return bool(address.unix_path) and Path(address.unix_path or "").exists()


@asynccontextmanager
async def connect(options: Options) -> AsyncIterator[FleetClient]:
    """A client of the fleet that the configuration describes.

    Raises:
        ConfigError: the configuration cannot be used.
        Unreachable: no machine of the fleet runs on this computer.
    """
    fleet = options.load()
    machine = local_machine(fleet)
    try:
        keys = load_keys(fleet, machine)
    except ConfigError:
        # Unix sockets need none; only machines on other computers are out of reach then.
        keys = None
    # What goes wrong is said by the command itself, not by the library's log.
    logging.getLogger("aisys").addHandler(logging.NullHandler())
    client = FleetClient(fleet, keys, machine)
    try:
        yield client
    finally:
        await client.close()


def local_machine(fleet: Fleet) -> str:
    """The machine whose supervisor listens on this computer.

    Raises:
        Unreachable: none does.
    """
    for name in fleet.machines:
        if _has_socket(machine_address(fleet, name, None)):
            return name
    raise Unreachable(
        f"no machine of fleet {fleet.name} runs on this computer: start it with `aisys up`"
    )


def run_with_client(options: Options, work: Callable[[FleetClient], Awaitable[T]]) -> T:
    """Run `work` with a connected client in an event loop of its own."""

    async def run() -> T:
        async with connect(options) as client:
            return await work(client)

    import uvloop

    return uvloop.run(run())
