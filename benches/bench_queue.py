"""The priority queue against asyncio.PriorityQueue and heapq, at several depths, and awaited.

The peers hold `(priority, number, item)`, the number from a counter: without it they would compare
items, and would not be first in, first out within a priority as ours is.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from itertools import count, cycle, islice
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from aisys.queue import PriorityQueue
from benches.ratio import Group, Prepare, Side, Work, cases, empty_loop, run_case
from benches.threaded_puts import (
    THREAD_BURST,
    Todo,
    bursts_asyncio,
    bursts_ours,
    get_all,
    threaded_asyncio,
    threaded_ours,
)

Promise = tuple[float | None, float | None]
"""The ratio to a peer that must be, and the one to aim at."""

# The depth, and what is promised there against asyncio and against heapq.
DEPTHS: tuple[tuple[int, str, Promise, Promise], ...] = (
    (0, "0", (5.0, 8.0), (None, None)),
    (1_000, "1k", (10.0, 25.0), (5.0, 15.0)),
    (100_000, "100k", (10.0, 25.0), (5.0, 15.0)),
    (1_000_000, "1M", (10.0, 25.0), (5.0, 15.0)),
)
BURST = 32
BATCH = 64
PREFILLED = ((10_000, "10k"), (100_000, "100k"))
THREADED = 20_000
THREADED_DEEP = 100_000
# Half of the items as most programs have them, with few priorities; half with any of the 256.
PRIORITIES = [
    random.Random(number).choice((0, 50, 100, 100, 100, 200))
    if number % 2
    else random.Random(number).randrange(256)
    for number in range(4099)
]
FEW = [random.Random(number).choice((50, 100, 100, 200)) for number in range(4099)]


class Job:
    """An item as programs have them."""

    __slots__ = ("name", "number")

    def __init__(self, number: int) -> None:
        self.name = f"job-{number}"
        self.number = number


# Of several kinds, so that no row is about one object that is always at hand.
ITEMS: list[object] = [
    (Job(number), {"id": number}, f"text {number}", (number, "a"), float(number))[number % 5]
    for number in range(5003)
]

Peer = asyncio.PriorityQueue[tuple[int, int, object]]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}
_RUNNERS = {name: asyncio.Runner(loop_factory=new_loop) for name, new_loop in LOOPS.items()}


def close() -> None:
    """End the event loops."""
    for runner in _RUNNERS.values():
        runner.close()


def groups() -> list[Group]:
    """The rows."""
    rows = [
        _at_depth(f"put + get_nowait, depth {name}", depth, PRIORITIES, *promises)
        for depth, name, *promises in DEPTHS[:-1]
    ]
    rows += [
        _at_depth("put + get_nowait, depth 1k, 3 priorities", 1_000, FEW, *DEPTHS[1][2:]),
        Group(
            f"put + get_nowait, {BATCH} at once",
            (
                Side("aisys put_many, get_many", _ours_batches, "ours", BATCH),
                Side("asyncio", _asyncio_batches, step=BATCH),
                empty_loop(),
            ),
        ),
    ]
    for loop in LOOPS:
        suffix = "" if loop == "uvloop" else f", {loop} loop"
        rows += [
            _awaited(
                f"await get, prefilled {name}{suffix}",
                loop,
                (_drain_ours, _drain_asyncio, (10.0, 20.0)),
                step=1000,
                most=most,
                block_s=0.05 if most > THREADED else None,
            )
            for most, name in PREFILLED
        ]
        rows += [
            _awaited(
                f"await get, bursts of {BURST}{suffix}",
                loop,
                (_bursts_ours, _bursts_asyncio, (3.0, 4.5)),
                step=100 * BURST,
            ),
            _awaited(
                f"await get, always asleep{suffix}",
                loop,
                (_ping_ours, _ping_asyncio, (1.0, 1.3)),
                step=1000,
            ),
            _awaited(
                f"put from a thread, bursts of {THREAD_BURST}{suffix}",
                loop,
                (bursts_ours, bursts_asyncio, (None, None)),
                step=10 * THREAD_BURST,
                most=THREADED,
                peer="call_soon_threadsafe + asyncio.Queue",
            ),
            _awaited(
                f"put from a thread{suffix}",
                loop,
                (threaded_ours, threaded_asyncio, (8.0, 17.0)),
                step=1000,
                most=THREADED,
                peer="call_soon_threadsafe + asyncio.Queue",
            ),
            _awaited(
                f"put from a thread, 100k{suffix}",
                loop,
                (threaded_ours, threaded_asyncio, (8.0, 17.0)),
                step=1000,
                most=THREADED_DEEP,
                block_s=0.03,
                peer="call_soon_threadsafe + asyncio.Queue",
            ),
        ]
    # A million tuples leave the allocator's free memory scattered, which rows after this would feel.
    depth, name, *promises = DEPTHS[-1]
    rows.append(_at_depth(f"put + get_nowait, depth {name}", depth, PRIORITIES, *promises))
    return rows


def _at_depth(
    name: str, depth: int, priorities: list[int], asyncio_: Promise, heap: Promise
) -> Group:
    return Group(
        name,
        (
            Side("aisys", _ours_at(depth, priorities), "ours"),
            Side("asyncio", _asyncio_at(depth, priorities), must=asyncio_[0], goal=asyncio_[1]),
            Side("heapq", _heapq_at(depth, priorities), must=heap[0], goal=heap[1]),
            empty_loop(),
        ),
    )


def _work(number: int, priorities: list[int] = PRIORITIES) -> list[tuple[int, object]]:
    """So many priorities and items."""
    return list(islice(zip(cycle(priorities), cycle(ITEMS)), number))


# --- put and get at a depth


def _ours_at(depth: int, priorities: list[int]) -> Callable[[], Prepare]:
    def make() -> Prepare:
        queue: PriorityQueue[object] = PriorityQueue()
        for priority, item in _work(depth, priorities):
            queue.put_nowait(item, priority)
        put, get = queue.put_nowait, queue.get_nowait

        def prepare(operations: int) -> Work:
            todo = _work(operations, priorities)

            def work() -> None:
                for priority, item in todo:
                    put(item, priority)
                    get()

            return work

        return prepare

    return make


def _asyncio_at(depth: int, priorities: list[int]) -> Callable[[], Prepare]:
    def make() -> Prepare:
        queue: Peer = asyncio.PriorityQueue()
        numbers = count()
        for priority, item in _work(depth, priorities):
            queue.put_nowait((priority, next(numbers), item))
        put, get = queue.put_nowait, queue.get_nowait

        def prepare(operations: int) -> Work:
            todo = _work(operations, priorities)

            def work() -> None:
                for priority, item in todo:
                    put((priority, next(numbers), item))
                    get()

            return work

        return prepare

    return make


def _heapq_at(depth: int, priorities: list[int]) -> Callable[[], Prepare]:
    def make() -> Prepare:
        numbers = count()
        heap = [(priority, next(numbers), item) for priority, item in _work(depth, priorities)]
        heapq.heapify(heap)
        push, pop = heapq.heappush, heapq.heappop

        def prepare(operations: int) -> Work:
            todo = _work(operations, priorities)

            def work() -> None:
                for priority, item in todo:
                    push(heap, (priority, next(numbers), item))
                    pop(heap)

            return work

        return prepare

    return make


def _ours_batches() -> Prepare:
    queue: PriorityQueue[object] = PriorityQueue()
    items = ITEMS[:BATCH]

    def prepare(operations: int) -> Work:
        todo = _work(operations // BATCH)

        def work() -> None:
            for priority, _ in todo:
                queue.put_many(items, priority)
                queue.get_many(BATCH)

        return work

    return prepare


def _asyncio_batches() -> Prepare:
    queue: Peer = asyncio.PriorityQueue()
    numbers = count()
    put, get = queue.put_nowait, queue.get_nowait
    items = ITEMS[:BATCH]

    def prepare(operations: int) -> Work:
        todo = _work(operations // BATCH)

        def work() -> None:
            for priority, _ in todo:
                for item in items:
                    put((priority, next(numbers), item))
                for _ in items:
                    get()

        return work

    return prepare


# --- awaited


Start = Callable[[Todo], Coroutine[Any, Any, object]]
"""Fills the queues for so many priorities and items and returns the coroutine that is timed."""


def _awaited(
    name: str,
    loop: str,
    sides: tuple[Start, Start, Promise],
    *,
    step: int,
    most: int = 1_000_000,
    block_s: float | None = None,
    peer: str = "asyncio",
) -> Group:
    ours, theirs, (must, goal) = sides
    return Group(
        name,
        (
            Side("aisys", _timed_coroutine(ours, loop), "ours", step, most),
            Side(
                peer,
                _timed_coroutine(theirs, loop),
                step=step,
                most=most,
                must=must,
                goal=goal,
            ),
            empty_loop(),
        ),
        block_s=block_s,
    )


def _timed_coroutine(start: Start, loop: str) -> Callable[[], Prepare]:
    def make() -> Prepare:
        def prepare(operations: int) -> Work:
            todo = _work(operations)
            coroutine = start(todo)
            run = _RUNNERS[loop].get_loop().run_until_complete
            # Kept: if it were the coroutine's alone, it would be freed inside of the timing.
            return lambda: (run(coroutine), todo)

        return prepare

    return make


def _drain_ours(todo: Todo) -> Coroutine[Any, Any, object]:
    queue: PriorityQueue[object] = PriorityQueue()
    for priority, item in todo:
        queue.put_nowait(item, priority)
    return get_all(queue, len(todo))


def _drain_asyncio(todo: Todo) -> Coroutine[Any, Any, object]:
    queue: Peer = asyncio.PriorityQueue()
    for index, (priority, item) in enumerate(todo):
        queue.put_nowait((priority, index, item))
    return get_all(queue, len(todo))


async def _bursts_ours(todo: Todo) -> None:
    queue: PriorityQueue[object] = PriorityQueue()
    burst = todo[:BURST]
    consumer = asyncio.ensure_future(get_all(queue, len(todo)))
    put = queue.put_nowait
    for _ in range(len(todo) // BURST):
        for priority, item in burst:
            put(item, priority)
        await asyncio.sleep(0)
    await consumer


async def _bursts_asyncio(todo: Todo) -> None:
    queue: Peer = asyncio.PriorityQueue()
    burst = todo[:BURST]
    consumer = asyncio.ensure_future(get_all(queue, len(todo)))
    put = queue.put_nowait
    numbers = count()
    for _ in range(len(todo) // BURST):
        for priority, item in burst:
            put((priority, next(numbers), item))
        await asyncio.sleep(0)
    await consumer


async def _ping_ours(todo: Todo) -> None:
    """There and back between two tasks: every get finds its queue empty."""
    number = len(todo)
    there: PriorityQueue[object] = PriorityQueue()
    back: PriorityQueue[object] = PriorityQueue()

    async def answer() -> None:
        for _ in range(number // 2):
            back.put_nowait(await there.get(), 100)

    other = asyncio.ensure_future(answer())
    for item in islice(cycle(ITEMS), number // 2):
        there.put_nowait(item, 100)
        await back.get()
    await other


async def _ping_asyncio(todo: Todo) -> None:
    number = len(todo)
    there: Peer = asyncio.PriorityQueue()
    back: Peer = asyncio.PriorityQueue()

    async def answer() -> None:
        for _ in range(number // 2):
            back.put_nowait(await there.get())

    other = asyncio.ensure_future(answer())
    for index, item in enumerate(islice(cycle(ITEMS), number // 2)):
        there.put_nowait((100, index, item))
        await back.get()
    await other


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_queue(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
