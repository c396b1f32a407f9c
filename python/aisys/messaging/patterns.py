"""Topics and patterns: `speech.final`, `speech.*` (one word), `speech.**` (any number of words)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["PatternSet", "check_pattern", "check_topic", "matches"]

MAX_TOPIC_BYTES = 255
MAX_WORDS = 32


def check_topic(topic: str) -> None:
    """See that `topic` can be published to.

    Raises:
        ValueError: it is empty, too long, or has an empty word or a wildcard.
    """
    _check(topic, "topic")
    if "*" in topic:
        raise ValueError(f"topic {topic!r}: '*' is for patterns, name one topic")


def check_pattern(pattern: str) -> None:
    """See that `pattern` can be subscribed to.

    Raises:
        ValueError: it is empty, too long, or has an empty word or a wildcard that is only part of a
            word.
    """
    words = _check(pattern, "pattern")
    for word in words:
        if "*" in word and word not in ("*", "**"):
            raise ValueError(
                f"pattern {pattern!r}: a wildcard stands for whole words, {word!r} is a part of one"
            )


def _check(text: str, what: str) -> list[str]:
    if not text or len(text.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"a {what} has 1 to {MAX_TOPIC_BYTES} bytes, not {len(text.encode())}")
    words = text.split(".")
    if len(words) > MAX_WORDS or not all(words):
        raise ValueError(
            f"{what} {text!r}: needs 1 to {MAX_WORDS} words with single dots between them"
        )
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError(f"{what} {text!r}: spaces and control characters are not allowed")
    return words


def matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the words of a topic fit those of a pattern, in the product of their lengths."""
    # reached[i]: the words so far fit the first i words of the pattern.
    reached = [True] + [False] * len(pattern)
    for index, part in enumerate(pattern):
        reached[index + 1] = reached[index] and part == "**"
    for word in words:
        following = [False] * (len(pattern) + 1)
        for index, part in enumerate(pattern):
            if part == "**":
                following[index + 1] = following[index] or reached[index] or reached[index + 1]
            else:
                following[index + 1] = reached[index] and part in ("*", word)
        reached = following
    return reached[-1]


class PatternSet:
    """Patterns of one party: those without wildcards are looked up, the others tried one by one."""

    __slots__ = ("_exact", "_wild")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._wild: dict[str, list[str]] = {}
        for pattern in patterns:
            self.add(pattern)

    def add(self, pattern: str) -> None:
        """Add a pattern that `check_pattern` accepted."""
        if "*" in pattern:
            self._wild[pattern] = pattern.split(".")
        else:
            self._exact.add(pattern)

    def discard(self, pattern: str) -> None:
        """Remove a pattern if it is there."""
        self._wild.pop(pattern, None)
        self._exact.discard(pattern)

    def clear(self) -> None:
        """Remove all."""
        self._wild.clear()
        self._exact.clear()

    def __len__(self) -> int:
        return len(self._exact) + len(self._wild)

    def __contains__(self, pattern: object) -> bool:
        return pattern in self._exact or pattern in self._wild

    def match(self, topic: str) -> bool:
        """Whether any pattern fits `topic`."""
        if topic in self._exact:
            return True
        if not self._wild:
            return False
        words = topic.split(".")
        return any(matches(pattern, words) for pattern in self._wild.values())
