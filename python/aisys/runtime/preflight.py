"""What can be known to be wrong before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

from aisys.config import AgentEntry, Fleet, check_free
from aisys.errors import Problem
from aisys.runtime.places import check_keys, machine_address


def check_machine(fleet: Fleet, machine: str) -> list[Problem]:
    """Everything that keeps a machine of the fleet from starting on this computer.

    The agents' classes are not imported for it: the zygote does that anyway and refuses by the same rules.
    """
    running = _already_running(fleet, machine)
    if running is not None:
        # Its ports are taken for that very reason: one line says it.
        return [running]
    return [*check_keys(fleet, machine), *check_free(fleet, machine)]


def _already_running(fleet: Fleet, machine: str) -> Problem | None:
    path = machine_address(fleet, machine, None).unix_path or ""
    if not Path(path).exists():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return None
    return Problem(
        where=path,
        setting=machine,
        what=f"this machine of fleet {fleet.name} is running already",
        remedy="Stop it with `aisys down`, or run a second fleet beside it with another PORT_OFFSET.",
    )


def check_agent_port(fleet: Fleet, entry: AgentEntry) -> list[Problem]:
    """Whether the port of one agent is taken, as it is while the fleet runs the agent already."""
    setting = f"agents.{entry.name}.port"
    return [problem for problem in check_free(fleet, entry.machine) if problem.setting == setting]
