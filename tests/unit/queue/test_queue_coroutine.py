"""What the waiting methods return: coroutines of our own, which behave as those of `async def`."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aisys.queue import PriorityQueue


async def turns(count: int = 3) -> None:
    """Let everything that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def result_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine that need not wait returns."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def test_asyncio_takes_them_for_coroutines() -> None:
    """They are coroutines by the abstract class, with the names of their methods."""
    queue: PriorityQueue[int] = PriorityQueue()
    made: tuple[tuple[Any, str], ...] = (
        (queue.get(), "get"),
        (queue.put(1), "put"),
        (queue.get_batch(1), "get_batch"),
        (queue.join(), "join"),
    )
    for coroutine, name in made:
        assert (asyncio.iscoroutine(coroutine), inspect.isawaitable(coroutine)) == (True, True)
        assert coroutine.__name__ == name
        assert coroutine.__qualname__ == f"PriorityQueue.{name}"
        coroutine.close()


async def test_every_way_to_run_one_works() -> None:
    """Tasks, groups, gather, wait_for and timeouts take them as they are."""
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_many(range(4))
    assert await asyncio.create_task(queue.get()) == 0
    assert await asyncio.wait_for(queue.get(), 5) == 1
    assert list(await asyncio.gather(queue.get(), queue.get())) == [2, 3]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(queue.get(), name="getter")
        group.create_task(queue.put(4))
    assert task.result() == 4
    assert "PriorityQueue.get" in repr(task)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.001)
    queue.put_nowait(5)
    assert await asyncio.ensure_future(queue.get()) == 5


def test_nothing_happens_before_it_is_awaited() -> None:
    """An item is taken, or put, when the coroutine runs, not when it is made."""
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_nowait(1)
    get, put = queue.get(), queue.put(2, 0)
    assert queue.get_nowait() == 1
    assert result_of(put) > 0
    assert result_of(get) == 2


@pytest.mark.parametrize("name", ["get", "put", "join", "get_batch"])
def test_forgetting_to_await_is_reported(name: str) -> None:
    """A coroutine that nobody awaited warns, as those of Python do, and does nothing."""
    queue: PriorityQueue[int] = PriorityQueue()
    arguments = {"put": (1,), "get_batch": (1,)}.get(name, ())
    with pytest.warns(RuntimeWarning, match=rf"'PriorityQueue\.{name}' was never awaited"):
        getattr(queue, name)(*arguments)
    assert queue.qsize() == 0
    getattr(queue, name)(*arguments).close()


@pytest.mark.parametrize("item", [(), (1, 2), ValueError("an item"), StopIteration(3), None])
def test_any_item_comes_out_as_it_is(item: object) -> None:
    """Tuples and exceptions are not taken apart on their way out."""
    queue: PriorityQueue[object] = PriorityQueue()
    queue.put_nowait(item)
    assert result_of(queue.get()) is item

    async def main() -> object:
        queue.put_nowait(item)
        return await queue.get()

    assert asyncio.run(main()) is item


async def test_one_runs_once() -> None:
    """A coroutine cannot be awaited again, nor twice at a time."""
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_nowait(1)
    get = queue.get()
    assert await get == 1
    with pytest.raises(RuntimeError, match="already awaited"):
        get.send(None)
    with pytest.raises(RuntimeError, match="already awaited"):
        get.throw(ValueError())
    get.close()
    waiting = queue.get()
    task = asyncio.create_task(waiting)
    await turns()
    with pytest.raises(RuntimeError, match="being awaited already"):
        await waiting
    queue.put_nowait(2)
    assert await task == 2


def test_it_starts_with_none() -> None:
    """A value cannot be sent to a coroutine that has not begun; the coroutine is as before."""
    queue: PriorityQueue[int] = PriorityQueue()
    get = queue.get()
    with pytest.raises(TypeError, match="just-started"):
        get.send(1)
    queue.put_nowait(3)
    assert result_of(get) == 3


@pytest.mark.parametrize("call", [lambda get: get.close(), lambda get: get.throw(ValueError("no"))])
def test_one_that_is_stopped_never_begins(call: Callable[[Any], object]) -> None:
    """Stopping a coroutine that has not begun leaves the item and raises what was thrown."""
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_nowait(1)
    get = queue.get()
    try:
        call(get)
    except ValueError as error:
        assert str(error) == "no"
    assert queue.qsize() == 1


async def test_a_wait_that_is_thrown_away_passes_its_item_on() -> None:
    """A consumer that vanishes after it was woken leaves the item to the next in line."""
    queue: PriorityQueue[int] = PriorityQueue()
    vanishing = queue.get()
    vanishing.send(None)
    other = asyncio.create_task(queue.get())
    await turns()
    queue.put_nowait(1)
    del vanishing
    assert await other == 1
    vanishing = queue.get()
    vanishing.send(None)
    del vanishing
    queue.put_nowait(2)
    assert await queue.get() == 2


