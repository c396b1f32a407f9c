"""The queue among threads that take turns as often as they can."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from aisys.queue import PriorityQueue

THREADS = 4
EACH = 3000


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], object]) -> list[threading.Thread]:
    """Start threads that each do the work."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_items_of_many_threads_arrive_once_and_in_order(loop_factory: Any) -> None:
    """Each thread's items of one priority arrive, once, in the order in which it put them."""
    queue: PriorityQueue[tuple[int, int]] = PriorityQueue()

    def produce(thread: int) -> None:
        for number in range(EACH):
            queue.put_threadsafe((thread, number), number % 3)

    async def main() -> list[tuple[int, int]]:
        threads = in_threads(produce)
        got: list[tuple[int, int]] = []
        while len(got) < THREADS * EACH // 2:
            got.append(await queue.get())
        while len(got) < THREADS * EACH:
            got += await queue.get_batch(100)
        for thread in threads:
            thread.join()
        return got

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        got = runner.run(asyncio.wait_for(main(), 30))
    assert len(set(got)) == len(got) == THREADS * EACH
    for thread in range(THREADS):
        for rest in range(3):
            mine = [n for who, n in got if who == thread and n % 3 == rest]
            assert mine == sorted(mine)


def test_threads_that_put_take_and_cancel_lose_nothing() -> None:
    """Every item was got or cancelled, by one thread only."""
    queue: PriorityQueue[int] = PriorityQueue()
    gone: list[list[int]] = [[] for _ in range(THREADS)]

    def work(thread: int) -> None:
        mine = gone[thread]
        for number in range(EACH):
            item = thread * EACH + number
            place = queue.put_threadsafe(item, number % 256)
            if number % 3 == 0:
                queue.reprioritize(place, (number * 7) % 256)
            if number % 2 == 0:
                if queue.cancel(place):
                    mine.append(item)
            else:
                mine += queue.get_many(2)

    for thread in in_threads(work):
        thread.join()
    left = queue.get_many(THREADS * EACH)
    every = sorted([*left, *(item for mine in gone for item in mine)])
    assert every == list(range(THREADS * EACH))
    assert queue.qsize() == 0
