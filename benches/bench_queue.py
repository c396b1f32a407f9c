"""The priority queue against asyncio.PriorityQueue and heapq, at several depths, and awaited.

The peers hold `(priority, number, item)`, the number from a counter: without it they would compare
items, and would not be first in, first out within a priority as ours is.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import threading
from collections.abc import Callable, Coroutine
from itertools import count, cycle, islice
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from aisys.queue import PriorityQueue
from benches.ratio import Group, Prepare, Side, Work, cases, empty_loop, run_case

DEPTHS = ((0, "0"), (1_000, "1k"), (100_000, "100k"))
BURST = 32
BATCH = 64
PREFILLED = 10_000
THREADED = 20_000
ITEM = object()
# Half of the items as most programs have them, with few priorities; half with any of the 256.
PRIORITIES = [
    random.Random(number).choice((0, 50, 100, 100, 100, 200))
    if number % 2
    else random.Random(number).randrange(256)
    for number in range(4099)
]

Peer = asyncio.PriorityQueue[tuple[int, int, object]]
_RUNNER = asyncio.Runner(loop_factory=uvloop.new_event_loop)


def close() -> None:
    """End the event loop."""
    _RUNNER.close()


def groups() -> list[Group]:
    """The rows."""
    rows = [
        Group(
            f"put + get_nowait, depth {name}",
            (
                Side("aisys", _ours_at(depth), "ours"),
                Side("asyncio", _asyncio_at(depth)),
                Side("heapq", _heapq_at(depth)),
                empty_loop(),
            ),
        )
        for depth, name in DEPTHS
    ]
    rows += [
        Group(
            f"put + get_nowait, {BATCH} at once",
            (
                Side("aisys put_many, get_many", _ours_batches, "ours", BATCH),
                Side("asyncio", _asyncio_batches, step=BATCH),
                empty_loop(),
            ),
        ),
        _awaited("await get, prefilled", _drain_ours, _drain_asyncio, step=1000, most=PREFILLED),
        _awaited("await get, bursts of 32", _bursts_ours, _bursts_asyncio, step=100 * BURST),
        _awaited("await get, always asleep", _ping_ours, _ping_asyncio, step=1000),
        _awaited("put from a thread", _threaded_ours, _threaded_asyncio, step=1000, most=THREADED),
    ]
    return rows


def _priorities(number: int) -> list[int]:
    return list(islice(cycle(PRIORITIES), number))


# --- put and get at a depth


def _ours_at(depth: int) -> Callable[[], Prepare]:
    def make() -> Prepare:
        queue: PriorityQueue[object] = PriorityQueue()
        for priority in _priorities(depth):
            queue.put_nowait(ITEM, priority)
        put, get = queue.put_nowait, queue.get_nowait

        def prepare(operations: int) -> Work:
            priorities = _priorities(operations)

            def work() -> None:
                for priority in priorities:
                    put(ITEM, priority)
                    get()

            return work

        return prepare

    return make


def _asyncio_at(depth: int) -> Callable[[], Prepare]:
    def make() -> Prepare:
        queue: Peer = asyncio.PriorityQueue()
        numbers = count()
        for priority in _priorities(depth):
            queue.put_nowait((priority, next(numbers), ITEM))
        put, get = queue.put_nowait, queue.get_nowait

        def prepare(operations: int) -> Work:
            priorities = _priorities(operations)

            def work() -> None:
                for priority in priorities:
                    put((priority, next(numbers), ITEM))
                    get()

            return work

        return prepare

    return make


def _heapq_at(depth: int) -> Callable[[], Prepare]:
    def make() -> Prepare:
        numbers = count()
        heap = [(priority, next(numbers), ITEM) for priority in _priorities(depth)]
        heapq.heapify(heap)
        push, pop = heapq.heappush, heapq.heappop

        def prepare(operations: int) -> Work:
            priorities = _priorities(operations)

            def work() -> None:
                for priority in priorities:
                    push(heap, (priority, next(numbers), ITEM))
                    pop(heap)

            return work

        return prepare

    return make


def _ours_batches() -> Prepare:
    queue: PriorityQueue[object] = PriorityQueue()
    items = [ITEM] * BATCH

    def prepare(operations: int) -> Work:
        priorities = _priorities(operations // BATCH)

        def work() -> None:
            for priority in priorities:
                queue.put_many(items, priority)
                queue.get_many(BATCH)

        return work

    return prepare


def _asyncio_batches() -> Prepare:
    queue: Peer = asyncio.PriorityQueue()
    numbers = count()
    put, get = queue.put_nowait, queue.get_nowait
    turns = [None] * BATCH

    def prepare(operations: int) -> Work:
        priorities = _priorities(operations // BATCH)

        def work() -> None:
            for priority in priorities:
                for _ in turns:
                    put((priority, next(numbers), ITEM))
                for _ in turns:
                    get()

        return work

    return prepare


# --- awaited


Start = Callable[[int], Coroutine[Any, Any, object]]
"""Fills the queues for a number of items and returns the coroutine that is timed."""


def _awaited(name: str, ours: Start, peer: Start, *, step: int, most: int = 1_000_000) -> Group:
    return Group(
        name,
        (
            Side("aisys", _timed_coroutine(ours), "ours", step, most),
            Side("asyncio", _timed_coroutine(peer), step=step, most=most),
            empty_loop(),
        ),
    )


def _timed_coroutine(start: Start) -> Callable[[], Prepare]:
    def make() -> Prepare:
        def prepare(operations: int) -> Work:
            coroutine = start(operations)
            return lambda: _RUNNER.run(coroutine)

        return prepare

    return make


async def _get_all(queue: PriorityQueue[object] | Peer, number: int) -> None:
    get = queue.get
    for _ in range(number):
        await get()


def _drain_ours(number: int) -> Coroutine[Any, Any, object]:
    queue: PriorityQueue[object] = PriorityQueue()
    for priority in _priorities(number):
        queue.put_nowait(ITEM, priority)
    return _get_all(queue, number)


def _drain_asyncio(number: int) -> Coroutine[Any, Any, object]:
    queue: Peer = asyncio.PriorityQueue()
    for index, priority in enumerate(_priorities(number)):
        queue.put_nowait((priority, index, ITEM))
    return _get_all(queue, number)


async def _bursts_ours(number: int) -> None:
    queue: PriorityQueue[object] = PriorityQueue()
    priorities = _priorities(BURST)
    consumer = asyncio.ensure_future(_get_all(queue, number))
    put = queue.put_nowait
    for _ in range(number // BURST):
        for priority in priorities:
            put(ITEM, priority)
        await asyncio.sleep(0)
    await consumer


async def _bursts_asyncio(number: int) -> None:
    queue: Peer = asyncio.PriorityQueue()
    priorities = _priorities(BURST)
    consumer = asyncio.ensure_future(_get_all(queue, number))
    put = queue.put_nowait
    numbers = count()
    for _ in range(number // BURST):
        for priority in priorities:
            put((priority, next(numbers), ITEM))
        await asyncio.sleep(0)
    await consumer


async def _ping_ours(number: int) -> None:
    """There and back between two tasks: every get finds its queue empty."""
    there: PriorityQueue[object] = PriorityQueue()
    back: PriorityQueue[object] = PriorityQueue()

    async def answer() -> None:
        for _ in range(number // 2):
            back.put_nowait(await there.get(), 100)

    other = asyncio.ensure_future(answer())
    for _ in range(number // 2):
        there.put_nowait(ITEM, 100)
        await back.get()
    await other


async def _ping_asyncio(number: int) -> None:
    there: Peer = asyncio.PriorityQueue()
    back: Peer = asyncio.PriorityQueue()

    async def answer() -> None:
        for _ in range(number // 2):
            back.put_nowait(await there.get())

    other = asyncio.ensure_future(answer())
    for index in range(number // 2):
        there.put_nowait((100, index, ITEM))
        await back.get()
    await other


# --- from another thread


async def _threaded_ours(number: int) -> None:
    queue: PriorityQueue[object] = PriorityQueue()

    def produce() -> None:
        put = queue.put_threadsafe
        for priority in _priorities(number):
            put(ITEM, priority)

    await _with_thread(produce, _get_all(queue, number))


async def _threaded_asyncio(number: int) -> None:
    queue: Peer = asyncio.PriorityQueue()
    loop = asyncio.get_running_loop()

    def produce() -> None:
        put, soon = queue.put_nowait, loop.call_soon_threadsafe
        for index, priority in enumerate(_priorities(number)):
            soon(put, (priority, index, ITEM))

    await _with_thread(produce, _get_all(queue, number))


async def _with_thread(produce: Callable[[], None], consume: Coroutine[Any, Any, None]) -> None:
    thread = threading.Thread(target=produce)
    thread.start()
    await consume
    thread.join()


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_queue(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
