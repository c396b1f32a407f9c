"""Coroutines run by hand, under a deadline."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Generator
from typing import Any

from aisys.agent.wheel import DeadlineWheel
from aisys.errors import DeadlineExceeded


async def advance(iterator: AsyncIterator[Any]) -> Any:
    """The next item, as a coroutine that `drive` can run."""
    return await anext(iterator)


async def close_stream(iterator: AsyncIterator[Any]) -> None:
    """End an async iterator early, if it can be."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


@types.coroutine
def drive(
    coroutine: Any, wheel: DeadlineWheel, deadline: float, name: str
) -> Generator[Any, Any, Any]:
    """Run a coroutine in the current task under a deadline; a timer is armed only if it suspends.

    Raises:
        DeadlineExceeded: the deadline passed.
    """
    try:
        waiting_for = coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    task = asyncio.current_task()
    if task is None:
        coroutine.close()
        raise RuntimeError("calls work inside of a task only")
    guard = wheel.arm(deadline, task)
    cancelled = False
    try:
        while True:
            try:
                value = yield waiting_for
            except BaseException as error:  # noqa: BLE001 - the coroutine decides about it
                waiting_for = coroutine.throw(error)
            else:
                waiting_for = coroutine.send(value)
    except StopIteration as stop:
        return stop.value
    except asyncio.CancelledError:
        cancelled = True
        raise
    finally:
        wheel.disarm(guard)
        if guard.settle(cancelled=cancelled):
            raise DeadlineExceeded(f"{name}: the deadline passed while it was running") from None
