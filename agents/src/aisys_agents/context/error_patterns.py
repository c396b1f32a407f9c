"""Which fix belongs to which error: regular expressions with cures and counts."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from aisys.errors import AgentError
from aisys.ids import new_id
from aisys_agents.text.bm25 import Bm25
from aisys_agents.text.words import terms

__all__ = ["BadPattern", "ErrorPattern", "PatternBook", "PatternNotFound"]

_MAX_MESSAGE = 2_000
_MAX_SIGNATURE = 200
_ALIKE = 0.6
# A repeated group that itself repeats can take exponential time: (a+)+ and its like.
_EXPLOSIVE = re.compile(r"\((?:[^()\\]|\\.)*[+*}](?:[^()\\]|\\.)*\)\s*[+*{]")
_VARIABLE = re.compile(
    r"0x[0-9a-f]+|\d+(?:\.\d+)*|'[^']*'|\"[^\"]*\"|(?:/[\w.@-]+){2,}", re.IGNORECASE
)


class BadPattern(AgentError):
    """The pattern is no usable regular expression; escape what is to be taken literally."""

    code: ClassVar[str] = "error_pattern_bad"


class PatternNotFound(AgentError):
    """No error pattern has this id."""

    code: ClassVar[str] = "error_pattern_not_found"


@dataclass(slots=True)
class ErrorPattern:
    """A kind of error: how its messages look, what cures it, and what is known of both.

    Attributes:
        learned: whether it was made from a report rather than taught.
        seen: how many messages of it there were.
        tried: how often somebody said whether the cure worked.
        worked: how often it did.
    """

    pattern_id: str
    kind: str
    pattern: str
    solution: str | None = None
    learned: bool = False
    seen: int = 0
    tried: int = 0
    worked: int = 0

    @property
    def success_rate(self) -> float | None:
        """The share of tries in which the cure worked, if there were any."""
        return self.worked / self.tried if self.tried else None


def signature(message: str) -> str:
    """The pattern of all messages that differ from this one only in numbers, names and paths."""
    parts: list[str] = []
    at = 0
    text = " ".join(message[:_MAX_MESSAGE].split())[:_MAX_SIGNATURE]
    for found in _VARIABLE.finditer(text):
        parts.extend((re.escape(text[at : found.start()]), ".{1,200}?"))
        at = found.end()
    parts.append(re.escape(text[at:]))
    return "".join(parts)


class PatternBook:
    """A bounded collection of patterns; of the learned ones without a cure the oldest go first.

    Args:
        limit: how many patterns there may be.
    """

    def __init__(self, limit: int = 1_000) -> None:
        self._limit = limit
        self._patterns: OrderedDict[str, ErrorPattern] = OrderedDict()
        self._compiled: dict[str, re.Pattern[str]] = {}

    def load(self, record: dict[str, Any]) -> None:
        """Take a pattern back from what `dump` gave."""
        pattern = ErrorPattern(**record)
        self._patterns[pattern.pattern_id] = pattern
        self._compiled[pattern.pattern_id] = re.compile(pattern.pattern)

    def dump(self, pattern_id: str) -> dict[str, Any]:
        """A pattern as JSON-like values."""
        return asdict(self._patterns[pattern_id])

    def __len__(self) -> int:
        return len(self._patterns)

    def __contains__(self, pattern_id: str) -> bool:
        return pattern_id in self._patterns

    def teach(
        self, kind: str, pattern: str, solution: str | None
    ) -> tuple[ErrorPattern, list[str]]:
        """Enter a pattern, or give a known one a cure.

        Returns:
            The pattern, and the ids of those that had to go.

        Raises:
            BadPattern: it is no regular expression, matches everything, or could take for ever.
        """
        if _EXPLOSIVE.search(pattern):
            raise BadPattern(f"{pattern!r} repeats a group that repeats: that can take for ever")
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise BadPattern(f"{pattern!r}: {error}") from None
        if compiled.search(""):
            raise BadPattern(f"{pattern!r} matches every message")
        for known in self._patterns.values():
            if known.pattern == pattern and known.kind == kind:
                known.learned = False
                if solution is not None and solution != known.solution:
                    known.solution, known.tried, known.worked = solution, 0, 0
                return known, []
        return self._enter(ErrorPattern(new_id("pattern"), kind, pattern, solution))

    def _enter(self, pattern: ErrorPattern) -> tuple[ErrorPattern, list[str]]:
        self._patterns[pattern.pattern_id] = pattern
        self._compiled[pattern.pattern_id] = re.compile(pattern.pattern)
        dropped: list[str] = []
        while len(self._patterns) > self._limit:
            idle = (p.pattern_id for p in self._patterns.values() if p.learned and not p.solution)
            victim = next(idle, next(iter(self._patterns)))
            del self._patterns[victim], self._compiled[victim]
            dropped.append(victim)
        return pattern, dropped

    def match(self, message: str) -> ErrorPattern | None:
        """The most telling pattern that a message has: one with a cure first, then the longest."""
        text = " ".join(message[:_MAX_MESSAGE].split())
        matching = [
            pattern
            for pattern_id, pattern in self._patterns.items()
            if self._compiled[pattern_id].search(text)
        ]
        return max(
            matching,
            key=lambda pattern: (pattern.solution is not None, len(pattern.pattern)),
            default=None,
        )

    def nearest(self, message: str) -> ErrorPattern | None:
        """A pattern with a cure whose own words are nearly those of the message."""
        cured = [pattern for pattern in self._patterns.values() if pattern.solution is not None]
        if not cured:
            return None
        texts = [
            terms(" ".join((pattern.kind, re.sub(r"\W", " ", pattern.pattern))))
            for pattern in cured
        ]
        scores = Bm25(texts).scores(terms(message))
        best = max(range(len(cured)), key=scores.__getitem__)
        return cured[best] if scores[best] >= _ALIKE else None

    def saw(self, kind: str, message: str) -> tuple[ErrorPattern | None, list[str]]:
        """Count a message; one of an unknown pattern is learned, without a cure.

        Returns:
            Its pattern, and the ids of those that had to go; None for an empty message.
        """
        pattern = self.match(message)
        dropped: list[str] = []
        if pattern is None:
            form = signature(message)
            if not form or re.search(form, ""):
                return None, []
            pattern, dropped = self._enter(
                ErrorPattern(new_id("pattern"), kind, form, learned=True)
            )
        pattern.seen += 1
        self._patterns.move_to_end(pattern.pattern_id)
        return pattern, dropped

    def outcome(self, pattern_id: str, *, worked: bool) -> ErrorPattern:
        """Note whether a cure worked.

        Raises:
            PatternNotFound: there is no such pattern.
        """
        pattern = self._patterns.get(pattern_id)
        if pattern is None:
            raise PatternNotFound(f"no error pattern {pattern_id!r}")
        pattern.tried += 1
        pattern.worked += worked
        return pattern
