"""The file backend: what a file adds to the contract."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from aisys.backends import BackendError, CorruptStore, FileBackend
from aisys.errors import Refused


async def test_values_lists_and_counters_survive_a_restart(tmp_path: Path) -> None:
    """A new object on the same folder sees everything."""
    first = FileBackend(tmp_path)
    await first.set("v", b"1")
    await first.append("l", [b"a", b"b"])
    await first.incr("n", 7)
    await first.set("short", b"x", ttl_s=1000)
    await first.close()
    second = FileBackend(tmp_path)
    assert await second.mget(["v", "n", "short"]) == [b"1", b"7", b"x"]
    assert await second.read_list("l") == [b"a", b"b"]
    assert await second.append("l", [b"c"]) == 3
    await second.close()


async def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    """An object made before a fork holds no file and no thread."""
    before = threading.active_count()
    backend = FileBackend(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    assert threading.active_count() == before
    await backend.close()


async def test_the_folder_is_private(tmp_path: Path) -> None:
    """Made 0700."""
    backend = FileBackend(tmp_path / "a" / "b")
    await backend.open()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    await backend.close()


async def test_disk_is_the_default_and_means_full_sync(tmp_path: Path) -> None:
    """SQLite reports synchronous=FULL in WAL mode."""
    backend = FileBackend(tmp_path)
    assert backend.durability == "disk"

    def pragmas(db: sqlite3.Connection) -> tuple[object, object]:
        return (
            db.execute("PRAGMA synchronous").fetchone()[0],
            db.execute("PRAGMA journal_mode").fetchone()[0],
        )

    assert await backend.file.write(lambda _: None) is None
    assert await backend.file.read(pragmas) == (2, "wal")
    await backend.close()


async def test_writes_that_wait_share_a_commit(tmp_path: Path) -> None:
    """A thousand writes at once take far fewer commits, and all are there."""
    backend = FileBackend(tmp_path)
    await backend.open()
    before = backend.file.commits
    await asyncio.gather(*[backend.set(f"k{n}", b"v") for n in range(1000)])
    assert backend.file.commits - before <= 20
    assert await backend.mget([f"k{n}" for n in range(1000)]) == [b"v"] * 1000
    await backend.close()


async def test_one_refused_write_does_not_undo_its_group(tmp_path: Path) -> None:
    """A write that raises is undone by itself."""
    backend = FileBackend(tmp_path)
    await backend.append("list", [b"x"])
    results = await asyncio.gather(
        backend.set("a", b"1"), backend.incr("list"), backend.set("b", b"2"), return_exceptions=True
    )
    assert isinstance(results[1], BackendError)
    assert await backend.mget(["a", "b"]) == [b"1", b"2"]
    await backend.close()


async def test_the_loop_runs_while_another_process_holds_the_file(tmp_path: Path) -> None:
    """A writer waits on its thread; reads and the event loop go on; the wait has an end."""
    backend = FileBackend(tmp_path, busy_timeout_s=0.3)
    await backend.set("k", b"v")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(backend.set("k", b"w"))
    turns = 0
    while not waiting.done():
        assert await backend.get("k") == b"v"
        turns += 1
    assert turns > 10
    with pytest.raises(BackendError, match="another process"):
        await waiting
    other.execute("ROLLBACK")
    other.close()
    await backend.set("k", b"w")
    assert await backend.get("k") == b"w"
    await backend.close()


@pytest.mark.parametrize(
    "content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\x00" * 500]
)
async def test_a_file_of_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    """The error names the file; the file stays as it was."""
    path = tmp_path / "state.db"
    path.write_bytes(content)
    backend = FileBackend(tmp_path)
    with pytest.raises(CorruptStore, match=r"state\.db"):
        await backend.open()
    await backend.close()
    assert path.read_bytes() == content


async def test_a_damaged_file_is_found_when_it_is_opened(tmp_path: Path) -> None:
    """Garbage in the middle of a page: no guess is made."""
    backend = FileBackend(tmp_path)
    await backend.mset({f"k{n}": os.urandom(300) for n in range(500)})
    await backend.close()
    path = tmp_path / "state.db"
    with path.open("r+b") as file:
        for page in range(4, 30):
            file.seek(page * 4096)
            file.write(os.urandom(2000))
    damaged = FileBackend(tmp_path)
    with pytest.raises(CorruptStore, match="recover"):
        await damaged.open()
    await damaged.close()


async def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """An SQLite file with tables of somebody else is refused."""
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    backend = FileBackend(tmp_path)
    with pytest.raises(CorruptStore, match="another program"):
        await backend.get("k")
    await backend.close()


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A file of a later aisys is not touched."""
    backend = FileBackend(tmp_path)
    await backend.open()
    await backend.close()
    raw = sqlite3.connect(tmp_path / "state.db")
    raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(BackendError, match="upgrade"):
        await FileBackend(tmp_path).open()


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Nothing is stored while it is full; when there is room again it goes on by itself."""
    backend = FileBackend(tmp_path)
    await backend.set("before", b"1")
    await backend.file.write(lambda db: db.execute("PRAGMA max_page_count=8").fetchone())
    with pytest.raises(Refused) as caught:
        await backend.set("big", b"x" * 200_000)
    assert caught.value.reason == "storage_full"
    assert await backend.mget(["before", "big"]) == [b"1", None]
    await backend.file.write(lambda db: db.execute("PRAGMA max_page_count=100000").fetchone())
    await backend.set("big", b"x" * 200_000)
    await backend.close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The error tells the path, and that nothing was stored."""
    (tmp_path / "file").write_text("")
    backend = FileBackend(tmp_path / "file" / "state")
    with pytest.raises(BackendError, match="nothing was stored"):
        await backend.set("k", b"v")
    await backend.close()


async def test_waiting_writes_are_bounded(tmp_path: Path) -> None:
    """More than the bound are refused at once, those before are done."""
    backend = FileBackend(tmp_path)
    await backend.open()
    backend.file._writer._max_waiting = 50
    gate = threading.Event()
    held = asyncio.ensure_future(backend.file.write(lambda _: gate.wait(10.0)))
    results = [asyncio.ensure_future(backend.set(f"k{n}", b"v")) for n in range(200)]
    await asyncio.sleep(0)
    gate.set()
    ended = await asyncio.gather(*results, return_exceptions=True)
    assert await held
    refused = [error for error in ended if isinstance(error, Refused)]
    assert refused
    assert {error.reason for error in refused} == {"overloaded"}
    assert ended.count(None) == 200 - len(refused) >= 49
    await backend.close()


async def test_a_closed_backend_refuses(tmp_path: Path) -> None:
    """It does not open again by itself."""
    backend = FileBackend(tmp_path)
    await backend.set("k", b"v")
    await backend.close()
    for call in (backend.get("k"), backend.set("k", b"v")):
        with pytest.raises(Refused, match="closed"):
            await call


async def test_expired_keys_give_their_space_back(tmp_path: Path) -> None:
    """A later write removes them from the file."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

        def time(self) -> float:
            return self.now

        async def sleep(self, seconds: float) -> None:
            self.now += seconds

    clock = Clock()
    backend = FileBackend(tmp_path, clock=clock)
    await backend.mset({f"k{n}": b"v" for n in range(20)}, ttl_s=5)
    clock.now += 100
    assert [key async for key in backend.scan()] == []
    await backend.set("new", b"v")
    count = "SELECT count(*) FROM entries"
    assert await backend.file.read(lambda db: db.execute(count).fetchone()[0]) == 1
    await backend.close()
