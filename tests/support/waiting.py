"""The one place where tests wait for real time: until a condition holds, never for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def eventually(
    condition: Callable[[], Any], timeout_s: float = 5.0, interval_s: float = 0.01
) -> Any:
    """Return the first truthy value of `condition` (which may be async), or fail after `timeout_s`."""
    limit = time.monotonic() + timeout_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(
                f"not within {timeout_s} s: {inspect.getsource(condition).strip()}"
            )
        await asyncio.sleep(interval_s)


def eventually_sync(
    condition: Callable[[], Any], timeout_s: float = 5.0, interval_s: float = 0.02
) -> Any:
    """As `eventually`, for tests without an event loop."""
    limit = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(
                f"not within {timeout_s} s: {inspect.getsource(condition).strip()}"
            )
        time.sleep(interval_s)
