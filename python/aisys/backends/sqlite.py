"""An SQLite file with one writer thread that commits in groups, and one reader thread beside it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from aisys.backends.base import Durability
from aisys.backends.errors import BackendError, CorruptStore
from aisys.backends.worker import BatchThread, Job
from aisys.errors import Indefinite, Refused

T = TypeVar("T")

MIN_SQLITE: Final = (3, 35, 0)
JOURNAL_LIMIT_BYTES: Final = 16 * 1024 * 1024
_SYNCHRONOUS: Final = {"disk": "FULL", "process": "NORMAL"}


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file holds.

    Attributes:
        kind: what it is called in messages.
        application_id: the number in the file's header that tells one kind from another.
        version: the version that this code writes.
        statements: what creates the empty file.
    """

    kind: str
    application_id: int
    version: int
    statements: Sequence[str]


class SqliteFile:
    """Runs functions of a connection, on threads of its own.

    Functions given to `write` share a transaction with others that wait at the same time; each is
    undone by itself if it raises. `write` returns after the commit. Several processes may use the
    file: a writer waits up to `busy_timeout_s` for another one.

    Nothing is opened before the first use, so an object may be made before a fork.

    Attributes:
        commits: transactions committed.
        writes: functions that those transactions carried.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        durability: Durability = "disk",
        busy_timeout_s: float = 10.0,
        max_waiting: int = 10_000,
    ) -> None:
        if durability not in _SYNCHRONOUS:
            raise BackendError(f"a file's durability is 'disk' or 'process', not {durability!r}")
        if sqlite3.sqlite_version_info < MIN_SQLITE:
            raise BackendError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed, "
                "use a Python built with it"
            )
        self.path = path
        self.durability: Durability = durability
        self._schema = schema
        self._busy_timeout_s = busy_timeout_s
        self._is_checked = False
        self._writer_connection: sqlite3.Connection | None = None
        self._reader_connection: sqlite3.Connection | None = None
        name = f"{schema.kind}:{path.parent.name}"
        self._writer = BatchThread(
            f"{name}:write", self._run_writes, self._close_writer, max_waiting=max_waiting
        )
        self._reader = BatchThread(
            f"{name}:read", self._run_reads, self._close_reader, max_waiting=max_waiting
        )
        self.commits = 0
        self.writes = 0

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; return its result after the commit.

        Raises:
            Refused: `storage_full`: the disk is full, nothing was stored; `overloaded`: too many
                wait.
            Indefinite: the disk reported an error; the change may or may not be there.
            CorruptStore: the file is damaged.
            BackendError: another process held the file for too long.
        """
        return await self._writer.submit(work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a snapshot that holds every write acknowledged before."""
        return await self._reader.submit(work)

    async def close(self) -> None:
        """Finish what was accepted and close the file."""
        await self._reader.close()
        await self._writer.close()

    def _run_writes(self, batch: list[Job]) -> None:
        committing = False
        try:
            connection = self._writer_connection
            if connection is None:
                connection = self._writer_connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                _run_one(connection, job)
            committing = True
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            failure = self._explain(error, committing=committing)
            self._drop_writer(lost=not isinstance(failure, Refused))
            for job in batch:
                job.error = failure
            return
        self.commits += 1
        self.writes += len(batch)

    def _run_reads(self, batch: list[Job]) -> None:
        try:
            connection = self._reader_connection
            if connection is None:
                connection = self._reader_connection = self._open()
            connection.execute("BEGIN")
            for job in batch:
                try:
                    job.result = job.work(connection)
                except sqlite3.Error:
                    raise
                except Exception as error:  # noqa: BLE001 - goes to the one who asked
                    job.error = error
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            failure = self._explain(error, committing=False)
            self._close_reader()
            for job in batch:
                job.error = failure

    def _drop_writer(self, *, lost: bool) -> None:
        connection = self._writer_connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            lost = True
        if lost:
            # After a failed fsync the kernel may call dirty pages clean. Never sync again on this
            # handle: the next use opens the file anew, checks it and reads what is really there.
            self._is_checked = False
            self._close_writer()

    def _close_writer(self) -> None:
        if self._writer_connection is not None:
            self._writer_connection.close()
            self._writer_connection = None

    def _close_reader(self) -> None:
        if self._reader_connection is not None:
            self._reader_connection.close()
            self._reader_connection = None

    def _explain(self, error: Exception, *, committing: bool) -> Exception:
        text = str(error)
        if "is full" in text:
            return Refused(
                f"{self.path}: no space left: free some; nothing was stored", reason="storage_full"
            )
        if "locked" in text or "busy" in text:
            return BackendError(
                f"{self.path}: another process has held the file for {self._busy_timeout_s:g} s; "
                "nothing was stored"
            )
        if isinstance(error, sqlite3.DatabaseError) and (
            "malformed" in text or "not a data" in text
        ):
            return self._corrupt(text)
        if committing:
            return Indefinite(f"{self.path}: {text}: the change may or may not be stored")
        return BackendError(f"{self.path}: {text}; nothing was stored")

    def _corrupt(self, detail: str) -> CorruptStore:
        return CorruptStore(
            str(self.path),
            f"damaged {self._schema.kind} file: {detail}",
            "Stop its users, keep a copy, then restore a backup or recover what is left with "
            f"`sqlite3 {self.path} .recover`. Nothing was changed",
        )

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        if is_new:
            _sync_folder(self.path.parent)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._enter_wal(connection)
        connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[self.durability]}")
        connection.execute(f"PRAGMA journal_size_limit={JOURNAL_LIMIT_BYTES}")
        connection.execute("PRAGMA temp_store=MEMORY")
        if not self._is_checked:
            problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            if problems != ["ok"]:
                raise self._corrupt("; ".join(problems))
        if not self._has_schema(connection):
            # Only a new file needs the lock: another process may be making it as well.
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._has_schema(connection):
                    self._create_schema(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        self._is_checked = True

    def _enter_wal(self, connection: sqlite3.Connection) -> None:
        # SQLite does not wait for other processes here, so this does.
        limit = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > limit:
                    raise
                time.sleep(0.01)

    def _has_schema(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is one of ours; False if it is empty.

        Raises:
            CorruptStore: it is something else.
            BackendError: it is of a newer version.
        """
        schema = self._schema
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application_id == 0 and version == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise CorruptStore(
                    str(self.path),
                    f"an SQLite file of another program, not a {schema.kind} file",
                    "Choose another path",
                )
            return False
        if application_id != schema.application_id:
            raise CorruptStore(str(self.path), f"not a {schema.kind} file", "Choose another path")
        if version > schema.version:
            raise BackendError(
                f"{self.path}: written by a newer aisys (format {version}, this one knows "
                f"{schema.version}): upgrade aisys"
            )
        return True

    def _create_schema(self, connection: sqlite3.Connection) -> None:
        for statement in self._schema.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={self._schema.application_id}")
        connection.execute(f"PRAGMA user_version={self._schema.version}")


def _run_one(connection: sqlite3.Connection, job: Job) -> None:
    """Run one job of a group so that its failure undoes only itself."""
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except sqlite3.IntegrityError as error:
        connection.execute("ROLLBACK TO job")
        job.error = BackendError(str(error))
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - goes to the one who asked
        connection.execute("ROLLBACK TO job")
        job.error = error
    connection.execute("RELEASE job")


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable: its own fsync does not."""
    for path in (folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
