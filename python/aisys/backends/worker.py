"""One thread that does jobs in batches, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from aisys.backends.errors import BackendError
from aisys.errors import Refused

T = TypeVar("T")

MAX_BATCH: Final = 256


class Job:
    """A piece of work, and where its outcome goes."""

    __slots__ = ("error", "future", "loop", "result", "work")

    def __init__(self, work: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None


class BatchThread:
    """Takes jobs from any event loop and hands them to `run_batch` on a thread of its own.

    While one batch is being done the next one gathers: under load many jobs share one commit, and
    without load a job waits for nothing. At most `max_waiting` jobs wait; one more is refused.

    Attributes:
        undelivered: outcomes whose event loop was gone.
    """

    def __init__(
        self,
        name: str,
        run_batch: Callable[[list[Job]], None],
        on_close: Callable[[], None],
        *,
        max_waiting: int = 10_000,
    ) -> None:
        self._name = name
        self._run_batch = run_batch
        self._on_close = on_close
        self._max_waiting = max_waiting
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.undelivered = 0

    def submit(self, work: Callable[..., T]) -> asyncio.Future[T]:
        """Queue `work`; the future ends when its batch is done.

        Raises:
            Refused: `max_waiting` jobs wait already, or the store is closed.
        """
        if self._jobs.qsize() >= self._max_waiting:
            raise Refused(
                f"{self._name}: {self._max_waiting} operations wait already", reason="overloaded"
            )
        job = Job(work, asyncio.get_running_loop())
        with self._lock:
            if self._closed:
                raise Refused(f"{self._name} is closed", reason="shutting_down")
            if self._thread is None:
                # A daemon: a process that forgets to close must still be able to end.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._jobs.put(job)
        return job.future

    async def close(self) -> None:
        """Finish the queued jobs, then end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
            thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            if batch:
                try:
                    self._run_batch(batch)
                except Exception as error:  # noqa: BLE001 - every job must get an outcome
                    for job in batch:
                        job.error = job.error or error
                self._deliver(batch)
        self._on_close()

    def _next_batch(self) -> tuple[list[Job], bool]:
        batch: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            # A job cancelled while it waited is not begun.
            if not job.future.cancelled():
                batch.append(job)
            if len(batch) >= MAX_BATCH:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _deliver(self, batch: list[Job]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in batch:
            by_loop.setdefault(job.loop, []).append(job)
        for loop, jobs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_finish, jobs)
            except RuntimeError:
                # The loop was closed while its jobs ran: nobody is left to tell.
                self.undelivered += len(jobs)


def _finish(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, Exception):
            job.future.set_exception(job.error)
        else:
            job.future.set_exception(BackendError(f"the store's thread was stopped: {job.error!r}"))