async def test_a_producer_that_vanishes_leaves_its_room() -> None:
    """The place that was kept for a producer goes to the next one."""
    queue: PriorityQueue[int] = PriorityQueue(1)
    queue.put_nowait(1)
    vanishing = queue.put(2)
    vanishing.send(None)
    assert queue.get_nowait() == 1
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(3)
    vanishing.close()
    queue.put_nowait(3)
    assert queue.get_many(9) == [3]


async def test_woken_consumers_keep_their_order() -> None:
    """Two consumers that find their items taken stay in front, the first first."""
    queue: PriorityQueue[int] = PriorityQueue()
    consumers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await turns()
    queue.put_many([0, 0])
    assert queue.get_many(2) == [0, 0]
    await turns()
    queue.put_many([1, 2, 3])
    assert await asyncio.gather(*consumers) == [1, 2, 3]


async def test_bad_arguments_are_refused_at_once() -> None:
    """What cannot be put or got is refused by the call, before anybody awaits it."""
    queue: PriorityQueue[int] = PriorityQueue()
    untyped: Any = queue
    with pytest.raises(ValueError, match="priority"):
        await queue.put(1, 256)
    with pytest.raises(ValueError, match="at least one"):
        await queue.get_batch(0)
    with pytest.raises(ValueError, match="priority"):
        untyped.put(1, 256)
    with pytest.raises(ValueError, match="at least one"):
        untyped.get_batch(0)
    for call, arguments, keywords in (
        (untyped.put_nowait, (), {}),
        (untyped.put_nowait, (1, 2, 3), {}),
        (untyped.put_nowait, (1, "high"), {}),
        (untyped.put_nowait, (1,), {"prio": 3}),
        (untyped.put_nowait, (1, 2), {"priority": 3}),
        (untyped.put_threadsafe, (1,), {"delay_s": 3}),
        (untyped.put_many, (3,), {}),
        (untyped.get_nowait, (1,), {}),
        (untyped.get, (1,), {}),
        (untyped.get_many, (), {}),
    ):
        with pytest.raises(TypeError):
            call(*arguments, **keywords)
    assert queue.qsize() == 0


def test_arguments_may_be_given_by_name() -> None:
    """Every argument has the name that the documentation gives it."""
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_nowait(item=1, priority=3)
    queue.put_nowait(2, priority=1, deadline_s=None)
    assert result_of(queue.put(priority=True, item=3, delay_s=0)) > 0
    queue.put_many(items=(4,), priority=0)
    queue.put_threadsafe(item=5, priority=255)
    assert result_of(queue.get_batch(max=1)) == [4]
    assert queue.get_many(max=9) == [2, 3, 1, 5]


def test_cycles_through_waiting_are_collected() -> None:
    """Queues, their waiting tasks and coroutines that hold each other are collected together."""

    class Holder:
        """Something that can be watched."""

        def __init__(self, queue: PriorityQueue[Any]) -> None:
            self.queue = queue
            self.task: object = None

    watched = []

    async def main() -> None:
        waiting: PriorityQueue[Any] = PriorityQueue(1)
        holder = Holder(waiting)
        holder.task = waiting.get()
        holder.task.send(None)
        watched.append(weakref.ref(holder.queue))
        inside: PriorityQueue[Any] = PriorityQueue(1)
        inside.put_nowait(inside)
        put = inside.put(Holder(inside))
        put.send(None)
        watched.append(weakref.ref(inside))
        unborn: PriorityQueue[Any] = PriorityQueue()
        get = unborn.get()
        unborn.put_nowait(get)
        get.close()
        watched.append(weakref.ref(unborn))

    asyncio.run(main())
    gc.collect()
    assert [watch() for watch in watched] == [None] * 3


def test_what_somebody_holds_is_not_reused() -> None:
    """A coroutine that is over and was found by way of the collector is not handed out again."""
    queue: PriorityQueue[int] = PriorityQueue()
    first = queue.get()
    first.close()
    kind = type(first)
    del first
    for _ in range(3):
        queue.put_nowait(1)
        assert result_of(queue.get()) == 1
    found = [each for each in gc.get_objects() if type(each) is kind]
    made = [queue.get() for _ in range(len(found) + 1)]
    assert {id(each) for each in found}.isdisjoint(map(id, made))
    for each in made:
        each.close()
    with pytest.raises(RuntimeError, match="already awaited"):
        found[0].send(None)
