"""What the task store keeps when its process is killed in the midst of work."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from aisys.tasks import TaskStore

TASKS = 300
pytestmark = pytest.mark.slow

_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

_WORKER = """
import asyncio, sys
from aisys.tasks import TaskRunner, TaskStore

async def main():
    store = TaskStore(sys.argv[1])
    await store.open()

    async def handler(payload):
        print("begun", payload["n"], flush=True)
        await asyncio.sleep(0.003)
        return {"n": payload["n"]}

    runner = TaskRunner(store, {"A.m": handler}, concurrency=8)
    await runner.start()
    print("ready", flush=True)
    while (await store.counts()).keys() & {"ready", "running", "delayed"}:
        await asyncio.sleep(0.02)
    await runner.stop()
    await store.close()

asyncio.run(main())
"""

_KILLED_BY_TASK = """
import asyncio, os, sys
from aisys.tasks import TaskRunner, TaskStore

async def main():
    store = TaskStore(sys.argv[1])
    await store.open()

    async def kill(payload):
        os.kill(os.getpid(), 9)

    async def handler(payload):
        return payload["n"]

    runner = TaskRunner(store, {"A.kill": kill, "A.m": handler}, concurrency=1)
    await runner.start()
    await store.wait("innocent")
    await runner.stop()
    await store.close()

asyncio.run(main())
"""

_SUBMITTER = """
import asyncio, sys
from aisys.tasks import TaskStore

async def main():
    store = TaskStore(sys.argv[1])
    await store.open()

    async def submit(worker):
        number = 0
        while True:
            receipt = await store.submit("A.m", {"n": number}, id=f"{worker}-{number}")
            assert receipt.durability == "disk"
            print(receipt.id, flush=True)
            number += 1

    await asyncio.gather(*[submit(worker) for worker in range(8)])

asyncio.run(main())
"""


async def _start(code: str, path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(path)), stdout=subprocess.PIPE, env=_ENVIRONMENT
    )


async def _read_lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    return [(await process.stdout.readline()).decode().strip() for _ in range(count)]


@pytest.mark.fault
async def test_no_task_is_lost_when_the_worker_is_killed(tmp_path: Path) -> None:
    """Two kills in the midst, then to the end: each task is done, none twice without need."""
    path = tmp_path / "tasks.db"
    store = TaskStore(path)
    await store.open()
    await asyncio.gather(*[store.submit("A.m", {"n": n}, id=f"t{n}") for n in range(TASKS)])
    await store.close()
    begun: Counter[str] = Counter()
    for _ in range(2):
        process = await _start(_WORKER, path)
        begun.update((await _read_lines(process, 61))[1:])
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        begun.update(rest.decode().split("\n")[:-1])
        assert process.returncode == -signal.SIGKILL, "the fault did not happen"
    process = await _start(_WORKER, path)
    out, _ = await process.communicate()
    assert process.returncode == 0
    begun.update(line for line in out.decode().split("\n") if line.startswith("begun"))
    assert begun.keys() == {f"begun {n}" for n in range(TASKS)}
    # At most what was held at each kill is run again.
    assert sum(begun.values()) - TASKS <= 2 * 8
    store = TaskStore(path)
    await store.open()
    assert await store.counts() == {"done": TASKS}
    for n in (0, 150, TASKS - 1):
        info = await store.get(f"t{n}")
        assert info is not None
        assert info.result == {"n": n}
    await store.close()


@pytest.mark.fault
async def test_an_accepted_task_survives_the_death_of_its_store(tmp_path: Path) -> None:
    """Every receipt that was given stands after kill -9."""
    path = tmp_path / "tasks.db"
    process = await _start(_SUBMITTER, path)
    accepted = set(await _read_lines(process, 500))
    process.send_signal(signal.SIGKILL)
    rest, _ = await process.communicate()
    accepted.update(rest.decode().split("\n")[:-1])
    assert process.returncode == -signal.SIGKILL, "the fault did not happen"
    store = TaskStore(path)
    await store.open()
    found = {info.id for info in await store.list(limit=100_000)}
    assert found >= accepted
    again = await store.submit("A.m", {"n": 0}, id="0-0")
    assert again.duplicate
    await store.close()


@pytest.mark.fault
async def test_a_task_that_kills_its_process_is_quarantined(tmp_path: Path) -> None:
    """Three deaths and it is a dead letter; the task behind it runs."""
    path = tmp_path / "tasks.db"
    store = TaskStore(path)
    await store.open()
    await store.submit("A.kill", {}, id="killer", priority=0, max_attempts=50)
    await store.submit("A.m", {"n": 1}, id="innocent")
    await store.close()
    codes = []
    for _ in range(4):
        process = await _start(_KILLED_BY_TASK, path)
        await process.communicate()
        codes.append(process.returncode)
    assert codes == [-signal.SIGKILL] * 3 + [0]
    store = TaskStore(path)
    await store.open()
    (dead,) = await store.list(state="dead")
    assert dead.id == "killer"
    assert dead.reason.startswith("poison")
    innocent = await store.get("innocent")
    assert innocent is not None
    assert innocent.state == "done"
    await store.close()
