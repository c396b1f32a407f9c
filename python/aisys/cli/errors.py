"""`aisys errors`: what went wrong lately, on all machines."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import asdict
from typing import Any

from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import EXIT_FAILED, say, show, show_json
from aisys.config import Fleet
from aisys.errorbus import SEVERITIES, Collector
from aisys.errors import ConfigError, Problem, Unreachable
from aisys.runtime.options import Options
from aisys.runtime.places import Places, known_machines


def errors(
    options: Options,
    *,
    agent: str | None,
    machine: str | None,
    severity: str | None,
    since_s: float | None,
    limit: int,
    as_json: bool,
) -> int:
    """List error reports, newest last; those of a machine that is down are read from its file."""
    fleet = options.load()
    _check(fleet, agent, machine, severity, since_s)
    wanted = {
        "agent": agent,
        "machine": machine,
        "severity": severity,
        "since": time.time() - since_s if since_s is not None else None,
        "limit": limit,
    }

    async def ask(client: FleetClient) -> tuple[dict[str, Any], dict[str, str]]:
        return await client.each_machine("list_errors", wanted)

    try:
        found, missing = run_with_client(options, ask)
    except Unreachable as error:
        found, missing = {}, dict.fromkeys(fleet.machines, str(error))
    for name in list(missing):
        stored = asyncio.run(_read_file(fleet, name, wanted))
        if stored is not None:
            found[name] = stored
            del missing[name]
    # Every machine holds the reports of all of them: one that was cut off may hold some that others lack.
    unique = {report["id"]: report for reports in found.values() for report in reports}
    reports = sorted(unique.values(), key=lambda report: report["at"])[-limit:]
    if as_json:
        show_json(reports)
    elif reports:
        for report in reports:
            show(_line(report))
    elif found:
        say("no errors")
    for name, reason in missing.items():
        say(f"aisys: the reports of {name} are missing: {reason}")
    return 0 if found else EXIT_FAILED


def _check(
    fleet: Fleet,
    agent: str | None,
    machine: str | None,
    severity: str | None,
    since_s: float | None,
) -> None:
    """Refuse a filter that nothing can match.

    Raises:
        ConfigError: it names what does not exist, or is no number of seconds.
    """
    problems = []
    known_machines(fleet, machine)
    if agent is not None and agent not in fleet.agents:
        problems.append(
            Problem("--agent", agent, "is not an agent of the fleet", "See `aisys status`.")
        )
    if severity is not None and severity not in SEVERITIES:
        remedy = f"Use one of {', '.join(SEVERITIES)}."
        problems.append(Problem("--severity", severity, "is not a severity", remedy))
    if since_s is not None and not 0 <= since_s < math.inf:
        problems.append(Problem("--since", str(since_s), "is not a number of seconds", "Use 3600."))
    if problems:
        raise ConfigError(problems)


async def _read_file(
    fleet: Fleet, machine: str, wanted: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """What a machine that does not run here left in its file, or None if there is no such file."""
    path = Places.of(fleet).errors_file(machine)
    if not path.exists():
        return None
    collector = Collector(path)
    try:
        return [asdict(report) for report in await collector.list(**wanted)]
    finally:
        await collector.close()


def _line(report: dict[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report["at"]))
    where = "/".join(
        part for part in (report.get("machine"), report.get("agent") or report.get("host")) if part
    )
    method = f".{report['method']}" if report.get("method") else ""
    count = f"  x{report['count']}" if report.get("count", 1) > 1 else ""
    message = str(report["message"]).splitlines()[0] if report["message"] else ""
    return f"{at}  {report['severity']:<8} {where}{method}  {report.get('error_type') or ''} {message}{count}"
