"""Threads, memory and garbage: what holds over many operations."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aisys.metrics import Registry

PAGE_BYTES = 4096
MAX_CHILDREN = 100_000


def resident_bytes() -> int:
    """What this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def test_threads_lose_nothing_while_others_scrape() -> None:
    """Four threads count a million times each way; every scrape in between is consistent, and none goes back."""
    registry = Registry()
    counters = registry.counter("c", "C.", ("a",))
    halves = registry.counter("d", "D.")
    gauge = registry.gauge("g", "G.")
    histogram = registry.histogram("h", "H.", (), (1, 2))
    switch_s = sys.getswitchinterval()
    begin = threading.Barrier(5)

    def work() -> None:
        begin.wait()
        for _ in range(50_000):
            for value in (0.5, 1.5, 2.5, 1, 2):
                counters.labels("x").inc()
                halves.inc(0.5)
                gauge.inc(2)
                gauge.dec()
                histogram.observe(value)

    threads = [threading.Thread(target=work) for _ in range(4)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        begin.wait()
        last = -1.0
        while any(thread.is_alive() for thread in threads):
            families = text_string_to_metric_families(registry.render().decode())
            samples = {(s.name, s.labels.get("le")): s.value for f in families for s in f.samples}
            assert samples["h_bucket", "+Inf"] == samples["h_count", None] >= last
            assert (
                samples["h_bucket", "1.0"] <= samples["h_bucket", "2.0"] <= samples["h_count", None]
            )
            last = samples["h_count", None]
    finally:
        sys.setswitchinterval(switch_s)
        for thread in threads:
            thread.join()
    total = 4 * 50_000 * 5
    assert (counters.labels("x").value, halves.value, gauge.value) == (total, total / 2, total)
    assert histogram.buckets == [(1, 400_000), (2, 800_000), (float("inf"), total)]
    assert histogram.sum == 4 * 50_000 * 7.5


def test_a_million_operations_leave_no_memory_behind() -> None:
    """Finding children, counting, timing, errors and expositions keep nothing."""
    registry = Registry()
    family = registry.counter("c", "C.", ("a", "b"))
    histogram = registry.histogram("h", "H.")
    names = [(f"a{number}", f"b{number}") for number in range(1000)]
    text: Any = "no number"

    def rounds(count: int) -> None:
        for _ in range(count):
            for a, b in names:
                family.labels(a, b).inc()
                family.labels(a, b + "").inc(0.5)
            for use in failing:
                with suppress(ValueError, TypeError):
                    use()
            with histogram.time():
                histogram.observe(1, {"trace_id": "x"})
            registry.render(openmetrics=True)
            registry.render({"host": "h"})

    failing: list[Callable[[], object]] = [
        family.inc,
        lambda: family.labels("a"),
        lambda: family.labels(None, "b"),
        lambda: family.labels("a", "b", "c"),
        lambda: family.labels("a0", "b0").inc(-1),
        lambda: family.labels("a0", "b0").inc(1, {"a-b": "x"}),
        lambda: histogram.observe(text),
        lambda: histogram.observe(float("nan")),
        lambda: registry.gauge("c", "Another."),
        lambda: registry.render({"le": "x"}),
    ]
    rounds(20)
    gc.collect()
    before = resident_bytes()
    rounds(500)
    gc.collect()
    assert resident_bytes() - before < 2 << 20
    assert family.labels("a7", "b7").value == 520 * 1.5


def test_references_are_given_back() -> None:
    """Children, strings, timers and registries are freed, removed children too."""
    kept = [bytes(range(65, 91)).decode(), object()]
    text: Any = kept[0]

    def use() -> None:
        registry = Registry()
        family = registry.gauge("g", "G.", ("a",))
        child = family.labels(text)
        assert family.remove(text)
        child.set(1)
        family.labels(text).set(2)
        family.labels(kept[1]).set(3)
        histogram = registry.histogram("h", "H.")
        with histogram.time():
            pass
        for item in (registry, family, child, histogram, histogram.time()):
            # Nothing of the user's can be put into them, so no cycle can go through them.
            with pytest.raises(AttributeError):
                setattr(item, "note", item)  # noqa: B010 - the type checker knows it too

    use()
    counts = [sys.getrefcount(item) for item in kept]
    tracemalloc.start()
    try:
        use()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            use()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert [sys.getrefcount(item) for item in kept] == counts
    assert grown < 10_000


@pytest.mark.parametrize("labels", [1, 2])
def test_label_values_from_outside_cannot_fill_the_memory(labels: int) -> None:
    """Beyond 100,000 children all values share one; asking goes on, and memory does not grow."""
    registry = Registry()
    family = registry.counter("c", "C.", ("a", "b")[:labels])
    rest = ("x",) * (labels - 1)
    for number in range(MAX_CHILDREN):
        family.labels(str(number), *rest)
    shared = family.labels("one more", *rest)
    before = resident_bytes()
    for number in range(MAX_CHILDREN, 2 * MAX_CHILDREN):
        family.labels(str(number), *rest).inc()
    assert resident_bytes() - before < 2 << 20
    assert shared.value == MAX_CHILDREN
    assert family.labels("_overflow", *("_overflow",) * (labels - 1)) is shared
    assert registry.render().count(b"\n") == MAX_CHILDREN + 3
