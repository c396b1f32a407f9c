"""Puts from another thread into our queue, and into asyncio's by way of its loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from aisys.queue import PriorityQueue

Todo = list[tuple[int, object]]
"""Priorities and items."""

# Put by another thread before it waits until all of that was got: the loop falls asleep in between.
THREAD_BURST = 100


async def get_all(queue: PriorityQueue[Any] | asyncio.Queue[Any], number: int) -> None:
    """Await so many items."""
    get = queue.get
    for _ in range(number):
        await get()


def threaded_ours(todo: Todo) -> Coroutine[Any, Any, object]:
    """All of it at once."""

    async def main() -> None:
        queue: PriorityQueue[object] = PriorityQueue()

        def produce() -> None:
            put = queue.put_threadsafe
            for priority, item in todo:
                put(item, priority)

        await _with_thread(produce, get_all(queue, len(todo)))

    return main()


def threaded_asyncio(todo: Todo) -> Coroutine[Any, Any, object]:
    """All of it at once."""

    async def main() -> None:
        queue: asyncio.Queue[object] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def produce() -> None:
            put, soon = queue.put_nowait, loop.call_soon_threadsafe
            for _, item in todo:
                soon(put, item)

        await _with_thread(produce, get_all(queue, len(todo)))

    return main()


def bursts_ours(todo: Todo) -> Coroutine[Any, Any, object]:
    """Each burst once the one before it was got."""
    number, burst = len(todo), todo[:THREAD_BURST]

    async def main() -> None:
        queue: PriorityQueue[object] = PriorityQueue()
        got = threading.Semaphore(0)

        def produce() -> None:
            put = queue.put_threadsafe
            for _ in range(number // THREAD_BURST):
                for priority, item in burst:
                    put(item, priority)
                got.acquire()

        await _with_thread(produce, _get_bursts(queue, number, got))

    return main()


def bursts_asyncio(todo: Todo) -> Coroutine[Any, Any, object]:
    """Each burst once the one before it was got."""
    number, burst = len(todo), todo[:THREAD_BURST]

    async def main() -> None:
        queue: asyncio.Queue[object] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        got = threading.Semaphore(0)

        def produce() -> None:
            put, soon = queue.put_nowait, loop.call_soon_threadsafe
            for _ in range(number // THREAD_BURST):
                for _, item in burst:
                    soon(put, item)
                got.acquire()

        await _with_thread(produce, _get_bursts(queue, number, got))

    return main()


async def _get_bursts(
    queue: PriorityQueue[Any] | asyncio.Queue[Any], number: int, got: threading.Semaphore
) -> None:
    for _ in range(number // THREAD_BURST):
        await get_all(queue, THREAD_BURST)
        got.release()


async def _with_thread(produce: Callable[[], None], consume: Coroutine[Any, Any, None]) -> None:
    thread = threading.Thread(target=produce)
    thread.start()
    await consume
    thread.join()
