"""The SQLite file of an agent: group commit, isolation of failures, durability."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from aisys_agents.memory import store
from aisys_agents.memory.database import Database
from aisys_agents.memory.errors import StoreFailed, StoreFull
from support.waiting import eventually_sync

TABLE = ("CREATE TABLE t(x INTEGER PRIMARY KEY) STRICT;",)


async def opened(path: Path, **options: int) -> Database:
    database = Database(path, TABLE, **options)
    await database.open()
    return database


def insert(number: int) -> object:
    return lambda db: db.execute("INSERT INTO t VALUES(?)", (number,)).lastrowid


async def count(database: Database) -> int:
    return await database.read(lambda db: int(db.execute("SELECT count(*) FROM t").fetchone()[0]))


async def test_a_write_is_seen_by_the_next_read_and_after_reopening(tmp_path: Path) -> None:
    """What was acknowledged is there, for this process and the next."""
    database = await opened(tmp_path / "a.sqlite3")
    assert await database.write(lambda db: db.execute("INSERT INTO t VALUES(7)").lastrowid) == 7
    assert await count(database) == 1
    await database.close()
    database = await opened(tmp_path / "a.sqlite3")
    assert await count(database) == 1
    await database.close()


async def test_a_failing_write_undoes_only_itself(tmp_path: Path) -> None:
    """Writes that share a commit do not share their failures."""
    database = await opened(tmp_path / "a.sqlite3")

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES(100)")
        raise KeyError("on purpose")

    outcomes = await asyncio.gather(
        *(
            database.write(lambda db, n=n: db.execute("INSERT INTO t VALUES(?)", (n,)))
            for n in range(5)
        ),
        database.write(half),
        database.write(lambda db: db.execute("INSERT INTO t VALUES(0)")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes[5:]] == [KeyError, StoreFailed]
    assert await count(database) == 5
    await database.close()


async def test_a_full_waiting_list_refuses(tmp_path: Path) -> None:
    """The list of writes that wait is bounded, and says so."""
    database = await opened(tmp_path / "a.sqlite3", max_waiting=2)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(db: sqlite3.Connection) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)

    first = asyncio.ensure_future(database.write(wait))
    while True:
        waiting = [
            asyncio.ensure_future(database.write(lambda db: db.execute("SELECT 1")))
            for _ in range(4)
        ]
        await asyncio.sleep(0)
        full = [task for task in waiting if task.done() and isinstance(task.exception(), StoreFull)]
        if full:
            break
    gate.set()
    await first
    await asyncio.gather(*waiting, return_exceptions=True)
    await database.close()


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    """Neither reading nor writing hangs before opening or after closing."""
    database = Database(tmp_path / "a.sqlite3", TABLE)
    with pytest.raises(StoreFailed, match="not open"):
        await database.write(lambda db: None)
    await database.open()
    await database.close()
    with pytest.raises(StoreFailed, match="not open"):
        await database.read(lambda db: None)


async def test_what_is_not_a_database_is_named(tmp_path: Path) -> None:
    """A file of something else is refused with its path, and left alone."""
    path = tmp_path / "a.sqlite3"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreFailed, match=r"a\.sqlite3"):
        await Database(path, TABLE).open()
    assert path.read_bytes().startswith(b"not a database")


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """An old version does not touch what a newer one wrote."""
    path = tmp_path / "a.sqlite3"
    await (await opened(path)).close()
    with pytest.raises(StoreFailed, match="newer"):
        await Database(path, ()).open()


async def test_a_backup_is_a_whole_database(tmp_path: Path) -> None:
    """The copy opens and has what the original has."""
    database = await opened(tmp_path / "a.sqlite3")
    await database.write(lambda db: db.execute("INSERT INTO t VALUES(1)"))
    await database.backup(tmp_path / "copies" / "b.sqlite3")
    await database.close()
    copy = await opened(tmp_path / "copies" / "b.sqlite3")
    assert await count(copy) == 1
    await copy.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from aisys_agents.memory import store
from aisys_agents.memory.database import Database

async def main():
    database = Database(Path(sys.argv[1]), store.MIGRATIONS)
    await database.open()
    number = 0
    async def one(lane):
        nonlocal number
        while True:
            number += 1
            item = {"content": f"memory {number}", "memory_id": f"mem_{lane}_{number}"}
            await database.write(lambda db: store.add(db, [item], 1.0))
            sys.stdout.write(item["memory_id"] + "\\n")
            sys.stdout.flush()
    await asyncio.gather(*(one(lane) for lane in range(8)))

asyncio.run(main())
"""


def write_and_kill(path: Path, acknowledged: Path) -> int:
    """Run the writer until it has acknowledged a few hundred memories, kill it, give its code."""
    with acknowledged.open("wb") as output:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=output)
        try:
            eventually_sync(lambda: acknowledged.stat().st_size > 5_000, 30.0)
        finally:
            os.kill(writer.pid, signal.SIGKILL)
        return writer.wait()


@pytest.mark.fault
async def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After `kill -9` in the middle of writing every acknowledged memory is in the file."""
    path = tmp_path / "memories.sqlite3"
    acknowledged = tmp_path / "acknowledged"
    assert write_and_kill(path, acknowledged) == -signal.SIGKILL
    ids = acknowledged.read_text().splitlines()
    assert len(ids) > 200
    database = Database(path, store.MIGRATIONS)
    await database.open()
    kept = await database.read(
        lambda db: {row[0] for row in db.execute("SELECT memory_id FROM memories")}
    )
    sound = await database.read(lambda db: db.execute("PRAGMA integrity_check").fetchone()[0])
    await database.close()
    # The last line may be cut by the kill; a whole one was acknowledged.
    whole = ids if acknowledged.read_text().endswith("\n") else ids[:-1]
    assert set(whole) <= kept
    assert sound == "ok"
