"""Functions whose calls are timed: what `Timer` does as a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aisys._native import Histogram

__all__ = ["timed"]

T = TypeVar("T")


def timed(histogram: Histogram, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does the same and observes how long it took.

    Args:
        histogram: what observes the seconds.
        function: also an `async def` one, which is timed until its result.

    Raises:
        TypeError: it is a generator function, whose calls only prepare.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is a generator function: time what it does with `with ….time():`")
    wrapper = _awaited if inspect.iscoroutinefunction(function) else _called
    return functools.wraps(function)(wrapper(histogram.time, function))


def _called(time: Callable[[], Any], function: Callable[..., T]) -> Callable[..., T]:
    def call(*args: Any, **kwargs: Any) -> T:
        with time():
            return function(*args, **kwargs)

    return call


def _awaited(
    time: Callable[[], Any], function: Callable[..., Coroutine[Any, Any, T]]
) -> Callable[..., Coroutine[Any, Any, T]]:
    async def call(*args: Any, **kwargs: Any) -> T:
        with time():
            return await function(*args, **kwargs)

    return call
