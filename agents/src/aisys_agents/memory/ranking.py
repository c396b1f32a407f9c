"""How well a memory fits a query: the one measure of the store and of the buffer before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aisys_agents.memory.models import SearchMode
from aisys_agents.text.bm25 import inverse_frequency, relevance
from aisys_agents.text.similarity import Vector, cosine, hashed_vector, near_counts
from aisys_agents.text.words import terms

__all__ = ["LIKE_ENOUGH", "Question", "Ranked"]

LIKE_ENOUGH = 0.3
"""Below this likeness two texts share no more than unrelated texts do."""

_BOTH = 0.1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A relevance (0 to 1) and the ways by which the text was found; empty when it was not."""

    score: float
    found_by: tuple[str, ...]


class Question:
    """A query prepared for one collection.

    Args:
        text: what is asked.
        mode: by terms ("text"), by likeness ("similarity"), or by both.
        texts: how many texts the collection has.
        average_length: how many terms they have on average.
        containing: how many of them have each term of the query.
    """

    def __init__(
        self,
        text: str,
        mode: SearchMode,
        *,
        texts: int,
        average_length: float,
        containing: Mapping[str, int],
    ) -> None:
        self.terms = list(dict.fromkeys(terms(text)))
        self._mode = mode
        self._vector = hashed_vector(text)
        self._average = average_length
        self._weights = {
            term: inverse_frequency(texts, containing.get(term, 0)) for term in self.terms
        }

    def rank(self, counts: Counter[str], vector: Vector) -> Ranked:
        """Judge one text by its terms and its vector."""
        length = counts.total()

        def judge(found: Mapping[str, float]) -> float:
            return relevance(self.terms, found, length, self._average, self._weights)

        text = judge(counts) if self._mode != "similarity" else 0.0
        like = 0.0
        if self._mode != "text":
            near = judge(near_counts(self.terms, counts))
            like = max(cosine(self._vector, vector), near if near > text else 0.0)
        ways: list[str] = []
        if text > 0.0:
            ways.append("text")
        if like >= LIKE_ENOUGH:
            ways.append("similarity")
        else:
            like = 0.0
        best, other = max(text, like), min(text, like)
        return Ranked(round(best + _BOTH * other * (1.0 - best), 4), tuple(ways))
