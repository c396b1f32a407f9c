"""A small linear classifier over hashed n-grams, trained in milliseconds in plain Python."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence

from aisys_agents.text.cues import words

__all__ = ["LinearClassifier", "features"]

BUCKETS = 1 << 20
MAX_WORDS = 60
SHARPNESS = 45.0
"""Turns scores into probabilities: a clear sentence gets about 0.8, gibberish about 0.1."""


def _hashed(text: str) -> int:
    # crc32 is the same in every process, which Python's own hash is not.
    return zlib.crc32(text.encode()) % BUCKETS


def features(text: str) -> dict[int, float]:
    """The hashed words, word pairs and letter trigrams of a text, with their weights."""
    found = words(text)[:MAX_WORDS]
    out: dict[int, float] = {}
    padded = ["<", *found, ">"]
    for word in found:
        out[_hashed(f"w:{word}")] = 1.0
        framed = f"<{word}>"
        for start in range(len(framed) - 2):
            key = _hashed(f"c:{framed[start : start + 3]}")
            out[key] = max(out.get(key, 0.0), 0.25)
    for left, right in itertools.pairwise(padded):
        out[_hashed(f"b:{left} {right}")] = 1.0
    return out


class LinearClassifier:
    """Complement naive Bayes: one weight for each class and feature, learnt in one pass.

    It judges a class by the words of all the others, which suits many classes with few examples.

    Args:
        examples: the sentences of each class.
        smoothing: the count that an unseen feature is given.
    """

    def __init__(self, examples: Mapping[str, Sequence[str]], smoothing: float = 0.3) -> None:
        self.labels = sorted(label for label, texts in examples.items() if texts)
        self._vocabulary = {
            word for texts in examples.values() for text in texts for word in words(text)
        }
        counts = {label: _count(examples[label]) for label in self.labels}
        total: dict[int, float] = {}
        for count in counts.values():
            for key, value in count.items():
                total[key] = total.get(key, 0.0) + value
        mass = sum(total.values())
        self._weights: dict[int, list[float]] = {key: [0.0] * len(self.labels) for key in total}
        for index, label in enumerate(self.labels):
            own = counts[label]
            rest = mass - sum(own.values()) + smoothing * max(len(total), 1)
            scale = 0.0
            for key, value in total.items():
                weight = -math.log((value - own.get(key, 0.0) + smoothing) / rest)
                self._weights[key][index] = weight
                scale += weight
            for key in total:
                self._weights[key][index] *= len(total) / scale

    def knows(self, text: str) -> bool:
        """Whether any word of a text occurs in the examples; letters alone prove nothing."""
        return not self._vocabulary.isdisjoint(words(text)[:MAX_WORDS])

    def scores(self, text: str) -> list[tuple[str, float]]:
        """Every class with its probability, best first; an empty list for a text without features."""
        sums = [0.0] * len(self.labels)
        norm = 0.0
        for key, value in features(text).items():
            weights = self._weights.get(key)
            norm += value
            if weights is not None:
                for index, weight in enumerate(weights):
                    sums[index] += value * weight
        if not norm or not self.labels:
            return []
        # Dividing by the root of the length keeps long sentences from being overly certain.
        sharp = [SHARPNESS * total / (norm**0.75) for total in sums]
        top = max(sharp)
        powers = [math.exp(value - top) for value in sharp]
        whole = sum(powers)
        ranked = zip(self.labels, (power / whole for power in powers), strict=True)
        return sorted(ranked, key=lambda pair: -pair[1])


def _count(texts: Iterable[str]) -> dict[int, float]:
    count: dict[int, float] = {}
    for text in texts:
        for key, value in features(text).items():
            count[key] = count.get(key, 0.0) + value
    return count
