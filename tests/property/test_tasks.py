"""The task store against a model: no task is lost, each has one outcome, claims come in order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aisys.tasks import Claim, StaleClaim, TaskConflict, TaskStore

IDS = st.integers(0, 12).map(str)
LEASE_S = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Task:
    def __init__(self, payload: int, priority: int, order: int, due: float) -> None:
        self.payload, self.priority, self.order, self.due = payload, priority, order, due
        self.state = "waiting"
        self.attempts = self.deaths = 0
        self.lease_until = 0.0
        self.token = 0
        self.cancelling = False


class TaskMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="aisys-tasks-"))
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.tasks: dict[str, Task] = {}
        self.claims: list[Claim] = []
        self.outcomes: dict[str, int] = {}
        self.order = 0
        self.last_token = 0
        self.store = self._opened()

    def _opened(self) -> TaskStore:
        store = TaskStore(self.folder / "tasks.db", durability="process", clock=self.clock)
        self.run(store.open())
        return store

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def _next(self) -> int:
        self.order += 1
        return self.order

    def _lose(self, task: Task) -> None:
        task.deaths += 1
        if task.cancelling:
            task.state = "cancelled"
        elif task.deaths >= 3 or task.attempts >= 3:
            task.state = "dead"
        else:
            task.state = "waiting"

    def _expire(self) -> None:
        for task in self.tasks.values():
            if task.state == "running" and task.lease_until <= self.clock.now:
                self._lose(task)

    def _is_current(self, claim: Claim) -> bool:
        self._expire()
        task = self.tasks[claim.id]
        return task.state == "running" and task.token == claim.token

    @rule(
        task_id=IDS,
        payload=st.integers(0, 1),
        priority=st.integers(0, 2),
        delay_s=st.sampled_from([0.0, 5.0]),
    )
    def submit(self, task_id: str, payload: int, priority: int, delay_s: float) -> None:
        work = self.store.submit(
            "A.m", {"n": payload}, id=task_id, priority=priority, delay_s=delay_s, max_attempts=3
        )
        known = self.tasks.get(task_id)
        if known is None:
            assert not self.run(work).duplicate
            due = self.clock.now + delay_s if delay_s else 0.0
            self.tasks[task_id] = Task(payload, priority, self._next(), due)
        elif known.payload == payload:
            assert self.run(work).duplicate
        else:
            try:
                self.run(work)
            except TaskConflict:
                return
            raise AssertionError("a different task was taken under the same id")

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        claims: list[Claim] = self.run(self.store.claim(["A.m"], limit=limit, lease_s=LEASE_S))
        self._expire()
        ready = sorted(
            (task.priority, task.order, task_id)
            for task_id, task in self.tasks.items()
            if task.state == "waiting" and task.due <= self.clock.now
        )
        assert [claim.id for claim in claims] == [task_id for _, _, task_id in ready[:limit]]
        for claim in claims:
            task = self.tasks[claim.id]
            assert claim.token > self.last_token
            self.last_token = task.token = claim.token
            task.state, task.attempts = "running", task.attempts + 1
            task.lease_until = self.clock.now + LEASE_S
            assert (claim.payload, claim.attempt) == ({"n": task.payload}, task.attempts)
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), what=st.sampled_from(["complete", "fail", "give up", "renew", "back"]))
    def speak(self, data: st.DataObject, what: str) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        current = self._is_current(claim)
        work: dict[str, Any] = {
            "complete": lambda: self.store.complete(claim, claim.token),
            "fail": lambda: self.store.fail(claim, "x"),
            "give up": lambda: self.store.fail(claim, "x", retryable=False),
            "renew": lambda: self.store.heartbeat(claim),
            "back": lambda: self.store.hand_back(claim),
        }
        try:
            self.run(work[what]())
        except StaleClaim:
            assert not current
            return
        assert current
        self._apply(claim, what)

    def _apply(self, claim: Claim, what: str) -> None:
        task = self.tasks[claim.id]
        if what == "renew":
            task.lease_until = self.clock.now + LEASE_S
        elif what == "complete":
            task.state = "done"
            assert claim.id not in self.outcomes
            self.outcomes[claim.id] = claim.token
        elif task.cancelling:
            task.state = "cancelled"
        elif what == "back":
            task.state, task.attempts = "waiting", task.attempts - 1
        elif what == "give up" or task.attempts >= 3:
            task.state = "dead"
        else:
            info = self.run(self.store.get(claim.id))
            task.state, task.due, task.order = "waiting", info.due, self._next()
            assert self.clock.now <= task.due <= self.clock.now + 2.0 ** (task.attempts - 1)

    @rule(task_id=IDS)
    def cancel(self, task_id: str) -> None:
        # A lease that has ended is only noticed by the next one who looks.
        outcome = self.run(self.store.cancel(task_id))
        task = self.tasks.get(task_id)
        if task is None:
            assert outcome == "unknown"
        elif task.state == "waiting":
            assert outcome == "cancelled"
            task.state = "cancelled"
        elif task.state == "running":
            assert outcome == "cancelling"
            task.cancelling = True

    @rule(task_id=IDS)
    def requeue(self, task_id: str) -> None:
        task = self.tasks.get(task_id)
        done = self.run(self.store.requeue(task_id))
        if task is not None and task.state == "dead":
            assert done
            task.state, task.attempts, task.deaths, task.due = "waiting", 0, 0, 0.0
            task.order = self._next()
        else:
            assert not done

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def a_new_owner_takes_over(self) -> None:
        self.run(self.store.close())
        self.store = self._opened()
        for task in self.tasks.values():
            if task.state == "running":
                self._lose(task)

    @invariant()
    def nothing_is_lost(self) -> None:
        names = {"ready": "waiting", "delayed": "waiting"}
        found = {info.id: info for info in self.run(self.store.list(limit=1000))}
        assert found.keys() == self.tasks.keys()
        for task_id, info in found.items():
            task = self.tasks[task_id]
            if task.state == "running" and task.lease_until <= self.clock.now:
                continue
            assert names.get(info.state, info.state) == task.state
            if task.state == "done":
                assert info.result == self.outcomes[task_id]


TestTasks = TaskMachine.TestCase
TestTasks.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
