"""Metrics: families, children, refusals."""

from __future__ import annotations

import enum
import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aisys.metrics import DEFAULT_BUCKETS, Registry, merge


def test_a_counter_goes_up() -> None:
    """A counter without labels counts itself, in whole and in other steps."""
    counter = Registry().counter("calls", "Calls.")
    assert counter.value == 0
    counter.inc()
    counter.inc(2)
    counter.inc(0.5)
    assert counter.value == 3.5


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf])
def test_a_counter_refuses_to_go_down(amount: float) -> None:
    """A counter that went down or infinite could never be trusted again."""
    counter = Registry().counter("calls", "Calls.")
    with pytest.raises(ValueError, match="cannot go up by"):
        counter.inc(amount)
    assert counter.value == 0


def test_a_gauge_goes_both_ways() -> None:
    """A gauge is set, raised and lowered."""
    gauge = Registry().gauge("depth", "Depth.")
    gauge.set(5)
    gauge.inc()
    gauge.dec(3)
    assert gauge.value == 3


def test_a_histogram_spreads_observations() -> None:
    """An observation lands in the first bucket that is not below it."""
    histogram = Registry().histogram("s", "Seconds.", buckets=(1, 2, math.inf))
    for value in (0.5, 1, 1.5, 7):
        histogram.observe(value)
    assert histogram.buckets == [(1, 2), (2, 3), (math.inf, 4)]
    assert (histogram.count, histogram.sum) == (4, 10)
    with pytest.raises(ValueError, match="not a number"):
        histogram.observe(math.nan)


def test_default_buckets_are_used() -> None:
    """A histogram without buckets of its own has the default ones."""
    histogram = Registry().histogram("s", "Seconds.")
    assert [bound for bound, _ in histogram.buckets] == [*DEFAULT_BUCKETS, math.inf]


def test_labels_resolve_to_the_same_child() -> None:
    """Equal label values give the same object, however the strings were made."""
    family = Registry().counter("calls", "Calls.", ("agent", "method"))
    child = family.labels("Tutor", "explain")
    assert family.labels("tutor".title(), "explain") is child
    assert family.labels("explain", "Tutor") is not child
    child.inc()
    assert family.labels("Tutor", "explain").value == 1
    assert family.labels("explain", "Tutor").value == 0


def test_label_values_become_strings() -> None:
    """Numbers and enum members are label values by their text."""

    class Level(enum.StrEnum):
        """A level."""

        HIGH = "high"

    family = Registry().gauge("g", "G.", ("a", "b"))
    assert family.labels(1, Level.HIGH) is family.labels("1", "high")


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_any_number_of_labels(count: int) -> None:
    """Families may have few labels or many."""
    registry = Registry()
    family = registry.gauge("g", "G.", [f"l{number}" for number in range(count)])
    values = [f"v{number}" for number in range(count)]
    child = family.labels(*values)
    assert family.labels(*values) is child
    child.set(1)
    assert b',l0="v0"'.removeprefix(b",") in registry.render()
    for wrong in (values[1:], [*values, "more"]):
        with pytest.raises(ValueError, match="label values"):
            family.labels(*wrong)
    with pytest.raises(TypeError, match="None"):
        family.labels(None, *values[1:], "x")


def test_many_children_are_all_found() -> None:
    """A family finds each of thousands of children, also after removals."""
    family = Registry().counter("c", "C.", ("n",))
    children = {str(number): family.labels(number) for number in range(3000)}
    assert all(family.labels(name) is child for name, child in children.items())
    for number in range(0, 3000, 100):
        assert family.remove(str(number))
        assert not family.remove(number)
        assert family.labels(str(number)) is not children.pop(str(number))
    assert all(family.labels(name) is child for name, child in children.items())


def test_a_removed_child_is_not_exposed() -> None:
    """A child that was removed is gone from the exposition; asked for again, it begins anew."""
    registry = Registry()
    family = registry.gauge("g", "G.", ("a",))
    family.labels("x").set(7)
    family.labels("y").set(8)
    assert family.remove("x")
    assert registry.render().splitlines()[2:] == [b'g{a="y"} 8']
    assert family.labels("x").value == 0


def test_a_family_with_labels_counts_nothing_itself() -> None:
    """Using a family with labels as if it had none names the labels."""
    registry = Registry()
    counter = registry.counter("c", "C.", ("a", "b"))
    gauge = registry.gauge("g", "G.", ("a",))
    histogram = registry.histogram("h", "H.", ("a",))
    for use in (
        counter.inc,
        lambda: counter.value,
        lambda: gauge.set(1),
        gauge.inc,
        gauge.dec,
        lambda: gauge.value,
        lambda: histogram.observe(1),
        lambda: histogram.count,
    ):
        with pytest.raises(ValueError, match="labels"):
            use()
    with pytest.raises(ValueError, match="has no labels"):
        registry.gauge("plain", "P.").labels("x")
    with pytest.raises(ValueError, match="takes 2 label values, 0"):
        counter.labels()
    with pytest.raises(ValueError, match="has no labels"):
        counter.labels("x", "y").labels("x", "y").labels()


