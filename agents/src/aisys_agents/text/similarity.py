"""Likeness of texts without a model: hashed word and trigram vectors, and near spellings."""

from __future__ import annotations

import math
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

from rapidfuzz.distance import OSA

from aisys_agents.text.words import terms, words

__all__ = [
    "Vector",
    "cosine",
    "hashed_vector",
    "near_counts",
    "pack_vector",
    "trigram_tokens",
    "unpack_vector",
]

Vector = Mapping[int, float]
"""A sparse vector of length 1: weight by hashed feature."""

_DIMENSIONS = 1 << 20
_MAX_FEATURES = 4096
_TRIGRAM_WEIGHT = 0.5
_NEAR = 0.78


def _trigrams(text: str) -> list[str]:
    grams: list[str] = []
    for word in words(text):
        padded = f"^{word}$"
        grams.extend(padded[at : at + 3] for at in range(max(1, len(padded) - 2)))
    return grams


def _feature(text: str) -> int:
    # Vectors are kept on disk: crc32 is stable between processes, which hash() is not.
    return zlib.crc32(text.encode()) % _DIMENSIONS


def hashed_vector(text: str) -> dict[int, float]:
    """The text as a sparse vector of length 1; empty for a text without words."""
    weights: dict[int, float] = {}
    for term, count in Counter(terms(text)).items():
        feature = _feature(f"w:{term}")
        weights[feature] = weights.get(feature, 0.0) + 1.0 + math.log(count)
    for gram, count in Counter(_trigrams(text)).most_common(_MAX_FEATURES):
        feature = _feature(f"g:{gram}")
        weights[feature] = weights.get(feature, 0.0) + _TRIGRAM_WEIGHT * (1.0 + math.log(count))
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    return {feature: weight / length for feature, weight in weights.items()} if length else {}


def cosine(left: Vector, right: Vector) -> float:
    """The cosine of the angle between two vectors of length 1: 0 nothing in common, 1 the same."""
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    return min(1.0, sum(weight * large.get(feature, 0.0) for feature, weight in small.items()))


def pack_vector(vector: Vector) -> bytes:
    """The vector as bytes to keep: little-endian feature numbers, then weights."""
    features = sorted(vector)
    count = len(features)
    return struct.pack(f"<{count}I{count}f", *features, *(vector[feature] for feature in features))


def unpack_vector(data: bytes) -> dict[int, float]:
    """The vector that `pack_vector` wrote.

    Raises:
        ValueError: the bytes are not a packed vector.
    """
    count, rest = divmod(len(data), 8)
    if rest:
        raise ValueError(f"a packed vector has a multiple of 8 bytes, not {len(data)}")
    numbers = struct.unpack(f"<{count}I{count}f", data)
    return dict(zip(numbers[:count], numbers[count:], strict=True))


def trigram_tokens(text: str) -> list[str]:
    """The hashed trigrams of a text as words of a full-text index: it finds what `cosine` ranks."""
    return [f"g{_feature(f'g:{gram}'):x}" for gram in dict.fromkeys(_trigrams(text))]


def near_counts(query: Sequence[str], counts: Mapping[str, int]) -> dict[str, float]:
    """How often a text has each term of a query, counting a near spelling as a fraction.

    Args:
        query: the terms asked for.
        counts: how often the text has each of its terms.

    Returns:
        The count where the term is there, the likeness (0.78 to 1) of the nearest spelling where
        only that is, and nothing for the rest. Numbers and terms under five letters have no near
        spellings: 555 is not 556.
    """
    found: dict[str, float] = {}
    for term in query:
        if term in counts:
            found[term] = counts[term]
        elif len(term) >= 5 and term.isalpha():
            best = max(
                (
                    OSA.normalized_similarity(term, other, score_cutoff=_NEAR)
                    for other in counts
                    if other.isalpha() and abs(len(other) - len(term)) <= 2
                ),
                default=0.0,
            )
            if best > 0.0:
                found[term] = best
    return found
