"""The Redis backend against a real server: the contract, and what happens when the server goes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from aisys.backends import Backend, RedisBackend, State, open_backend
from aisys.errors import Indefinite, Refused, Unreachable
from support.backend_conformance import BackendConformance
from support.redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def _flushed(url: str, prefix: str) -> RedisBackend:
    backend = RedisBackend(url, prefix=prefix)
    await backend._one("FLUSHALL")
    return backend


class TestOverUnixSocket(BackendConformance):
    @pytest.fixture
    async def backend(self, server: RedisServer) -> AsyncIterator[Backend]:
        backend = await _flushed(server.unix_url, "fleet[1]*:")
        yield backend
        await backend.close()


class TestOverTcp(BackendConformance):
    @pytest.fixture
    async def backend(self, server: RedisServer) -> AsyncIterator[Backend]:
        backend = await _flushed(server.tcp_url, "")
        yield backend
        await backend.close()


async def test_fleets_that_share_a_server_do_not_meet(server: RedisServer) -> None:
    """The prefix keeps them apart, in scans too."""
    one = await _flushed(server.unix_url, "one:")
    two = RedisBackend(server.unix_url, prefix="two:")
    await one.set("k", b"1")
    await two.set("k", b"2")
    assert await one.get("k") == b"1"
    assert [key async for key in two.scan()] == ["k"]
    await one.close()
    await two.close()


async def test_state_moves_to_redis_by_one_line(server: RedisServer) -> None:
    """`open_backend` takes the URL; State works as on a file."""
    backend = open_backend(server.tcp_url, prefix="x:")
    await backend.open()
    assert backend.durability == "process"
    state = State(backend, "Tutor")
    await state.set("level", {"maths": 3})
    assert await state.get("level") == {"maths": 3}
    assert await state.append("log", 1, 2) == 2
    assert await state.keys() == ["level", "log"]
    await backend.close()


async def test_no_server_means_unreachable() -> None:
    """A refused connection is definite: nothing was sent."""
    backend = RedisBackend("redis://127.0.0.1:1/0", timeout_s=1.0)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        await backend.set("k", b"v")
    await backend.close()


async def test_a_password_is_never_shown() -> None:
    """Neither the place nor an error tells it."""
    backend = RedisBackend("redis://user:hunter2@127.0.0.1:1/0", timeout_s=1.0)
    with pytest.raises(Unreachable) as caught:
        await backend.get("k")
    assert "hunter2" not in backend.where + str(caught.value) + repr(backend)
    await backend.close()


async def test_a_server_that_evicts_is_refused() -> None:
    """Acknowledged state must not vanish for want of memory."""
    with RedisServer("--maxmemory-policy", "allkeys-lru") as server:
        backend = RedisBackend(server.unix_url)
        with pytest.raises(Refused, match="noeviction"):
            await backend.open()
        await backend.close()


async def test_a_closed_backend_refuses() -> None:
    """It does not connect again by itself."""
    backend = RedisBackend("redis://127.0.0.1:1/0")
    await backend.close()
    with pytest.raises(Refused, match="closed"):
        await backend.get("k")


@pytest.mark.fault
async def test_acknowledged_writes_survive_kill_9_of_the_server() -> None:
    """Killed and started again: everything that was acknowledged is there."""
    with RedisServer() as server:
        backend = RedisBackend(server.unix_url)
        await asyncio.gather(*[backend.set(f"k{n}", b"v") for n in range(200)])
        server.kill()
        with pytest.raises((Unreachable, Indefinite)):
            await backend.set("late", b"v")
        server.start()
        # Each pooled connection finds out by itself that its server is gone.
        for _ in range(20):
            try:
                found = await backend.mget([f"k{n}" for n in range(200)])
                break
            except (Unreachable, Indefinite):
                continue
        assert found == [b"v"] * 200
        await backend.close()


@pytest.mark.fault
async def test_a_server_that_hangs_is_indefinite_not_failed() -> None:
    """Sent and not answered in time: the caller is told that nobody knows."""
    with RedisServer() as server:
        backend = RedisBackend(server.unix_url, timeout_s=0.3, max_connections=2)
        await backend.set("k", b"1")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Indefinite):
                await backend.incr("k")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        # The late answer must not be taken for the next one's.
        assert await backend.get("absent") is None
        assert await backend.get("k") in (b"1", b"2")
        await backend.close()


def test_nobody_else_loads_redis() -> None:
    """Importing the package does not import the client library."""
    code = (
        "import sys, aisys.backends, aisys.tasks, aisys.errorbus\n"
        "print([name for name in ('redis', 'zmq', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
