"""The queue where somebody waits: consumers, producers, the end of work, on both event loops."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
import uvloop

from aisys.queue import PriorityQueue, QueueShutDown
from support.waiting import eventually

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Runs a coroutine on a new loop of each kind."""

    def go(main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(main, 20))

    return go


async def turns(count: int = 3) -> None:
    """Let everything that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_get_waits_for_an_item(run: Run[None]) -> None:
    """A consumer that came too early gets the item when it is put."""

    async def main() -> None:
        queue: PriorityQueue[str] = PriorityQueue()
        consumer = asyncio.create_task(queue.get())
        await turns()
        assert not consumer.done()
        queue.put_nowait("a")
        assert await consumer == "a"

    run(main())


def test_consumers_are_served_in_their_order(run: Run[None]) -> None:
    """Whoever waited longest gets the first item."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue()
        consumers = [asyncio.create_task(queue.get()) for _ in range(5)]
        await turns()
        queue.put_many(range(3))
        queue.put_nowait(3)
        queue.put_nowait(4)
        assert await asyncio.gather(*consumers) == [0, 1, 2, 3, 4]

    run(main())


def test_a_consumer_that_finds_its_item_taken_stays_first(run: Run[None]) -> None:
    """An item that is taken before the woken consumer runs costs it no place in the line."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue()
        first = asyncio.create_task(queue.get())
        second = asyncio.create_task(queue.get())
        await turns()
        queue.put_nowait(0)
        assert queue.get_nowait() == 0
        await turns()
        queue.put_nowait(1)
        queue.put_nowait(2)
        assert list(await asyncio.gather(first, second)) == [1, 2]

    run(main())


def test_a_cancelled_get_loses_nothing(run: Run[None]) -> None:
    """A consumer that is cancelled after it was woken leaves the item to the next one."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue()
        first = asyncio.create_task(queue.get())
        second = asyncio.create_task(queue.get())
        await turns()
        queue.put_nowait(7)
        first.cancel()
        assert await second == 7
        with pytest.raises(asyncio.CancelledError):
            await first
        third = asyncio.create_task(queue.get())
        await turns()
        third.cancel()
        await turns()
        queue.put_nowait(8)
        assert queue.get_nowait() == 8

    run(main())


def test_cancelling_at_every_moment_loses_nothing(run: Run[None]) -> None:
    """Consumers cancelled all the time: every item arrives exactly once."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue(maxsize=3)
        got: list[int] = []

        async def consume() -> None:
            while True:
                got.append(await queue.get())
                queue.task_done()

        async def produce() -> None:
            for number in range(300):
                await queue.put(number, number % 5)

        producer = asyncio.create_task(produce())
        consumers = [asyncio.create_task(consume()) for _ in range(4)]
        while not producer.done():
            consumers[0].cancel()
            consumers = [*consumers[1:], asyncio.create_task(consume())]
            await asyncio.sleep(0)
        await queue.join()
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        assert sorted(got) == list(range(300))

    run(main())


def test_producers_get_room_in_their_order(run: Run[None]) -> None:
    """Producers wait for room and get it first come first served; nobody overtakes them."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue(maxsize=1)
        await queue.put(0)
        producers = [asyncio.create_task(queue.put(number)) for number in (1, 2, 3)]
        await turns()
        assert queue.full()
        got = []
        for _ in range(3):
            got.append(queue.get_nowait())
            # The place is free, but it is promised already.
            with pytest.raises(asyncio.QueueFull):
                queue.put_nowait(99)
            await turns()
        got.append(queue.get_nowait())
        assert got == [0, 1, 2, 3]
        await asyncio.gather(*producers)

    run(main())


