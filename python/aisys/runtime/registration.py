"""Keeps a host's agents registered, and its routes up to date, with one small call each heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aisys.agent import AgentRunner, CallOptions
from aisys.config import socket_path
from aisys.errors import AisysError
from aisys.logs import get_logger
from aisys.messaging import Address, Event
from aisys.registry import Route
from aisys.runtime.node import Node

REGISTRY = "ServiceRegistry"
CHANGED = "registry.changed"


class Registration:
    """Renews the leases of a host's agents and takes the registry's changes over.

    The data path never waits for it: without a registry the configured routes and the last known ones go on working.

    Args:
        node: the host's process.
        runners: its agents.
    """

    def __init__(self, node: Node, runners: Sequence[AgentRunner]) -> None:
        self._node = node
        self._runners = list(runners)
        self._version = 0
        self._period_s = node.settings.heartbeat_s
        self._options = CallOptions(timeout_s=max(2.0, 2 * self._period_s), priority=5)
        self._log = get_logger("aisys.registration")
        self._reachable = True
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Renew each heartbeat, and at once when the registry announces a change, until cancelled."""
        await self._node.endpoint.subscribe(CHANGED, self._changed)
        while True:
            self._wake.clear()
            await self._renew()
            try:
                async with asyncio.timeout(self._period_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _changed(self, _event: Event) -> None:
        self._wake.set()

    async def _renew(self) -> None:
        request = {
            "host": self._node.host,
            "machine": self._node.machine,
            "entries": [self._entry(runner) for runner in self._runners],
            "known_version": self._version,
        }
        try:
            answer = await self._node.caller.call(REGISTRY, "sync", request, options=self._options)
        except AisysError as error:
            # At the start of a fleet the registry may come up a moment later than its clients.
            if self._reachable and self._version:
                self._log.warning(
                    "registry out of reach, known routes go on working", problem=str(error)
                )
            self._reachable = False
            return
        if not self._reachable:
            self._log.info("registry reached again")
        self._reachable = True
        self._version = answer["version"]
        self._node.routes.update(self._routes(answer["changes"]))
        for agent in answer["fenced"]:
            # Another instance of this name has registered since: two of them must not both answer.
            self._log.error("another instance has taken over", agent=agent)
            self._node.reporter(agent).report(
                f"{agent} in {self._node.host} was replaced by another instance and takes no more calls",
                category="registry",
            )
            await self._node.runners[agent].drain(0.0)

    def _entry(self, runner: AgentRunner) -> dict[str, Any]:
        context = runner.context
        return {
            "agent": context.name,
            "instance_id": context.instance_id,
            "port": self._node.fleet.agents[context.name].port,
            "state": runner.health.phase,
        }

    def _routes(self, changes: Iterable[Mapping[str, Any]]) -> Iterable[Route]:
        """Changes as routes. Addresses come from the configuration, never from a message."""
        fleet = self._node.fleet
        for change in changes:
            host, machine = change["host"], change["machine"]
            if machine not in fleet.machines or change["agent"] not in fleet.agents:
                continue
            address = Address(
                host=host,
                machine=machine,
                unix_path=str(socket_path(fleet, host)),
                tcp=f"tcp://{fleet.machines[machine].address}:{fleet.agents[change['agent']].port}",
                server_key=self._node.keys.public(machine) if self._node.keys is not None else None,
            )
            known = self._node.routes.lookup(change["agent"])
            if known is not None and known.host == host:
                # The same process: keep the address whose link is open already.
                address = known.address
            yield Route(
                agent=change["agent"],
                host=host,
                machine=machine,
                address=address,
                instance_id=change["instance_id"],
                epoch=change["epoch"],
                alive=change["state"] not in ("down", "gone"),
            )
