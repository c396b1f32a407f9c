"""Runs the tasks of a store with the handlers of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import AisysError
from aisys.ids import new_id
from aisys.json import JSONEncodeError
from aisys.tasks.errors import NonRetryable, StaleClaim
from aisys.tasks.model import Claim
from aisys.tasks.store import TaskStore

Handler = Callable[[dict[str, Any]], Awaitable[Any]]
OnError = Callable[[Claim | None, BaseException], None]
"""Told the claim whose attempt failed, or None when the store itself did."""

LOOK_EVERY_S: Final = 1.0
RENEWALS_PER_LEASE: Final = 3


class TaskRunner:
    """Claims tasks by what its handlers are called, runs up to `concurrency` of them at a time.

    Leases are renewed three times in their length, however long a task runs. A task whose lease was
    lost, or that was cancelled, is cancelled here. `stop` lets running tasks end, then hands back
    the rest as if they had not been claimed.

    Args:
        store: an open store.
        handlers: what to call, by the name of the task. Looked at for each claim, so that handlers
            may come and go.
        concurrency: how many tasks run at a time.
        lease_s: how long a task is held without a renewal.
        time_limit_s: how long one attempt may run; None for no limit.
        worker: who this is, for people.
        on_error: told each failed attempt and each failure of the store.
        clock: where time comes from.

    Attributes:
        completed: tasks whose outcome was recorded.
        failed: attempts that failed.
        stale: outcomes that were refused because the lease had been lost.
    """

    def __init__(
        self,
        store: TaskStore,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int = 4,
        lease_s: float = 30.0,
        time_limit_s: float | None = None,
        worker: str = "",
        on_error: OnError | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._concurrency = concurrency
        self._lease_s = lease_s
        self._time_limit_s = time_limit_s
        self._worker = worker or new_id("worker")
        self._on_error = on_error
        self._clock = clock
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._wake = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False
        self.completed = 0
        self.failed = 0
        self.stale = 0

    @property
    def running(self) -> int:
        """Tasks that run now."""
        return len(self._running)

    async def start(self) -> None:
        """Begin to claim and run tasks."""
        if self._loops:
            return
        self._stopping = False
        self._store.add_listener(self._wake.set)
        self._loops = [
            asyncio.create_task(self._claim_for_ever(), name="tasks:claim"),
            asyncio.create_task(self._renew_for_ever(), name="tasks:renew"),
        ]

    async def stop(self, grace_s: float = 10.0) -> None:
        """Claim no more, let running tasks end for `grace_s`, hand back the others."""
        self._stopping = True
        self._store.remove_listener(self._wake.set)
        self._wake.set()
        if not self._loops:
            return
        claiming, renewing = self._loops
        # Not cancelled: a claim on its way would be lost until its lease ends.
        await asyncio.gather(claiming, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        self._loops = []

    async def _claim_for_ever(self) -> None:
        while not self._stopping:
            # Cleared before the look, so that a task submitted during it is not missed.
            self._wake.clear()
            try:
                found = await self._claim()
            except AisysError as error:
                self._tell(None, error)
                found = False
            if not found and not self._stopping:
                await self._pause()

    async def _claim(self) -> bool:
        free = self._concurrency - len(self._running)
        if free <= 0:
            return False
        claims = await self._store.claim(
            self._handlers, limit=free, lease_s=self._lease_s, worker=self._worker
        )
        for claim in claims:
            task = asyncio.create_task(self._run(claim), name=f"task:{claim.name}")
            self._running[task] = claim
            task.add_done_callback(self._on_done)
        return bool(claims)

    async def _pause(self) -> None:
        """Until something changes; at most until the next delayed task is due, or a second."""
        wait_s = LOOK_EVERY_S
        if len(self._running) < self._concurrency:
            try:
                due_s = await self._store.next_due_s()
            except AisysError as error:
                self._tell(None, error)
                due_s = None
            wait_s = wait_s if due_s is None else min(wait_s, due_s + 0.001)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _on_done(self, task: asyncio.Task[None]) -> None:
        claim = self._running.pop(task)
        self._wake.set()
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._tell(claim, error)

    async def _run(self, claim: Claim) -> None:
        handler = self._handlers.get(claim.name)
        if handler is None:
            # It went between the claim and now.
            await self._record(claim, self._store.hand_back(claim))
            return
        try:
            async with asyncio.timeout(self._time_limit_s):
                result = await handler(claim.payload)
            await self._store.complete(claim, result)
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is None or not current.cancelling():
                # Something inside the handler was cancelled, not the task: that is a failure.
                await self._fail(claim, error)
                return
            # Cancelled by stop(), or because the task was: the store knows which.
            await self._record(claim, self._store.hand_back(claim))
            raise
        except StaleClaim:
            self.stale += 1
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is a failed attempt
            await self._fail(claim, error)
        else:
            self.completed += 1

    async def _fail(self, claim: Claim, error: BaseException) -> None:
        self.failed += 1
        self._tell(claim, error)
        retryable = not isinstance(error, (NonRetryable, JSONEncodeError))
        text = f"{type(error).__name__}: {error}"
        await self._record(claim, self._store.fail(claim, text, retryable=retryable))

    async def _record(self, claim: Claim, outcome: Awaitable[Any]) -> None:
        try:
            await outcome
        except StaleClaim:
            self.stale += 1
        except AisysError as error:
            # Not recorded: the lease will end and the task will run again.
            self._tell(claim, error)

    async def _renew_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._lease_s / RENEWALS_PER_LEASE)
            running = list(self._running.items())
            if not running:
                continue
            try:
                outcomes = await self._store.renew([claim for _, claim in running])
            except AisysError as error:
                self._tell(None, error)
                continue
            for (task, _), outcome in zip(running, outcomes, strict=True):
                if outcome != "ok":
                    task.cancel()

    def _tell(self, claim: Claim | None, error: BaseException) -> None:
        if self._on_error is not None:
            self._on_error(claim, error)
