"""What a conversation came to: central sentences, decisions, troubles and topics, quoted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from typing_extensions import TypedDict

from aisys_agents.memory.models import Turn
from aisys_agents.text.sentences import digest, split_sentences
from aisys_agents.text.words import STOP_WORDS, fold, stem, words

__all__ = ["SessionDigest", "Trouble", "digest_turns"]

_DECISION = re.compile(
    r"\b(?:we(?: have|'ve)? (?:decided|agreed)|(?:decided|agreed) (?:to|on)|let'?s"
    r"|(?:i|we)(?:'ll| will)|going to|the plan is|napagkasunduan|napagdesisyunan"
    r"|gagawin (?:natin|namin|ko))\b"
)
_TROUBLE = re.compile(
    r"\b(?:errors?|failed|fails|failure|exception|crash(?:ed|es)?|broken|doesn'?t work|didn'?t work"
    r"|not working|traceback|hindi gumana|hindi gumagana|sira|nasira)\b"
)
_DECISIONS = 20
_TROUBLES = 20
_TOPICS = 8
_SENTENCES = 8


class Trouble(TypedDict):
    """Something that went wrong in a conversation, as it was said."""

    text: str
    role: str
    at: float


class SessionDigest(TypedDict):
    """What a conversation came to, in its own sentences."""

    summary: str
    decisions: list[str]
    errors: list[Trouble]
    topics: list[str]


def _topics(sentences: Sequence[str]) -> list[str]:
    """The words that recur, in the form they were first used, most frequent first."""
    counts: Counter[str] = Counter()
    forms: dict[str, str] = {}
    for sentence in sentences:
        # Once a sentence: repeating a word in one breath does not make it a topic.
        for word in set(words(sentence)):
            if word not in STOP_WORDS and len(word) > 2 and not word.isdigit():
                counts[stem(word)] += 1
                forms.setdefault(stem(word), word)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    often = [item for item in ranked if item[1] > 1] or ranked
    return [forms[term] for term, _ in often[:_TOPICS]]


def digest_turns(turns: Sequence[Turn], *, max_tokens: int = 500) -> SessionDigest:
    """Sum a conversation up.

    Args:
        turns: the utterances, oldest first.
        max_tokens: how long the summary may be.
    """
    spoken = [(turn, text) for turn in turns for text in split_sentences(turn["text"])]
    sentences = [text for _, text in spoken]
    said = [text for text in sentences if not text.endswith("?")]
    decisions = [text for text in said if _DECISION.search(fold(text))]
    troubles = [
        Trouble(text=text, role=turn["role"], at=turn["at"])
        for turn, text in spoken
        if _TROUBLE.search(fold(text))
    ]
    chosen = digest(said or sentences, max_sentences=_SENTENCES, max_tokens=max_tokens)
    return SessionDigest(
        summary=" ".join(chosen),
        decisions=list(dict.fromkeys(decisions))[:_DECISIONS],
        errors=troubles[:_TROUBLES],
        topics=_topics(sentences),
    )
