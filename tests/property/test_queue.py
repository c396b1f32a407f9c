"""The queue against `heapq`."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aisys.queue import PriorityQueue

priorities = st.sampled_from([0, 1, 63, 64, 100, 255]) | st.integers(0, 255)


class Time:
    """A clock that the machine sets."""

    def __init__(self) -> None:
        self.value = 0

    def monotonic(self) -> float:
        """Seconds, as the machine says."""
        return self.value

    def time(self) -> float:
        """The same."""
        return self.value

    async def sleep(self, seconds: float) -> None:
        """Nothing in these tests sleeps."""


class QueueMachine(RuleBasedStateMachine):
    """Every operation on a queue and on two heaps: the ready ones and the delayed ones."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Time()
        self.expired: list[int] = []
        self.queue: PriorityQueue[int] = PriorityQueue(
            20, clock=self.clock, on_expired=self.expired.append
        )
        self.turn = 0
        self.ready: list[tuple[int, int, int]] = []
        self.delayed: list[tuple[int, int, int]] = []
        self.alive: dict[int, tuple[int, int, float | None]] = {}  # item: id, priority, deadline
        self.known_expired: list[int] = []

    def next_turn(self) -> int:
        """A number larger than all before."""
        self.turn += 1
        return self.turn

    def wake(self) -> None:
        """Move what is due."""
        while self.delayed and self.delayed[0][0] <= self.clock.value:
            _, _, item = heapq.heappop(self.delayed)
            if item in self.alive:
                heapq.heappush(self.ready, (self.alive[item][1], self.next_turn(), item))

    def pop(self) -> int | None:
        """The next item by the heap."""
        self.wake()
        while self.ready:
            priority, _, item = heapq.heappop(self.ready)
            if item not in self.alive or self.alive[item][1] != priority:
                continue
            _, _, deadline = self.alive.pop(item)
            if deadline is None or deadline > self.clock.value:
                return item
            self.known_expired.append(item)
        return None

    @rule(priority=priorities, delay=st.sampled_from([0, 0, 3]), left=st.none() | st.integers(0, 9))
    def put(self, priority: int, delay: int, left: int | None) -> None:
        """Put an item, or find the queue full."""
        item = self.next_turn()
        if len(self.alive) >= 20:
            with pytest.raises(asyncio.QueueFull):
                self.queue.put_nowait(item, priority, delay_s=delay, deadline_s=left)
            return
        number = self.queue.put_nowait(item, priority, delay_s=delay, deadline_s=left)
        self.wake()
        deadline = None if left is None else self.clock.value + left
        self.alive[item] = (number, priority, deadline)
        if delay:
            heapq.heappush(self.delayed, (self.clock.value + delay, self.next_turn(), item))
        else:
            heapq.heappush(self.ready, (priority, self.next_turn(), item))

    @rule(priority=priorities, count=st.integers(0, 5))
    def put_many(self, priority: int, count: int) -> None:
        """Put several items, or none."""
        items = [self.next_turn() for _ in range(count)]
        if len(self.alive) + count > 20:
            with pytest.raises(asyncio.QueueFull):
                self.queue.put_many(items, priority)
            return
        self.queue.put_many(items, priority)
        self.wake()
        for item in items:
            self.alive[item] = (0, priority, None)
            heapq.heappush(self.ready, (priority, self.next_turn(), item))

    @rule()
    def get(self) -> None:
        """Get an item, or find the queue empty."""
        expected = self.pop()
        if expected is None:
            with pytest.raises(asyncio.QueueEmpty):
                self.queue.get_nowait()
        else:
            assert self.queue.get_nowait() == expected

    @rule(count=st.integers(0, 6))
    def get_many(self, count: int) -> None:
        """Get several items."""
        expected: list[int] = []
        while len(expected) < count and (item := self.pop()) is not None:
            expected.append(item)
        assert self.queue.get_many(count) == expected

    @precondition(lambda self: any(number for number, _, _ in self.alive.values()))
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        """Cancel one of the items."""
        item = data.draw(st.sampled_from([item for item in self.alive if self.alive[item][0]]))
        number, _, _ = self.alive.pop(item)
        assert self.queue.cancel(number)
        assert not self.queue.cancel(number)

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.value += seconds

    @invariant()
    def sizes_agree(self) -> None:
        """Both have as many items, and expired the same ones in the same order."""
        assert self.queue.qsize() == len(self.alive)
        assert self.queue.full() == (len(self.alive) == 20)
        assert self.expired == self.known_expired
        assert self.queue.expired == len(self.expired)
        self.wake()
        ready = sum(item in self.alive for _, _, item in self.ready)
        assert self.queue.empty() == (ready == 0)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(stateful_step_count=60, max_examples=60, deadline=None)
