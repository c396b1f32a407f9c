"""The configuration under random input: no crash, true places, lawful merging."""

from __future__ import annotations

import json
import string
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from aisys.config import Fleet, load_fleet
from aisys.config.layers import merge, merge_all, strip
from aisys.config.order import components, cycles, waves
from aisys.config.origins import Node, Origin, node_of
from aisys.config.strict_yaml import parse_bytes, parse_scalar, parse_text
from aisys.errors import ConfigError
from support.config_folder import SMALL

# The machines that run this are shared: time says nothing about the property.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(CALM, max_examples=60)

keys = st.sampled_from([*"abcd", "agents", "port", "name"])
# Left out: what YAML does not print (C), and what libyaml still folds as a line break (Zl, Zp).
texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.booleans(), st.integers(-(10**12), 10**12), floats, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


def maps(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Maps of one shape: which keys hold maps does not depend on the layer."""
    return st.fixed_dictionaries(
        {},
        optional={
            "a": leaf,
            "b": leaf,
            "c": st.fixed_dictionaries({}, optional={"x": leaf, "y": leaf}),
        },
    )


def tree(value: object, layer: str = "base") -> Node:
    return node_of(value, Origin(layer))


@CALM
@given(maps(scalars), maps(scalars), maps(scalars))
def test_merging_is_associative(low: Any, middle: Any, high: Any) -> None:
    """Layers of one shape may be grouped in any way."""
    one = merge(merge(tree(low), tree(middle)), tree(high)).plain()
    other = merge(tree(low), merge(tree(middle), tree(high))).plain()
    assert one == other


@CALM
@given(st.dictionaries(keys, values, max_size=4))
def test_merging_with_nothing_and_with_oneself_changes_nothing(value: dict[str, Any]) -> None:
    """The empty layer is neutral on both sides, and a layer over itself is itself."""
    assert merge(tree({}), tree(value)).plain() == value
    assert merge(tree(value), tree({})).plain() == value
    assert merge(tree(value), tree(value)).plain() == value


@CALM
@given(st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=4))
def test_the_highest_layer_wins_and_says_so(layers: list[dict[str, Any]]) -> None:
    """The top layer's values are all there, and each value's origin is a layer that has it."""
    trees = [tree(layer, str(number)) for number, layer in enumerate(layers)]
    merged = merge_all(trees)
    top = trees[-1]
    for path, node in top.leaves():
        if path and node.value != {}:
            found = merged.find(path)
            assert found is not None
            assert found.plain() == node.plain()
            assert found.origin.layer == str(len(layers) - 1)
    for path, node in merged.leaves():
        if path and node.value != {}:
            source = trees[int(node.origin.layer)].find(path)
            assert source is not None
            assert source.plain() == node.plain()


@CALM
@given(st.dictionaries(keys, st.one_of(values, st.none()), max_size=4))
def test_null_leaves_nothing(upper: dict[str, Any]) -> None:
    """A key that the last layer sets to null is gone."""
    lower = tree({"a": 1, "b": {"c": 2}})
    merged = strip(merge(lower, tree(upper))).plain()
    assert isinstance(merged, dict)
    assert all(key not in merged for key, value in upper.items() if value is None)


@CALM
@given(st.dictionaries(keys, values, max_size=4))
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    """What PyYAML writes can be read, and every value has a line of the text."""
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=False, default_style=None)
    parsed = parse_text(text, "/f.yaml", "base")
    assume(not parsed.problems)  # PyYAML leaves some texts bare that 1.2 reads as numbers
    assert parsed.root is not None
    lines = text.splitlines() or [""]
    for _, node in parsed.root.leaves():
        assert 1 <= node.key.line <= max(1, len(lines))
        assert 1 <= node.origin.line <= max(1, len(lines))


@CALM
@given(st.dictionaries(keys, values, max_size=4))
def test_json_is_read_exactly(value: dict[str, Any]) -> None:
    """JSON is YAML 1.2: every text, number and list comes out as it went in."""
    parsed = parse_text(json.dumps(value, ensure_ascii=False), "/f.yaml", "base")
    assert not parsed.problems
    assert parsed.root is not None
    assert parsed.root.plain() == value


@CALM
@given(st.text(alphabet=string.printable + "éλ\x00\x85\u2028", max_size=200))
@example("a: &x [*x]")
@example("? [a]\n: b")
@example("%YAML 1.1\n---\na: 1")
@example("!!binary |\n  x")
@example("a: !<tag:yaml.org,2002:python/object/new:os.system> [x]")
def test_any_text_is_read_or_refused(text: str) -> None:
    """The reader never raises; it gives a map or says where it is not one."""
    parsed = parse_text(text, "/f.yaml", "base")
    assert (parsed.root is not None) or parsed.problems
    for problem in parsed.problems:
        assert problem.where.startswith("/f.yaml")
        assert problem.what


@CALM
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Not even what is no text at all."""
    parsed = parse_bytes(data, "/f.yaml", "base")
    assert (parsed.root is not None) or parsed.problems


@CALM
@given(st.text(max_size=40))
def test_a_scalar_is_a_value_or_a_value_error(text: str) -> None:
    """Plain scalars give a value of their own or a ValueError with a remedy."""
    try:
        value = parse_scalar(text)
    except ValueError as error:
        assert str(error)
    else:
        assert value is None or isinstance(value, (bool, int, float, str))


def _load(
    overlay: bytes, *, environ: Mapping[str, str] | None = None, **sets: Any
) -> Fleet | ConfigError:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fleet.yaml").write_text(SMALL)
        (folder / "dev.yaml").write_bytes(overlay)
        try:
            return load_fleet(folder, environ=environ or {}, **sets)
        except ConfigError as error:
            return error


fragments = st.lists(
    st.sampled_from(
        [
            "agents",
            "machines",
            "Anna",
            "one",
            "port",
            "requires",
            "place",
            "settings",
            "name",
            "llm",
            "key",
            "state",
            "debug",
            "port_offset",
            ": ",
            ":\n  ",
            "\n",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "- ",
            "null",
            "true",
            "7012",
            "-1",
            "Ben",
            "own",
            "shared",
            "&a ",
            "*a",
            "!!str ",
            "'",
            '"',
            "<<",
            "\t",
            "012",
            "1e999",
            "?",
            "|",
            "#",
            "secret:X",
        ]
    ),
    max_size=14,
).map("".join)


@FEW
@given(fragments)
@example("agents: {Anna: {port: null}}")
@example("agents: {Anna: null}")
@example("agents: null")
@example("machines: {one: null}")
@example("name: null")
@example("debug: {a: [1]}")
@example("agents: {Anna: {requires: [1, {a: 2}], place: [x]}}")
@example("llm: {key: {a: b}}")
@example("port_offset: [1]")
@example("security: 5")
def test_any_overlay_loads_or_is_a_config_error(text: str) -> None:
    """Almost-configuration gives a fleet, or problems that are all placed and whose lines exist."""
    result = _load(text.encode())
    lines = {"dev.yaml": text.count("\n") + 2, "fleet.yaml": SMALL.count("\n") + 1}
    if isinstance(result, ConfigError):
        assert result.problems
        for problem in result.problems:
            assert problem.where
            file, _, place = problem.where.rpartition("/")[2].partition(":")
            if place:
                assert 1 <= int(place.split(":")[0]) <= lines[file]
        return
    for origin in result.origins().values():
        assert 1 <= origin.line <= lines[Path(origin.file).name]


@FEW
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "agents.Anna.port",
                "agents.Anna",
                "agents",
                "debug",
                "llm.key",
                "x.y",
                "machines.one.address",
            ]
        ),
        st.one_of(values, st.none()),
        max_size=3,
    )
)
def test_any_override_loads_or_is_a_config_error(overrides: dict[str, Any]) -> None:
    """The command line cannot crash the loader either."""
    assert isinstance(_load(b"", overrides=overrides), (Fleet, ConfigError))


