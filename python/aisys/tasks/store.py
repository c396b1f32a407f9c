"""Tasks that survive everything but the disk: one SQLite file, one owner."""

from __future__ import annotations

import asyncio
import builtins
import os
import random
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from aisys import json
from aisys.backends import BackendError, Durability
from aisys.backends.sqlite import SqliteFile
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import DeadlineExceeded, Refused
from aisys.ids import new_id
from aisys.tasks import records
from aisys.tasks.errors import StaleClaim, TaskConflict
from aisys.tasks.intake import check_room, due_time, lock_file, new_task
from aisys.tasks.model import Claim, Receipt, TaskInfo, TaskState

T = TypeVar("T")

SWEEP_EVERY_S: Final = 30.0
MAX_REASON: Final = 4_000
_EPOCH_SHIFT: Final = 40

CancelOutcome = Literal["cancelled", "cancelling", "finished", "unknown"]


class TaskStore:
    """A queue of tasks in one file, executed at least once, each with exactly one outcome.

    A task has a `name` (what is to be run), a payload of JSON, a priority (0 is the most urgent)
    and an id. It is claimed by priority and, within one, in the order of acceptance. A claim holds
    it for the length of a lease, judged by this process's monotonic clock; its token grows with
    every claim and only the latest one is accepted. A process that opens the store is its owner:
    there is one at a time, and a new one frees whatever the former had claimed.

    Args:
        path: the file; its folder is made 0700.
        durability: what an accepted task survives: `disk` (power loss) or `process` (`kill -9`).
        max_tasks: the bound of tasks that are not finished, dead letters included.
        max_bytes: the bound of their payloads.
        max_payload_bytes: the bound of one payload.
        retention_s: how long a finished task, its result and its id are kept.
        max_finished: how many finished tasks are kept at most.
        backoff_s: the limit of the wait before the second attempt; it doubles with each.
        backoff_max_s: the highest limit.
        clock: where time comes from.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        durability: Durability = "disk",
        max_tasks: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        max_payload_bytes: int = 1024 * 1024,
        retention_s: float = 86_400.0,
        max_finished: int = 1_000_000,
        backoff_s: float = 1.0,
        backoff_max_s: float = 300.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.path = Path(path)
        self.clock = clock
        self._file = SqliteFile(self.path, records.SCHEMA, durability=durability)
        self._max_tasks = max_tasks
        self._max_bytes = max_bytes
        self._max_payload_bytes = max_payload_bytes
        self._retention_s = retention_s
        self._max_finished = max_finished
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._lock: int | None = None
        self._counter = 0
        self._next_sweep = 0.0
        self._listeners: set[Callable[[], None]] = set()
        self._waiters: dict[str, set[asyncio.Event]] = {}

    async def open(self) -> None:
        """Become the owner: free what a former owner had claimed.

        Raises:
            BackendError: another process owns the store.
            CorruptStore: the file is damaged.
        """
        if self._lock is not None:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = lock_file(self.path.with_name(self.path.name + ".lock"))
        try:
            epoch = await self._file.write(lambda db: records.take_over(db, self.clock.time()))
        except BaseException:
            self._unlock()
            raise
        # Tokens and positions grow over restarts without being stored one by one.
        self._counter = epoch << _EPOCH_SHIFT

    async def close(self) -> None:
        """Finish what was begun and give up ownership. Claims that are still held become void."""
        await self._file.close()
        self._unlock()
        for events in self._waiters.values():
            for event in events:
                event.set()

    async def submit(
        self,
        name: str,
        payload: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002 - the word of the promise
        priority: int = 100,
        delay_s: float = 0.0,
        eta: datetime | float | None = None,
        max_attempts: int = 5,
    ) -> Receipt:
        """Accept a task; returns when it is as durable as the receipt says.

        Args:
            name: what is to be run.
            payload: its arguments.
            id: makes the call idempotent: the same id with the same task returns the first receipt.
            priority: 0 (most urgent) to 255.
            delay_s: not before so many seconds from now.
            eta: not before this time: aware datetime, or seconds since the epoch. It follows the
                wall clock, also when that is set.
            max_attempts: after so many failures the task becomes a dead letter.

        Raises:
            TaskConflict: the id is taken by a different task.
            Refused: `full`, `too_large`, or `bad_argument`.
        """
        task_id = new_id("task") if id is None else id
        task = new_task(name, payload, task_id, priority, max_attempts, self._max_payload_bytes)

        def work(db: sqlite3.Connection) -> Receipt:
            now = self.clock.time()
            found = records.find_digest(db, task.id)
            if found is not None:
                if found[0] != task.digest:
                    raise TaskConflict(task.id)
                return self._receipt(task.id, found[1], duplicate=True)
            check_room(db, len(task.payload), self._max_tasks, self._max_bytes)
            due = due_time(now, delay_s, eta)
            records.insert(db, task, due, self._next_number(), now)
            return self._receipt(task.id, "delayed" if due > now else "ready", duplicate=False)

        receipt = await self._write(work)
        self._notify()
        return receipt

    async def claim(
        self, names: Iterable[str], *, limit: int = 1, lease_s: float = 30.0, worker: str = ""
    ) -> builtins.list[Claim]:
        """Take the most urgent tasks that are ready, at most `limit`.

        Args:
            names: what the caller can run.
            limit: how many at most.
            lease_s: how long each is held without a heartbeat.
            worker: who takes them, for people.
        """
        wanted = tuple(names)

        def work(db: sqlite3.Connection) -> builtins.list[Claim]:
            now, tick = self.clock.time(), self.clock.monotonic()
            self._sweep(db, now, tick)
            claims: builtins.list[Claim] = []
            for task_id in records.best(db, wanted, limit):
                lease = (lease_s, tick + lease_s)
                taken = records.claim(db, task_id, self._next_number(), worker, lease, now)
                if taken is not None:
                    claims.append(taken)
            return claims

        return await self._write(work)

    async def renew(self, claims: Sequence[Claim]) -> builtins.list[records.Renewal]:
        """Extend the leases; for each `ok`, `cancel` (stop, it is cancelled) or `stale` (lost)."""

        def work(db: sqlite3.Connection) -> builtins.list[records.Renewal]:
            tick = self.clock.monotonic()
            records.release_lost(db, tick, self.clock.time(), "its lease ran out")
            return [records.renew(db, claim, tick + claim.lease_s) for claim in claims]

        return await self._write(work)

    async def heartbeat(self, claim: Claim) -> bool:
        """Extend the lease; False asks the worker to stop, because the task was cancelled.

        Raises:
            StaleClaim: the lease ran out before.
        """
        (outcome,) = await self.renew([claim])
        if outcome == "stale":
            raise StaleClaim(claim.id, claim.token)
        return outcome == "ok"

    async def complete(self, claim: Claim, result: Any = None) -> None:
        """Record the outcome of the task.

        Raises:
            StaleClaim: the claim is not the current one; nothing was recorded.
            JSONEncodeError: the result is not JSON; nothing was recorded.
        """
        encoded = json.dumps(result)
        await self._end(claim, lambda db, now: records.finish(db, claim.id, "done", now, encoded))

    async def fail(self, claim: Claim, error: str, *, retryable: bool = True) -> TaskState:
        """The attempt failed: another one later, or a dead letter. Returns the new state.

        The wait is drawn between 0 and a limit that doubles with each attempt.

        Raises:
            StaleClaim: the claim is not the current one; nothing was recorded.
        """
        reason = error[:MAX_REASON]
        limit = min(self._backoff_max_s, self._backoff_s * 2.0 ** min(claim.attempt - 1, 60))
        wait_s = random.uniform(0.0, limit)  # noqa: S311 - spreads load, keeps no secret

        def work(db: sqlite3.Connection, now: float) -> TaskState:
            if records.is_cancelling(db, claim.id):
                records.finish(db, claim.id, "cancelled", now)
                return "cancelled"
            if not retryable:
                records.bury(db, claim.id, f"not retryable: {reason}", now)
                return "dead"
            if claim.attempt >= claim.max_attempts:
                records.bury(db, claim.id, f"attempts exhausted: {reason}", now)
                return "dead"
            records.put_back(
                db, claim.id, due=now + wait_s, position=self._next_number(), reason=reason
            )
            return "delayed"

        return await self._end(claim, work)

    async def hand_back(self, claim: Claim) -> None:
        """Give the task back as if it had not been claimed.

        Raises:
            StaleClaim: the claim is not the current one.
        """

        def work(db: sqlite3.Connection, now: float) -> None:
            if records.is_cancelling(db, claim.id):
                records.finish(db, claim.id, "cancelled", now)
            else:
                records.hand_back(db, claim.id)

        await self._end(claim, work)

    async def cancel(self, task_id: str) -> CancelOutcome:
        """Cancel a task.

        Returns:
            `cancelled`: it never starts. `cancelling`: it runs, and its worker is told at its next
            heartbeat. `finished`: too late. `unknown`: no such task.
        """

        def work(db: sqlite3.Connection) -> CancelOutcome:
            found = records.find_digest(db, task_id)
            if found is None:
                return "unknown"
            if found[1] in ("delayed", "ready"):
                records.finish(db, task_id, "cancelled", self.clock.time())
                return "cancelled"
            if found[1] == "running":
                records.mark_cancelling(db, task_id)
                return "cancelling"
            return "cancelled" if found[1] == "cancelled" else "finished"

        outcome = await self._write(work)
        self._wake(task_id)
        self._notify()
        return outcome

    async def get(self, task_id: str) -> TaskInfo | None:
        """The task, or None when there is none or it was finished too long ago."""
        found = await self._read(lambda db: records.select(db, "WHERE id = ?", (task_id,), 1))
        return found[0] if found else None

    async def wait(self, task_id: str, *, timeout_s: float = 30.0) -> TaskInfo:
        """The task once it is `done`, `dead` or `cancelled`.

        Raises:
            Refused: there is no such task.
            DeadlineExceeded: it is not finished yet.
        """
        event = asyncio.Event()
        self._waiters.setdefault(task_id, set()).add(event)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    event.clear()
                    info = await self.get(task_id)
                    if info is None:
                        raise Refused(f"there is no task {task_id}", reason="unknown_task")
                    if info.finished:
                        return info
                    await event.wait()
        except TimeoutError:
            raise DeadlineExceeded(
                f"task {task_id} is not finished after {timeout_s:g} s", timeout_s=timeout_s
            ) from None
        finally:
            events = self._waiters[task_id]
            events.discard(event)
            if not events:
                del self._waiters[task_id]

    async def list(
        self, *, state: TaskState | None = None, name: str | None = None, limit: int = 100
    ) -> builtins.list[TaskInfo]:
        """Tasks in the order in which they are due: dead letters are `state="dead"`."""
        wanted = {"state = ?": state, "name = ?": name}
        used = {condition: value for condition, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(used)}" if used else ""
        order = "ORDER BY due, priority, position"
        return await self._read(
            lambda db: records.select(db, f"{where} {order}", tuple(used.values()), limit)
        )

    async def requeue(self, task_id: str) -> bool:
        """A dead letter becomes ready again, with all its attempts; False if it is none."""
        done = await self._write(lambda db: records.revive(db, task_id, self._next_number()))
        self._notify()
        return done

    async def discard(self, task_id: str) -> bool:
        """Remove a dead letter for good; False if it is none."""
        return await self._write(lambda db: records.discard(db, task_id))

    async def counts(self) -> dict[str, int]:
        """How many tasks are in each state."""
        sql = "SELECT state, count(*) FROM tasks GROUP BY state"
        return await self._read(lambda db: dict(db.execute(sql).fetchall()))

    async def next_due_s(self) -> float | None:
        """Seconds until the next delayed task becomes ready, None when there is none."""
        due = await self._read(records.next_due)
        return None if due is None else max(0.0, due - self.clock.time())

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop whenever there may be something new to claim."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Stop calling `listener`."""
        self._listeners.discard(listener)

    async def _end(self, claim: Claim, work: Callable[[sqlite3.Connection, float], T]) -> T:
        def guarded(db: sqlite3.Connection) -> tuple[bool, T | None]:
            now = self.clock.time()
            # The lease is judged here and now, not when somebody next looks for work; and what was
            # found to be lost stays so, which is why a stale claim is not an exception in here.
            records.release_lost(db, self.clock.monotonic(), now, "its lease ran out")
            if not records.is_current(db, claim):
                return False, None
            return True, work(db, now)

        current, result = await self._write(guarded)
        self._wake(claim.id)
        self._notify()
        if not current:
            raise StaleClaim(claim.id, claim.token)
        return cast("T", result)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._lock is None:
            raise BackendError(f"{self.path}: open() was not called, or the store is closed")
        return await self._file.write(work)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._lock is None:
            raise BackendError(f"{self.path}: open() was not called, or the store is closed")
        return await self._file.read(work)

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def _wake(self, task_id: str) -> None:
        for event in self._waiters.get(task_id, ()):
            event.set()

    def _next_number(self) -> int:
        self._counter += 1
        return self._counter

    def _receipt(self, task_id: str, state: Any, *, duplicate: bool) -> Receipt:
        return Receipt(task_id, self._file.durability, self._retention_s, duplicate, state)

    def _sweep(self, db: sqlite3.Connection, now: float, tick: float) -> None:
        records.release_lost(db, tick, now, "its lease ran out")
        records.promote(db, now)
        if tick >= self._next_sweep:
            self._next_sweep = tick + SWEEP_EVERY_S
            records.forget_finished(db, now - self._retention_s, self._max_finished)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
