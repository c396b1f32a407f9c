"""Topics and patterns, against a second, plainer implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisys.messaging.patterns import PatternSet, check_pattern, check_topic, matches


@pytest.mark.parametrize(
    ("pattern", "topic", "fits"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("**", "a", True),
        ("**", "a.b.c", True),
        ("a.**", "a", True),
        ("a.**", "a.b.c", True),
        ("a.**", "ab", False),
        ("**.c", "c", True),
        ("**.c", "a.b.c", True),
        ("**.c", "a.b.cc", False),
        ("a.**.d", "a.d", True),
        ("a.**.d", "a.b.c.d", True),
        ("a.*.**", "a", False),
        ("a.*.**", "a.b", True),
        ("**.**", "a", True),
    ],
)
def test_examples(pattern: str, topic: str, fits: bool) -> None:
    """`*` stands for one word, `**` for any number, also none."""
    check_pattern(pattern)
    check_topic(topic)

    assert PatternSet([pattern]).match(topic) is fits


def _plain(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "**":
        return any(_plain(pattern[1:], words[cut:]) for cut in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _plain(pattern[1:], words[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=6),
)
def test_matching_agrees_with_the_definition(pattern: list[str], words: list[str]) -> None:
    """The table and the recursion come to the same result."""
    assert matches(pattern, words) is _plain(pattern, words)


def test_many_wildcards_take_no_time() -> None:
    """A pattern that would send a backtracking matcher to sleep is decided at once."""
    assert not matches(["**", "a"] * 15 + ["b"], ["a"] * 32)


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a..b", "a b", "a\n", "a" * 256, ".".join("a" * 33)]
)
def test_malformed_names(text: str) -> None:
    """Empty words, spaces, control characters and endless names are refused."""
    with pytest.raises(ValueError, match=r"topic|pattern"):
        check_topic(text)
    with pytest.raises(ValueError, match=r"topic|pattern"):
        check_pattern(text)


def test_a_set_of_patterns() -> None:
    """Patterns are added once and can be taken back."""
    patterns = PatternSet(["a.b", "a.*", "a.*"])
    assert (len(patterns), "a.*" in patterns, "b" in patterns) == (2, True, False)
    patterns.discard("a.*")
    assert (patterns.match("a.c"), patterns.match("a.b")) == (False, True)
    patterns.clear()
    assert len(patterns) == 0
