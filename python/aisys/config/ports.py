"""Who listens where: the register of ports, and what else on this computer holds one of them."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aisys.config.fleet import Fleet
from aisys.config.load import load_fleet
from aisys.errors import ConfigError, Problem

_PROC = Path("/proc")
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class PortEntry:
    """A port of the fleet.

    Attributes:
        name: the agent, or the machine for its control and metrics ports.
        machine: the machine that listens.
        address: the address it listens on.
        port: the number, with the offset.
        kind: whose it is.
        status: `planned` for an agent that does not exist yet.
    """

    name: str
    machine: str
    address: str
    port: int
    kind: Literal["agent", "control", "metrics"]
    status: Literal["built", "planned"] = "built"


class PortRegistry:
    """Every port of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._entries = list(_entries(fleet))

    def __iter__(self) -> Iterator[PortEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def listing(self, machine: str | None = None) -> list[PortEntry]:
        """The ports, by machine and number."""
        wanted = [entry for entry in self._entries if machine in (None, entry.machine)]
        return sorted(wanted, key=lambda entry: (entry.machine, entry.port))

    def get(self, name: str, kind: Literal["agent", "control", "metrics"] = "agent") -> int:
        """The port of an agent, or of a machine's supervisor (`control`) or metrics endpoint.

        Raises:
            KeyError: nothing of that kind has this name.
        """
        for entry in self._entries:
            if entry.name == name and entry.kind == kind:
                return entry.port
        raise KeyError(f"no {kind} port of {name}")


def _entries(fleet: Fleet) -> Iterator[PortEntry]:
    for machine in fleet.machines.values():
        name, address = machine.name, machine.address
        yield PortEntry(name, name, address, machine.control_port, "control")
        yield PortEntry(name, name, address, machine.metrics_port, "metrics")
    for agent in fleet.agents.values():
        address = fleet.machines[agent.machine].address
        yield PortEntry(agent.name, agent.machine, address, agent.port, "agent", agent.status)


def get_port(name: str, *, fleet: Fleet | None = None) -> int:
    """The port of an agent, with the offset.

    Args:
        name: the agent.
        fleet: the configuration; loaded from its usual place by default.

    Raises:
        ConfigError: the configuration is not valid.
        KeyError: there is no such agent.
    """
    return PortRegistry(fleet or load_fleet()).get(name)


def check_free(fleet: Fleet, machine: str) -> list[Problem]:
    """Which ports that a machine is about to use are taken already, and by which process.

    Ports of planned agents are not looked at: nothing will listen there.
    """
    problems = []
    for entry in PortRegistry(fleet).listing(machine):
        if entry.status == "planned":
            continue
        if entry.kind == "metrics" and not fleet.settings_for(machine).metrics.enabled:
            continue
        error = _try(entry.address, entry.port)
        if error is not None:
            problems.append(_taken(fleet, entry, error))
    return list(dict.fromkeys(problems))


def _try(address: str, port: int) -> OSError | None:
    """Bind as a server would; None if that works."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: a port in TIME_WAIT counts as free, a listening one does not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def _taken(fleet: Fleet, entry: PortEntry, error: OSError) -> Problem:
    if entry.kind == "agent":
        path = ("agents", entry.name, "port")
    else:
        path = ("machines", entry.machine, f"{entry.kind}_port")
    where = fleet.tree.nearest(path).origin.where
    setting = ".".join(path)
    if error.errno == errno.EADDRINUSE:
        holder = process_on(entry.port)
        by = f" by {holder}" if holder else ""
        remedy = "End that process, change the port, or set PORT_OFFSET"
        return Problem(
            where, setting, f"port {entry.port} on {entry.address} is in use{by}", remedy
        )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        where = fleet.tree.nearest(("machines", entry.machine, "address")).origin.where
        what = f"{entry.address} is not an address of this computer"
        remedy = "Correct the address, or start this machine's part on its own computer"
        return Problem(where, f"machines.{entry.machine}.address", what, remedy)
    what = f"port {entry.port} on {entry.address} cannot be opened: {error.strerror or error}"
    return Problem(where, setting, what, "Choose a port above 1023, or give the right to open it")


def process_on(port: int) -> str:
    """The process that listens on a TCP port, as `name (pid 123)`; "" when /proc does not say."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and _holds(folder, wanted):
            name = ""
            with suppress(OSError):
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{name or 'a process'} (pid {folder.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    suffix = f":{port:04X}"
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # no /proc, or no IPv6
            continue
        for line in lines:
            parts = line.split()
            if len(parts) > 9 and parts[3] == _LISTEN and parts[1].endswith(suffix):
                found.add(parts[9])
    return found


def _holds(process: Path, wanted: set[str]) -> bool:
    try:
        with os.scandir(process / "fd") as descriptors:
            return any(_link(item.path) in wanted for item in descriptors)
    except OSError:  # ended meanwhile, or another user's
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 -- a Path per descriptor of every process is slow
    except OSError:
        return ""


def require_free(fleet: Fleet, machine: str) -> None:
    """Refuse to start where a port is taken.

    Raises:
        ConfigError: with every port that is in use.
    """
    problems = check_free(fleet, machine)
    if problems:
        raise ConfigError(problems)
