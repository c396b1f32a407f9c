"""CPython's own tests of `asyncio.Queue` and `asyncio.PriorityQueue`, run on ours through an adapter.

They come from the running interpreter, in its version, and are not copied here. A distribution
that ships no `test` package cannot run them.
"""

from __future__ import annotations

import asyncio
import importlib
import unittest
from typing import Any

import pytest

from aisys.queue import PriorityQueue

WHOLE_CLASSES = {
    "LifoQueueTests": "we have no queue that serves the last first",
    "LifoQueueJoinTests": "we have no queue that serves the last first",
    "LifoQueueShutdownTests": "we have no queue that serves the last first",
}
NOT_OURS = {
    "test_repr": "asserts which private attributes of asyncio.Queue its repr shows",
    "test_str": "asserts which private attributes of asyncio.Queue its str shows",
    "test_format": "calls the private _format, and sets _unfinished_tasks",
    "test_get_with_putters": "appends to the private _putters",
    "test_cancelled_getters_not_being_held_in_self_getters": "looks at the private _getters",
    "test_cancelled_puts_not_being_held_in_self_putters": "looks at the private _putters",
    "test_float_maxsize": "asyncio.Queue happens to take a float; our maxsize is an int",
}

try:
    STANDARD: Any = importlib.import_module("test.test_asyncio.test_queues")
except ImportError:
    STANDARD = None


class Fifo:
    """Our queue by the constructor of `asyncio.Queue`, where what was put first comes first."""

    def __init__(self, maxsize: int = 0) -> None:
        self._ours: PriorityQueue[Any] = PriorityQueue(maxsize)

    def __class_getitem__(cls, item: object) -> object:
        return PriorityQueue.__class_getitem__(item)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ours, name)


class Sorted(Fifo):
    """Our queue as `asyncio.PriorityQueue`: a number is its own priority."""

    def put_nowait(self, item: Any) -> int:
        """Put it as the priority it is."""
        return self._ours.put_nowait(item, _priority(item))

    async def put(self, item: Any) -> int:
        """The same, once there is room."""
        return await self._ours.put(item, _priority(item))


def _priority(item: Any) -> int:
    return item if isinstance(item, int) else 100


class Replaced:
    """`asyncio` as those tests see it."""

    Queue = Fifo
    PriorityQueue = Sorted

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


def _cases() -> list[tuple[type[unittest.TestCase], str]]:
    loader = unittest.TestLoader()
    classes = [
        each
        for each in vars(STANDARD).values()
        if isinstance(each, type) and issubclass(each, unittest.TestCase)
    ]
    return [(each, name) for each in classes for name in loader.getTestCaseNames(each)]


def _applies(case: tuple[type[unittest.TestCase], str]) -> bool:
    return case[0].__name__ not in WHOLE_CLASSES and case[1] not in NOT_OURS


CASES = [case for case in _cases() if _applies(case)] if STANDARD else []


@pytest.mark.skipif(STANDARD is None, reason="this distribution of Python ships no test package")
@pytest.mark.parametrize(
    ("test_class", "name"), CASES, ids=[f"{each.__name__}.{name}" for each, name in CASES]
)
def test_standard(
    test_class: type[unittest.TestCase], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of CPython's asyncio queues passes on ours."""
    monkeypatch.setattr(STANDARD, "asyncio", Replaced())
    substitutes = {asyncio.Queue: Fifo, asyncio.PriorityQueue: Sorted}
    queue_class = getattr(test_class, "q_class", None)
    if queue_class is not None:
        monkeypatch.setattr(test_class, "q_class", substitutes[queue_class])
    test_class(name).debug()


@pytest.mark.skipif(STANDARD is None, reason="this distribution of Python ships no test package")
def test_exceptions_are_few() -> None:
    """What is left out exists, and most of what there is runs."""
    every = _cases()
    assert set(NOT_OURS) <= {name for _, name in every}
    fitting = [case for case in every if case[0].__name__ not in WHOLE_CLASSES]
    assert len(CASES) == len(fitting) - sum(name in NOT_OURS for _, name in fitting)
    assert len(CASES) >= 30
