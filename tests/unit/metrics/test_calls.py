"""The ways in which hot methods take their arguments."""

from __future__ import annotations

import enum
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from aisys.metrics import Counter, Gauge, Histogram, Registry


@pytest.fixture
def registry() -> Registry:
    """An empty registry."""
    return Registry()


class Text(str):
    """A string that is not exactly one."""

    __slots__ = ()


class Many(enum.IntEnum):
    """A number that is not exactly an int."""

    TWO = 2


@pytest.mark.parametrize(
    "amount", [2, 2.0, True, Many.TWO, np.float64(2), np.int64(2), Fraction(2), Decimal(2), 2**60]
)
def test_every_kind_of_number_counts(registry: Registry, amount: Any) -> None:
    """What converts to a float counts as that float, by place and by name."""
    counter, gauge = registry.counter("c", "C."), registry.gauge("g", "G.")
    histogram = registry.histogram("h", "H.")
    counter.inc(amount)
    counter.inc(n=amount)
    assert counter.value == 2 * float(amount)
    gauge.set(amount)
    gauge.set(v=amount)
    gauge.inc(amount)
    gauge.dec(n=amount)
    assert gauge.value == float(amount)
    histogram.observe(amount)
    histogram.observe(v=amount)
    assert (histogram.count, histogram.sum) == (2, 2 * float(amount))


@pytest.mark.parametrize("amount", ["1", None, 10**400, object(), 1j])
def test_what_is_no_number_is_refused(registry: Registry, amount: Any) -> None:
    """What does not convert to a float raises and counts nothing."""
    counter, gauge = registry.counter("c", "C."), registry.gauge("g", "G.")
    histogram = registry.histogram("h", "H.")
    for function in (counter.inc, gauge.set, gauge.inc, gauge.dec, histogram.observe):
        with pytest.raises((TypeError, OverflowError)):
            function(amount)
    assert (counter.value, gauge.value, histogram.count) == (0, 0, 0)


def test_wrong_arguments_are_named(registry: Registry) -> None:
    """Too many, too few, unknown and doubled arguments raise as with any function."""
    counter, gauge = registry.counter("c", "C."), registry.gauge("g", "G.")
    histogram: Any = registry.histogram("h", "H.")
    calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
        (counter.inc, (1, None, 3), {}, "at most 2"),
        (counter.inc, (), {"m": 1}, "unexpected keyword argument 'm'"),
        (counter.inc, (1,), {"n": 1}, "multiple values"),
        (gauge.set, (), {}, "missing required argument: 'v'"),
        (gauge.inc, (1, 2), {}, "at most 1"),
        (histogram.observe, (), {"exemplar": None}, "missing required argument: 'v'"),
        (histogram.observe, (1, 2, 3), {}, "at most 2"),
    ]
    for function, arguments, keywords, problem in calls:
        with pytest.raises(TypeError, match=problem):
            function(*arguments, **keywords)
    assert (counter.value, gauge.value, histogram.count) == (0, 0, 0)


def test_methods_check_their_receiver() -> None:
    """A method of one class refuses an object of another."""
    registry = Registry()
    gauge: Any = registry.gauge("g", "G.")
    for method in (Counter.inc, Counter.labels, Counter.remove, Histogram.observe, Histogram.time):
        with pytest.raises(TypeError):
            method(gauge)
    with pytest.raises(TypeError):
        type("Mine", (Gauge,), {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tutor", "Tutor"),
        ("tutor of a very long name indeed", "tutor of a very long name indeed"),
        ("", ""),
        ("é", "é"),
        ("例え", "例え"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_equal_strings_are_the_same_value(registry: Registry, one: str, other: str) -> None:
    """A label value is what it says: other objects, other hashes, subclasses, none of it matters."""
    family = registry.counter("c", "C.", ("a", "b"))
    child = family.labels(one, "x")
    made = "".join(list(other))
    assert family.labels(made, "x") is child
    assert family.labels(Text(made), "x") is child
    assert family.labels(other.encode().decode(), "x") is child
    assert family.labels("x", one) is not child
    assert family.labels(made + "x", "") is not child


@pytest.mark.parametrize("length", [*range(1, 20), 40])
def test_strings_that_differ_anywhere_are_different(registry: Registry, length: int) -> None:
    """Strings of one length that differ in one place have children of their own, and none is found for another's."""
    family = registry.gauge("g", "G.", ("a",))
    names = ["-" * place + "x" + "-" * (length - place - 1) for place in range(length)]
    children = {name: family.labels(name) for name in names}
    assert len({id(child) for child in children.values()}) == length
    assert all(family.labels("".join(list(name))) is child for name, child in children.items())


def test_a_label_value_may_do_anything_while_it_becomes_text(registry: Registry) -> None:
    """A value whose `__str__` asks the same family, or raises, leaves the family as it was."""
    family = registry.counter("c", "C.", ("a",))

    class Asking:
        """Uses the family it is a label of."""

        def __str__(self) -> str:
            family.labels("inner").inc()
            return "outer"

    class Failing:
        """Has no text."""

        def __str__(self) -> str:
            raise LookupError("no text")

    family.labels(Asking()).inc(2)
    assert (family.labels("inner").value, family.labels("outer").value) == (1, 2)
    with pytest.raises(LookupError, match="no text"):
        family.labels(Failing())
    with pytest.raises(UnicodeEncodeError):
        family.labels("\ud800")
    assert len(registry.render().splitlines()) == 4


def test_special_numbers_are_written_as_prometheus_does(registry: Registry) -> None:
    """Gauges take what is no number, and infinities; a histogram takes infinities."""
    family = registry.gauge("g", "G.", ("a",))
    for value in (math.nan, math.inf, -math.inf):
        family.labels(value).set(value)
    assert registry.render().splitlines()[2:] == [
        b'g{a="nan"} NaN',
        b'g{a="inf"} +Inf',
        b'g{a="-inf"} -Inf',
    ]
    histogram = registry.histogram("h", "H.", (), (1.0,))
    histogram.observe(math.inf)
    assert (histogram.sum, histogram.buckets) == (math.inf, [(1, 0), (math.inf, 1)])
