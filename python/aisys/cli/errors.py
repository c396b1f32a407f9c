"""`aisys errors`: what went wrong lately, on all machines."""

from __future__ import annotations

import time
from typing import Any

from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import say, show, show_json
from aisys.runtime.options import Options


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
    """List error reports, newest last."""

    async def work(client: FleetClient) -> int:
        found, missing = await client.each_machine(
            "list_errors",
            {
                "agent": agent,
                "machine": machine,
                "severity": severity,
                "since": time.time() - since_s if since_s is not None else None,
                "limit": limit,
            },
        )
        # Every machine holds the reports of all of them: one that was cut off may hold some that others lack.
        unique = {report["id"]: report for reports in found.values() for report in reports}
        reports = sorted(unique.values(), key=lambda report: report["at"])[-limit:]
        if as_json:
            show_json(reports)
        elif reports:
            for report in reports:
                show(_line(report))
        else:
            say("no errors")
        for name, reason in missing.items():
            say(f"aisys: {name} cannot be reached: {reason}")
        return 0

    return run_with_client(options, work)


def _line(report: dict[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report["at"]))
    where = "/".join(
        part for part in (report.get("machine"), report.get("agent") or report.get("host")) if part
    )
    method = f".{report['method']}" if report.get("method") else ""
    count = f"  x{report['count']}" if report.get("count", 1) > 1 else ""
    message = str(report["message"]).splitlines()[0] if report["message"] else ""
    return f"{at}  {report['severity']:<8} {where}{method}  {report.get('error_type') or ''} {message}{count}"
