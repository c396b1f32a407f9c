"""Beside `prometheus_client`, in both directions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import prometheus_client as peer
import pytest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aisys.metrics import Format, PrometheusCollector, Registry, expose

OPENMETRICS = "application/openmetrics-text"

WORKER = """
import sys
from prometheus_client import Counter, Histogram
Counter("jobs", "Jobs.", ["kind"]).labels("mail").inc(int(sys.argv[1]))
Histogram("job_seconds", "Time of a job.", buckets=(1, 2)).observe(1.5)
"""


@pytest.fixture
def ours() -> Registry:
    """A registry of ours with a counter that has a unit and an exemplar."""
    registry = Registry()
    sent = registry.counter("sent_bytes", "Sent.", ("to",), unit="bytes")
    sent.labels("x").inc(2, {"trace_id": "t1"})
    return registry


@pytest.fixture
def theirs() -> peer.CollectorRegistry:
    """A registry of `prometheus_client` with one of each."""
    registry = peer.CollectorRegistry()
    peer.Counter("orders", "Orders.", ["shop"], registry=registry).labels("a").inc(
        5, exemplar={"trace_id": "t2"}
    )
    peer.Gauge("stock", "Stock.", registry=registry).set(7)
    peer.Histogram("sale", "Sales.", registry=registry, unit="euros", buckets=(1, 2)).observe(1.5)
    peer.Info("shop", "The shop.", registry=registry).info({"name": "corner"})
    return registry


def test_a_prometheus_registry_shows_our_families(ours: Registry) -> None:
    """A program that exposes `prometheus_client` shows our metrics beside its own, with units and exemplars."""
    registry = peer.CollectorRegistry()
    registry.register(PrometheusCollector(ours))
    assert b'sent_bytes_total{to="x"} 2.0' in peer.generate_latest(registry)
    text = generate_openmetrics(registry)  # type: ignore[no-untyped-call]
    assert b"# UNIT sent_bytes bytes" in text
    assert b'sent_bytes_total{to="x"} 2.0 # {trace_id="t1"} 2.0' in text
    ours.gauge("later", "Declared after that.").set(1)
    assert registry.get_sample_value("later") == 1


def test_an_exemplar_that_their_parser_refuses_breaks_no_scrape(ours: Registry) -> None:
    """A quotation mark in an exemplar costs units and exemplars, not the scrape."""
    ours.counter("c", "C.").inc(1, {"said": 'a "word"'})
    registry = peer.CollectorRegistry()
    registry.register(PrometheusCollector(ours))
    assert registry.get_sample_value("c_total") == 1
    assert registry.get_sample_value("sent_bytes_total", {"to": "x"}) == 2


@pytest.mark.parametrize("auto_describe", [True, False])
def test_a_doubled_name_is_refused_when_we_are_registered(
    ours: Registry, *, auto_describe: bool
) -> None:
    """Registering our families beside one of the same name raises, and names it."""
    registry = peer.CollectorRegistry(auto_describe=auto_describe)
    peer.Counter("sent_bytes", "Theirs.", registry=registry)
    with pytest.raises(ValueError, match=r"Duplicated timeseries.*sent_bytes"):
        registry.register(PrometheusCollector(ours))


def test_an_exposition_of_ours_alone(ours: Registry) -> None:
    """Without another registry it is what `render` gives, in the format that was asked for."""
    assert expose(ours) == (Format.TEXT.value, ours.render())
    extra = {"host": "h"}
    found = expose(ours, OPENMETRICS, extra_labels=extra)
    assert found.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert found.body == ours.render(extra, openmetrics=True)


def test_their_families_follow_ours(ours: Registry, theirs: peer.CollectorRegistry) -> None:
    """Both registries are read back from one exposition, and extra labels reach all of it."""
    body = expose(ours, extra_labels={"host": "h", "shop": "b"}, beside=theirs).body
    families = {family.name: family for family in parse_text(body.decode())}
    assert {"sent_bytes", "orders", "stock", "sale_euros"} <= families.keys()
    assert all(s.labels["host"] == "h" for family in families.values() for s in family.samples)
    orders = next(s for s in families["orders"].samples if s.name == "orders_total")
    assert (orders.labels["shop"], orders.value) == ("a", 5)
    assert theirs.get_sample_value("orders_total", {"shop": "a"}) == 5


def test_their_families_follow_ours_in_openmetrics(
    ours: Registry, theirs: peer.CollectorRegistry
) -> None:
    """There is one end, and units and exemplars of both."""
    body = expose(ours, OPENMETRICS, extra_labels={"host": "h"}, beside=theirs).body
    assert body.count(b"# EOF") == 1
    parsed = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert (families["sent_bytes"].unit, families["sale_euros"].unit) == ("bytes", "euros")
    traces = {
        name: next(s for s in families[name].samples if s.exemplar).exemplar.labels["trace_id"]
        for name in ("sent_bytes", "orders")
    }
    assert traces == {"sent_bytes": "t1", "orders": "t2"}


@pytest.mark.parametrize("name", ["orders_total", "orders", "sale_euros", "shop_info"])
def test_a_family_in_both_is_named(
    name: str, ours: Registry, theirs: peer.CollectorRegistry
) -> None:
    """Nothing is doubled: a scrape raises, and says which family is in both."""
    ours.gauge(name, "Ours.").set(1)
    with pytest.raises(ValueError, match=f"in both registries.*{name.split('_')[0]}"):
        expose(ours, beside=theirs)


def test_a_family_of_a_collector_is_left_as_it_was(ours: Registry) -> None:
    """Extra labels go to copies: a collector may give out the same object at every scrape."""
    kept = peer.Metric("kept", "Kept.", "gauge")
    kept.add_sample("kept", {}, 1.0)

    class Collector:
        """Gives out what it keeps."""

        def collect(self) -> Iterator[peer.Metric]:
            yield kept

    registry = peer.CollectorRegistry()
    registry.register(Collector())  # type: ignore[arg-type]
    for _ in range(2):
        assert (
            b'kept{host="h"} 1.0' in expose(ours, extra_labels={"host": "h"}, beside=registry).body
        )
    assert kept.samples[0].labels == {}


def test_multiprocess_files_stand_in_for_their_registry(
    ours: Registry,
    theirs: peer.CollectorRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With PROMETHEUS_MULTIPROC_DIR set, the processes that wrote there are added up and shown."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for jobs in ("3", "4"):
        command = [sys.executable, "-c", WORKER, jobs]
        subprocess.run(command, env=environment, check=True)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    lines = expose(ours, extra_labels={"host": "h"}, beside=theirs).body.splitlines()
    assert b'jobs_total{host="h",kind="mail"} 7.0' in lines
    assert b'job_seconds_count{host="h"} 2.0' in lines
    assert b'sent_bytes_total{host="h",to="x"} 2' in lines
    assert not any(line.startswith(b"orders") for line in lines)
