"""The real fleet of `config/`: start to ready, memory, and how soon a killed host answers again.

There is no peer to set beside these; where an aim was set, it stands beside the figure. The floor
of a start is the interpreter with the package's imports.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from benches.live_fleet import LiveFleet, pss_bytes
from benches.ratio import Settings
from benches.report import Fact, say

MB = 1e6
STARTS = 3
KILLS = 6
BACK_S = 30.0
PING_S = 1.0
AIM_READY_S = 3.0
AIM_MEMORY_MB = 350.0
AIM_BACK_S = 3.0


def facts(settings: Settings) -> list[Fact]:
    """Everything that is known of a fleet after having started it a few times."""
    with LiveFleet() as fleet:
        starts = []
        for number in range(1 if settings.quick else STARTS):
            if number:
                fleet.down()
            took_s, summary = fleet.up()
            starts.append((took_s, summary))
            say(f"fleet: ready after {summary['ready_ms']} ms")
        found = [*_start_facts(starts), *_memory_facts(fleet, starts[-1][1])]
        found += _restart_facts(fleet, 2 if settings.quick else KILLS)
        down_s = fleet.down()
        left = fleet.pids()
    found.append(Fact("`aisys down`, until no process is left", down_s, "s"))
    if left:
        raise RuntimeError(f"processes are left after `aisys down`: {left}")
    return found


def _start_facts(starts: Sequence[tuple[float, dict[str, Any]]]) -> list[Fact]:
    ready = [summary["ready_ms"] / 1000 for _, summary in starts]
    taken = [took_s for took_s, _ in starts]
    hosts = _hosts(starts[-1][1])
    slowest = max(hosts, key=lambda host: host["ready_ms"] or 0)
    agents = sum(len(host["agents"]) for host in hosts)
    return [
        Fact("a command's floor: interpreter and imports", _imports_s(), "s"),
        Fact(
            f"fleet start to ready, {agents} agents in {len(hosts)} hosts on 2 machines",
            statistics.median(ready),
            "s",
            AIM_READY_S,
            tuple(ready),
            "the first start makes the keys and the databases",
        ),
        Fact(
            "`aisys up --detach`, the whole command",
            statistics.median(taken),
            "s",
            None,
            tuple(taken),
        ),
        Fact(
            "slowest host, fork to ready",
            slowest["ready_ms"] / 1000,
            "s",
            None,
            (),
            slowest["host"],
        ),
    ]


def _imports_s() -> float:
    """What every command of the fleet pays before it does anything."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import aisys.runtime.fleet_process"], check=True)
        times.append(time.perf_counter() - began)
    return min(times)


def _memory_facts(fleet: LiveFleet, summary: dict[str, Any]) -> list[Fact]:
    hosts = _hosts(summary)
    each = [pss_bytes(host["pid"]) / MB for host in hosts]
    whole = [pss_bytes(pid) / MB for pid in fleet.pids()]
    return [
        Fact(
            "memory of the whole fleet, PSS",
            sum(whole),
            "MB",
            AIM_MEMORY_MB,
            (),
            f"{len(whole)} processes: {len(hosts)} hosts, supervisors, zygotes, the command's own",
        ),
        Fact("memory of a host, PSS", statistics.median(each), "MB", None, tuple(each)),
    ]


def _restart_facts(fleet: LiveFleet, kills: int) -> list[Fact]:
    with fleet.in_environment():
        times = uvloop.run(_kill_hosts(kills))
    return [
        Fact(
            "kill -9 of a host until its agent answers a caller",
            statistics.median(times),
            "s",
            AIM_BACK_S,
            tuple(times),
        )
    ]


async def _kill_hosts(kills: int) -> list[float]:
    """Kill one host after the other; each is back before the next goes."""
    from aisys.cli.client import FleetClient, connect
    from aisys.runtime.options import Options

    async def instance(client: FleetClient, agent: str) -> str:
        reply = await client.call(f"{agent}.ping", {}, timeout_s=PING_S)
        return str(reply["instance_id"])

    times = []
    async with connect(Options()) as client:
        machines, _ = await client.each_machine("status")
        hosts = [
            process
            for machine in machines.values()
            for process in machine["processes"]
            if process["agents"]
        ]
        for number in range(kills):
            host = hosts[number % len(hosts)]
            agent = host["agents"][0]
            before = await instance(client, agent)
            os.kill(host["pid"], signal.SIGKILL)
            times.append(await _until_back(client, agent, before, instance))
            say(f"fleet: {host['name']} killed, {agent} answers after {times[-1]:.2f} s")
    return times


async def _until_back(client: Any, agent: str, before: str, instance: Any) -> float:
    from aisys.errors import CallError

    began = time.perf_counter()
    while time.perf_counter() - began < BACK_S:
        try:
            if await instance(client, agent) != before:
                return time.perf_counter() - began
        except CallError:
            await asyncio.sleep(0.005)
    raise RuntimeError(f"{agent} did not come back within {BACK_S:.0f} s of kill -9")


def _hosts(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [host for machine in summary["machines"].values() for host in machine["hosts"]]


# --- pytest-benchmark


@pytest.fixture(scope="module")
def fleet() -> Iterator[LiveFleet]:
    with LiveFleet() as live:
        yield live


@pytest.mark.timeout(120)
def test_start_to_ready(benchmark: BenchmarkFixture, fleet: LiveFleet) -> None:
    """The whole command, down again between the rounds."""

    def stop() -> None:
        if fleet.pids():
            fleet.down()

    pedantic: Any = benchmark.pedantic
    pedantic(fleet.up, setup=stop, rounds=3, iterations=1)
    benchmark.extra_info["pss_mb"] = sum(map(pss_bytes, fleet.pids())) / MB
    fleet.down()
