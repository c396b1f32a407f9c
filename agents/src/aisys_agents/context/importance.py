"""How much an utterance matters to the exchange, from cue words, questions, requests and length."""

from __future__ import annotations

import re

from aisys_agents.text.words import fold, terms, words

__all__ = ["importance_of"]

_BASE = 0.3
# What the speaker marks as important, in English and Tagalog.
_MARKED = (
    r"\b(?:remember|important|don'?t forget|urgent|emergency|never|always|must|note that"
    r"|tandaan|mahalaga|importante|huwag (?:mo(?:ng)? )?kalimutan|alalahanin|kailangan|saklolo)\b"
)
_REQUEST = (
    r"\b(?:please|can you|could you|would you|help|i need|i want|remind"
    r"|paki\w+|pwede|maaari|tulong(?:an)?|gusto ko)\b"
)
_ABOUT_ME = r"\b(?:my name|i am|i'm|i live|i like|i hate|ako ay|pangalan ko|nakatira ako)\b"
_DECISION = r"\b(?:decided|agreed|deadline|appointment|meeting|tomorrow|tonight|bukas|mamaya)\b"
_CUES = ((0.4, _MARKED), (0.2, _REQUEST), (0.15, _ABOUT_ME), (0.15, _DECISION))
_PATTERNS = tuple((weight, re.compile(pattern)) for weight, pattern in _CUES)
_SMALL_TALK = frozenset(
    [
        "ok",
        "okay",
        "yes",
        "no",
        "thanks",
        "thank",
        "hi",
        "hello",
        "hey",
        "bye",
        "oo",
        "opo",
        "hindi",
        "salamat",
        "kumusta",
        "sige",
    ]
)


def importance_of(text: str) -> float:
    """The importance of an utterance, 0 to 1."""
    folded = fold(text)
    spoken = words(text)
    if not spoken:
        return 0.0
    if len(spoken) <= 3 and all(word in _SMALL_TALK for word in spoken):
        return 0.1
    score = _BASE + sum(weight for weight, pattern in _PATTERNS if pattern.search(folded))
    if "?" in text:
        score += 0.15
    if any(letter.isdigit() for letter in text):
        score += 0.05
    # Up to a dozen terms, what says more matters more; a monologue is no more important than that.
    score += min(len(terms(text)), 12) / 12 * 0.15
    return round(min(score, 1.0), 3)