def test_a_cancelled_put_leaves_its_room_to_the_next(run: Run[None]) -> None:
    """A producer cancelled before or after it was woken puts nothing and blocks nobody."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue(maxsize=1)
        await queue.put(0)
        producers = [asyncio.create_task(queue.put(number)) for number in (1, 2, 3)]
        await turns()
        producers[0].cancel()
        await turns()
        assert queue.get_nowait() == 0
        producers[1].cancel()
        await turns()
        assert queue.get_nowait() == 3
        await producers[2]
        assert queue.empty()
        queue.put_nowait(4)

    run(main())


def test_a_refused_put_leaves_its_room(run: Run[None]) -> None:
    """A put with a bad argument gives the place back that was reserved for it."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue(maxsize=1)
        for bad in (300, -1):
            with pytest.raises(ValueError, match="priority"):
                await queue.put(1, bad)
        with pytest.raises(TypeError):
            await queue.put(1, "high")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="delay_s"):
            await queue.put(1, delay_s=-1)
        await queue.put(1)
        assert queue.full()

    run(main())


def test_join_waits_for_the_end_of_work(run: Run[None]) -> None:
    """Join returns when every item was dealt with, was cancelled or expired."""

    async def main() -> None:
        now = Time()
        queue: PriorityQueue[str] = PriorityQueue(clock=now)
        await queue.join()
        ids = [queue.put_nowait(text) for text in ("a", "b", "c")]
        queue.put_nowait("late", deadline_s=1)
        joiners = [asyncio.create_task(queue.join()) for _ in range(2)]
        await turns()
        assert queue.get_nowait() == "a"
        queue.task_done()
        assert queue.cancel(ids[1])
        assert queue.get_nowait() == "c"
        queue.task_done()
        await turns()
        assert not any(joiner.done() for joiner in joiners)
        now.value = 2
        assert queue.get_many(9) == []
        await asyncio.gather(*joiners)
        with pytest.raises(ValueError, match="too many times"):
            queue.task_done()

    run(main())


def test_a_batch_waits_for_its_first_item(run: Run[None]) -> None:
    """A batch has at least one item and takes what else is there, up to its size."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue()
        batch = asyncio.create_task(queue.get_batch(3))
        await turns()
        queue.put_many(range(5))
        assert await batch == [0, 1, 2]
        assert await queue.get_batch(9) == [3, 4]
        with pytest.raises(ValueError, match="at least one"):
            await queue.get_batch(0)

    run(main())


def test_a_delayed_item_wakes_its_consumer(run: Run[None]) -> None:
    """A waiting consumer gets a delayed item when it is due, not earlier, the earliest first."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        queue: PriorityQueue[str] = PriorityQueue()
        queue.put_nowait("late", delay_s=60)
        queue.put_nowait("second", delay_s=0.03)
        started = loop.time()
        consumer = asyncio.create_task(queue.get())
        await turns()
        queue.put_nowait("first", delay_s=0.01)
        assert await consumer == "first"
        assert await queue.get() == "second"
        assert loop.time() - started >= 0.029
        assert (queue.qsize(), queue.empty()) == (1, True)

    run(main())


def test_items_from_other_threads_arrive(run: Run[None]) -> None:
    """Threads may put while consumers wait; every item arrives once."""

    async def main() -> None:
        queue: PriorityQueue[tuple[int, int]] = PriorityQueue()

        def work(thread: int) -> None:
            for number in range(500):
                queue.put_threadsafe((thread, number), number % 3)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        consumers = [asyncio.create_task(queue.get()) for _ in range(1500)]
        await turns()
        for thread in threads:
            thread.start()
        got = await asyncio.gather(*consumers)
        assert len(set(got)) == 1500
        for thread in threads:
            thread.join()

    run(main())


