"""Okapi BM25: how well a text answers a query, by the terms they share.

Scores are *relevance* between 0 and 1: what the text scores, divided by what a text of average
length with every term of the query once would score. That keeps them comparable between queries
and on collections of one or two texts, where textbook BM25 gives values near zero.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Bm25", "inverse_frequency", "relevance"]

_K1 = 1.2
_B = 0.75
_PRIOR_TEXTS = 100


def inverse_frequency(texts: int, containing: int) -> float:
    """How telling a term is: never negative, high when few of the texts contain it.

    The collection is counted as if a hundred more texts had each term once: in a handful of texts
    a term would otherwise weigh next to nothing just because one of them has it.
    """
    known = max(texts, containing) + _PRIOR_TEXTS
    return math.log(1.0 + (known - containing - 0.5) / (containing + 1.5))


def relevance(
    query: Iterable[str],
    counts: Mapping[str, float],
    length: int,
    average_length: float,
    weights: Mapping[str, float],
) -> float:
    """How well one text answers a query.

    Args:
        query: the terms asked for; each counts once.
        counts: how often the text has each term; a fraction for a term that is only nearly there.
        length: the number of terms of the text.
        average_length: the mean of that over the collection.
        weights: the inverse frequency of each term of the query.

    Returns:
        0 when nothing is shared, 1 when everything asked for is there.
    """
    asked = set(query)
    total = sum(weights.get(term, 0.0) for term in asked)
    if total <= 0.0:
        return 0.0
    norm = _K1 * (1.0 - _B + _B * length / max(average_length, 1.0))
    score = 0.0
    for term in asked:
        weight = weights.get(term, 0.0)
        count = counts.get(term, 0.0)
        if count > 0.0:
            # A near match must not gain by saturation what it lacks in likeness.
            likeness = min(count, 1.0)
            frequency = max(count, 1.0)
            score += weight * likeness * frequency * (_K1 + 1.0) / (frequency + norm)
    return min(score / total, 1.0)


class Bm25:
    """The terms of a collection that fits in memory, ready to be asked."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._counts = [Counter(terms) for terms in texts]
        self._lengths = [len(terms) for terms in texts]
        self._average = sum(self._lengths) / len(self._lengths) if self._lengths else 0.0
        self._containing = Counter(term for counts in self._counts for term in counts)

    def weights(self, query: Iterable[str]) -> dict[str, float]:
        """The inverse frequency of each term of a query in this collection."""
        return {
            term: inverse_frequency(len(self._counts), self._containing[term]) for term in query
        }

    def scores(self, query: Sequence[str]) -> list[float]:
        """The relevance of each text, in the order they were given."""
        weights = self.weights(query)
        return [
            relevance(query, counts, length, self._average, weights)
            for counts, length in zip(self._counts, self._lengths, strict=True)
        ]
