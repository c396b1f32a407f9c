"""Answers out of memories: which sentence answers a question, and how surely."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from aisys_agents.memory.facts import is_open_to
from aisys_agents.memory.models import Hit
from aisys_agents.text.bm25 import Bm25, relevance
from aisys_agents.text.sentences import split_sentences
from aisys_agents.text.similarity import near_counts
from aisys_agents.text.words import stem, terms, words

__all__ = ["ENOUGH", "Evidence", "evidence_for", "quoted"]

ENOUGH = 0.5
"""From this confidence on a sentence counts as an answer."""

_COVER = 0.97
_AS_GOOD = 0.95
_QUOTED_AT_MOST = 3
_TRUST = {"fact": 1.0, "turn": 0.8, "summary": 0.7}
_TRUST_ELSE = 0.9
_ASK_ABOUT_ASKING = frozenset(
    stem(word)
    for word in [
        "tell",
        "know",
        "remember",
        "recall",
        "remind",
        "say",
        "said",
        "told",
        "mention",
        "think",
        "info",
        "alam",
        "sabi",
    ]
)

# What a question may ask for in a word that the answer does not repeat: a text that has it in
# another form need not contain the word.
_PHONE = "phone telephone number contact call mobile cellphone numero telepono"
_EMAIL = "email mail e-mail"
_TIME = "time date day hour schedule oras petsa araw"
_NAME = "name named called pangalan"
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|enero|pebrero|marso|abril|mayo|hunyo"
_FORMS: tuple[tuple[frozenset[str], re.Pattern[str]], ...] = tuple(
    (frozenset(map(stem, asked.split())), re.compile(pattern))
    for asked, pattern in (
        (_PHONE, r"\d[\d\s().-]{4,}\d"),
        (_EMAIL, r"\S@\S"),
        (_TIME, rf"\d{{1,2}}:\d{{2}}|\b(?i:{_MONTHS})\w*\b|(?i:[a-z]+day\b)|\b\d{{1,2}} ?[ap]m\b"),
        (_NAME, r"\s[A-Z][a-z]+"),
    )
)


class Evidence(TypedDict):
    """A sentence with the memory it stands in, where that is kept, and how well it fits."""

    memory_id: str
    text: str
    score: float
    stored: str
    kind: str
    at: float
    source: str | None
    found_by: list[str]


def _asked_terms(question: str) -> list[str]:
    return [term for term in dict.fromkeys(terms(question)) if term not in _ASK_ABOUT_ASKING]


def _left_to_find(asked: Sequence[str], sentence: str) -> list[str]:
    """The terms of a question without those that the sentence answers by its form."""
    left = [
        term
        for term in asked
        if not any(term in names and form.search(sentence) for names, form in _FORMS)
    ]
    return left or list(asked)


def _may_answer(hit: Hit, question: str, user_id: str | None) -> bool:
    """Whether a memory may be quoted: not a question, nor what the assistant or others said."""
    if hit["kind"] == "session":
        return False
    meta: dict[str, Any] = hit["meta"]
    if hit["kind"] != "turn":
        said_by = meta.get("user_id")
        theirs = user_id is not None and said_by is not None and said_by != user_id
        return not theirs and is_open_to(user_id, meta.get("source"))
    if meta.get("role") != "user" or (user_id is not None and meta.get("user_id") != user_id):
        return False
    return words(hit["content"]) != words(question)


def evidence_for(
    question: str, hits: Sequence[Hit], *, user_id: str | None = None, limit: int = 8
) -> list[Evidence]:
    """The sentences that bear on a question, best first, one of each memory.

    Args:
        question: what is asked.
        hits: the memories that a search found.
        user_id: who asks; what other users said in conversation is left out.
        limit: how many at most.
    """
    asked = _asked_terms(question)
    pool = [
        (hit, sentence)
        for hit in hits
        if _may_answer(hit, question, user_id)
        for sentence in split_sentences(hit["content"])
        if not sentence.endswith("?")
    ]
    if not asked or not pool:
        return []
    texts = [terms(" ".join((sentence, *hit["tags"]))) for hit, sentence in pool]
    weights = Bm25(texts).weights(asked)
    average = sum(map(len, texts)) / len(texts)
    best: dict[str, Evidence] = {}
    for (hit, sentence), text in zip(pool, texts, strict=True):
        counts = Counter(text)
        left = _left_to_find(asked, sentence)
        near = near_counts(left, counts)
        # What counts is how much of the question is covered; BM25, which also rewards brevity,
        # only decides between sentences that cover the same.
        covered = sum(weights[term] * min(count, 1.0) for term, count in near.items())
        share = covered / (sum(weights[term] for term in left) or 1.0)
        fit = relevance(left, near, len(text), average, weights)
        trust = _TRUST.get(hit["kind"], _TRUST_ELSE)
        score = round((_COVER * share + (1.0 - _COVER) * fit) * trust, 4)
        known = best.get(hit["memory_id"])
        if score > 0.0 and (known is None or score > known["score"]):
            best[hit["memory_id"]] = Evidence(
                memory_id=hit["memory_id"],
                text=sentence,
                score=score,
                stored=hit["stored"],
                kind=hit["kind"],
                at=hit["created_at"],
                source=hit["meta"].get("source") or hit["meta"].get("user_id"),
                found_by=hit["found_by"],
            )
    return sorted(best.values(), key=lambda item: (-item["score"], -item["at"]))[:limit]


def quoted(evidence: Sequence[Evidence]) -> str | None:
    """The answer that the evidence gives: its best sentences in its own words, or none."""
    if not evidence or evidence[0]["score"] < ENOUGH:
        return None
    bar = evidence[0]["score"] * _AS_GOOD
    chosen: dict[str, str] = {}
    for item in evidence:
        if item["score"] >= bar and item["kind"] == evidence[0]["kind"]:
            chosen.setdefault(" ".join(words(item["text"])), item["text"])
    return " ".join(_ended(text) for text in list(chosen.values())[:_QUOTED_AT_MOST])


def _ended(text: str) -> str:
    return text if text[-1:] in ".!?…\"')" else f"{text}."
