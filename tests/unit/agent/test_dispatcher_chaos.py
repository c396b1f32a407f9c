"""Handlers, callers and clocks that all behave badly at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from aisys import Agent, Refused, method
from aisys.agent import CallOptions
from aisys.errors import CallError, DeadlineExceeded
from support.waiting import eventually


class Chaos(Agent):
    def __init__(self) -> None:
        self.wrong_cancels = 0

    @method
    async def quick(self, tag: int) -> int:
        return tag

    @method
    async def turns(self, tag: int, turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return tag

    @method
    async def stray(self, tag: int, turns: int) -> int:
        """Cancels its own task, as a library with a bug would, then goes on or not."""
        task = asyncio.current_task()
        if task is not None:
            task.cancel()
        if turns:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                return tag
        return tag

    @method
    async def stubborn(self, tag: int) -> int:
        """Swallows its cancellation and ends in its own time."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return tag

    @method
    async def careful(self, tag: int) -> int:
        """Uses time-outs of its own."""
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return tag
        return -1

    @method
    async def group(self, tag: int) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, tag)) for _ in range(3)]
        return sum(task.result() for task in tasks) // 3

    @method
    async def fail(self, tag: int) -> int:
        await asyncio.sleep(0)
        raise ValueError(str(tag))

    @method
    async def nested(self, tag: int) -> int:
        return int(await self.call("Chaos.turns", tag=tag, turns=tag % 3))


def arguments(name: str, tag: int) -> dict[str, Any]:
    return {"tag": tag, "turns": tag % 4} if name in ("turns", "stray") else {"tag": tag}


@pytest.mark.parametrize("seed", range(4))
async def test_every_call_ends_once_and_nothing_is_left(pair: Any, seed: int) -> None:
    """Each of 1,500 calls ends in its own result or a named outcome; nothing stays behind."""
    chance = random.Random(seed)
    names = ["quick", "turns", "stray", "stubborn", "careful", "group", "fail", "nested"]
    outcomes: Counter[str] = Counter()

    async def one(hosts: Any, tag: int) -> None:
        name = chance.choice(names)
        timeout_s = 0.02 if name == "stubborn" else 20.0
        call = asyncio.ensure_future(
            hosts.caller.call(
                "Chaos",
                name,
                arguments(name, tag),
                options=CallOptions(timeout_s=timeout_s, priority=chance.randrange(256)),
            )
        )
        if chance.random() < 0.2:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            call.cancel()
        try:
            assert await call == tag
            outcomes["result"] += 1
        except ValueError as error:
            assert str(error) == str(tag)
            outcomes["raised"] += 1
        except DeadlineExceeded:
            assert name == "stubborn"
            outcomes["expired"] += 1
        except Refused as error:
            outcomes[error.reason] += 1
        except CallError as error:
            assert name == "stray"
            outcomes[error.code] += 1
        except asyncio.CancelledError:
            outcomes["cancelled"] += 1

    async with pair(Chaos, max_running=20, max_waiting=400) as hosts:
        async with asyncio.timeout(25):
            for batch in range(5):
                await asyncio.gather(*(one(hosts, 300 * batch + tag) for tag in range(300)))
        assert outcomes.total() == 1500
        assert outcomes["result"] > 700
        await eventually(lambda: hosts.dispatcher.running == 0 and hosts.dispatcher.waiting == 0)
        await eventually(lambda: len(hosts.table.wheel) == 0)
        assert hosts.table.get("Chaos").running == 0
        assert await hosts.caller.call("Chaos", "quick", {"tag": 7}) == 7
        reported = {report.method for report in hosts.errors.reports}
        assert reported <= {"Chaos.fail"}
