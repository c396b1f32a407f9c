"""Where the reports of all sources end up, searchable."""

from __future__ import annotations

import asyncio
import builtins
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from aisys import json
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errorbus.errors import ErrorBusError
from aisys.errorbus.report import RANK, Report, Severity

T = TypeVar("T")

APPLICATION_ID: Final = 0x41495332
VERSION: Final = 1
MAX_SOURCES: Final = 10_000
RETAIN_EVERY: Final = 500
MAX_LIST: Final = 10_000
GROUPS: Final = ("severity", "agent", "machine", "category", "fingerprint", "error_type")

_SCHEMA: Final = (
    """CREATE TABLE reports (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL, at REAL NOT NULL, rank INTEGER NOT NULL,
        severity TEXT NOT NULL, category TEXT NOT NULL, agent TEXT NOT NULL, machine TEXT NOT NULL,
        error_type TEXT NOT NULL, fingerprint TEXT NOT NULL, count INTEGER NOT NULL,
        body BLOB NOT NULL)""",
    "CREATE INDEX reports_at ON reports (at)",
    "CREATE INDEX reports_id ON reports (id)",
    "CREATE INDEX reports_agent ON reports (agent, at)",
    """CREATE TABLE sources (
        source TEXT, epoch INTEGER, seq INTEGER NOT NULL, seen REAL NOT NULL,
        PRIMARY KEY (source, epoch)) WITHOUT ROWID""",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={VERSION}",
)


