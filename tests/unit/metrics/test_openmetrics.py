"""OpenMetrics: units, exemplars, negotiation, merging. The oracle is the parser of `prometheus_client`."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from aisys.metrics import Format, Registry, merge, negotiate


def parsed(text: bytes) -> dict[str, Any]:
    """Families by name."""
    families = text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]
    return {family.name: family for family in families}


def filled(trace: str = "4bf92f35") -> Registry:
    """A registry with one of each, with units and exemplars."""
    registry = Registry()
    sent = registry.counter("sent_bytes", 'What was "sent".', ("to",), unit="bytes")
    sent.labels("x").inc(3, {"trace_id": trace})
    registry.gauge("depth", "Depth.").set(2.5)
    wait = registry.histogram("wait_seconds", "Waiting.", (), (0.1, 1.0), unit="seconds")
    wait.observe(0.05)
    wait.observe(0.5, exemplar={"trace_id": trace, "span_id": "7"})
    wait.observe(7, exemplar=None)
    return registry


def test_families_have_types_units_and_help() -> None:
    """The head of a family is read back as it was declared."""
    families = parsed(filled().render(openmetrics=True))
    heads = {name: (family.type, family.unit) for name, family in families.items()}
    assert heads == {
        "sent_bytes": ("counter", "bytes"),
        "depth": ("gauge", ""),
        "wait_seconds": ("histogram", "seconds"),
    }
    assert families["sent_bytes"].documentation == 'What was "sent".'
    assert [sample.name for sample in families["sent_bytes"].samples] == ["sent_bytes_total"]


def test_exemplars_are_with_their_samples() -> None:
    """A counter shows its last exemplar and each bucket its own, with value and time; plain text shows none."""
    registry = filled()
    families = parsed(registry.render({"host": "h"}, openmetrics=True))
    (sent,) = families["sent_bytes"].samples
    assert sent.labels == {"host": "h", "to": "x"}
    assert (sent.exemplar.labels, sent.exemplar.value) == ({"trace_id": "4bf92f35"}, 3)
    assert abs(float(sent.exemplar.timestamp) - time.time()) < 60
    buckets = [s for s in families["wait_seconds"].samples if s.name == "wait_seconds_bucket"]
    assert [bucket.exemplar and bucket.exemplar.labels for bucket in buckets] == [
        None,
        {"trace_id": "4bf92f35", "span_id": "7"},
        None,
    ]
    assert b"4bf92f35" not in registry.render()


@pytest.mark.parametrize(
    ("exemplar", "error"),
    [
        ({"trace_id": "x" * 121}, ValueError),
        ({"a-b": "x"}, ValueError),
        ({"": "x"}, ValueError),
        ({"a": 1}, TypeError),
        ({1: "a"}, TypeError),
        ("trace", TypeError),
        (7, TypeError),
    ],
)
def test_a_bad_exemplar_counts_nothing(exemplar: Any, error: type[Exception]) -> None:
    """An exemplar that OpenMetrics would not take is refused before anything is counted."""
    registry = Registry()
    counter, histogram = registry.counter("c", "C."), registry.histogram("h", "H.")
    with pytest.raises(error):
        counter.inc(1, exemplar)
    with pytest.raises(error):
        histogram.observe(1, exemplar)
    assert (counter.value, histogram.count) == (0, 0)


def test_an_exemplar_may_have_128_characters() -> None:
    """The limit counts characters, not bytes."""
    registry = Registry()
    registry.counter("c", "C.").inc(1, {"id": "é" * 126})
    (sample,) = parsed(registry.render(openmetrics=True))["c"].samples
    assert sample.exemplar.labels == {"id": "é" * 126}


def test_a_sum_that_is_no_counter_is_left_out() -> None:
    """Where observations may be negative, OpenMetrics has buckets only; plain text has all."""
    registry = Registry()
    registry.histogram("b", "B.", (), (-1, 1)).observe(5)
    registry.histogram("v", "V.", (), (1,)).observe(-5)
    families = parsed(registry.render(openmetrics=True))
    assert {s.name for family in families.values() for s in family.samples} == {
        "b_bucket",
        "v_bucket",
    }
    assert b"v_sum -5" in registry.render()


def test_an_empty_registry_ends_as_well() -> None:
    """There is always an end."""
    assert Registry().render(openmetrics=True) == b"# EOF\n"


def test_merged_expositions_are_openmetrics_again() -> None:
    """Several processes become one exposition with one end, units and exemplars."""
    parts = [filled(host).render({"host": host}, openmetrics=True) for host in ("one", "two")]
    merged = merge([*parts, b"", b"# EOF\n"])
    assert merged.count(b"# EOF") == 1
    families = parsed(merged)
    assert families["sent_bytes"].unit == "bytes"
    traces = {
        s.labels["host"]: s.exemplar.labels["trace_id"] for s in families["sent_bytes"].samples
    }
    assert traces == {"one": "one", "two": "two"}
    assert len(families["wait_seconds"].samples) == 10


def test_formats_do_not_mix() -> None:
    """Plain text among OpenMetrics is refused, and so is OpenMetrics that was cut off."""
    text, openmetrics = filled().render(), filled().render(openmetrics=True)
    for wrong in (text, openmetrics[:-6]):
        with pytest.raises(ValueError, match="exposition 2 does not end"):
            merge([openmetrics, wrong])
    with pytest.raises(ValueError, match="exposition 1, line"):
        merge([openmetrics + openmetrics])


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Format.TEXT),
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html, */*;q=0.1", Format.TEXT),
        (PROMETHEUS, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', Format.OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        ("application/openmetrics-text;q=0, text/plain", Format.TEXT),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.9", Format.TEXT),
        ("application/openmetrics-text;q=0.9, text/plain;version=0.0.4;q=0.2", Format.OPENMETRICS),
        ("application/openmetrics-text;q=x", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        (";;,=,q=1", Format.TEXT),
    ],
)
def test_the_accept_header_chooses(accept: str | None, expected: Format) -> None:
    """OpenMetrics is what is asked for by name, at least as much as plain text."""
    assert negotiate(accept) is expected
