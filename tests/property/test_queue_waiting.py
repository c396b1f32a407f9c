"""Consumers and producers that come, wait, are cancelled: nothing is lost and nobody waits in vain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from aisys.queue import PriorityQueue, QueueShutDown

SIZE = 3


class WaitingMachine(RuleBasedStateMachine):
    """Tasks on a loop that runs between the steps, some steps at a time."""

    loop_factory: Any = staticmethod(asyncio.new_event_loop)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=self.loop_factory)
        self.queue: PriorityQueue[int] = PriorityQueue(SIZE)
        self.number = 0
        self.put: set[int] = set()
        self.got: list[int] = []
        self.thrown_away = 0
        self.closed = False
        self.gets: list[asyncio.Task[Any]] = []
        self.puts: dict[asyncio.Task[int], int] = {}
        self.joins: list[asyncio.Task[None]] = []
        self.unfinished = 0

    def run(self, turns: int) -> None:
        """Let the loop do so many rounds."""

        async def rounds() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.runner.run(rounds())
        self.harvest()

    def harvest(self) -> None:
        """Write down what the tasks came to."""
        for task in [task for task in self.puts if task.done()]:
            item = self.puts.pop(task)
            if not task.cancelled() and task.exception() is None:
                self.put.add(item)
                self.unfinished += 1
        for get in [task for task in self.gets if task.done()]:
            self.gets.remove(get)
            if not get.cancelled() and get.exception() is None:
                result = get.result()
                self.got += result if isinstance(result, list) else [result]

    def settle(self) -> None:
        """Let the loop run until nothing more happens."""
        self.run(4 * (len(self.gets) + len(self.puts) + SIZE) + 10)

    @rule(batch=st.none() | st.integers(1, 4))
    def start_get(self, batch: int | None) -> None:
        """A consumer comes."""
        get = self.queue.get() if batch is None else self.queue.get_batch(batch)
        self.gets.append(self.runner.get_loop().create_task(get))

    @rule(priority=st.sampled_from([0, 100, 255]))
    def start_put(self, priority: int) -> None:
        """A producer comes."""
        self.number += 1
        task = self.runner.get_loop().create_task(self.queue.put(self.number, priority))
        self.puts[task] = self.number

    @rule()
    def start_join(self) -> None:
        """Somebody waits for the end of work."""
        self.joins.append(self.runner.get_loop().create_task(self.queue.join()))

    @rule(priority=st.sampled_from([0, 100, 255]), threadsafe=st.booleans())
    def put_nowait(self, priority: int, threadsafe: bool) -> None:
        """Put an item, if it may."""
        self.number += 1
        put = self.queue.put_threadsafe if threadsafe else self.queue.put_nowait
        try:
            put(self.number, priority)
        except QueueShutDown:
            assert self.closed
        except asyncio.QueueFull:
            assert self.queue.qsize() + len(self.puts) >= SIZE
        else:
            self.put.add(self.number)
            self.unfinished += 1

    @rule()
    def get_nowait(self) -> None:
        """Take an item, from under the nose of whoever waits."""
        try:
            self.got.append(self.queue.get_nowait())
        except QueueShutDown:
            assert self.closed
            assert self.queue.qsize() == 0
        except asyncio.QueueEmpty:
            assert self.queue.qsize() == 0

    @rule(data=st.data(), turns=st.integers(0, 2))
    def cancel(self, data: Any, turns: int) -> None:
        """Cancel somebody, at any moment of his wait."""
        if self.everybody():
            data.draw(st.sampled_from(self.everybody())).cancel()
        self.run(turns)

    @rule(turns=st.integers(1, 3))
    def go_on(self, turns: int) -> None:
        """Let the loop run, not to the end."""
        self.run(turns)

    @rule()
    def finish(self) -> None:
        """Deal with all that was got."""
        self.settle()
        for _ in range(self.unfinished - self.queue.qsize()):
            self.queue.task_done()
            self.unfinished -= 1
        if self.queue.qsize() == 0:
            with pytest.raises(ValueError, match="too many times"):
                self.queue.task_done()
        self.settle()

    @rule(immediate=st.booleans(), really=st.integers(0, 9))
    def shut_down(self, immediate: bool, really: int) -> None:
        """Close the queue, seldom."""
        if really == 0:
            self.settle()
            before = self.queue.qsize()
            self.queue.shutdown(immediate)
            self.closed = True
            thrown_away = before if immediate else 0
            self.thrown_away += thrown_away
            self.unfinished -= thrown_away

    def everybody(self) -> list[asyncio.Task[Any]]:
        """All tasks that wait."""
        return [task for task in (*self.gets, *self.puts, *self.joins) if not task.done()]

    @rule()
    def nobody_waits_in_vain(self) -> None:
        """Once the loop is idle all that can go on has gone on, and every item is where it belongs."""
        self.settle()
        assert len(self.got) == len(set(self.got))
        assert set(self.got) <= self.put
        assert len(self.got) + self.queue.qsize() + self.thrown_away == len(self.put)
        assert self.queue.qsize() <= SIZE
        if self.gets:
            assert self.queue.qsize() == 0
            assert not self.closed
        if self.puts:
            assert self.queue.full()
            assert not self.closed
        if self.unfinished == 0:
            assert all(task.done() for task in self.joins)

    def teardown(self) -> None:
        """The end is a moment like any other."""
        try:
            self.nobody_waits_in_vain()
        finally:
            self.runner.close()
        self.runner.close()


class UvloopMachine(WaitingMachine):
    """The same on uvloop."""

    loop_factory = staticmethod(uvloop.new_event_loop)


TestWaiting = WaitingMachine.TestCase
TestWaiting.settings = settings(stateful_step_count=30, max_examples=40, deadline=None)
TestUvloop = UvloopMachine.TestCase
TestUvloop.settings = settings(stateful_step_count=30, max_examples=40, deadline=None)
