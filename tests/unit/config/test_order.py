"""Cycles and waves."""

from __future__ import annotations

from aisys.config.order import components, cycles, waves


def test_waves_follow_the_edges() -> None:
    """Each name comes after all it points to, as early as that allows."""
    graph = {"d": ["b", "c"], "b": ["a"], "c": [], "a": [], "e": ["d", "unknown"]}
    assert [sorted(wave) for wave in waves(graph)] == [["a", "c"], ["b"], ["d"], ["e"]]


def test_a_knot_shares_a_wave() -> None:
    """Names that point to each other start together, after what any of them needs."""
    graph = {"a": ["b", "z"], "b": ["a"], "c": ["b"], "z": []}
    assert [sorted(wave) for wave in waves(graph)] == [["z"], ["a", "b"], ["c"]]


def test_cycles_are_shortest_ways() -> None:
    """One way around per knot, none where there is none."""
    assert cycles({"a": ["b"], "b": []}) == []
    assert cycles({"a": ["a"]}) == [["a"]]
    (cycle,) = cycles({"a": ["b"], "b": ["c", "a"], "c": ["a"]})
    assert sorted(cycle) == ["a", "b"]
    assert len(cycles({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]})) == 2


def test_long_chains_do_not_recurse() -> None:
    """A chain longer than the recursion limit is fine."""
    graph = {str(n): [str(n + 1)] for n in range(5000)}
    assert len(components(graph)) == 5000
    assert len(waves(graph)) == 5000


def test_nothing() -> None:
    """An empty graph has no waves."""
    assert waves({}) == []
    assert cycles({}) == []
