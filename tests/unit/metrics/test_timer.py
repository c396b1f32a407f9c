"""Timers: as context managers and as decorators."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aisys.metrics import Histogram, Registry, Timer


@pytest.fixture
def histogram() -> Histogram:
    """What the timers observe with."""
    return Registry().histogram("work_seconds", "Time of work.", unit="seconds")


def test_a_timer_observes_how_long_its_block_takes(histogram: Histogram) -> None:
    """The observation lies between nothing and what the clock on the wall says, in seconds."""
    before = time.monotonic()
    with histogram.time() as timer:
        sum(range(1000))
    spent_s = time.monotonic() - before
    assert isinstance(timer, Timer)
    assert histogram.count == 1
    assert 0 < histogram.sum <= spent_s


def test_a_block_that_raises_is_observed(histogram: Histogram) -> None:
    """An exception passes through, and its time counts."""
    with pytest.raises(KeyError), histogram.time():
        raise KeyError("x")
    assert histogram.count == 1


def test_a_timer_times_one_thing_at_a_time(histogram: Histogram) -> None:
    """A timer that runs cannot be entered, nor one that does not be left; afterwards it can be used again."""
    timer = histogram.time()
    with timer:
        with pytest.raises(RuntimeError, match="runs already"):
            timer.__enter__()
        with histogram.time():
            pass
    with pytest.raises(RuntimeError, match="not entered"):
        timer.__exit__(None, None, None)
    with timer:
        pass
    assert histogram.count == 3


def test_a_family_with_labels_has_no_time() -> None:
    """A timer needs a child."""
    family = Registry().histogram("h", "H.", ("a",))
    with pytest.raises(ValueError, match="choose a child"):
        family.time()
    with family.labels("x").time():
        pass
    assert family.labels("x").count == 1


def test_a_decorated_function_stays_what_it_was(histogram: Histogram) -> None:
    """Each call is timed, also a recursive one; name, text, arguments and result are the function's own."""

    @histogram.time()
    def factorial(n: int, *, one: int = 1) -> int:
        """The product."""
        return one if n == 0 else n * factorial(n - 1, one=one)

    assert factorial(3) == 6
    assert histogram.count == 4
    assert (factorial.__name__, factorial.__doc__) == ("factorial", "The product.")
    assert list(inspect.signature(factorial).parameters) == ["n", "one"]


def test_a_method_can_be_decorated(histogram: Histogram) -> None:
    """A decorated method gets its object."""

    class Adder:
        """Adds."""

        start = 40

        @histogram.time()
        def add(self, n: int) -> int:
            """The sum."""
            return self.start + n

    assert Adder().add(2) == 42
    assert histogram.count == 1


async def test_a_coroutine_function_is_timed_until_its_result(histogram: Histogram) -> None:
    """Calls that overlap are timed each for itself, until they return, raise or are cancelled."""
    go = asyncio.Event()

    @histogram.time()
    async def work(fail: bool) -> str:
        await go.wait()
        if fail:
            raise LookupError("work")
        return "done"

    assert inspect.iscoroutinefunction(work)
    good, bad, cut = (asyncio.create_task(work(fail)) for fail in (False, True, False))
    await asyncio.sleep(0)
    assert histogram.count == 0
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert histogram.count == 1
    go.set()
    assert await good == "done"
    with pytest.raises(LookupError):
        await bad
    assert histogram.count == 3


def test_a_generator_function_is_refused(histogram: Histogram) -> None:
    """Calling one does nothing yet: timing that would tell a lie."""

    def numbers() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    function: Any
    for function in (numbers, later):
        with pytest.raises(TypeError, match="generator function"):
            histogram.time()(function)
