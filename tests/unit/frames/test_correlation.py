"""Correlation: ids of calls in flight."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

from aisys.messaging.frames import Correlation


def test_an_id_finds_its_value_once() -> None:
    """A value is there until it is taken."""
    table = Correlation()
    value = object()
    corr = table.add(value)
    assert corr != 0
    assert table.get(corr) is value
    assert len(table) == 1
    assert table.take(corr) is value
    assert table.take(corr) is None
    assert table.get(corr) is None
    assert len(table) == 0


def test_a_retired_id_finds_no_later_value() -> None:
    """A late reply to a call that ended does not meet the next call in the same slot."""
    table = Correlation()
    old = table.add("old")
    table.take(old)
    new = table.add("new")
    assert new != old
    assert table.take(old) is None
    assert table.take(new) == "new"


def test_drain_gives_everything_and_retires_it() -> None:
    """A link that is lost ends every call on it."""
    table = Correlation()
    ids = [table.add(number) for number in range(5)]
    table.take(ids[1])
    assert table.drain() == [0, 2, 3, 4]
    assert len(table) == 0
    assert all(table.get(corr) is None for corr in ids)


def test_unknown_ids_find_nothing() -> None:
    """Ids from the network that were never given out find nothing."""
    table = Correlation()
    table.add(1)
    assert [table.take(corr) for corr in (0, 2**63, 2**64 - 1)] == [None, None, None]


def test_a_cycle_through_a_table_is_collected() -> None:
    """The garbage collector sees through the table."""

    class Node:
        """Something that refers to its table."""

    node = Node()
    node.table = Correlation()  # type: ignore[attr-defined]
    node.table.add(node)  # type: ignore[attr-defined]
    watch = weakref.ref(node)
    del node
    gc.collect()
    assert watch() is None


def test_a_finaliser_may_use_the_table() -> None:
    """Values are released outside the table's change, so that their finalisers may use it."""
    table = Correlation()
    seen = []

    class Node:
        """Something whose end looks at the table."""

        def __del__(self) -> None:
            seen.append(len(table))

    corr = table.add(Node())
    table.take(corr)
    table.add(Node())
    table.drain()
    assert seen == [0, 0]


def test_unusual_ids_are_refused_or_read() -> None:
    """Ids are whole numbers of 64 bits; anything else is an error and finds nothing."""
    table = Correlation()
    corr = table.add("value")
    for wrong, error in ((-1, OverflowError), (1 << 64, OverflowError), ("1", TypeError)):
        with pytest.raises(error):
            table.take(wrong)  # type: ignore[arg-type]
        with pytest.raises(error):
            table.get(wrong)  # type: ignore[arg-type]
    assert table.take(corr) == "value"


def test_a_table_leaves_no_memory_behind() -> None:
    """Values go in and out, by take or drain, without leaving an object behind."""
    table = Correlation()

    def use() -> None:
        ids = [table.add(object()) for _ in range(20)]
        for corr in ids[:10]:
            assert table.get(corr) is table.take(corr)
        table.drain()

    for _ in range(50):
        use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
