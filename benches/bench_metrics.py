"""Metrics against prometheus_client: counting, observing, and the text that is scraped."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import prometheus_client as peer
import pytest
from prometheus_client.exposition import generate_latest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys.metrics import Registry
from benches.ratio import Group, Prepare, Side, Work, cases, empty_loop, over, run_case

LABELS = ("agent", "method")
LABEL_SETS = [(f"Agent{number % 100}", f"method_{number // 100}") for number in range(10_000)]
OBSERVED_S = [10 ** random.Random(seed).uniform(-5, 1.5) for seed in range(512)]
USED = LABEL_SETS[::97]

# Without the `_created` samples, which double the text and which nobody scrapes: as ours.
peer.disable_created_metrics()  # type: ignore[no-untyped-call]


def groups() -> list[Group]:
    """The rows."""
    registry = Registry()
    theirs = peer.CollectorRegistry()
    ours_plain = registry.counter("plain_total", "Plain.")
    peer_plain = peer.Counter("plain", "Plain.", registry=theirs)
    ours_family = registry.counter("calls_total", "Calls.", LABELS)
    peer_family = peer.Counter("calls", "Calls.", LABELS, registry=theirs)
    ours_times = registry.histogram("seconds", "Seconds.")
    peer_times = peer.Histogram(
        "seconds", "Seconds.", registry=theirs, buckets=[bound for bound, _ in ours_times.buckets]
    )
    return [
        Group(
            "counter inc",
            (
                Side("aisys", _repeat(ours_plain.inc), "ours"),
                Side("prometheus_client", _repeat(peer_plain.inc)),
                empty_loop(),
            ),
        ),
        Group(
            "labels(a, b).inc",
            (
                Side("aisys", _labelled(ours_family), "ours"),
                Side("prometheus_client", _labelled(peer_family)),
                empty_loop(),
            ),
        ),
        Group(
            "histogram observe",
            (
                Side("aisys", over(ours_times.observe, OBSERVED_S), "ours"),
                Side("prometheus_client", over(peer_times.observe, OBSERVED_S)),
                empty_loop(),
            ),
        ),
        _exposition(),
    ]


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


def _labelled(family: Any) -> Callable[[], Prepare]:
    """A side that finds the child of two labels each time, as most programs do."""

    def make() -> Prepare:
        def prepare(count: int) -> Work:
            batch = list(islice(cycle(USED), count))

            def work() -> None:
                for agent, method in batch:
                    family.labels(agent, method).inc()

            return work

        return prepare

    return make


def _exposition() -> Group:
    """A counter with 10,000 label sets, with HELP and TYPE lines."""

    def ours() -> Prepare:
        registry = Registry()
        family = registry.counter("calls_total", "Calls by agent and method.", LABELS)
        for number, labels in enumerate(LABEL_SETS):
            family.labels(*labels).inc(number)
        return _repeat(registry.render)()

    def theirs() -> Prepare:
        registry = peer.CollectorRegistry()
        family = peer.Counter("calls", "Calls by agent and method.", LABELS, registry=registry)
        for number, labels in enumerate(LABEL_SETS):
            family.labels(*labels).inc(number)
        return _repeat(lambda: generate_latest(registry))()

    def floor() -> Prepare:
        registry = Registry()
        family = registry.counter("calls_total", "Calls by agent and method.", LABELS)
        for number, labels in enumerate(LABEL_SETS):
            family.labels(*labels).inc(number)
        return over(bytes, [bytearray(registry.render())])()

    return Group(
        "exposition of 10,000 label sets",
        (
            Side("aisys", ours, "ours"),
            Side("prometheus_client", theirs),
            Side("memcpy", floor, "floor"),
        ),
    )


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_metrics(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