@FEW
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "AISYS_AGENTS__ANNA__PLACE",
                "AISYS_AGENTS__ANNA",
                "AISYS_AGENTS",
                "AISYS_PORT_OFFSET",
                "PORT_OFFSET",
                "AISYS_LLM_MODEL",
                "AISYS_LLM__KEY",
                "AISYS_LLM_KEY_FILE",
                "AISYS_X__Y",
                "AISYS___",
                "AISYS_ENV",
            ]
        ),
        st.one_of(st.text(max_size=12), st.text(max_size=8).map("[{}]".format), fragments),
        max_size=3,
    )
)
@example({"AISYS_LLM_MODEL": "\udcff"})
@example({"AISYS_AGENTS__ANNA__PLACE": "[\udcff]"})
def test_any_environment_loads_or_is_a_config_error(environ: dict[str, str]) -> None:
    """Nor can variables, bytes that are no UTF-8 included."""
    result = _load(b"", environ=environ)
    assert isinstance(result, (Fleet, ConfigError))
    if isinstance(result, ConfigError):
        assert str(result)


graphs = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=3), max_size=6
)


@CALM
@given(graphs)
def test_waves_hold_every_name_once_and_in_order(graph: dict[str, list[str]]) -> None:
    """Each name is in one wave, after what it points to unless they are knotted."""
    order = waves(graph)
    level = {name: number for number, wave in enumerate(order) for name in wave}
    assert sorted(level) == sorted(graph)
    assert sum(map(len, order)) == len(graph)
    knot = {name: number for number, group in enumerate(components(graph)) for name in group}
    for name, targets in graph.items():
        for target in targets:
            if target in graph:
                same = knot[name] == knot[target]
                assert level[target] == level[name] if same else level[target] < level[name]


@CALM
@given(graphs)
def test_cycles_are_cycles(graph: dict[str, list[str]]) -> None:
    """Each cycle found can be walked, and without one every wave is free of edges."""
    found = cycles(graph)
    for cycle in found:
        for name, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert target in graph[name]
    if not found:
        for wave in waves(graph):
            assert not any(target in wave for name in wave for target in graph[name])
