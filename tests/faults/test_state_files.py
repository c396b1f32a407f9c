"""What a file store keeps when processes are killed and disks fail."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aisys.backends import FileBackend

pytestmark = pytest.mark.slow

_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

_WRITER = """
import asyncio, sys
from aisys.backends import FileBackend

async def main():
    backend = FileBackend(sys.argv[1])

    async def write(worker):
        number = 0
        while True:
            key = f"{worker}/{number}"
            await backend.set(key, b"v" * 200)
            await backend.append(f"list/{worker}", [key.encode()])
            print(key, flush=True)
            number += 1

    await asyncio.gather(*[write(worker) for worker in range(8)])

asyncio.run(main())
"""

_COUNTER = """
import asyncio, sys
from aisys.backends import FileBackend

async def main():
    backend = FileBackend(sys.argv[1])
    for _ in range(5):
        await asyncio.gather(*[backend.incr("n") for _ in range(20)])
    await backend.close()

asyncio.run(main())
"""

_LIMITED = """
import asyncio, resource, sys
from aisys.backends import BackendError, FileBackend
from aisys.errors import AisysError

async def main():
    backend = FileBackend(sys.argv[1])
    done = []
    for number in range(20):
        await backend.set(f"before{number}", b"v" * 1000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    failed = 0
    for number in range(200):
        try:
            await backend.set(f"k{number}", b"v" * 5000)
        except AisysError:
            failed += 1
        else:
            done.append(f"k{number}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number in range(20):
        await backend.set(f"after{number}", b"v" * 5000)
    keys = [f"before{n}" for n in range(20)] + done + [f"after{n}" for n in range(20)]
    missing = [key for key, value in zip(keys, await backend.mget(keys)) if value is None]
    print(failed, len(done), len(missing))
    await backend.close()

asyncio.run(main())
"""


@pytest.mark.fault
async def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    """Killed in the midst of eight writers, three times: what was acknowledged is there."""
    acknowledged: set[str] = set()
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WRITER, str(tmp_path)),
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
        )
        assert process.stdout is not None
        for _ in range(400):
            acknowledged.add((await process.stdout.readline()).decode().strip())
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        # A line that was cut by the kill was never acknowledged in full.
        acknowledged.update(line for line in rest.decode().split("\n")[:-1])
        assert process.returncode == -signal.SIGKILL
    assert len(acknowledged) >= 400
    backend = FileBackend(tmp_path)
    keys = sorted(acknowledged)
    assert await backend.mget(keys) == [b"v" * 200] * len(keys)
    listed: set[str] = set()
    for worker in range(8):
        listed.update(item.decode() for item in await backend.read_list(f"list/{worker}"))
    assert listed >= acknowledged
    await backend.close()


async def test_several_processes_count_together(tmp_path: Path) -> None:
    """Four at once: no step is lost, and none fails because another one writes."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _COUNTER, str(tmp_path), env=_ENVIRONMENT
        )
        for _ in range(4)
    ]
    assert [await process.wait() for process in processes] == [0] * 4
    backend = FileBackend(tmp_path)
    assert await backend.get("n") == b"400"
    await backend.close()


@pytest.mark.fault
def test_a_disk_that_refuses_writes_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Writes beyond a file size limit fail with an error; afterwards the store goes on."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        env=_ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed, succeeded, missing = map(int, done.stdout.split())
    assert failed > 0, "the fault did not happen"
    assert succeeded + failed == 200
    assert missing == 0
