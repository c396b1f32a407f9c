"""Metrics against prometheus_client: counting, observing, and the text that is scraped."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from typing import Any

import prometheus_client as peer
import pytest
from prometheus_client.exposition import generate_latest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys.metrics import DEFAULT_BUCKETS, Registry
from benches.ratio import Group, Prepare, Side, Work, cases, empty_loop, over, run_case

LABELS = ("agent", "method", "outcome", "host")
LABEL_SETS = [
    (f"Agent{number % 100}", f"method_{number // 100}", ("ok", "error")[number % 2], "host1")
    for number in range(10_000)
]
HISTOGRAM_CHILDREN = 1000
USED = LABEL_SETS[::97]
OBSERVED_S = [10 ** random.Random(seed).uniform(-5, 1.5) for seed in range(512)]
AMOUNTS = [1, 2, 0.5, 1536, 3.25, 7]
FEW_BUCKETS = (0.01, 0.1, 1.0, 10.0)
MANY_BUCKETS = tuple(0.0001 * 1.25**number for number in range(64))

# Without the `_created` samples, which double the text and which nobody scrapes: as ours.
peer.disable_created_metrics()  # type: ignore[no-untyped-call]


def groups() -> list[Group]:
    """The rows."""
    ours = Registry().counter("plain_total", "Plain.")
    theirs = peer.Counter("plain", "Plain.", registry=None)
    return [
        _row("counter inc", _repeat(ours.inc), _repeat(theirs.inc), must=10, goal=20),
        _row(
            "counter inc(n)", over(ours.inc, AMOUNTS), over(theirs.inc, AMOUNTS), must=10, goal=20
        ),
        _labels("labels(a).inc", 1, _same),
        _labels("labels(a, b).inc", 2, _same),
        _labels("labels(a, b).inc, equal strings", 2, _equal),
        _labels("labels(a, b).inc, new strings", 2, _new),
        _labels("labels(a, b, c, d).inc", 4, _same),
        _observe("histogram observe, 4 buckets", FEW_BUCKETS),
        _observe("histogram observe", DEFAULT_BUCKETS),
        _observe("histogram observe, 64 buckets", MANY_BUCKETS),
        _exposition("exposition of 10,000 label sets", *_counters()),
        _exposition("exposition of 10,000 gauges", *_gauges()),
        _exposition("exposition of 1,000 histograms", *_histograms()),
    ]


def _row(
    name: str, ours: Callable[[], Prepare], theirs: Callable[[], Prepare], must: float, goal: float
) -> Group:
    return Group(
        name,
        (
            Side("aisys", ours, "ours"),
            Side("prometheus_client", theirs, must=must, goal=goal),
            empty_loop(),
        ),
    )


def _repeat(function: Callable[[], object]) -> Callable[[], Prepare]:
    """A side that calls a function without arguments."""

    def make() -> Prepare:
        def prepare(count: int) -> Work:
            batch = [None] * count

            def work() -> None:
                for _ in batch:
                    function()

            return work

        return prepare

    return make


Values = tuple[str, ...]


def _same(sets: Sequence[Values], count: int) -> list[Values]:
    """The same string objects again and again, as names in a program are."""
    return list(islice(cycle(sets), count))


def _equal(sets: Sequence[Values], count: int) -> list[Values]:
    """Strings that are equal to those that were used first, but are not the same objects."""
    return _same(_new(sets, len(sets)), count)


def _new(sets: Sequence[Values], count: int) -> list[Values]:
    """Strings that are used once, as what comes out of a message is."""
    return [tuple("".join(list(value)) for value in values) for values in _same(sets, count)]


def _labels(
    name: str, labels: int, batch: Callable[[Sequence[Values], int], list[Values]]
) -> Group:
    """Finding the child each time, as most programs do, among 10,000 (100 with one label)."""
    ours = Registry().counter("calls_total", "Calls.", LABELS[:labels])
    theirs = peer.Counter("calls", "Calls.", LABELS[:labels], registry=None)
    for values in LABEL_SETS:
        ours.labels(*values[:labels])
        theirs.labels(*values[:labels])
    used = [values[:labels] for values in USED]
    loops: dict[int, Callable[[Any, Iterable[Any]], None]] = {1: _one, 2: _two, 4: _four}

    def side(family: Any) -> Callable[[], Prepare]:
        def prepare(count: int) -> Work:
            items = batch(used, count)
            return lambda: loops[labels](family, items)

        return lambda: prepare

    return _row(name, side(ours), side(theirs), must=20, goal=40)


def _one(family: Any, batch: Iterable[Any]) -> None:
    for (a,) in batch:
        family.labels(a).inc()


def _two(family: Any, batch: Iterable[Any]) -> None:
    for a, b in batch:
        family.labels(a, b).inc()


def _four(family: Any, batch: Iterable[Any]) -> None:
    for a, b, c, d in batch:
        family.labels(a, b, c, d).inc()


def _observe(name: str, buckets: Sequence[float]) -> Group:
    """Observations from 10 microseconds to half a minute."""
    ours = Registry().histogram("seconds", "Seconds.", (), buckets)
    theirs = peer.Histogram("seconds", "Seconds.", registry=None, buckets=buckets)
    return _row(
        name, over(ours.observe, OBSERVED_S), over(theirs.observe, OBSERVED_S), must=15, goal=35
    )


Registries = tuple[Registry, peer.CollectorRegistry]


def _counters() -> Registries:
    """A counter with 10,000 label sets."""
    registry, theirs = Registry(), peer.CollectorRegistry()
    ours = registry.counter("calls_total", "Calls by agent and method.", LABELS[:2])
    other = peer.Counter("calls", "Calls by agent and method.", LABELS[:2], registry=theirs)
    for number, labels in enumerate(LABEL_SETS):
        ours.labels(*labels[:2]).inc(number)
        other.labels(*labels[:2]).inc(number)
    return registry, theirs


def _gauges() -> Registries:
    """A gauge with 10,000 label sets and values with many digits."""
    registry, theirs = Registry(), peer.CollectorRegistry()
    ours = registry.gauge("load", "Load by agent and method.", LABELS[:2])
    other = peer.Gauge("load", "Load by agent and method.", LABELS[:2], registry=theirs)
    for labels, value in zip(LABEL_SETS, cycle(OBSERVED_S), strict=False):
        ours.labels(*labels[:2]).set(value)
        other.labels(*labels[:2]).set(value)
    return registry, theirs


def _histograms() -> Registries:
    """A histogram with 1,000 label sets and the default buckets."""
    registry, theirs = Registry(), peer.CollectorRegistry()
    ours = registry.histogram("seconds", "Seconds by agent and method.", LABELS[:2])
    other = peer.Histogram(
        "seconds", "Seconds by agent.", LABELS[:2], registry=theirs, buckets=DEFAULT_BUCKETS
    )
    for number, labels in enumerate(LABEL_SETS[:HISTOGRAM_CHILDREN]):
        for value in OBSERVED_S[number % 64 :: 64]:
            ours.labels(*labels[:2]).observe(value)
            other.labels(*labels[:2]).observe(value)
    return registry, theirs


def _exposition(name: str, ours: Registry, theirs: peer.CollectorRegistry) -> Group:
    """With HELP and TYPE lines; `tests/unit/metrics` holds that both texts say the same."""
    return Group(
        name,
        (
            Side("aisys", _repeat(ours.render), "ours"),
            Side("prometheus_client", _repeat(lambda: generate_latest(theirs)), must=100, goal=400),
            Side("memcpy", over(bytes, [bytearray(ours.render())]), "floor"),
        ),
    )


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_metrics(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
