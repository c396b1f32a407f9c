"""The reader: YAML 1.2 without surprises, and a place for every complaint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aisys.config.strict_yaml import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_PROBLEMS,
    Parsed,
    ScalarError,
    parse_bytes,
    parse_scalar,
    parse_text,
    read_file,
)


def parse(text: str) -> Parsed:
    return parse_text(text, "/x/f.yaml", "base")


def value(text: str) -> object:
    parsed = parse(f"v: {text}\n")
    assert not parsed.problems, parsed.problems
    assert parsed.root is not None
    return parsed.root.children()["v"].plain()


def only_problem(text: str) -> str:
    parsed = parse(text)
    assert len(parsed.problems) == 1, parsed.problems
    return str(parsed.problems[0])


@pytest.mark.parametrize(
    "text", ["no", "yes", "on", "off", "y", "N", "NO", "12:30:45", "2026-11-22", "1_000", "0b1"]
)
def test_what_yaml_1_1_would_turn_into_something_else_is_a_text(text: str) -> None:
    """YAML 1.1 booleans, sexagesimals, dates and underscored numbers are texts."""
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0xFF", 255),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5e-3", -0.0015),
        ("'12'", "12"),
        ('"true"', "true"),
        ("1.2.3", "1.2.3"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_core_schema_scalars(text: str, expected: object) -> None:
    """Plain scalars follow the YAML 1.2 core schema; quoted ones are texts."""
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    "text", ["012", "-007", ".inf", "-.INF", ".nan", "1e999", "9" * 21, "0x" + "f" * 40]
)
def test_ambiguous_and_unbounded_numbers_are_refused(text: str) -> None:
    """Leading zeros, infinities and endless numbers are problems with a place and a remedy."""
    parsed = parse(f"a: 1\nv: {text}\n")
    assert [problem.where for problem in parsed.problems] == ["/x/f.yaml:2:4"]
    assert parsed.problems[0].remedy
    with pytest.raises(ScalarError):
        parse_scalar(text)


def test_duplicate_keys_are_refused_with_both_places() -> None:
    """The second of two equal keys is a problem that names the first, which stays."""
    parsed = parse("a: 1\nb:\n  c: 2\n  d: 3\n  c: {x: 4}\n")
    assert [str(p) for p in parsed.problems] == [
        "/x/f.yaml:5:3: b: the key 'c' was set already on line 3. Keep one of the two"
    ]
    assert parsed.root is not None
    assert parsed.root.plain() == {"a": 1, "b": {"c": 2, "d": 3}}


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!str", "!secret", "!<tag:x,1:y>"]
)
@pytest.mark.parametrize("body", ["1", "[1]", "{a: 1}"])
def test_tags_are_refused(tag: str, body: str) -> None:
    """No tag is ever acted on."""
    assert "is refused" in only_problem(f"v: {tag} {body}\n")


def test_aliases_are_copied() -> None:
    """An alias is the value it names."""
    parsed = parse("a: &x {b: [1, 2]}\nc: *x\n")
    assert parsed.root is not None
    assert parsed.root.plain() == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_alias_bomb_is_refused() -> None:
    """A billion laughs ends at the limit of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "more than 100000 values" in only_problem("\n".join(lines))


def test_alias_tower_is_refused() -> None:
    """Aliases that make a tower of levels end at the limit of depth."""
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100))]
    assert f"nested deeper than {MAX_DEPTH}" in only_problem("\n".join(lines))


@pytest.mark.parametrize(
    "text", ["a: &x [*x]\n", "a: *nothing\n", "? *x\n: 1\n", "&x a: 1\n*x : 2\n"]
)
def test_aliases_that_lead_nowhere_are_refused(text: str) -> None:
    """An alias to itself, to nothing, or as a key is a problem."""
    assert parse(text).problems


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening: str) -> None:
    """A megabyte of brackets is a problem, not a crash."""
    assert parse("v: " + opening * 100_000).problems


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\n\tb: 2\n", "2:1"),
        ("a: [1, 2\nb: 3\n", "2:2"),
        ("a: 'x\n", "2:1"),
        ("a: b: c\n", "1:5"),
        ("a: @x\n", "1:4"),
        ("a: 1\n--- \nb: 2\n", "2:1"),
        ("? {a: 1}\n: 2\n", "1:3"),
        ("a: 1\n<<: {b: 2}\n", "2:1"),
        ("a: 1\n: 2\n", "2:1"),
        ("- a\n", "1:1"),
        ("just text\n", "1:1"),
        ("a: x\x00\n", "1:5"),
        ("é: 1\na: é\x07\n", "2:5"),
    ],
)
def test_syntax_errors_have_line_and_column(text: str, place: str) -> None:
    """What is no YAML, or no map, is placed."""
    parsed = parse(text)
    assert parsed.problems[0].where == f"/x/f.yaml:{place}"
    assert parsed.problems[0].remedy


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"# only a comment\n", b"---\n", b"\xef\xbb\xbf", b"null\n", b"{}"]
)
def test_an_empty_file_is_an_empty_map(data: bytes) -> None:
    """A file may hold nothing, with or without a byte-order mark."""
    parsed = parse_bytes(data, "/x/f.yaml", "base")
    assert not parsed.problems
    assert parsed.root is not None
    assert parsed.root.plain() == {}


def test_what_is_not_utf8_is_refused() -> None:
    """The line and column of the first wrong byte are named."""
    parsed = parse_bytes(b"a: 1\nb: \xff\n", "/x/f.yaml", "base")
    assert parsed.root is None
    assert parsed.problems[0].where == "/x/f.yaml:2:4"


def test_large_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A file over the limit and one that is not there are problems, not exceptions."""
    large = tmp_path / "large.yaml"
    large.write_bytes(b"# " + b"x" * MAX_BYTES)
    assert "is larger than" in str(read_file(large, "base").problems[0])
    assert "cannot be read" in str(read_file(tmp_path / "none.yaml", "base").problems[0])
    assert "is not a file" in str(read_file(tmp_path, "base").problems[0])
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is not a file" in str(read_file(tmp_path / "pipe.yaml", "base").problems[0])


def test_problems_are_bounded() -> None:
    """Reading stops when nobody would read on."""
    assert len(parse("a: 1\n" * 1000).problems) == MAX_PROBLEMS


def test_every_value_has_a_place() -> None:
    """Keys, values and list items know their line and column."""
    root = parse("a:\n  b: [1,\n      2]\n  c: >\n    text\n").root
    assert root is not None
    node = root.find(("a", "b", "1"))
    assert node is not None
    assert (node.origin.line, node.origin.column) == (3, 7)
    key = root.find(("a", "b"))
    assert key is not None
    assert (key.key.line, key.key.column, key.origin.column) == (2, 3, 6)


def test_control_characters_are_not_echoed() -> None:
    """A message never carries terminal escapes from a file."""
    for text in ('"\\e[31m": 1\n"\\e[31m": 2\n', 'a: {"\\e]0;x": 012}\n'):
        for problem in parse(text).problems:
            assert str(problem).isprintable()
