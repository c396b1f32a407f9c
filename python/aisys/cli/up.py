"""`aisys up` and `aisys down`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aisys.build import build_info
from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import EXIT_FAILED, say, show, show_json
from aisys.config import Fleet
from aisys.errors import CallError, ConfigError, Problem, Unreachable
from aisys.runtime.fleet_process import FleetProcess, run_detached
from aisys.runtime.options import Options
from aisys.runtime.places import (
    Places,
    is_simulated,
    known_machines,
    machine_address,
    make_missing_keys,
)
from aisys.runtime.preflight import check_machine
from aisys.supervision import os_process


def up(options: Options, *, machine: str | None, detach: bool, as_json: bool) -> int:
    """Start machines of the fleet on this computer and supervise them."""
    fleet = options.load()
    machines = _choose(fleet, machine)
    make_missing_keys(fleet, machine)
    problems = [problem for name in machines for problem in check_machine(fleet, name)]
    if problems:
        raise ConfigError(problems)
    if detach:
        return _up_detached(options, fleet, machines, as_json=as_json)
    process = FleetProcess(
        options,
        machines,
        on_ready=lambda summary: _announce(fleet, summary, as_json=as_json, detached=False),
        on_problem=lambda problem: say(f"aisys: {problem}"),
    )
    return asyncio.run(process.run())


def down(options: Options, *, machine: str | None) -> int:
    """Stop machines of the fleet on this computer and wait until none of their processes is left."""
    fleet = options.load()
    machines = [
        name
        for name in known_machines(fleet, machine)
        if Path(machine_address(fleet, name, None).unix_path or "").exists()
    ]
    if not machines:
        say(f"fleet {fleet.name} does not run on this computer")
        return 0
    pids = run_with_client(options, lambda client: _ask_to_stop(client, machines))
    limit = time.monotonic() + fleet.settings.stop_grace_s + 10.0
    while left := {pid: start for pid, start in pids.items() if os_process.is_running(pid, start)}:
        if time.monotonic() > limit:
            say(
                f"aisys: still running after {fleet.settings.stop_grace_s + 10:.0f} s: {sorted(left)}"
            )
            return EXIT_FAILED
        time.sleep(0.02)
    say(f"stopped {', '.join(machines)}")
    return 0


async def _ask_to_stop(client: FleetClient, machines: Sequence[str]) -> dict[int, int]:
    """Ask supervisors to stop; gives every process that has to end, with its start time."""
    pids: dict[int, int] = {}
    for name in machines:
        try:
            status = await client.machine(name, "status")
            for process in status["processes"]:
                started = os_process.start_time(process["pid"]) if process["pid"] else None
                if started is not None:
                    pids[process["pid"]] = started
            await client.machine(name, "stop")
        except Unreachable:
            # A socket file without a process behind it: the supervisor was killed.
            _remove_socket(client.fleet, name)
        except CallError as error:
            say(f"aisys: {name}: {error}")
    return pids


def _remove_socket(fleet: Fleet, machine: str) -> None:
    Path(machine_address(fleet, machine, None).unix_path or "").unlink(missing_ok=True)


def _choose(fleet: Fleet, machine: str | None) -> list[str]:
    """The machines to run here: the named one, or all when the whole fleet is on this computer.

    Raises:
        ConfigError: the machine is unknown, or none is named and the machines are different computers.
    """
    if machine is not None:
        return known_machines(fleet, machine)
    if is_simulated(fleet):
        return list(fleet.machines)
    known = ", ".join(f"{entry.name} at {entry.address}" for entry in fleet.machines.values())
    raise ConfigError(
        [
            Problem(
                "aisys up",
                "--machine",
                f"the machines are different computers ({known})",
                "Name the one this is.",
            )
        ]
    )


def _up_detached(options: Options, fleet: Fleet, machines: Sequence[str], *, as_json: bool) -> int:
    log_path = Places.of(fleet).data / "logs" / "fleet.log"
    log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    timeout_s = fleet.settings.ready_timeout_s * 2
    try:
        outcome = run_detached(options, machines, str(log_path), timeout_s)
    except TimeoutError:
        say(
            f"aisys: the fleet was not ready after {timeout_s:g} s and has been stopped: see {log_path}"
        )
        return EXIT_FAILED
    if "problems" in outcome:
        for problem in outcome["problems"]:
            say(f"aisys: {problem}")
        return int(outcome["exit_code"]) or EXIT_FAILED
    _announce(fleet, outcome, as_json=as_json, detached=True)
    return 0


def _announce(fleet: Fleet, summary: dict[str, Any], *, as_json: bool, detached: bool) -> None:
    if as_json:
        show_json(summary)
        return
    show(
        f"aisys {build_info().version}  fleet {fleet.name} ({fleet.env})  "
        f"{len(fleet.built())} of {len(fleet.agents)} agents built"
    )
    for name, machine in summary["machines"].items():
        show(
            f"{name}  ready after {machine['ready_ms']} ms  supervisor pid {machine['pid']}  {machine['metrics']}"
        )
        for host in machine["hosts"]:
            short = host["host"].partition("/")[2]
            show(
                f"  {short:<12} pid {host['pid']:<8} {host['ready_ms']:>5} ms  {', '.join(host['agents'])}"
            )
    then = "Stop it: aisys down" if detached else "Stop it: Ctrl-C"
    show(f"ready after {summary['ready_ms']} ms.  Talk to it: aisys chat   {then}")