def test_a_thread_wakes_a_sleeping_loop(run: Run[None]) -> None:
    """A single item from a thread wakes a loop that has nothing else to do."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue(maxsize=2)
        for number in range(20):
            consumer = asyncio.create_task(queue.get())
            await turns()
            await asyncio.to_thread(queue.put_threadsafe, number)
            assert await consumer == number
        queue.put_threadsafe(1)
        queue.put_threadsafe(2)
        with pytest.raises(asyncio.QueueFull):
            queue.put_threadsafe(3)

    run(main())


def test_shutdown_lets_consumers_finish(run: Run[None]) -> None:
    """After a shutdown what is there may be got; then, and for waiting ones, it is the end."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue(maxsize=2)
        queue.put_many([1, 2])
        producer = asyncio.create_task(queue.put(3))
        await turns()
        queue.shutdown()
        with pytest.raises(QueueShutDown):
            await producer
        with pytest.raises(QueueShutDown):
            await queue.put(4)
        for refused in (queue.put_nowait, queue.put_threadsafe):
            with pytest.raises(QueueShutDown):
                refused(4)
        with pytest.raises(QueueShutDown):
            queue.put_many([4])
        assert await queue.get() == 1
        assert queue.get_nowait() == 2
        with pytest.raises(QueueShutDown):
            await queue.get()
        with pytest.raises(QueueShutDown):
            queue.get_nowait()
        with pytest.raises(QueueShutDown):
            await queue.get_batch(3)

    run(main())


def test_shutdown_ends_waiting_consumers(run: Run[None]) -> None:
    """Consumers that wait on an empty queue hear of the shutdown."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue()
        consumers = [asyncio.create_task(queue.get()) for _ in range(3)]
        await turns()
        queue.shutdown()
        results = await asyncio.gather(*consumers, return_exceptions=True)
        assert [type(result) for result in results] == [QueueShutDown] * 3

    run(main())


def test_shutdown_waits_for_delayed_items(run: Run[None]) -> None:
    """A delayed item is still delivered after a shutdown; the other consumers then end."""

    async def main() -> None:
        queue: PriorityQueue[str] = PriorityQueue()
        queue.put_nowait("due", delay_s=0.01)
        consumers = [asyncio.create_task(queue.get()) for _ in range(2)]
        await turns()
        queue.shutdown()
        results = await asyncio.gather(*consumers, return_exceptions=True)
        assert results[0] == "due"
        assert isinstance(results[1], QueueShutDown)

    run(main())


def test_immediate_shutdown_throws_items_away(run: Run[None]) -> None:
    """An immediate shutdown drops what is there, and join returns."""

    async def main() -> None:
        queue: PriorityQueue[int] = PriorityQueue()
        queue.put_many(range(3))
        queue.put_nowait(9, delay_s=100)
        joiner = asyncio.create_task(queue.join())
        await turns()
        queue.shutdown(immediate=True)
        await joiner
        assert queue.qsize() == 0
        with pytest.raises(QueueShutDown):
            queue.get_nowait()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has it since 3.13")
def test_the_exception_is_that_of_asyncio() -> None:
    """Where asyncio has the exception, it is the same class."""
    assert QueueShutDown is getattr(asyncio, "QueueShutDown", None)


def test_a_queue_serves_one_loop_after_another(run: Run[Any]) -> None:
    """A timer of a loop that is closed does not keep a later loop from being woken."""
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_nowait(1, delay_s=0.05)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 0.001)

    run(give_up())
    assert run(queue.get()) == 1


def test_a_producer_learns_that_the_loop_is_gone() -> None:
    """Putting from a thread for a consumer whose loop is closed raises and puts nothing."""
    loop = asyncio.new_event_loop()
    queue: PriorityQueue[int] = PriorityQueue()
    consumer = queue.get()
    loop.call_soon(loop.stop)

    async def step() -> None:
        consumer.send(None)

    loop.run_until_complete(step())
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        queue.put_threadsafe(1)
    assert queue.qsize() == 0
    consumer.close()


async def test_many_waiters_come_and_go() -> None:
    """Futures of consumers that gave up are forgotten."""
    queue: PriorityQueue[int] = PriorityQueue(maxsize=1)
    for _ in range(100):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await queue.get()
    queue.put_nowait(1)
    for _ in range(100):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await queue.put(2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await queue.join()
    assert queue.get_nowait() == 1
    queue.put_nowait(2)
    assert await eventually(lambda: queue.full())


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.value = 0.0

    def monotonic(self) -> float:
        """Seconds, as the test says."""
        return self.value

    def time(self) -> float:
        """The same."""
        return self.value

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.value += seconds
