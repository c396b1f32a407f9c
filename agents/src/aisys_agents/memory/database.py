"""A SQLite file of one agent: one writer thread with group commit and one reader thread.

A write is durable when its await returns: the journal is WAL with `synchronous=FULL`, so neither
`kill -9` nor a power cut takes an acknowledged write. Writes that wait together share one commit,
each inside a savepoint of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from aisys_agents.memory.errors import StoreFailed, StoreFull

__all__ = ["Database"]

T = TypeVar("T")
Work = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]

_BUSY_MS = 5_000
_GROUP = 256
_WAL_BYTES = 16 * 1024 * 1024


def _named(error: sqlite3.Error, path: Path) -> StoreFailed:
    text = f"{path}: {error}"
    full = "full" in str(error).lower()
    return StoreFull(text) if full else StoreFailed(text)


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_MS / 1000,
        check_same_thread=False,
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        raise StoreFailed(
            f"{path} has format {version}, newer than this version's {len(migrations)}: "
            "upgrade aisys-agents or restore a backup"
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")


class Database:
    """One SQLite file, opened by one process.

    Args:
        path: the file; its folder is made.
        migrations: SQL scripts, one for each version of the format; the file is brought to
            the last.
        max_waiting: how many writes may wait before `StoreFull` refuses another.
    """

    def __init__(self, path: Path, migrations: Sequence[str], *, max_waiting: int = 10_000) -> None:
        self.path = path
        self._migrations = migrations
        self._work: queue.Queue[Work | None] = queue.Queue(max_waiting)
        self._thread: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file, creating or migrating it.

        Raises:
            StoreFailed: the file cannot be opened, is not a database, or is of a newer format.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as opened:
                writer = opened.enter_context(
                    contextlib.closing(_connect(self.path, read_only=False))
                )
                _migrate(writer, self.path, self._migrations)
                reader = opened.enter_context(
                    contextlib.closing(_connect(self.path, read_only=True))
                )
                opened.pop_all()
        except sqlite3.Error as error:
            raise _named(error, self.path) from error
        except OSError as error:
            raise StoreFailed(f"{self.path}: {error}") from error
        self._writer, self._reader = writer, reader
        self._readers = ThreadPoolExecutor(1, thread_name_prefix=f"read-{self.path.stem}")
        self._thread = threading.Thread(
            target=self._write_loop,
            args=(writer,),
            name=f"write-{self.path.stem}",
            daemon=True,
        )
        self._thread.start()

    async def close(self) -> None:
        """Finish the writes that wait, then close the file."""
        thread, readers = self._thread, self._readers
        self._thread = self._readers = None
        if thread is not None:
            await asyncio.to_thread(self._work.put, None)
            await asyncio.to_thread(thread.join)
        if readers is not None:
            await asyncio.to_thread(readers.shutdown)
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change in the writer thread; it is on the disk when this returns.

        Args:
            change: called with the connection, inside a transaction that it must neither commit nor
                leave open. What it raises undoes only what it did itself.

        Raises:
            StoreFull: the disk is full, or too many writes wait.
            StoreFailed: SQLite refused, or the database is closed.
        """
        if self._thread is None:
            raise StoreFailed(f"{self.path} is not open")
        done: Future[T] = Future()
        try:
            self._work.put_nowait((change, done))
        except queue.Full:
            raise StoreFull(f"{self.path}: {self._work.maxsize} writes wait already") from None
        return await asyncio.wrap_future(done)

    async def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query in the reader thread; it sees every write acknowledged before.

        Raises:
            StoreFailed: SQLite refused, or the database is closed.
        """
        readers, connection = self._readers, self._reader
        if readers is None or connection is None:
            raise StoreFailed(f"{self.path} is not open")

        def run() -> T:
            try:
                return look(connection)
            except sqlite3.Error as error:
                raise _named(error, self.path) from error

        return await asyncio.get_running_loop().run_in_executor(readers, run)

    async def backup(self, target: Path) -> None:
        """Write a consistent copy to `target`, replacing it whole or not at all.

        Raises:
            StoreFailed: the copy could not be made.
        """

        def copy(connection: sqlite3.Connection) -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".unfinished")
            unfinished.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(unfinished)) as other:
                connection.backup(other)
            unfinished.replace(target)

        await self.read(copy)

    def _write_loop(self, connection: sqlite3.Connection) -> None:
        while True:
            work = self._work.get()
            group: list[Work] = []
            while work is not None:
                group.append(work)
                if len(group) >= _GROUP:
                    break
                try:
                    work = self._work.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._commit(connection, group)
            if work is None:
                return

    def _commit(self, connection: sqlite3.Connection, group: list[Work]) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for change, done in group:
                if done.set_running_or_notify_cancel():
                    outcomes.append((done, *self._apply(connection, change)))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = _named(error, self.path)
            finished = {id(done) for done, _, _ in outcomes}
            for _, done in group:
                if id(done) in finished or done.set_running_or_notify_cancel():
                    done.set_exception(failure)
            return
        for done, result, problem in outcomes:
            if problem is None:
                done.set_result(result)
            else:
                done.set_exception(problem)

    def _apply(
        self, connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], Any]
    ) -> tuple[Any, BaseException | None]:
        connection.execute("SAVEPOINT one")
        try:
            result = change(connection)
        except Exception as error:
            # A full disk makes SQLite roll the whole transaction back on its own.
            if not connection.in_transaction:
                raise sqlite3.OperationalError(str(error)) from error
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
            problem = _named(error, self.path) if isinstance(error, sqlite3.Error) else error
            return None, problem
        connection.execute("RELEASE one")
        return result, None
