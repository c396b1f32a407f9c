"""`aisys status`: what runs where, and how it does."""

from __future__ import annotations

from typing import Any

from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import EXIT_FAILED, say, show_json
from aisys.config import Fleet
from aisys.errors import Refused, Unreachable
from aisys.runtime.options import Options
from aisys.runtime.places import Places, failure_note, machine_agent_name

_NUMBERS = ("pid", "parent", "restarts", "memory")
_COLOURS = {
    "ready": "green",
    "starting": "yellow",
    "restarting": "yellow",
    "failed": "red",
    "stopped": "red",
}


def status(options: Options, *, as_json: bool) -> int:
    """Print machines, processes and agents; exit code 1 if something that should run does not."""

    async def gather(client: FleetClient) -> tuple[dict[str, Any], dict[str, str]]:
        return await client.each_machine("status")

    fleet = options.load()
    try:
        found, missing = run_with_client(options, gather)
    except Unreachable as error:
        found, missing = {}, dict.fromkeys(fleet.machines, str(error))
    places = Places.of(fleet)
    for name in missing:
        note = failure_note(places, name)
        if note.exists():
            missing[name] = f"it gave up: {note.read_text().strip()}"
    document = _document(fleet, found, missing)
    if as_json:
        show_json(document)
    else:
        _print(document)
    return 0 if document["ready"] else EXIT_FAILED


def restart(options: Options, name: str) -> int:
    """Restart the host that `name` is or lives in."""

    async def work(client: FleetClient) -> int:
        host = client.fleet.agents[name].host if name in client.fleet.agents else name
        if host not in client.fleet.hosts:
            raise Refused(f"there is no host or built agent {name!r}", reason="unknown_agent")
        machine = client.fleet.hosts[host].machine
        timeout_s = client.fleet.settings.stop_grace_s + client.fleet.settings.ready_timeout_s + 5.0
        took = await client.call(
            f"{machine_agent_name(machine)}.restart_host", {"host": host}, timeout_s=timeout_s
        )
        say(f"{host} is ready again after {took['ms']} ms")
        return 0

    return run_with_client(options, work)


def _document(fleet: Fleet, found: dict[str, Any], missing: dict[str, str]) -> dict[str, Any]:
    agents = []
    for entry in fleet.agents.values():
        machine = found.get(entry.machine)
        live = machine["agents"].get(entry.name, {}) if machine else {}
        state = (
            "planned"
            if not entry.built
            else live.get("state", "down" if machine else "unreachable")
        )
        agents.append(
            {
                "name": entry.name,
                "machine": entry.machine,
                "host": entry.host if entry.built else None,
                "port": entry.port,
                "state": state,
                "healthy": live.get("healthy"),
                "reasons": live.get("reasons", []),
            }
        )
    built = fleet.built()
    return {
        "fleet": fleet.name,
        "env": fleet.env,
        "built": len(built),
        "total": len(fleet.agents),
        "ready": bool(found)
        and not missing
        and all(machine["ready"] for machine in found.values()),
        "machines": [
            {"name": name, **{key: value for key, value in found[name].items() if key != "agents"}}
            if name in found
            else {
                "name": name,
                "state": "unreachable",
                "problem": missing.get(name, ""),
                "processes": [],
            }
            for name in fleet.machines
        ],
        "agents": agents,
    }


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"[bold]{document['fleet']}[/] ({document['env']})  "
        f"{document['built']} of {document['total']} agents built"
    )
    for machine in document["machines"]:
        console.print(
            f"\n[bold]{machine['name']}[/]  {machine['state']}  {escape(machine.get('problem', ''))}".rstrip()
        )
        if machine["processes"]:
            table = Table(box=None, pad_edge=False, header_style="dim")
            for column in ("process", "pid", "parent", "state", "restarts", "memory", "agents"):
                table.add_column(
                    column,
                    justify="right" if column in _NUMBERS else "left",
                    overflow="fold",  # a name that is cut short cannot be copied
                )
            for process in machine["processes"]:
                memory = process["memory_bytes"]
                table.add_row(
                    process["name"],
                    str(process["pid"] or "-"),
                    str(process["parent"] or "-"),
                    f"[{_COLOURS.get(process['state'], 'white')}]{process['state']}[/]",
                    str(process["restarts"]),
                    f"{memory / 1e6:.0f} MB" if memory else "-",
                    escape(", ".join(process["agents"])),
                )
            console.print(table)
    unhealthy = [agent for agent in document["agents"] if agent["healthy"] is False]
    for agent in unhealthy:
        console.print(f"[yellow]{agent['name']}[/]: {escape('; '.join(agent['reasons']))}")
    planned = [agent["name"] for agent in document["agents"] if agent["state"] == "planned"]
    if planned:
        console.print(f"\n[dim]planned: {', '.join(planned)}[/]")
