"""Start in order, stop in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aisys.lifecycle import Lifecycle
from support.waiting import eventually


def step(log: list[str], text: str) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        log.append(text)

    return act


async def fail() -> None:
    raise OSError("no such port")


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    """What starts first stops last."""
    log: list[str] = []
    life = Lifecycle()
    for name in "abc":
        life.add(name, start=step(log, f"+{name}"), stop=step(log, f"-{name}"))
    await life.start()

    assert life.started == ["a", "b", "c"]
    assert await life.stop() == []
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert set(life.durations_s) == {"a", "b", "c"}


async def test_a_failed_start_stops_what_has_started() -> None:
    """The error comes through, the parts before it are stopped, their errors are notes on it."""
    log: list[str] = []
    life = Lifecycle()
    life.add("a", start=step(log, "+a"), stop=fail)
    life.add("b", start=step(log, "+b"), stop=step(log, "-b"))
    life.add("c", start=fail, stop=step(log, "-c"))

    with pytest.raises(OSError, match="no such port") as caught:
        await life.start()

    assert log == ["+a", "+b", "-b"]
    assert "while stopping after that: a: OSError" in caught.value.__notes__[0]
    assert life.started == []


async def test_one_failing_stop_does_not_keep_the_others_up() -> None:
    """Every part gets its turn and what failed is returned."""
    log: list[str] = []
    life = Lifecycle()
    life.add("a", stop=step(log, "-a")).add("b", stop=fail).add("c", stop=step(log, "-c"))
    await life.start()

    errors = await life.stop()

    assert log == ["-c", "-a"]
    assert [str(error) for error in errors] == ["b: OSError: no such port"]


async def test_a_part_that_hangs_is_left_behind() -> None:
    """A stop beyond its limit is an error that names the part; the rest still stops."""
    log: list[str] = []
    life = Lifecycle()
    life.add("a", stop=step(log, "-a"))
    life.add("b", stop=asyncio.Event().wait, limit_s=0.01)
    await life.start()

    (error,) = await life.stop()

    assert "b did not stop within 0.01 s" in str(error)
    assert log == ["-a"]


async def test_stopping_twice_stops_once() -> None:
    """Two stops at the same time wait for the same end, also when the first caller gives up."""
    log: list[str] = []
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        log.append("-a")

    life = Lifecycle()
    life.add("a", stop=slow)
    await life.start()
    first = asyncio.ensure_future(life.stop())
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.ensure_future(life.stop())
    await asyncio.sleep(0)
    gate.set()

    assert await second == []
    assert log == ["-a"]
    await eventually(first.done)
