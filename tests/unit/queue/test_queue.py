"""The queue where nobody waits: order, ids, time, refusals."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from aisys.queue import PriorityQueue, QueueShutDown


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


def test_priorities_come_first_then_order() -> None:
    """Lower numbers are served first; within one priority it is first in, first out."""
    queue: PriorityQueue[str] = PriorityQueue()
    queue.put_nowait("c")
    queue.put_nowait("a", 3)
    queue.put_nowait("d", 255)
    queue.put_many(["b", "b2"], 64)
    queue.put_nowait("c2", 100)
    assert (queue.qsize(), queue.empty(), queue.full()) == (6, False, False)
    assert queue.get_nowait() == "a"
    assert queue.get_many(3) == ["b", "b2", "c"]
    assert queue.get_many(100) == ["c2", "d"]
    assert queue.get_many(1) == []
    assert queue.empty()
    with pytest.raises(asyncio.QueueEmpty):
        queue.get_nowait()


def test_items_need_no_order() -> None:
    """Items of one priority are never compared."""
    queue: PriorityQueue[object] = PriorityQueue()
    items = [object(), {"a": 1}, None, 3j]
    for item in items:
        queue.put_nowait(item)
    assert queue.get_many(4) == items


def test_a_full_queue_refuses() -> None:
    """A bounded queue takes no more than its size, and a batch fits or is refused as a whole."""
    queue: PriorityQueue[int] = PriorityQueue(maxsize=3)
    queue.put_nowait(1)
    with pytest.raises(asyncio.QueueFull):
        queue.put_many([2, 3, 4])
    assert queue.qsize() == 1
    queue.put_many([2, 3])
    assert queue.full()
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(4, delay_s=1)
    assert queue.maxsize == 3


def test_an_item_is_cancelled_by_its_id() -> None:
    """A cancelled item never comes out; its id is worth nothing afterwards."""
    queue: PriorityQueue[str] = PriorityQueue()
    ids = [queue.put_nowait(text, delay_s=delay) for text, delay in (("a", 0), ("b", 0), ("c", 9))]
    assert len(set(ids)) == 3
    assert queue.cancel(ids[0])
    assert queue.cancel(ids[2])
    assert not queue.cancel(ids[0])
    assert queue.qsize() == 1
    assert queue.get_nowait() == "b"
    assert not queue.cancel(ids[1])
    assert not queue.cancel(0)
    assert not queue.cancel(2**64 - 1)
    assert not queue.reprioritize(ids[1], 3)


def test_an_id_stays_what_it_is() -> None:
    """An id that somebody keeps is not touched by those that are given out, kept or dropped, later."""
    queue: PriorityQueue[int] = PriorityQueue()
    kept = []
    for number in range(300):
        queue.put_nowait(number, 7)
        mine = queue.put_nowait(number, number % 256)
        kept.append((mine, str(mine)))
        queue.put_nowait(number, deadline_s=9)
    assert len({number for number, _ in kept}) == 300
    assert all(str(number) == text and int(text) == number for number, text in kept)
    assert all(queue.cancel(number) for number, _ in kept)


def test_an_item_is_moved_by_its_id() -> None:
    """A moved item goes to the end of its new priority."""
    queue: PriorityQueue[str] = PriorityQueue()
    first = queue.put_nowait("first")
    queue.put_nowait("second")
    last = queue.put_nowait("last")
    queue.put_nowait("urgent", 1)
    assert queue.reprioritize(last, 1)
    assert queue.reprioritize(first, 200)
    assert queue.get_many(9) == ["urgent", "last", "second", "first"]


def test_a_delayed_item_enters_when_it_is_due() -> None:
    """A delayed item is out of reach until its time, and then comes after what was ready."""
    clock = Time()
    queue: PriorityQueue[str] = PriorityQueue(clock=clock)
    queue.put_nowait("delayed", delay_s=10)
    queue.put_nowait("ready")
    assert (queue.qsize(), queue.get_nowait(), queue.empty()) == (2, "ready", True)
    clock.value = 9.999
    assert queue.get_many(1) == []
    clock.value = 10
    assert not queue.empty()
    queue.put_nowait("later")
    assert queue.get_many(2) == ["delayed", "later"]


def test_an_expired_item_reaches_no_consumer() -> None:
    """An item whose deadline passed goes to the callback, in order, and is counted."""
    clock = Time()
    expired: list[str] = []
    queue: PriorityQueue[str] = PriorityQueue(clock=clock, on_expired=expired.append)
    queue.put_nowait("a", deadline_s=1)
    queue.put_nowait("b", deadline_s=5)
    queue.put_nowait("c", deadline_s=1)
    queue.put_nowait("delayed", delay_s=2, deadline_s=1)
    queue.put_nowait("d")
    clock.value = 2
    assert queue.get_many(9) == ["b", "d"]
    assert expired == ["a", "c", "delayed"]
    assert queue.expired == 3
    assert queue.qsize() == 0


def test_an_item_with_time_left_is_delivered() -> None:
    """A deadline on the system's clock that has not passed changes nothing."""
    queue: PriorityQueue[str] = PriorityQueue(on_expired=pytest.fail)
    queue.put_nowait("a", deadline_s=1000)
    assert queue.get_nowait() == "a"
    queue.put_nowait("b", deadline_s=0)
    queue_without = PriorityQueue[str]()
    queue_without.put_nowait("b", deadline_s=0)
    with pytest.raises(asyncio.QueueEmpty):
        queue_without.get_nowait()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_failing_callback_costs_no_item() -> None:
    """What a callback raises is reported aside; the consumer gets its item."""
    clock = Time()

    def fail(item: str) -> None:
        raise RuntimeError(item)

    queue: PriorityQueue[str] = PriorityQueue(clock=clock, on_expired=fail)
    queue.put_nowait("a", deadline_s=1)
    queue.put_nowait("b")
    clock.value = 1
    assert queue.get_nowait() == "b"


