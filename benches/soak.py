"""`python -m benches.soak`: a real fleet under load, its hosts killed with -9 one after the other.

Memories are stored through the fleet all the time, over both machines. What was acknowledged is
noted; at the end every one of them must be there, word for word. Processes must not grow in memory
or open files while they live. The exit code is 0 if all of that held, 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import uvloop

from aisys.errors import AisysError
from benches.live_fleet import LiveFleet, anonymous_bytes, end_on_terminate, open_files, pss_bytes

WRITERS = 8
READERS = 4
PAUSE_S = 0.02
CALL_S = 10.0
SAMPLE_S = 1.0
VERIFY_IN_FLIGHT = 32
SETTLE_S = 30.0
MB = 1e6


@dataclass(frozen=True)
class Size:
    """How long, and how much growth is still noise in that time.

    Attributes:
        load_s: how long the load lasts; start, check and stop come on top.
        kill_every_s: time from one kill to the next.
        kill_s: when the killing ends; who lives from then on is watched for growth.
        least_life_s: a process that lived shorter is not judged: it was still filling its caches.
        growth_mb_per_min: more than this, over the second half of a process's life, is a leak.
        growth_files: more file descriptors than this over the same time are one too.
    """

    load_s: float
    kill_every_s: float
    kill_s: float
    least_life_s: float
    growth_mb_per_min: float
    growth_files: int


SIZES = {
    "small": Size(40.0, 4.0, 40.0, 20.0, 20.0, 20),
    "medium": Size(600.0, 8.0, 300.0, 240.0, 4.0, 20),
    "large": Size(3600.0, 10.0, 2400.0, 900.0, 0.5, 20),
}


@dataclass
class Life:
    """Samples of one process: seconds, resident bytes, open files."""

    name: str
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def growth(self, least_life_s: float) -> tuple[float, int] | None:
        """Megabytes a minute and files gained in the second half of its life; None if it was short."""
        if not self.samples or self.samples[-1][0] - self.samples[0][0] < least_life_s:
            return None
        half = self.samples[len(self.samples) // 2 :]
        slope, _ = statistics.linear_regression(
            [at for at, _, _ in half], [size / MB for _, size, _ in half]
        )
        return slope * 60.0, half[-1][2] - half[0][2]


@dataclass
class Outcome:
    """What happened."""

    acknowledged: int = 0
    buffered: int = 0
    refused: int = 0
    read: int = 0
    unread: int = 0
    kills: int = 0
    back_s: list[float] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    growth_mb_per_min: dict[str, float] = field(default_factory=dict)
    memory_mb: float = 0.0
    problems: list[str] = field(default_factory=list)


class Soak:
    """One run against a fleet that is up.

    Args:
        client: calls into the fleet.
        size: how long and how strict.
        seed: decides who is killed, and when.
    """

    def __init__(self, client: Any, size: Size, seed: int) -> None:
        self._client = client
        self._size = size
        self._random = random.Random(seed)
        self._numbers = count()
        self._stored: dict[str, str] = {}
        self._lives: dict[int, Life] = {}
        self._over = asyncio.Event()
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """Load, kills and samples, then the reckoning."""
        await self._sample()
        tasks = [asyncio.create_task(self._write()) for _ in range(WRITERS)]
        tasks += [asyncio.create_task(self._read()) for _ in range(READERS)]
        tasks += [asyncio.create_task(self._kill()), asyncio.create_task(self._watch())]
        await asyncio.sleep(self._size.load_s)
        self._over.set()
        await asyncio.gather(*tasks)
        await self._settle()
        await self._verify()
        self._judge()
        return self.outcome

    # --- the load

    async def _write(self) -> None:
        """Store one memory after the other; ask again with the same id until it is acknowledged."""
        while not self._over.is_set():
            number = next(self._numbers)
            memory_id = f"soak-{number:08d}"
            content = f"soak fact {number}: {self._random.getrandbits(64):016x} is kept"
            arguments = {"content": content, "memory_id": memory_id, "kind": "soak"}
            while True:
                try:
                    stored = await self._client.call(
                        "MemoryClient.add_memory", arguments, timeout_s=CALL_S
                    )
                except AisysError:
                    self.outcome.refused += 1
                    if self._over.is_set():
                        return
                    await asyncio.sleep(PAUSE_S)
                    continue
                self._stored[memory_id] = content
                self.outcome.acknowledged += 1
                self.outcome.buffered += stored["stored"] == "buffered"
                break
            await asyncio.sleep(PAUSE_S)

    async def _read(self) -> None:
        """Read what was stored, and have sentences understood, so that every machine has work."""
        while not self._over.is_set():
            try:
                if self._stored and self._random.random() < 0.7:
                    memory_id = self._random.choice(list(self._stored))
                    await self._client.call(
                        "MemoryClient.get_memory", {"memory_id": memory_id}, timeout_s=CALL_S
                    )
                else:
                    await self._client.call("NLUAgent.describe", {}, timeout_s=CALL_S)
                self.outcome.read += 1
            except AisysError:
                self.outcome.unread += 1
            await asyncio.sleep(PAUSE_S)

    # --- the faults

    async def _kill(self) -> None:
        """Kill hosts in an order of chance, each once before any has its second turn."""
        waiting: list[str] = []
        end = time.monotonic() + self._size.kill_s
        while not self._over.is_set() and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._size.kill_every_s)
                return
            hosts = {entry["name"]: entry for entry in await self._processes() if entry["agents"]}
            if not waiting:
                waiting = sorted(hosts)
                self._random.shuffle(waiting)
            host = hosts.get(waiting.pop())
            if host is None or host["state"] != "ready":
                continue
            os.kill(host["pid"], signal.SIGKILL)
            self.outcome.kills += 1
            began = time.monotonic()
            if await _until(lambda host=host: self._is_back(host), SETTLE_S):  # type: ignore[misc]
                self.outcome.back_s.append(round(time.monotonic() - began, 2))
            else:
                self.outcome.problems.append(f"{host['name']} did not come back after kill -9")

    async def _is_back(self, before: dict[str, Any]) -> bool:
        for entry in await self._processes():
            if entry["name"] == before["name"] and entry["machine"] == before["machine"]:
                return bool(entry["state"] == "ready" and entry["pid"] != before["pid"])
        return False

    async def _processes(self) -> list[dict[str, Any]]:
        """Every process of the fleet that its supervisors know."""
        machines, _ = await self._client.each_machine("status")
        return [
            {**process, "machine": name}
            for name, machine in machines.items()
            for process in machine["processes"]
        ]

    async def _watch(self) -> None:
        while not self._over.is_set():
            await self._sample()
            await asyncio.sleep(SAMPLE_S)

    async def _sample(self) -> None:
        now = time.monotonic()
        for entry in await self._processes():
            pid = entry["pid"]
            size = anonymous_bytes(pid) if pid else 0
            if size:
                name = entry["name"] if entry["agents"] else f"{entry['machine']}/{entry['name']}"
                life = self._lives.setdefault(pid, Life(name))
                life.samples.append((now, size, open_files(pid)))

    # --- the reckoning

    async def _settle(self) -> None:
        """Wait until every host is ready and nothing waits in the buffer any more."""

        async def calm() -> bool:
            try:
                processes = await self._processes()
                status = await self._client.call("MemoryClient.get_link_status", {}, timeout_s=2.0)
            except AisysError:
                return False
            return all(entry["state"] == "ready" for entry in processes) and not status["buffered"]

        if not await _until(calm, SETTLE_S):
            self.outcome.problems.append(f"the fleet was not calm {SETTLE_S:.0f} s after the load")

    async def _verify(self) -> None:
        """Read every acknowledged memory back."""
        limit = asyncio.Semaphore(VERIFY_IN_FLIGHT)

        async def check(memory_id: str, content: str) -> None:
            async with limit:
                try:
                    found = await self._client.call(
                        "MemoryOrchestratorService.get_memory",
                        {"memory_id": memory_id},
                        timeout_s=CALL_S,
                    )
                except AisysError as error:
                    self.outcome.missing.append(f"{memory_id}: {error}")
                    return
                if found["memory"]["content"] != content:
                    self.outcome.changed.append(memory_id)

        await asyncio.gather(*(check(key, content) for key, content in self._stored.items()))

    def _judge(self) -> None:
        outcome, size = self.outcome, self._size
        if outcome.missing:
            outcome.problems.append(f"{len(outcome.missing)} acknowledged memories are lost")
        if outcome.changed:
            outcome.problems.append(f"{len(outcome.changed)} memories are not what was stored")
        if not outcome.acknowledged or not outcome.kills:
            outcome.problems.append(
                "nothing was stored, or nothing was killed: this proves nothing"
            )
        for pid, life in self._lives.items():
            grown = life.growth(size.least_life_s)
            if grown is None:
                continue
            mb_per_min, files = grown
            outcome.growth_mb_per_min[f"{life.name} [{pid}]"] = round(mb_per_min, 2)
            if mb_per_min > size.growth_mb_per_min:
                outcome.problems.append(f"{life.name} grows by {mb_per_min:.1f} MB a minute")
            if files > size.growth_files:
                outcome.problems.append(f"{life.name} gained {files} file descriptors")


async def _until(condition: Callable[[], Awaitable[bool]], timeout_s: float) -> bool:
    limit = time.monotonic() + timeout_s
    while time.monotonic() < limit:
        if await condition():
            return True
        await asyncio.sleep(0.05)
    return False


async def _soak(fleet: LiveFleet, size: Size, seed: int) -> Outcome:
    from aisys.cli.client import connect
    from aisys.runtime.options import Options

    async with connect(Options()) as client:
        outcome = await Soak(client, size, seed).run()
    outcome.memory_mb = round(sum(map(pss_bytes, fleet.pids())) / MB, 1)
    return outcome


def _say(outcome: Outcome) -> None:
    back = outcome.back_s or [0.0]
    print(f"stored and acknowledged  {outcome.acknowledged} ({outcome.buffered} into the buffer)")
    print(f"refused and asked again  {outcome.refused}")
    print(
        f"read                     {outcome.read} ({outcome.unread} failed while a host was away)"
    )
    print(
        f"hosts killed             {outcome.kills}, back after {statistics.median(back)} s, at most {max(back)} s"
    )
    print(f"lost                     {len(outcome.missing)}")
    print(f"memory at the end, PSS   {outcome.memory_mb} MB")
    for name, slope in sorted(outcome.growth_mb_per_min.items(), key=lambda item: -item[1])[:5]:
        print(f"growth                   {slope:+.2f} MB/min  {name}")
    for each in outcome.missing[:5]:
        print(f"lost: {each}")
    for problem in outcome.problems:
        print(f"PROBLEM: {problem}")


def main() -> int:
    """Run it; the command line chooses the size."""
    parser = argparse.ArgumentParser(prog="python -m benches.soak", description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--seed", type=int, default=0, help="another order of kills")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome there")
    options = parser.parse_args()
    end_on_terminate()
    try:
        with LiveFleet() as fleet, fleet.in_environment():
            _, summary = fleet.up()
            print(
                f"ready after {summary['ready_ms']} ms; load for {SIZES[options.size].load_s:.0f} s"
            )
            outcome = uvloop.run(_soak(fleet, SIZES[options.size], options.seed))
            fleet.down()
            if left := fleet.pids():
                outcome.problems.append(f"processes are left after `aisys down`: {left}")
    except RuntimeError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    _say(outcome)
    if options.json is not None:
        options.json.write_bytes(orjson.dumps(asdict(outcome), option=orjson.OPT_INDENT_2))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
