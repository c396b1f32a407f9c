"""The exposition, read back by the parser of `prometheus_client`."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from aisys.metrics import Registry, merge

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
