"""Memory stays flat: a short run of every operation; `make fuzz` does a million of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.memory import growth
from support.memory_operations import OPERATIONS

COUNT = 2000


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_leaves_nothing_behind(name: str) -> None:
    """Neither objects nor heap grow with the number of operations, refused ones included."""
    left = growth(OPERATIONS[name], COUNT)

    assert left.is_flat(), left


@pytest.mark.parametrize(
    "leak",
    [lambda kept: kept.append(object()), lambda kept: kept.append(bytes(700))],
    ids=["objects", "heap"],
)
def test_a_leak_is_noticed(leak: Callable[[list[object]], None]) -> None:
    """The measurement itself: one object, or 700 bytes of heap, for each operation is not flat."""
    kept: list[object] = []

    assert not growth(lambda: leak(kept), COUNT).is_flat()
