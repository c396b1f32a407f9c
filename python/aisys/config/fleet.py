"""The fleet as the rest of aisys sees it: machines, agents, hosts, settings, and their origins."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from aisys.config.order import waves
from aisys.config.origins import DEFAULT_ORIGIN, Node, Origin, dotted, split_path
from aisys.config.paths import data_dir
from aisys.config.secrets import resolve_secret
from aisys.config.settings import FleetSettings
from aisys.config.shape import is_secret, masked, setting_paths, types_at


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """A machine of the fleet.

    Attributes:
        name: its name in the configuration.
        address: the IP address or host name that other machines use.
        control_port: the port of its supervisor, with the offset.
        metrics_port: the port of its Prometheus endpoint, with the offset.
    """

    name: str
    address: str
    control_port: int
    metrics_port: int


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent of the fleet.

    Attributes:
        name: its name, which is also the name of its class and of its entry point.
        machine: the machine it runs on.
        port: its port, with the offset.
        group: its domain.
        required: whether the fleet is unhealthy without it.
        requires: the agents that start before it.
        status: whether its class exists already.
        host: the id of the process it lives in, `machine/name`.
        settings: the values for its own Config class, not yet checked against it.
        restart: when its host is started again after it ended.
        priority: lower starts first within a wave.
        shared: whether its host is named by `place: {shared: ...}`.
    """

    name: str
    machine: str
    port: int
    group: str
    required: bool
    requires: tuple[str, ...]
    status: Literal["built", "planned"]
    host: str
    settings: dict[str, Any]
    restart: Literal["permanent", "transient", "temporary"]
    priority: int = 100
    shared: bool = False

    @property
    def built(self) -> bool:
        """Whether its class exists."""
        return self.status == "built"


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A process that will run, with the built agents in it.

    Attributes:
        id: `machine/name`.
        machine: the machine it runs on.
        name: its name on that machine.
        agents: the names of its agents, in the order in which they start.
        priority: the least priority of its agents; lower starts first within a wave.
        restart: when it is started again: the most eager of its agents' rules.
    """

    id: str
    machine: str
    name: str
    agents: tuple[str, ...]
    priority: int
    restart: Literal["permanent", "transient", "temporary"]


@dataclass(frozen=True, eq=False)
class Fleet:
    """A validated configuration.

    Attributes:
        name: the name of the fleet.
        env: the environment: dev, staging, prod, or another with a file of its own.
        config_dir: the folder it was read from.
        machines: the machines by name.
        agents: all agents by name, built and planned.
        hosts: the processes that run, by id `machine/name`; only those with a built agent.
        settings: the settings of the fleet as a whole.
    """

    name: str
    env: str
    config_dir: Path
    machines: dict[str, MachineConfig]
    agents: dict[str, AgentEntry]
    settings: FleetSettings
    tree: Node = field(repr=False)
    machine_trees: Mapping[str, Node] = field(repr=False)
    machine_settings: Mapping[str, FleetSettings] = field(repr=False)

    @cached_property
    def hosts(self) -> dict[str, HostPlan]:
        """The processes that run, by id."""
        members: dict[str, list[AgentEntry]] = {}
        for entry in self.built():
            members.setdefault(entry.host, []).append(entry)
        return {key: _host_plan(key, value) for key, value in members.items()}

    def built(self) -> list[AgentEntry]:
        """The agents whose class exists."""
        return [entry for entry in self.agents.values() if entry.built]

    def planned(self) -> list[AgentEntry]:
        """The agents that are still to be built."""
        return [entry for entry in self.agents.values() if not entry.built]

    def machine_agents(self, machine: str) -> list[AgentEntry]:
        """All agents of a machine, built and planned."""
        return [entry for entry in self.agents.values() if entry.machine == machine]

    def machine_hosts(self, machine: str) -> list[HostPlan]:
        """The processes that run on a machine."""
        return [plan for plan in self.hosts.values() if plan.machine == machine]

    def settings_for(self, machine: str) -> FleetSettings:
        """The settings of the fleet with those of the machine's file on top."""
        return self.machine_settings.get(machine, self.settings)

    def start_order(self, machine: str) -> list[list[str]]:
        """Ids of a machine's hosts in waves: a wave starts when the one before it is ready.

        Hosts that need each other share a wave. What a host needs on another machine does not
        hold it back.
        """
        plans = {plan.id: plan for plan in self.machine_hosts(machine)}
        graph: dict[str, list[str]] = {}
        for plan in plans.values():
            needed = (self.agents[name].requires for name in plan.agents)
            hosts = {self.agents[other].host for names in needed for other in names}
            graph[plan.id] = sorted(host for host in hosts if host in plans and host != plan.id)
        return [
            sorted(wave, key=lambda host: (plans[host].priority, host)) for wave in waves(graph)
        ]

    def origin(self, path: str | Sequence[str], *, machine: str | None = None) -> Origin:
        """What set a value: the layer, file and line, or the built-in default.

        Args:
            path: dotted, such as `agents.NLUAgent.port`, or a sequence for keys that hold a dot.
            machine: the machine whose view is meant, for settings that a machine file changes.

        Raises:
            KeyError: there is no such setting.
        """
        parts = split_path(path)
        tree = self._view(machine)
        node = tree.lookup(path) if isinstance(path, str) else tree.find(parts)
        if node is not None:
            return node.key
        named = parts[:2] if parts[:1] in (("agents",), ("machines",)) else ()
        if not types_at(parts) or tree.find(named) is None:
            raise KeyError(self._unknown(parts))
        return DEFAULT_ORIGIN

    def origins(self, machine: str | None = None) -> dict[str, Origin]:
        """The origin of every value that some layer sets, by dotted path."""
        return {".".join(path): node.key for path, node in self._view(machine).leaves()}

    def value(self, path: str | Sequence[str], *, machine: str | None = None) -> Any:
        """What a path of `origins` is set to, for showing: secrets masked, ports without offset.

        Raises:
            KeyError: no layer sets it.
        """
        parts = split_path(path)
        tree = self._view(machine)
        node = tree.lookup(path) if isinstance(path, str) else tree.find(parts)
        if node is None:
            raise KeyError(self._unknown(parts))
        return masked(node, parts)

    def _view(self, machine: str | None) -> Node:
        return self.machine_trees.get(machine, self.tree) if machine else self.tree

    def agent_settings_origin(self, agent: str, path: str | Sequence[str | int] = ()) -> Origin:
        """The place of an agent's setting, or the nearest place above it that exists.

        Meant for errors of the agent's own Config class, whose paths may name what is missing.
        """
        parts = path.split(".") if isinstance(path, str) and path else list(path)
        node = self.tree.nearest(("agents", agent, "settings", *parts))
        return node.key

    def secret(self, path: str) -> str | None:
        """The value of a secret setting such as `llm.key`, looked up now; None if it is not set.

        Raises:
            KeyError: there is no secret setting of that name.
            ConfigError: its reference leads nowhere.
        """
        parts = split_path(path)
        if not is_secret(parts):
            raise KeyError(f"{path} is no secret setting")
        value: Any = self.settings
        for part in parts:
            value = getattr(value, part)
        if value is None:
            return None
        where = self.origin(parts).where
        return resolve_secret(value, data_dir=data_dir(self), where=where)

    def _unknown(self, parts: Sequence[str]) -> str:
        known = [*self.origins(), *map(dotted, setting_paths().values())]
        close = difflib.get_close_matches(dotted(parts), known, n=1)
        hint = f", did you mean {close[0]}" if close else ""
        return f"no setting {dotted(parts)}{hint}"


def _host_plan(host: str, entries: list[AgentEntry]) -> HostPlan:
    machine, _, name = host.partition("/")
    graph = {entry.name: entry.requires for entry in entries}
    by_name = {entry.name: entry for entry in entries}
    ordered = [
        agent
        for wave in waves(graph)
        for agent in sorted(wave, key=lambda item: (by_name[item].priority, item))
    ]
    rules = {entry.restart for entry in entries}
    restart: Literal["permanent", "transient", "temporary"] = "temporary"
    if "permanent" in rules:
        restart = "permanent"
    elif "transient" in rules:
        restart = "transient"
    priority = min(entry.priority for entry in entries)
    return HostPlan(host, machine, name, tuple(ordered), priority, restart)
