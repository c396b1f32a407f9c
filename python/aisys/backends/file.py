"""A store in a folder: one SQLite file, durable, shared by the processes of a machine."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from aisys.backends.base import (
    Backend,
    Durability,
    add_to_counter,
    check_key,
    check_max_items,
    check_ttl,
)
from aisys.backends.errors import WrongKind
from aisys.backends.sqlite import Schema, SqliteFile
from aisys.clock import SYSTEM_CLOCK, Clock

FILE_NAME: Final = "state.db"
SCAN_PAGE: Final = 500
SWEEP_EVERY_S: Final = 60.0
SWEEP_KEYS: Final = 500

SCHEMA: Final = Schema(
    kind="state",
    application_id=0x41495331,
    version=1,
    statements=(
        # A list is an entry without a value; its items are numbered first..next-1.
        (
            "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB, expires REAL, "
            "first INTEGER, next INTEGER)"
        ),
        "CREATE INDEX entries_expires ON entries (expires) WHERE expires IS NOT NULL",
        (
            "CREATE TABLE items (key TEXT, seq INTEGER, value BLOB NOT NULL, "
            "PRIMARY KEY (key, seq)) WITHOUT ROWID"
        ),
    ),
)

_PUT: Final = (
    "INSERT INTO entries (key, value, expires, first, next) VALUES (?, ?, ?, NULL, NULL) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires, "
    "first = NULL, next = NULL"
)

_Row = tuple[bytes | None, float | None, int | None, int | None]


class FileBackend(Backend):
    """One SQLite file `state.db` in `folder` (made 0700 if absent), in WAL mode.

    A write returns after its commit, by default synced to the disk (`durability="disk"`); writes
    that wait at the same time share one commit. `durability="process"` survives `kill -9` but not
    power loss. Do not put the folder on a network file system.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        durability: Durability = "disk",
        busy_timeout_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.folder = Path(folder)
        self._clock = clock
        self._next_sweep = 0.0
        self.file = SqliteFile(
            self.folder / FILE_NAME,
            SCHEMA,
            durability=durability,
            busy_timeout_s=busy_timeout_s,
        )

    @property
    def durability(self) -> Durability:
        """As given to the constructor."""
        return self.file.durability

    async def open(self) -> None:
        """Open and check the file now.

        Raises:
            CorruptStore: the file is damaged or something else.
        """
        await self.file.write(lambda _: None)

    async def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""
        check_key(key)
        now = self._clock.time()
        return await self.file.read(lambda db: _value(db, key, now))

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store `value`."""
        await self.mset({key: value}, ttl_s=ttl_s)

    async def delete(self, *keys: str) -> int:
        """Remove the keys; return how many existed."""
        for key in keys:
            check_key(key)
        now = self._clock.time()
        return await self.file.write(
            lambda db: sum(_live(db, key, now) is not None and _drop(db, key) for key in keys)
        )

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`."""
        wanted = list(keys)
        for key in wanted:
            check_key(key)
        now = self._clock.time()

        def read(db: sqlite3.Connection) -> list[bytes | None]:
            rows = [_live(db, key, now) for key in wanted]
            return [None if row is None else row[0] for row in rows]

        return await self.file.read(read)

    async def mset(self, items: Mapping[str, bytes], *, ttl_s: float | None = None) -> None:
        """Store all items, or none."""
        check_ttl(ttl_s)
        copies = {key: bytes(value) for key, value in items.items()}
        for key in copies:
            check_key(key)
        now = self._clock.time()

        def write(db: sqlite3.Connection) -> None:
            self._sweep(db, now)
            for key, value in copies.items():
                _put(db, key, value, _expiry(now, ttl_s))

        await self.file.write(write)

    async def incr(self, key: str, amount: int = 1) -> int:
        """Add `amount`; return the new number."""
        check_key(key)
        now = self._clock.time()

        def write(db: sqlite3.Connection) -> int:
            row = _live(db, key, now)
            total = add_to_counter(key, None if row is None else _value_of(key, row), amount)
            _put(db, key, str(total).encode(), None if row is None else row[1])
            return total

        return await self.file.write(write)

    async def compare_and_set(
        self, key: str, expected: bytes | None, new: bytes | None, *, ttl_s: float | None = None
    ) -> bool:
        """Store `new` only if the key holds `expected`."""
        check_key(key)
        check_ttl(ttl_s)
        copy = None if new is None else bytes(new)
        now = self._clock.time()

        def write(db: sqlite3.Connection) -> bool:
            if _value(db, key, now) != expected:
                return False
            if copy is None:
                _drop(db, key)
            else:
                _put(db, key, copy, _expiry(now, ttl_s))
            return True

        return await self.file.write(write)

    async def scan(self, prefix: str = "") -> AsyncIterator[str]:
        """The keys that begin with `prefix`, sorted."""
        after: str | None = None
        while True:
            page = await self._scan_page(prefix, after)
            for key in page:
                yield key
            if len(page) < SCAN_PAGE:
                return
            after = page[-1]

    async def append(
        self, key: str, values: Sequence[bytes], *, max_items: int | None = None
    ) -> int:
        """Add values to the end of the list."""
        check_key(key)
        check_max_items(max_items)
        copies = [bytes(value) for value in values]
        now = self._clock.time()
        return await self.file.write(lambda db: _append(db, key, copies, max_items, now))

    async def read_list(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The items `start:stop`."""
        check_key(key)
        now = self._clock.time()

        def read(db: sqlite3.Connection) -> list[bytes]:
            bounds = _bounds(db, key, now)
            if bounds is None:
                return []
            first, end = bounds
            low, high, _ = slice(start, stop).indices(end - first)
            rows = db.execute(
                "SELECT value FROM items WHERE key = ? AND seq >= ? AND seq < ? ORDER BY seq",
                (key, first + low, first + high),
            )
            return [row[0] for row in rows]

        return await self.file.read(read)

    async def close(self) -> None:
        """Finish what was accepted and close the file."""
        await self.file.close()

    async def _scan_page(self, prefix: str, after: str | None) -> list[str]:
        now = self._clock.time()

        def read(db: sqlite3.Connection) -> list[str]:
            page: list[str] = []
            rows = db.execute(
                "SELECT key, expires FROM entries WHERE key >= ? AND key > ? ORDER BY key",
                (prefix, after or ""),
            )
            for key, expires in rows:
                if not key.startswith(prefix) or len(page) == SCAN_PAGE:
                    break
                if expires is None or expires > now:
                    page.append(key)
            return page

        return await self.file.read(read)

    def _sweep(self, db: sqlite3.Connection, now: float) -> None:
        # Expired keys are invisible at once; their space comes back here, a little at a time.
        tick = self._clock.monotonic()
        if tick < self._next_sweep:
            return
        self._next_sweep = tick + SWEEP_EVERY_S
        expired = db.execute(
            "SELECT key FROM entries WHERE expires <= ? LIMIT ?", (now, SWEEP_KEYS)
        ).fetchall()
        for (key,) in expired:
            _drop(db, key)


def _expiry(now: float, ttl_s: float | None) -> float | None:
    return None if ttl_s is None else now + ttl_s


def _live(db: sqlite3.Connection, key: str, now: float) -> _Row | None:
    row: _Row | None = db.execute(
        "SELECT value, expires, first, next FROM entries WHERE key = ?", (key,)
    ).fetchone()
    return None if row is None or (row[1] is not None and row[1] <= now) else row


def _value_of(key: str, row: _Row) -> bytes:
    if row[0] is None:
        raise WrongKind(f"{key!r} holds a list: use read_list()")
    return row[0]


def _value(db: sqlite3.Connection, key: str, now: float) -> bytes | None:
    row = _live(db, key, now)
    return None if row is None else _value_of(key, row)


def _bounds(db: sqlite3.Connection, key: str, now: float) -> tuple[int, int] | None:
    row = _live(db, key, now)
    if row is None:
        return None
    if row[2] is None or row[3] is None:
        raise WrongKind(f"{key!r} holds a value, not a list")
    return row[2], row[3]


def _put(db: sqlite3.Connection, key: str, value: bytes, expires: float | None) -> None:
    db.execute("DELETE FROM items WHERE key = ?", (key,))
    db.execute(_PUT, (key, value, expires))


def _drop(db: sqlite3.Connection, key: str) -> bool:
    db.execute("DELETE FROM items WHERE key = ?", (key,))
    return db.execute("DELETE FROM entries WHERE key = ?", (key,)).rowcount > 0


def _append(
    db: sqlite3.Connection, key: str, values: list[bytes], max_items: int | None, now: float
) -> int:
    bounds = _bounds(db, key, now)
    if not values:
        return 0 if bounds is None else bounds[1] - bounds[0]
    if bounds is None:
        # What is left of an expired key must not come back to life.
        _drop(db, key)
        db.execute("INSERT INTO entries (key, first, next) VALUES (?, 0, 0)", (key,))
    first, end = bounds or (0, 0)
    db.executemany(
        "INSERT INTO items (key, seq, value) VALUES (?, ?, ?)",
        [(key, end + number, value) for number, value in enumerate(values)],
    )
    end += len(values)
    if max_items is not None and end - first > max_items:
        first = end - max_items
        db.execute("DELETE FROM items WHERE key = ? AND seq < ?", (key, first))
    db.execute("UPDATE entries SET first = ?, next = ? WHERE key = ?", (first, end, key))
    return end - first
