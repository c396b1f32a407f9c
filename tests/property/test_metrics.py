"""The exposition, read back by the parser of `prometheus_client`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import prometheus_client as peer
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from aisys.metrics import Format, PrometheusCollector, Registry, expose, merge, negotiate

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
label_sets = st.dictionaries(st.tuples(texts, texts), st.floats(), min_size=1, max_size=8)


def same(one: float, other: float) -> bool:
    """Whether two floats are equal, or both not a number."""
    return one == other or (math.isnan(one) and math.isnan(other))


@given(label_sets, texts.map(lambda text: text.replace("\r", "")), texts)
def test_gauges_read_back(values: dict[tuple[str, str], float], help_text: str, extra: str) -> None:
    """Any label values and any floats survive the text format."""
    registry = Registry()
    family = registry.gauge("g", "x" + help_text, ("a", "b"))
    for (a, b), value in values.items():
        family.labels(a, b).set(value)
    text = registry.render({"c": extra}).decode()
    (read,) = text_string_to_metric_families(text)
    got = {(sample.labels["a"], sample.labels["b"]): sample.value for sample in read.samples}
    assert got.keys() == values.keys()
    assert all(same(got[key], value) for key, value in values.items())
    assert all(sample.labels["c"] == extra for sample in read.samples)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, unique=True),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)),
)
def test_histograms_read_back(bounds: list[float], values: list[float]) -> None:
    """Buckets count what is not above their bound, and rise."""
    registry = Registry()
    histogram = registry.histogram("h", "H.", (), sorted(bounds))
    for value in values:
        histogram.observe(value)
    (read,) = text_string_to_metric_families(registry.render().decode())
    buckets = [sample for sample in read.samples if sample.name == "h_bucket"]
    assert len(buckets) == len(bounds) + 1
    for sample in buckets:
        bound = float(sample.labels["le"])
        assert sample.value == sum(value <= bound for value in values)
    (count,) = (sample.value for sample in read.samples if sample.name == "h_count")
    assert count == len(values)


@given(st.lists(st.lists(st.sampled_from("abcde"), unique=True), max_size=5))
def test_merged_expositions_hold_every_sample(hosts: list[list[str]]) -> None:
    """Merging loses no sample and repeats no family."""
    parts = []
    for number, names in enumerate(hosts):
        registry = Registry()
        for name in names:
            registry.counter(name, f"{name}.").inc(number + 1)
        parts.append(registry.render({"host": str(number)}))
    families = list(text_string_to_metric_families(merge(parts).decode()))
    assert len({family.name for family in families}) == len(families)
    got = {
        (family.name, sample.labels["host"], sample.value)
        for family in families
        for sample in family.samples
    }
    expected = {
        (name, str(number), number + 1) for number, names in enumerate(hosts) for name in names
    }
    assert got == expected


amounts = st.floats(min_value=0, max_value=1e300) | st.integers(0, 2**53)
# The parser of `prometheus_client` refuses a quotation mark there, also in what it wrote itself.
exemplar_values = texts.map(lambda text: text.replace('"', "'"))
exemplars = st.none() | st.dictionaries(
    st.sampled_from(["trace_id", "span_id", "A", "_b2"]), exemplar_values, max_size=4
)
operations = st.lists(
    st.tuples(st.sampled_from(["counter", "gauge", "histogram"]), texts, amounts, exemplars),
    max_size=20,
)


def facts(families: Iterable[Any]) -> dict[tuple[object, ...], tuple[float, object]]:
    """Each sample by family, type, unit, name and labels: its value and exemplar, without times."""
    return {
        (
            family.name,
            family.type,
            family.unit,
            family.documentation,
            sample.name,
            frozenset(sample.labels.items()),
        ): (
            sample.value,
            sample.exemplar
            and (tuple(sorted(sample.exemplar.labels.items())), sample.exemplar.value),
        )
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(operations)
def test_what_prometheus_client_counts_we_count(
    done: list[tuple[str, str, float, dict[str, str] | None]],
) -> None:
    """After the same operations both libraries expose the same families, samples and exemplars."""
    ours, theirs = Registry(), peer.CollectorRegistry()
    bounds = (0.5, 1.0, 100.0)
    counter = ours.counter("sent_bytes", "Sent.", ("a",), unit="bytes")
    gauge = ours.gauge("depth", 'How "deep".', ("a",))
    histogram = ours.histogram("wait_seconds", "Time.", ("a",), bounds, unit="seconds")
    their_counter = peer.Counter("sent", "Sent.", ["a"], unit="bytes", registry=theirs)
    their_gauge = peer.Gauge("depth", 'How "deep".', ["a"], registry=theirs)
    their_histogram = peer.Histogram(
        "wait", "Time.", ["a"], unit="seconds", registry=theirs, buckets=bounds
    )
    for kind, value, amount, exemplar in done:
        if kind == "counter":
            counter.labels(value).inc(amount, exemplar)
            their_counter.labels(value).inc(amount, exemplar)
        elif kind == "gauge":
            gauge.labels(value).set(amount)
            their_gauge.labels(value).set(amount)
        else:
            histogram.labels(value).observe(amount, exemplar)
            their_histogram.labels(value).observe(amount, exemplar)
    expected = facts(theirs.collect())
    text = ours.render(openmetrics=True).decode()
    read = facts(parse_openmetrics(text))  # type: ignore[no-untyped-call]
    assert read.keys() == expected.keys()
    for key, (value, exemplar) in read.items():
        assert math.isclose(value, expected[key][0], rel_tol=1e-12)
        assert exemplar == expected[key][1]
    assert facts(PrometheusCollector(ours).collect()) == read
    plain = facts(text_string_to_metric_families(ours.render().decode()))
    assert {key[4:]: value for key, (value, _) in plain.items()} == {
        key[4:]: value for key, (value, _) in read.items()
    }
    beside = expose(Registry(), Format.OPENMETRICS.value, beside=theirs).body.decode()
    parsed = facts(parse_openmetrics(beside))  # type: ignore[no-untyped-call]
    assert parsed.keys() == expected.keys()


@given(label_sets, texts, st.lists(st.floats(allow_nan=False), max_size=5))
def test_openmetrics_reads_back(
    values: dict[tuple[str, str], float], help_text: str, observed: list[float]
) -> None:
    """Any label values, help texts and floats make OpenMetrics that its parser takes, also merged."""
    parts = []
    for host in ("one", "two"):
        registry = Registry()
        family = registry.gauge("g", f"x{help_text}x", ("a", "b"))
        for (a, b), value in values.items():
            family.labels(a, b).set(value)
        histogram = registry.histogram("h", "H.", (), (-1, 0, 1) if host == "one" else (0, 1))
        for value in observed:
            histogram.observe(value)
        parts.append(registry.render({"host": host}, openmetrics=True))
    for text, hosts in ((parts[0], 1), (parts[1], 1), (merge(parts), 2)):
        families: list[Any] = list(parse_openmetrics(text.decode()))  # type: ignore[no-untyped-call]
        gauge, spread = families
        assert gauge.documentation == f"x{help_text}x"
        got = {(s.labels["a"], s.labels["b"]): s.value for s in gauge.samples if s.labels["host"]}
        assert got.keys() == values.keys()
        assert all(same(got[key], value) for key, value in values.items())
        assert len(gauge.samples) == hosts * len(values)
        assert {sample.name for sample in spread.samples} <= {"h_bucket", "h_sum", "h_count"}


accept_parts = st.sampled_from(
    [*";,=*/q. ", "application/openmetrics-text", "text/plain", "version", "1.0.0", "0.5", "1"]
)


@given(st.text(max_size=30) | st.lists(accept_parts, max_size=20).map("".join))
def test_any_accept_header_has_an_answer(accept: str) -> None:
    """Whatever a client sends, there is a format, and OpenMetrics only for those who name it."""
    chosen = negotiate(accept)
    assert chosen is Format.TEXT or "application/openmetrics-text" in accept.lower()