class Collector:
    """Keeps reports in one SQLite file, each once, bounded in number and age.

    Args:
        path: the file; its folder is made 0700.
        max_reports: beyond it the oldest go.
        max_age_s: older ones go.
        clock: where time comes from.

    Attributes:
        duplicates: reports that came again.
        invalid: what came and was no report.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        max_reports: int = 100_000,
        max_age_s: float = 30 * 86_400.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.path = Path(path)
        self._max_reports = max_reports
        self._max_age_s = max_age_s
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aisys-collector")
        self._since_retention = RETAIN_EVERY
        self.duplicates = 0
        self.invalid = 0

    async def ingest(self, reports: Iterable[Mapping[str, Any]]) -> int:
        """Keep what is new; return how many were. What is no report is counted and left out.

        Raises:
            ErrorBusError: the file cannot be written; nothing was kept.
        """
        checked = []
        for data in reports:
            try:
                checked.append(Report.from_dict(data))
            except (ErrorBusError, TypeError):
                self.invalid += 1
        return await self._run(lambda db: self._ingest(db, checked)) if checked else 0

    async def list(
        self,
        *,
        agent: str | None = None,
        machine: str | None = None,
        severity: Severity | None = None,
        at_least: Severity | None = None,
        category: str | None = None,
        fingerprint: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> builtins.list[Report]:
        """The newest reports first.

        Args:
            agent: only of this agent.
            machine: only of this machine.
            severity: only of this severity.
            at_least: only of this severity or worse.
            category: only of this category.
            fingerprint: only of this kind.
            since: only at or after this time, seconds since the epoch.
            limit: at most so many, never more than 10,000.
        """
        wanted = {
            "agent = ?": agent,
            "machine = ?": machine,
            "severity = ?": severity,
            "rank <= ?": None if at_least is None else RANK[at_least],
            "category = ?": category,
            "fingerprint = ?": fingerprint,
            "at >= ?": since,
        }
        return await self._run(
            lambda db: _select(db, wanted, "ORDER BY at DESC, number DESC", min(limit, MAX_LIST))
        )

    async def get(self, report_id: str) -> Report | None:
        """The report with this id."""
        found = await self._run(lambda db: _select(db, {"id = ?": report_id}, "", 1))
        return found[0] if found else None

    async def count(self, by: str = "severity", *, since: float | None = None) -> dict[str, int]:
        """How many errors there were, folded ones counted, by `severity`, `agent`, ...

        Raises:
            ErrorBusError: they cannot be counted by that.
        """
        if by not in GROUPS:
            raise ErrorBusError(
                f"reports cannot be counted by {by!r}: use one of {', '.join(GROUPS)}"
            )
        sql = f"SELECT {by}, sum(count) FROM reports WHERE at >= ? GROUP BY {by}"  # noqa: S608
        return await self._run(lambda db: dict(db.execute(sql, (since or 0.0,)).fetchall()))

    async def close(self) -> None:
        """Close the file."""

        def work() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        await asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def guarded() -> T:
            try:
                if self._connection is None:
                    self._connection = self._open()
                return work(self._connection)
            except sqlite3.Error as error:
                raise ErrorBusError(f"{self.path}: {error}") from error

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)
        except RuntimeError as error:
            raise ErrorBusError(f"the collector {self.path} is closed") from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA journal_size_limit=4194304")
            self._check_schema(db)
        except BaseException:
            db.close()
            raise
        return db

    def _check_schema(self, db: sqlite3.Connection) -> None:
        application_id = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if (application_id, version) == (0, 0):
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                db.execute(statement)
            db.execute("COMMIT")
        elif (application_id, version) != (APPLICATION_ID, VERSION):
            raise ErrorBusError(f"{self.path}: not a file of reports, or of a newer aisys")

    def _ingest(self, db: sqlite3.Connection, reports: builtins.list[Report]) -> int:
        now = self._clock.time()
        new = 0
        db.execute("BEGIN IMMEDIATE")
        try:
            for report in reports:
                if _advance(db, report, now):
                    _insert(db, report)
                    new += 1
            self._since_retention += new
            if self._since_retention >= RETAIN_EVERY:
                self._retain(db, now)
                self._since_retention = 0
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        self.duplicates += len(reports) - new
        return new

    def _retain(self, db: sqlite3.Connection, now: float) -> None:
        db.execute("DELETE FROM reports WHERE at < ?", (now - self._max_age_s,))
        total = db.execute("SELECT count(*) FROM reports").fetchone()[0]
        db.execute(
            "DELETE FROM reports WHERE number IN "
            "(SELECT number FROM reports ORDER BY number LIMIT ?)",
            (max(0, total - self._max_reports),),
        )
        total = db.execute("SELECT count(*) FROM sources").fetchone()[0]
        db.execute(
            "DELETE FROM sources WHERE (source, epoch) IN "
            "(SELECT source, epoch FROM sources ORDER BY seen LIMIT ?)",
            (max(0, total - MAX_SOURCES),),
        )


def _advance(db: sqlite3.Connection, report: Report, now: float) -> bool:
    """Whether the report is new. A source's order is kept, so its last number tells."""
    changed = db.execute(
        "INSERT INTO sources (source, epoch, seq, seen) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (source, epoch) DO UPDATE SET seq = excluded.seq, seen = excluded.seen "
        "WHERE excluded.seq > sources.seq",
        (report.source, report.epoch, report.seq, now),
    )
    return changed.rowcount > 0


def _insert(db: sqlite3.Connection, report: Report) -> None:
    db.execute(
        "INSERT INTO reports (id, at, rank, severity, category, agent, machine, error_type, "
        "fingerprint, count, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            report.id,
            report.at,
            RANK[report.severity],
            report.severity,
            report.category,
            report.agent,
            report.machine,
            report.error_type,
            report.fingerprint,
            report.count,
            json.dumps(report.to_dict()),
        ),
    )


def _select(
    db: sqlite3.Connection, wanted: Mapping[str, Any], order: str, limit: int
) -> builtins.list[Report]:
    used = {condition: value for condition, value in wanted.items() if value is not None}
    where = f"WHERE {' AND '.join(used)}" if used else ""
    sql = f"SELECT body FROM reports {where} {order} LIMIT ?"  # noqa: S608 - our own words only
    rows = db.execute(sql, (*used.values(), limit))
    return [Report.from_dict(json.loads(row[0])) for row in rows]
