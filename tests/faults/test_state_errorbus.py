"""What the error bus keeps when its process is killed and its disk is full."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aisys.errorbus import Collector, Forwarder, Spool
from support.waiting import eventually

pytestmark = pytest.mark.slow

_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

_REPORTING = """
import asyncio, sys
from aisys.errorbus import Collector, Forwarder, Reporter, Spool

async def main():
    spool = Spool(sys.argv[1], machine="m", host="h")
    collector = Collector(sys.argv[2])

    async def send(reports):
        await collector.ingest(reports)

    forwarder = Forwarder(spool, send, batch=5)
    await forwarder.start()
    for number in range(1_000_000):
        report_id = Reporter(spool, agent=f"A{number}").report("x", severity="critical")
        await spool.flush()
        print(report_id, flush=True)

asyncio.run(main())
"""

_FULL = """
import asyncio, resource, sys
from aisys.errorbus import ErrorBusError, Reporter, Spool

async def main():
    spool = Spool(sys.argv[1], machine="m", host="h")
    await spool.register("t")
    Reporter(spool, agent="first").report("x")
    await spool.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
    for number in range(100):
        Reporter(spool, agent=f"A{number}").report("x")
    await spool.flush()
    lost = spool.lost["high"]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    Reporter(spool, agent="last").report("y")
    await spool.flush()
    reports = await spool.read("t", limit=1000)
    told = sum(report["count"] for report in reports if report["category"] == "errorbus")
    kept = [report["agent"] for report in reports if report["category"] != "errorbus"]
    print(lost, told, len(kept), kept[0], kept[-1])
    await spool.close()

asyncio.run(main())
"""


@pytest.mark.fault
async def test_reports_survive_kill_9_and_arrive_once(tmp_path: Path) -> None:
    """Killed twice while it reports and forwards; a later process brings the rest."""
    spool_path, collector_path = tmp_path / "spool", tmp_path / "c" / "reports.db"
    written: set[str] = set()
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _REPORTING, str(spool_path), str(collector_path)),
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
        )
        assert process.stdout is not None
        for _ in range(25):
            written.add((await process.stdout.readline()).decode().strip())
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        written.update(rest.decode().split("\n")[:-1])
        assert process.returncode == -signal.SIGKILL, "the fault did not happen"
    spool = Spool(spool_path, machine="m", host="h")
    collector = Collector(collector_path)

    async def send(reports: list[dict[str, Any]]) -> None:
        await collector.ingest(reports)

    forwarder = Forwarder(spool, send)
    await forwarder.start()

    async def everything() -> bool:
        return not await spool.read("collector")

    await eventually(everything, 10.0)
    found = [report.id for report in await collector.list(limit=10_000)]
    assert len(found) == len(set(found))
    assert set(found) >= written
    await forwarder.stop()
    await spool.close()
    await collector.close()


@pytest.mark.fault
async def test_a_full_disk_costs_reports_but_nothing_else(tmp_path: Path) -> None:
    """Nothing raises; what was lost is counted and told when there is room again."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _FULL, str(tmp_path)), stdout=subprocess.PIPE, env=_ENVIRONMENT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    lost, told, kept, first, last = out.decode().split()
    assert int(lost) > 0, "the fault did not happen"
    assert int(told) == int(lost)
    assert int(kept) + int(lost) == 102
    assert (first, last) == ("first", "last")