def test_the_same_family_comes_back() -> None:
    """Asking twice gives the first object; a different family under the name is refused."""
    registry = Registry()
    first = registry.counter("c", "C.", ("a",))
    assert registry.counter("c", "C.", ["a"]) is first
    assert registry.counter("c_total", "C.", ("a",)) is first
    with pytest.raises(ValueError, match="exists already as a counter with labels"):
        registry.counter("c", "C.")
    with pytest.raises(ValueError, match="exists already"):
        registry.gauge("c_total", "C.", ("a",))
    histogram = registry.histogram("h", "H.", (), (1, 2))
    assert registry.histogram("h", "H.", (), (1, 2, math.inf)) is histogram
    with pytest.raises(ValueError, match="exists already"):
        registry.histogram("h", "H.", (), (1, 3))
    with pytest.raises(ValueError, match="exists already"):
        registry.gauge("h_sum", "H.")


def test_a_family_is_declared_once() -> None:
    """Another help or unit is another declaration; the message names both places."""
    registry = Registry()
    first = registry.counter("sent_bytes", "Sent.", unit="bytes")
    assert registry.counter("sent_bytes_total", "Sent.", unit="bytes") is first
    place = rf"declared at {__file__}:\d+, and is declared differently at {__file__}:\d+"
    with pytest.raises(ValueError, match=place):
        registry.counter("sent_bytes", "Bytes that were sent.", unit="bytes")
    with pytest.raises(ValueError, match='unit "bytes"'):
        registry.counter("sent_bytes", "Sent.")
    with pytest.raises(ValueError, match="must end in its unit"):
        registry.histogram("wait", "Waiting.", unit="seconds")
    with pytest.raises(ValueError, match="exists already"):
        registry.gauge("sent_bytes", "The name that OpenMetrics gives the counter.")


def test_a_registry_knows_its_names() -> None:
    """A name is taken by a family or by one of its samples."""
    registry = Registry()
    registry.counter("c", "C.")
    registry.histogram("h", "H.")
    assert all(name in registry for name in ("c", "c_total", "h", "h_bucket", "h_sum", "h_count"))
    assert all(name not in registry for name in ("c_count", "h_total", ""))


@pytest.mark.parametrize(
    ("name", "labels", "problem"),
    [
        ("1a", (), "not a metric name"),
        ("a-b", (), "not a metric name"),
        ("", (), "not a metric name"),
        ("a", ("le",), "not a label name"),
        ("a", ("__x",), "not a label name"),
        ("a", ("x", "x"), "twice"),
    ],
)
def test_bad_names_are_refused(name: str, labels: tuple[str, ...], problem: str) -> None:
    """A name that Prometheus would not read is refused where it is given."""
    with pytest.raises(ValueError, match=problem):
        Registry().gauge(name, "A.", labels)


@pytest.mark.parametrize("buckets", [(), (math.inf,), (2, 1), (1, 1), (math.nan,), range(300)])
def test_bad_buckets_are_refused(buckets: tuple[float, ...]) -> None:
    """Buckets are finite, rising and not too many."""
    with pytest.raises(ValueError, match="buckets"):
        Registry().histogram("h", "H.", (), buckets)


def test_labels_as_one_string_are_refused() -> None:
    """A string is not a list of one-letter labels."""
    with pytest.raises(TypeError):
        Registry().gauge("g", "G.", "agent")


def test_extra_labels_reach_every_sample() -> None:
    """Extra labels go to each sample, escaped, unless the family has that label itself."""
    registry = Registry()
    registry.gauge("a", "A.", ("host",)).labels("own").set(1)
    registry.gauge("b", "B.").set(2)
    text = registry.render({"host": 'h"\\\n', "pc": "p"})
    assert [line for line in text.splitlines() if not line.startswith(b"#")] == [
        b'a{pc="p",host="own"} 1',
        b'b{host="h\\"\\\\\\n",pc="p"} 2',
    ]
    with pytest.raises(ValueError, match="not a label name"):
        registry.render({"le": "x"})
    with pytest.raises(TypeError):
        registry.render({"x": 1})  # type: ignore[dict-item]


def test_merge_gives_one_head_for_each_family() -> None:
    """Expositions of several hosts become one that a parser takes."""
    parts = []
    for host in ("one", "two"):
        registry = Registry()
        registry.counter("calls", "Calls.").inc(3)
        registry.histogram("s", "Seconds.", buckets=(1,)).observe(0.5)
        parts.append(registry.render({"host": host}))
    merged = merge(iter(parts))
    assert merged.count(b"# TYPE") == 2
    families = {family.name: family for family in text_string_to_metric_families(merged.decode())}
    calls = {sample.labels["host"]: sample.value for sample in families["calls"].samples}
    assert calls == {"one": 3, "two": 3}
    assert len(families["s"].samples) == 8
    with pytest.raises(ValueError, match="exposition 1, line 1"):
        merge([b"{} 1"])
    with pytest.raises(TypeError):
        merge(["text"])  # type: ignore[list-item]
