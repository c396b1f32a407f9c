"""State: what an agent sees."""

from __future__ import annotations

import asyncio
import gc
import stat
from pathlib import Path

import pytest

from aisys.backends import BackendError, FileBackend, MemoryBackend, State, WrongKind, open_backend


async def test_json_values_come_back() -> None:
    """Any JSON value, and a default for what is absent."""
    state = State(MemoryBackend(), "Tutor")
    for value in (None, True, 0, -1.5, "ä", [1, [2]], {"a": {"b": None}}):
        await state.set("k", value)
        assert await state.get("k", "default") == value
    assert await state.get("absent") is None
    assert await state.get("absent", 7) == 7


async def test_what_is_not_json_is_refused() -> None:
    """Nothing is stored."""
    state = State(MemoryBackend(), "Tutor")
    with pytest.raises(TypeError):
        await state.set("k", object())
    assert await state.keys() == []


async def test_namespaces_do_not_meet() -> None:
    """Two agents in one backend, also when one's name begins with the other's."""
    backend = MemoryBackend()
    one, two = State(backend, "Memory"), State(backend, "MemoryGraph")
    await one.set("k", 1)
    await two.set("k", 2)
    await two.set("l", 2)
    assert await one.keys() == ["k"]
    assert await two.keys() == ["k", "l"]
    assert await one.get("k") == 1
    assert await one.delete("k", "l") == 1
    assert await two.get("k") == 2


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 200])
def test_a_namespace_is_a_plain_name(name: str) -> None:
    """It becomes part of keys and paths."""
    with pytest.raises(BackendError):
        State(MemoryBackend(), name)


async def test_several_at_once_and_lists_and_counters() -> None:
    """The rest of the methods."""
    state = State(MemoryBackend(), "A")
    await state.set_many({"a": 1, "b": [2]}, ttl_s=100)
    assert await state.get_many(["b", "none", "a"]) == {"b": [2], "a": 1}
    assert await state.incr("n", 5) == 5
    assert await state.get("n") == 5
    assert await state.append("l", {"n": 1}, {"n": 2}, {"n": 3}, max_items=2) == 2
    assert await state.read_list("l") == [{"n": 2}, {"n": 3}]
    assert await state.read_list("l", -1) == [{"n": 3}]
    assert await state.keys("a") == ["a"]
    with pytest.raises(WrongKind):
        await state.get("l")


async def test_an_update_is_atomic(tmp_path: Path) -> None:
    """Twenty writers that read, compute and write lose no step."""
    backend = FileBackend(tmp_path, durability="process")
    state = State(backend, "A")

    def step(value: int) -> int:
        return value + 1

    await asyncio.gather(*[state.update("n", step, 0) for _ in range(20)])
    assert await state.get("n") == 20
    await backend.close()


async def test_foreign_bytes_are_named() -> None:
    """What somebody else wrote is not mistaken for a value."""
    backend = MemoryBackend()
    await backend.set("A/k", b"{broken")
    with pytest.raises(BackendError, match="'k'"):
        await State(backend, "A").get("k")


def test_the_folder_is_private(tmp_path: Path) -> None:
    """Made 0700 when asked for, put right if it exists."""
    folder = tmp_path / "agents" / "Tutor"
    state = State(MemoryBackend(), "Tutor", path=folder)
    assert not folder.exists()
    assert state.path == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert stat.S_IMODE(State(MemoryBackend(), "T", path=folder).path.stat().st_mode) == 0o700


def test_without_a_path_the_folder_is_temporary() -> None:
    """It is there while the state is, and private."""
    state = State(MemoryBackend(), "Tutor")
    folder = state.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert state.path == folder
    del state
    gc.collect()
    assert not folder.exists()


def test_a_backend_by_one_line(tmp_path: Path) -> None:
    """memory, file or a URL; anything else is named without its password."""
    assert open_backend("memory").durability == "memory"
    assert open_backend("file", path=tmp_path).durability == "disk"
    assert open_backend("redis://127.0.0.1:1/0").durability == "process"
    with pytest.raises(BackendError, match="path"):
        open_backend("file")
    with pytest.raises(BackendError) as caught:
        open_backend("mongodb://me:hunter2@host")
    assert "hunter2" not in str(caught.value)
