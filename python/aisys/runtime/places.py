"""Where everything of a fleet is: folders, sockets, keys, and the addresses of hosts and agents."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from aisys.config import Fleet, control_socket, data_dir, keys_dir, runtime_dir, socket_path
from aisys.errors import ConfigError, Problem
from aisys.messaging import Address
from aisys.messaging.keys import KeyRing
from aisys.registry import Route


def machine_agent_name(machine: str) -> str:
    """The name by which a machine's supervisor is called."""
    return f"Machine-{machine}"


def host_agent_name(host: str) -> str:
    """The name by which a host itself, rather than one of its agents, is called."""
    return f"Host-{host}"


def supervisor_host(machine: str) -> str:
    """The host id of a machine's supervisor process."""
    return f"{machine}/supervisor"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of a fleet on this computer.

    Attributes:
        data: what must survive.
        runtime: sockets and process records.
        keys: key files.
    """

    data: Path
    runtime: Path
    keys: Path

    @classmethod
    def of(cls, fleet: Fleet) -> Places:
        """The folders of `fleet`, made if they are missing.

        Raises:
            ConfigError: one belongs to somebody else or its path is too long.
        """
        return cls(data=data_dir(fleet), runtime=runtime_dir(fleet), keys=keys_dir(fleet))

    def logs(self, machine: str) -> Path:
        """The folder of a machine's logs."""
        return _made(self.data / "logs" / machine)

    def state(self, machine: str) -> Path:
        """The folder of the state of a machine's agents."""
        return _made(self.data / "state" / machine)

    def errors(self, machine: str) -> Path:
        """The folder of a machine's error reports and spools."""
        return _made(self.data / "errors" / machine)

    def errors_file(self, machine: str) -> Path:
        """Where a machine keeps the reports of all machines."""
        return self.errors(machine) / "errors.sqlite"

    def run(self, machine: str) -> Path:
        """The folder of a machine's sockets and process records."""
        return _made(self.runtime / machine)


def _made(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def failure_note(places: Places, machine: str) -> Path:
    """Where a machine that gave up says why, for who asks afterwards."""
    return places.logs(machine) / "failure"


def known_machines(fleet: Fleet, machine: str | None) -> list[str]:
    """The machine that was named, or all of them.

    Raises:
        ConfigError: the fleet has no machine of this name.
    """
    if machine is None:
        return list(fleet.machines)
    if machine not in fleet.machines:
        known = ", ".join(fleet.machines)
        what = "is not a machine of the fleet"
        raise ConfigError([Problem("--machine", machine, what, f"Known: {known}.")])
    return [machine]


def is_simulated(fleet: Fleet) -> bool:
    """Whether every machine of the fleet is this computer."""
    return all(_is_loopback(machine.address) for machine in fleet.machines.values())


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def make_missing_keys(fleet: Fleet, machine: str | None = None) -> None:
    """Make the key pairs that a fleet needs on this computer, outside prod.

    In prod keys are made on purpose, by `aisys keys init`, so that a lost key folder is not papered over.
    """
    if fleet.env == "prod" or not fleet.settings.security.curve:
        return
    places = Places.of(fleet)
    for name in fleet.machines if is_simulated(fleet) else [machine] if machine else []:
        ensure_keys(places, name)


def ensure_keys(places: Places, machine: str) -> KeyRing:
    """The key pair of a machine, made if it is missing; two processes may ask at once."""
    if not (places.keys / f"{machine}.secret").exists():
        try:
            return KeyRing.create(places.keys, machine)
        except ConfigError:
            if not (places.keys / f"{machine}.secret").exists():
                raise
    return KeyRing.load(places.keys, machine)


def load_keys(fleet: Fleet, machine: str) -> KeyRing | None:
    """The keys of a machine, or None when encryption is switched off.

    Raises:
        ConfigError: they are missing, or readable by others.
    """
    if not fleet.settings.security.curve:
        return None
    places = Places.of(fleet)
    if not (places.keys / f"{machine}.secret").exists():
        raise ConfigError(
            [
                Problem(
                    where=str(fleet.origin("security.curve")),
                    setting="security.curve",
                    what=f"there is no key file {places.keys / f'{machine}.secret'}",
                    remedy=f"Run `aisys keys init --machine {machine} --env {fleet.env}`.",
                )
            ]
        )
    return KeyRing.load(places.keys, machine)


def check_keys(fleet: Fleet, machine: str) -> list[Problem]:
    """What is wrong with the keys of a machine."""
    try:
        load_keys(fleet, machine)
    except ConfigError as error:
        return error.problems
    return []


def host_address(fleet: Fleet, host: str, keys: KeyRing | None) -> Address:
    """Where a host listens: its unix socket, and on TCP the port of its first agent."""
    machine = host.partition("/")[0]
    plan = fleet.hosts[host]
    return _address(
        fleet, host, machine, str(socket_path(fleet, host)), fleet.agents[plan.agents[0]].port, keys
    )


def machine_address(fleet: Fleet, machine: str, keys: KeyRing | None) -> Address:
    """Where a machine's supervisor listens: its control socket and control port."""
    port = fleet.machines[machine].control_port
    return _address(
        fleet, supervisor_host(machine), machine, str(control_socket(fleet, machine)), port, keys
    )


def _address(
    fleet: Fleet, host: str, machine: str, unix_path: str, port: int, keys: KeyRing | None
) -> Address:
    return Address(
        host=host,
        machine=machine,
        unix_path=unix_path,
        tcp=f"tcp://{fleet.machines[machine].address}:{port}",
        server_key=keys.public(machine) if keys is not None else None,
    )


def static_routes(fleet: Fleet, keys: KeyRing | None) -> dict[str, Route]:
    """The routes that follow from the configuration alone; the registry's changes go on top of them."""
    found: dict[str, Route] = {}
    for host, plan in fleet.hosts.items():
        address = host_address(fleet, host, keys)
        for agent in (*plan.agents, host_agent_name(host)):
            found[agent] = Route(agent=agent, host=host, machine=plan.machine, address=address)
    for machine in fleet.machines:
        agent = machine_agent_name(machine)
        address = machine_address(fleet, machine, keys)
        found[agent] = Route(agent=agent, host=address.host, machine=machine, address=address)
    return found


def other_hosts(fleet: Fleet, host: str, keys: KeyRing | None) -> list[Address]:
    """Every host of the fleet but `host`: those whose events it may want."""
    return [host_address(fleet, other, keys) for other in fleet.hosts if other != host]
