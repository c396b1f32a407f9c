"""Where errors wait on their own machine until every collector has them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aisys import json
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errorbus.cursors import Cursors
from aisys.errorbus.drafts import Draft, finish, reporting
from aisys.errorbus.errors import ErrorBusError
from aisys.errorbus.folding import Folder
from aisys.errorbus.journal import Journal, Position
from aisys.errorbus.report import RANK, SEVERITIES, Report
from aisys.ids import new_id

RETRY_OPEN_S: Final = 2.0
TICK_S: Final = 0.5
TRUNCATE_BYTES: Final = 4 * 1024 * 1024
MAX_FORWARD_BYTES: Final = 256 * 1024

_Command = tuple[Callable[[], Any], "concurrent.futures.Future[Any]"]


def _as_is(text: str) -> str:
    return text


class Spool:
    """A bounded file of reports in a folder of its own, written by its own thread.

    A report survives `kill -9` of the process once the thread has written it, a moment after
    `offer`; a `critical` one is synced to the disk as well. When the file is full the least severe
    reports go first, and a report says how many. A flood of the same error is folded: see `Folder`.
    Nothing is opened before the first report.

    Args:
        path: the folder; made 0700. One process at a time.
        machine: where the reports come from.
        host: the process they come from, with or without `machine/` before it.
        env: `dev`, `staging` or `prod`.
        redact: takes secrets out of a text; a report whose redaction fails goes out without its
            texts.
        max_bytes: the bound of the file.
        max_waiting: the bound of reports that the thread has not written yet. Beyond it reports
            below `high` are dropped, at twice as many all are; a report says how many.
        fold_limit: how many of one fingerprint pass in each window.
        fold_window_s: the window, in seconds.
        clock: where time comes from.

    Attributes:
        lost: reports that never reached the file, by severity; also reported.
        evicted: reports that left the full file before they were forwarded, by severity; also
            reported.
        last_error: why the file cannot be written, or "".
    """

    def __init__(
        self,
        path: Path | str,
        *,
        machine: str = "",
        host: str = "",
        env: str = "",
        redact: Callable[[str], str] = _as_is,
        max_bytes: int = 64 * 1024 * 1024,
        max_waiting: int = 2_000,
        fold_limit: int = 20,
        fold_window_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if max_bytes < 4096:
            raise ErrorBusError(f"max_bytes of a spool must be at least 4096, not {max_bytes}")
        self.path = Path(path)
        self.machine, self.host, self.env = machine, host, env
        self.source = host if host.startswith(f"{machine}/") else f"{machine}/{host}"
        self.clock = clock
        self._redact = redact
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting
        self._folder = Folder(limit=fold_limit, window_s=fold_window_s)
        # A report may come from a finaliser that runs in the midst of another report of the same
        # thread.
        self._folder_lock = threading.RLock()
        self._queue: queue.SimpleQueue[Draft | _Command | str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.RLock()
        self._closed = False
        self._listeners: set[Callable[[], None]] = set()
        self._journal: Journal | None = None
        self._cursors = Cursors(self.path)
        self._position: Position = (0, 0)
        self._next_open = 0.0
        self._written = False
        self._unreported: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.evicted: Counter[str] = Counter()
        self.last_error = ""

    def offer(self, draft: Draft) -> str:
        """Take a report; return its id, or that of the report it is counted into. Never waits."""
        report = draft.report
        with self._folder_lock:
            was_counting = self._folder.is_counting()
            passed = self._folder.offer(report, self.clock.monotonic())
            if passed is None:
                if not was_counting:
                    # The thread sleeps without a limit; from now on it must watch the window.
                    self._queue.put("tick")
                return self._folder.folded_id(report.fingerprint) or report.id
        self._enqueue(draft)
        return report.id

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` from the spool's thread after reports were written."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Stop calling `listener`."""
        self._listeners.discard(listener)

    async def register(self, destination: str) -> None:
        """Keep reports until `destination` has acknowledged them."""
        await self._call(lambda: self._cursors.register(destination))

    async def read(self, destination: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The oldest reports that `destination` has not acknowledged, at most 256 KiB of them."""

        def work() -> list[dict[str, Any]]:
            found = self._opened().read_after(
                self._cursors.get(destination), limit=limit, max_bytes=MAX_FORWARD_BYTES
            )
            reports = []
            for (epoch, seq), body in found:
                data: dict[str, Any] = json.loads(body)
                data["epoch"], data["seq"] = epoch, seq
                reports.append(data)
            return reports

        result: list[dict[str, Any]] = await self._call(work)
        return result

    async def acknowledge(self, destination: str, epoch: int, seq: int) -> None:
        """`destination` has everything up to this position."""

        def work() -> None:
            self._cursors.advance(destination, (epoch, seq))
            journal = self._opened()
            done = self._cursors.done()
            if done is not None and done >= journal.last and journal.size_bytes > TRUNCATE_BYTES:
                journal.compact(done)

        await self._call(work)

    async def flush(self) -> None:
        """Return when every report taken so far is in the file, running counts included.

        Raises:
            ErrorBusError: the file cannot be written.
        """

        def work() -> None:
            self._write_folded(everything=True)
            self._write_losses()
            self._opened()

        await self._call(work)

    async def close(self) -> None:
        """Write what was taken, then release the folder."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """As `close`, for a process that is about to end: waits at most 5 s for the disk."""
        with self._start_lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
            thread = self._thread
        if thread is not None:
            thread.join(5.0)

    def _enqueue(self, draft: Draft) -> None:
        waiting = self._queue.qsize()
        limit = self._max_waiting * (2 if RANK[draft.report.severity] <= RANK["high"] else 1)
        if self._closed or waiting >= limit:
            self._count_lost(draft.report)
            return
        self._start()
        self._queue.put(draft)

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="aisys-spool", daemon=True)
                self._thread.start()

    async def _call(self, work: Callable[[], Any]) -> Any:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._start_lock:
            if self._closed:
                raise ErrorBusError(f"the spool {self.path} is closed")
            self._start()
            self._queue.put((work, future))
        return await asyncio.wrap_future(future)

    def _run(self) -> None:
        reporting.busy = True
        while True:
            item = self._next()
            if item is None:
                break
            if isinstance(item, Draft):
                self._write(item)
            elif isinstance(item, tuple):
                _run_command(*item)
            if self._queue.empty():
                self._write_folded()
                self._write_losses()
                if self._written:
                    # Only then: a forwarder that is woken reads, and its reading comes by here too.
                    self._written = False
                    self._notify()
        self._write_folded(everything=True)
        self._write_losses()
        if self._journal is not None:
            self._journal.close()

    def _next(self) -> Draft | _Command | str | None:
        try:
            waits = self._folder.is_counting() or bool(self._unreported)
            return self._queue.get(timeout=TICK_S if waits else None)
        except queue.Empty:
            return "tick"

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except RuntimeError:
                # Its event loop was closed before it could be removed.
                self._listeners.discard(listener)

    def _write(self, draft: Draft) -> None:
        try:
            report = finish(draft, self._redact)
            journal = self._opened()
            if journal.is_full():
                self._make_room(journal)
            self._append(journal, report)
            self.last_error = ""
        except Exception as error:  # noqa: BLE001 - one bad report must not end the thread
            self.last_error = str(error)
            self._count_lost(draft.report)

    def _append(self, journal: Journal, report: Report) -> None:
        position = (self._position[0], self._position[1] + 1)
        body = json.dumps(replace(report, epoch=position[0], seq=position[1]).to_dict())
        journal.append(body, RANK[report.severity], position, sync=report.severity == "critical")
        self._position = position
        self._written = True

    def _make_room(self, journal: Journal) -> None:
        gone = journal.compact(self._cursors.done())
        for rank, count in gone.items():
            self.evicted[SEVERITIES[rank]] += count
        if gone:
            what = ", ".join(f"{count} {SEVERITIES[rank]}" for rank, count in sorted(gone.items()))
            self._append(
                journal,
                self._own_report(
                    f"the error spool is full: dropped {what}", sum(gone.values()), "spool_full"
                ),
            )

    def _write_folded(self, *, everything: bool = False) -> None:
        with self._folder_lock:
            ended = self._folder.take_ended(self.clock.monotonic(), everything=everything)
        for report in ended:
            self._write(Draft(report, None))

    def _write_losses(self) -> None:
        if not self._unreported:
            return
        with self._folder_lock:
            losses, self._unreported = self._unreported, Counter()
        what = ", ".join(f"{losses[name]} {name}" for name in SEVERITIES if losses[name])
        report = self._own_report(
            f"reports were lost before they were stored: {what}", sum(losses.values()), "spool_lost"
        )
        try:
            self._append(self._opened(), report)
        except (OSError, ErrorBusError) as error:
            self.last_error = str(error)
            with self._folder_lock:
                self._unreported.update(losses)

    def _count_lost(self, report: Report) -> None:
        with self._folder_lock:
            self.lost[report.severity] += report.count
            self._unreported[report.severity] += report.count

    def _own_report(self, message: str, count: int, kind: str) -> Report:
        return Report(
            id=new_id("err"),
            at=self.clock.time(),
            severity="high",
            category="errorbus",
            message=message,
            machine=self.machine,
            host=self.host,
            env=self.env,
            fingerprint=kind,
            source=self.source,
            count=count,
        )

    def _opened(self) -> Journal:
        """The journal, opened if need be.

        Raises:
            ErrorBusError: it cannot be opened; tried again in 2 s at the earliest.
        """
        if self._journal is not None:
            return self._journal
        now = self.clock.monotonic()
        if now < self._next_open:
            raise ErrorBusError(self.last_error or f"{self.path}: cannot be opened")
        try:
            journal = Journal(self.path, max_bytes=self._max_bytes)
        except OSError as error:
            self._next_open = now + RETRY_OPEN_S
            self.last_error = f"{self.path}: {error.strerror or error}"
            raise ErrorBusError(self.last_error) from error
        except ErrorBusError as error:
            self._next_open = now + RETRY_OPEN_S
            self.last_error = str(error)
            raise
        # Later than everything that was ever numbered here, also if the folder was emptied
        # meanwhile.
        self._cursors.load()
        newest = max(journal.last[0], self._cursors.newest()[0])
        self._position = (max(newest + 1, int(self.clock.time() * 1000)), 0)
        self._journal = journal
        if journal.damaged_bytes:
            message = f"the error spool was damaged: {journal.damaged_bytes} bytes set aside"
            self._append(journal, self._own_report(message, 1, "spool_damaged"))
        return journal


def _run_command(work: Callable[[], Any], future: concurrent.futures.Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - goes to the one who asked
        future.set_exception(error)