def test_ageing_serves_the_lowest_in_the_end() -> None:
    """With ageing an item gains a priority for each step it waits."""
    clock = Time()
    queue: PriorityQueue[str] = PriorityQueue(ageing_s=1, clock=clock)
    queue.put_nowait("old", 10)
    clock.value = 9
    queue.put_nowait("fresh", 0)
    assert queue.get_nowait() == "fresh"
    clock.value = 11
    queue.put_nowait("fresh", 0)
    assert queue.get_many(2) == ["old", "fresh"]


@pytest.mark.parametrize("priority", [-1, 256, 2**70])
def test_bad_priorities_are_refused(priority: int) -> None:
    """A priority is 0 to 255, wherever it is given."""
    queue: PriorityQueue[int] = PriorityQueue()
    number = queue.put_nowait(1)
    with pytest.raises(ValueError, match="priority"):
        queue.put_nowait(1, priority)
    with pytest.raises(ValueError, match="priority"):
        queue.put_threadsafe(1, priority)
    with pytest.raises(ValueError, match="priority"):
        queue.put_many([1], priority)
    with pytest.raises(ValueError, match="priority"):
        queue.reprioritize(number, priority)
    assert queue.qsize() == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_bad_times_are_refused(seconds: float) -> None:
    """Times are finite and not negative."""
    queue: PriorityQueue[int] = PriorityQueue()
    with pytest.raises(ValueError, match="delay_s"):
        queue.put_nowait(1, delay_s=seconds)
    with pytest.raises(ValueError, match="deadline_s"):
        queue.put_nowait(1, deadline_s=seconds)
    with pytest.raises(ValueError, match="ageing_s"):
        PriorityQueue(ageing_s=seconds)
    assert queue.qsize() == 0


def test_bad_sizes_are_refused() -> None:
    """A size is not negative."""
    with pytest.raises(OverflowError):
        PriorityQueue(maxsize=-1)


def test_a_cycle_through_a_queue_is_collected() -> None:
    """The garbage collector sees through the queue and its callback."""

    class Node:
        """Something that refers to its queue."""

        queue: PriorityQueue[Node]

        def expired(self, item: Node) -> None:
            """Be told of expired items."""

    node = Node()
    node.queue = PriorityQueue(on_expired=node.expired)
    node.queue.put_nowait(node)
    watch, queue = weakref.ref(node), weakref.ref(node.queue)
    del node
    gc.collect()
    assert watch() is None
    assert queue() is None


def test_a_finaliser_may_use_the_queue() -> None:
    """Items are released outside the queue's change, so that their finalisers may use it."""
    queue: PriorityQueue[object] = PriorityQueue(maxsize=2)
    seen = []

    class Node:
        """Something whose end looks at the queue."""

        def __del__(self) -> None:
            seen.append(queue.qsize())

    queue.cancel(queue.put_nowait(Node()))
    queue.put_nowait(Node(), deadline_s=0)
    assert queue.get_many(1) == []
    with pytest.raises(asyncio.QueueFull):
        queue.put_many(Node() for _ in range(3))
    queue.put_nowait(Node())
    queue.shutdown(immediate=True)
    with pytest.raises(QueueShutDown):
        queue.put_many([Node()])
    gc.collect()
    assert seen == [0] * len(seen)
    assert len(seen) == 7
