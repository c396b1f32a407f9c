"""Over a million operations nothing is kept: neither objects nor memory, on any way out."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from aisys.queue import PriorityQueue, QueueShutDown

PAGE = os.sysconf("SC_PAGE_SIZE")
SLACK_BYTES = 4 << 20
ITEM = object()


def resident_bytes() -> int:
    """The memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def direct(rounds: int) -> None:
    """Calls that do not wait, well and badly."""
    queue: PriorityQueue[Any] = PriorityQueue(4)
    untyped: Any = queue
    for number in range(rounds):
        queue.put_nowait(ITEM, number & 255)
        queue.cancel(queue.put_nowait(ITEM, priority=3))
        moved = queue.put_nowait(ITEM, 7)
        queue.reprioritize(moved, 8)
        queue.put_nowait(ITEM, delay_s=0.0, deadline_s=100.0)
        for refused in (queue.put_nowait, queue.put_threadsafe):
            with pytest.raises(asyncio.QueueFull):
                refused(ITEM)
                refused(ITEM)
        with pytest.raises(ValueError, match="priority"):
            queue.put_nowait(ITEM, 999)
        with pytest.raises(TypeError):
            untyped.put_nowait(ITEM, priority="high")
        queue.get_many(2)
        queue.get_many(9)
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
        queue.put_many([ITEM, ITEM])
        queue.put_many((ITEM,), 0)
        queue.get().close()
        queue.put(ITEM).close()
        queue.get_nowait()
        queue.get_many(9)


async def waiting(rounds: int) -> None:
    """Waits that end well, are cancelled before and after they were woken, and are thrown away."""
    queue: PriorityQueue[Any] = PriorityQueue(1)
    create = asyncio.get_running_loop().create_task
    for _ in range(rounds):
        gets = [create(queue.get()) for _ in range(3)]
        await asyncio.sleep(0)
        gets[0].cancel()
        queue.put_nowait(ITEM)
        gets[1].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await gets[2] is ITEM
        await queue.put(ITEM)
        puts = [create(queue.put(ITEM, deadline_s=100)) for _ in range(2)]
        await asyncio.sleep(0)
        puts[0].cancel()
        assert await queue.get() is ITEM
        await puts[1]
        assert await queue.get_batch(2) == [ITEM]
        vanishing = queue.get()
        vanishing.send(None)
        del vanishing
        for _ in range(3):
            queue.task_done()
        await queue.join()
        with pytest.raises(ValueError, match="too many"):
            queue.task_done()
    queue.shutdown()
    for _ in range(rounds):
        with pytest.raises(QueueShutDown):
            await queue.get()
        with pytest.raises(QueueShutDown):
            await queue.put(ITEM)


def plain(rounds: int) -> None:
    """Puts and gets through a queue that is now deep and now empty."""
    queue: PriorityQueue[Any] = PriorityQueue()
    for number in range(rounds // 1000):
        for priority in range(1000):
            queue.put_nowait(ITEM, priority & 255)
        if number % 4 == 3:
            queue.get_many(4000)
    queue.shutdown(immediate=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
@pytest.mark.parametrize(
    ("use", "rounds"),
    [
        (plain, 600_000),
        (direct, 20_000),
        (lambda rounds: asyncio.run(waiting(rounds)), 10_000),
        (lambda rounds: uvloop.run(waiting(rounds)), 10_000),
    ],
    ids=["plain", "direct", "waiting", "waiting on uvloop"],
)
def test_nothing_leaks(use: Callable[[int], None], rounds: int) -> None:
    """The item has as many references as before, and the process no more memory."""
    use(rounds // 10)
    gc.collect()
    references, memory = sys.getrefcount(ITEM), resident_bytes()
    use(rounds)
    gc.collect()
    assert sys.getrefcount(ITEM) == references
    assert resident_bytes() - memory < SLACK_BYTES
