"""A server process that is killed, frozen or replaced, as its callers and subscribers see it."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aisys.errors import Indefinite
from aisys.messaging import Event, Gap
from support.messaging import Pair, make_pair, server_process
from support.waiting import eventually

pytestmark = pytest.mark.fault


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ais") as name:
        yield Path(name)


@pytest.fixture(params=["unix", "tcp"])
async def pair(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Pair]:
    made = make_pair(request.param, folder)
    try:
        yield made
    finally:
        await made.close()


async def test_killing_the_server_ends_open_calls_at_once(pair: Pair) -> None:
    """Kill -9: every open call becomes indefinite long before its deadline, and the next server answers."""
    with server_process(pair) as start:
        process = start()
        await pair.client.call(pair.address, "echo", b"", timeout_s=5)
        calls = [pair.client.call(pair.address, "never", b"", timeout_s=30) for _ in range(20)]
        await pair.client.call(pair.address, "echo", b"they have arrived", timeout_s=5)
        process.kill()
        begin = time.monotonic()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert process.wait() == -signal.SIGKILL
        assert {type(outcome) for outcome in outcomes} == {Indefinite}
        assert time.monotonic() - begin < 3
        start()
        assert (
            await pair.client.call(pair.address, "echo", b"again", timeout_s=10)
        ).body == b"again"


async def test_a_frozen_server_is_noticed(pair: Pair) -> None:
    """SIGSTOP: the socket stays open, but without heartbeats the open call ends in a few seconds."""
    with server_process(pair) as start:
        process = start()
        await pair.client.call(pair.address, "echo", b"", timeout_s=5)
        call = pair.client.call(pair.address, "never", b"", timeout_s=30)
        await pair.client.call(pair.address, "echo", b"it has arrived", timeout_s=5)
        process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(Indefinite, match=r"silent|broke"):
            await call

        assert time.monotonic() - begin < 5
        assert Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"  # noqa: ASYNC240 - procfs does not block
        process.send_signal(signal.SIGCONT)
        assert (await pair.client.call(pair.address, "echo", b"back", timeout_s=10)).body == b"back"


async def test_subscribers_of_a_killed_publisher_hear_of_the_restart(pair: Pair) -> None:
    """The ticks before and after are in order, with one report of the restart between them."""
    with server_process(pair) as start:
        process = start()
        log: list[Event | Gap] = []
        pair.client.set_peers([pair.address])
        await pair.client.subscribe("tick.*", log.append, on_gap=log.append)
        await eventually(lambda: len(log) >= 5)
        process.kill()
        process.wait()
        before = len(log)
        start()
        await eventually(lambda: len(log) >= before + 5, timeout_s=10)

        gaps = [(index, item) for index, item in enumerate(log) if isinstance(item, Gap)]
        assert [gap for _, gap in gaps] == [Gap("far", 1, 0, restarted=True)]
        cut = gaps[0][0]
        for part in (log[:cut], log[cut + 1 :]):
            numbers = [int(event.body) for event in part if isinstance(event, Event)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_ten_kills_in_a_row(pair: Pair) -> None:
    """Under constant calls each ends in an answer or in a named error, and the last server answers."""
    outcomes: list[str] = []

    async def caller() -> None:
        while len(kills) < 10:
            try:
                reply = await pair.client.call(pair.address, "echo", b"x", timeout_s=10)
                outcomes.append("ok" if reply.body == b"x" else "wrong")
            except Indefinite:
                outcomes.append("indefinite")
            except Exception as error:
                outcomes.append(type(error).__name__)

    kills: list[int] = []
    with server_process(pair) as start:
        process = start()
        callers = [asyncio.ensure_future(caller()) for _ in range(8)]
        while len(kills) < 10:
            seen = len(outcomes)
            await eventually(lambda seen=seen: len(outcomes) >= seen + 50, timeout_s=15)
            process.kill()
            kills.append(process.wait())
            process = start()
        await asyncio.gather(*callers)
        assert (await pair.client.call(pair.address, "echo", b"end", timeout_s=10)).body == b"end"

    assert kills == [-signal.SIGKILL] * 10
    assert set(outcomes) <= {"ok", "indefinite"}
    assert outcomes.count("indefinite") <= 8 * 10
    assert outcomes.count("ok") >= 400
