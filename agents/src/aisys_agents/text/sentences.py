"""Sentences: where they end, which of them sum a text up, and which of them answer a question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aisys_agents.text.bm25 import Bm25
from aisys_agents.text.similarity import cosine, hashed_vector
from aisys_agents.text.words import estimate_tokens, terms

__all__ = ["best_sentences", "digest", "split_sentences", "text_rank"]

_BREAK = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(\[]?[^\W_])|\n+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:dr|mr|mrs|ms|prof|st|jr|sr|atty|engr|gng|bb|vs|etc|e\.g|i\.e|dept|approx|[a-z])\.[\"')\]]*\s*$",
    re.IGNORECASE,
)
_DAMPING = 0.85
_ROUNDS = 40
_SETTLED = 1e-5
_MAX_SENTENCES = 300


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in order, without surrounding blanks; "Dr. Cruz" stays together."""
    sentences: list[str] = []
    start = 0
    for found in _BREAK.finditer(text):
        before = text[start : found.end()]
        if "\n" not in found.group() and _ABBREVIATION.search(before):
            continue
        sentences.append(before.strip())
        start = found.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def text_rank(sentences: Sequence[str]) -> list[float]:
    """How central each sentence is: the weights of a walk from sentence to similar sentence.

    Only the first 300 sentences take part, since the work grows with the square; the others weigh
    nothing.
    """
    vectors = [hashed_vector(sentence) for sentence in sentences[:_MAX_SENTENCES]]
    count = len(vectors)
    if not count:
        return []
    links = [[0.0] * count for _ in range(count)]
    for one in range(count):
        for other in range(one):
            links[one][other] = links[other][one] = cosine(vectors[one], vectors[other])
    sums = [sum(row) for row in links]
    weights = [1.0 / count] * count
    for _ in range(_ROUNDS):
        after = [
            (1.0 - _DAMPING) / count
            + _DAMPING
            * sum(
                links[other][one] / sums[other] * weights[other]
                for other in range(count)
                if sums[other]
            )
            for one in range(count)
        ]
        moved = max(abs(new - old) for new, old in zip(after, weights, strict=True))
        weights = after
        if moved < _SETTLED:
            break
    return weights + [0.0] * (len(sentences) - count)


def digest(sentences: Sequence[str], *, max_sentences: int = 5, max_tokens: int = 500) -> list[str]:
    """The most central sentences in their order, as many as fit; quoted, never reworded."""
    distinct = list(dict.fromkeys(sentences))
    ranks = text_rank(distinct)
    chosen: set[int] = set()
    spent = 0
    for at in sorted(range(len(distinct)), key=lambda at: -ranks[at]):
        cost = estimate_tokens(distinct[at])
        if len(chosen) < max_sentences and spent + cost <= max_tokens:
            chosen.add(at)
            spent += cost
    return [distinct[at] for at in sorted(chosen)]


def best_sentences(
    question: str, sentences: Sequence[str], limit: int = 3
) -> list[tuple[str, float]]:
    """The sentences that answer a question best by BM25, with relevance (0 to 1), best first."""
    scores = Bm25([terms(sentence) for sentence in sentences]).scores(terms(question))
    ranked = sorted(zip(sentences, scores, strict=True), key=lambda pair: -pair[1])
    return [(sentence, score) for sentence, score in ranked[:limit] if score > 0.0]
