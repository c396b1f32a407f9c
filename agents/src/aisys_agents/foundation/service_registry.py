"""The fleet's address book: which agents exist, on which machine, and how to reach each one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, every, method
from aisys.ids import new_id
from aisys.messaging import Address
from aisys.registry import Change, Lease, LeaseState, LeaseTable
from aisys_agents.foundation.change_log import ChangeLog, RouteChange
from aisys_agents.foundation.errors import AgentNotRegistered

__all__ = [
    "AgentInfo",
    "AgentList",
    "HostEntry",
    "LeaseGiven",
    "LeaseRemoved",
    "ServiceRegistry",
    "Synced",
]

_MAX_FENCED = 10_000
_STOPPED = frozenset({"stopped"})

Name = Annotated[str, Field(min_length=1, max_length=200)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class LeaseGiven(TypedDict):
    """A lease and when it ends unless it is renewed, in seconds since the epoch."""

    lease_id: str
    expires_at: float


class AgentInfo(TypedDict):
    """One entry of the address book. `last_seen` is in seconds since the epoch."""

    agent: str
    host: str
    port: int
    health_port: int | None
    machine: str
    last_seen: float
    alive: bool
    state: str
    phase: str
    instance_id: str
    epoch: int
    lease_age_s: float
    kind: str | None
    capabilities: list[str]
    meta: dict[str, Any]


class AgentList(TypedDict):
    """Entries of the address book, by name."""

    agents: list[AgentInfo]


class LeaseRemoved(TypedDict):
    """Whether there was such an entry under this lease."""

    removed: bool


class HostEntry(TypedDict):
    """One agent as its host reports it each second."""

    agent: Name
    instance_id: Name
    port: Port
    state: str
    capabilities: NotRequired[list[str]]
    kind: NotRequired[str | None]


class Synced(TypedDict):
    """The number of the last change, the changes a host has not seen, and its fenced agents.

    `fenced` names those of the host's agents of which a newer instance has registered elsewhere.
    """

    version: int
    changes: list[RouteChange]
    fenced: list[str]


@dataclass(frozen=True, slots=True)
class _Details:
    """What an agent says of itself; the lease only knows whether it is there."""

    port: int
    phase: str
    health_port: int | None = None
    kind: str | None = None
    capabilities: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)


class ServiceRegistry(Agent):
    """Leases by agent, renewed by heartbeats and judged by this process's own clock.

    A restart begins empty and is full again after one heartbeat of every host; meanwhile callers go
    on with the routes they know. When many fall silent at once it suspects itself first.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            lease_s: silence after which an agent counts as down.
        """

        lease_s: float = Field(3.0, gt=0)

    async def on_start(self) -> None:
        """Begin empty, with numbers above all that an earlier registry gave."""
        # The wall clock may have been set back since, so the last number is kept as well.
        kept = int(await self.state.get("numbers", 0))
        first = max(int(self.clock.time() * 1_000), kept + 1_000_000_000)
        await self.state.set("numbers", first)
        self._table = LeaseTable(self.clock, self.config.lease_s, first_epoch=first)
        self._changes = ChangeLog(first)
        self._details: dict[str, _Details] = {}
        self._fenced: OrderedDict[tuple[str, str], None] = OrderedDict()

    @method(timeout_s=5, idempotent=True)
    async def register_agent(
        self,
        agent: Name,
        machine: Name,
        host: Name,
        port: Port,
        health_port: Port | None = None,
        kind: str | None = None,
        capabilities: list[str] | None = None,
        meta: dict[str, Any] | None = None,
    ) -> LeaseGiven:
        """Enter an agent, or renew its lease when it is at the same place already.

        Hosts of aisys use `sync` instead, which renews all of their agents in one call.

        Args:
            agent: its name.
            machine: the machine it is on.
            host: the process it runs in.
            port: where it listens.
            health_port: where its health can be asked for.
            kind: what sort of agent it is.
            capabilities: what it can do, for `find_by_capability`.
            meta: anything else worth knowing.
        """
        known = self._table.get(agent)
        same = known is not None and (known.machine, known.host) == (machine, host)
        lease_id = known.instance_id if known is not None and same else new_id("lease")
        details = _Details(
            port=port,
            phase="ready",
            health_port=health_port,
            kind=kind,
            capabilities=tuple(capabilities or ()),
            meta=meta or {},
        )
        await self._enter(agent, machine, host, lease_id, details)
        return LeaseGiven(lease_id=lease_id, expires_at=self.clock.time() + self.config.lease_s)

    @method(timeout_s=5, priority=10, idempotent=True)
    async def sync(
        self, host: Name, machine: Name, entries: list[HostEntry], known_version: int = 0
    ) -> Synced:
        """Renew the leases of a host's agents, and give it what has changed in the fleet.

        Args:
            host: the process.
            machine: the machine it is on.
            entries: all of its agents; one in the phase `stopped` is taken out.
            known_version: the number of the last change it has seen; 0 for everything.
        """
        fenced: list[str] = []
        for entry in entries:
            agent, instance_id = entry["agent"], entry["instance_id"]
            if (agent, instance_id) in self._fenced:
                fenced.append(agent)
                continue
            if entry["state"] in _STOPPED:
                known = self._table.get(agent)
                if known is not None and known.instance_id == instance_id:
                    await self._push(self._table.remove(agent, instance_id))
                continue
            details = _Details(
                port=entry["port"],
                phase=entry["state"],
                kind=entry.get("kind"),
                capabilities=tuple(entry.get("capabilities", ())),
            )
            await self._enter(agent, machine, host, instance_id, details)
        return Synced(
            version=self._changes.version, changes=self._changes.since(known_version), fenced=fenced
        )

    @method(timeout_s=5, idempotent=True)
    async def find_agent(self, agent: Name) -> AgentInfo:
        """Look one agent up by name.

        Raises:
            AgentNotRegistered: nobody of this name has registered.
        """
        lease = self._table.get(agent)
        if lease is None:
            raise AgentNotRegistered(agent)
        return self._info(lease)

    @method(timeout_s=5, idempotent=True)
    async def find_by_capability(self, capability: str, machine: str | None = None) -> AgentList:
        """The live agents that declare a skill."""
        return AgentList(
            agents=[
                info
                for info in self._infos(machine)
                if info["alive"] and capability in info["capabilities"]
            ]
        )

    @method(timeout_s=5, idempotent=True)
    async def list_agents(self, machine: str | None = None, alive_only: bool = True) -> AgentList:
        """Everything known, with the age of each lease."""
        return AgentList(
            agents=[info for info in self._infos(machine) if info["alive"] or not alive_only]
        )

    @method(timeout_s=5, idempotent=True)
    async def remove_agent(self, agent: Name, lease_id: str) -> LeaseRemoved:
        """Take an agent out that has stopped cleanly; a lease not its own removes nothing."""
        known = self._table.get(agent)
        if known is None or known.instance_id != lease_id:
            return LeaseRemoved(removed=False)
        await self._push(self._table.remove(agent, lease_id))
        return LeaseRemoved(removed=True)

    @every(seconds=1)
    async def expire(self) -> None:
        """Judge everybody's silence."""
        was_guarding = self._table.guarding
        await self._push(self._table.expire())
        if self._table.guarding and not was_guarding:
            self.errors.report(
                "many agents fell silent at once, or this process stood still: "
                "they are kept as unknown until they stay silent",
                severity="high",
                category="registry",
                impact="calls to agents that are really down fail by their own deadlines",
            )

    async def _enter(
        self, agent: str, machine: str, host: str, instance_id: str, details: _Details
    ) -> None:
        known = self._table.get(agent)
        lease, changes = self._table.register(
            agent,
            machine=machine,
            host=host,
            address=Address(host=host, machine=machine),
            instance_id=instance_id,
        )
        if known is not None and known.instance_id != instance_id:
            self._fence(agent, known.instance_id)
        before = self._details.get(agent)
        self._details[agent] = details
        if not changes and before != details:
            self._note(lease)
        await self._push(changes)

    def _fence(self, agent: str, instance_id: str) -> None:
        """Remember an instance that was replaced: it must not take its place back."""
        self._fenced[agent, instance_id] = None
        while len(self._fenced) > _MAX_FENCED:
            self._fenced.popitem(last=False)

    async def _push(self, changes: Iterable[Change]) -> None:
        for change in changes:
            noted = self._note(change.lease)
            await self.publish("registry.changed", {**noted, "change": noted["state"]})
            if change.lease.state is LeaseState.GONE:
                self._details.pop(change.lease.agent, None)

    def _note(self, lease: Lease) -> RouteChange:
        details = self._details[lease.agent]
        return self._changes.note(lease, port=details.port, phase=details.phase)

    def _infos(self, machine: str | None) -> list[AgentInfo]:
        infos = [self._info(lease) for lease in self._table if machine in (None, lease.machine)]
        return sorted(infos, key=lambda info: info["agent"])

    def _info(self, lease: Lease) -> AgentInfo:
        age_s = max(0.0, self.clock.monotonic() - lease.seen)
        details = self._details[lease.agent]
        return AgentInfo(
            agent=lease.agent,
            host=lease.host,
            port=details.port,
            health_port=details.health_port,
            machine=lease.machine,
            last_seen=self.clock.time() - age_s,
            alive=lease.state not in (LeaseState.DOWN, LeaseState.GONE),
            state=lease.state.value,
            phase=details.phase,
            instance_id=lease.instance_id,
            epoch=lease.epoch,
            lease_age_s=age_s,
            kind=details.kind,
            capabilities=list(details.capabilities),
            meta=details.meta,
        )
