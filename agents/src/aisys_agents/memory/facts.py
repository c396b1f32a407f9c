"""Facts as memories: how a fact is written into one, read back, and when one replaces another."""

from __future__ import annotations

import re
from typing import Any

from aisys_agents.memory.models import Fact, FactHit, Hit, Memory
from aisys_agents.text.words import fold, words

__all__ = [
    "FACT_KIND",
    "fact_of",
    "hit_of",
    "is_open_to",
    "owner_of",
    "replaces",
    "same_wording",
    "topic_tag",
    "user_source",
]

_USER = "user:"

FACT_KIND = "fact"
"""The kind of a memory that is a fact."""

_FRAME = re.compile(
    r"^(?P<subject>.+?)(?:\s+(?:is|are|was|were|ay)\s+|\s*[:=]\s*)(?P<value>.+)$", re.DOTALL
)
_ONE_VALUED = frozenset(
    [
        "address",
        "age",
        "birthday",
        "capital",
        "code",
        "color",
        "colour",
        "email",
        "favorite",
        "favourite",
        "height",
        "kaarawan",
        "kulay",
        "license",
        "name",
        "number",
        "paborito",
        "password",
        "phone",
        "pin",
        "plate",
        "size",
        "telephone",
        "username",
        "wifi",
        "weight",
    ]
)
_ARTICLES = frozenset({"a", "an", "the", "ang", "si", "that"})


def user_source(user_id: str) -> str:
    """The source of what a user said."""
    return _USER + user_id


def owner_of(source: object) -> str | None:
    """The source again if it is a user, or None for what everybody shares."""
    return source if isinstance(source, str) and source.startswith(_USER) else None


def is_open_to(user_id: str | None, source: object) -> bool:
    """Whether a user may see what came from a source; without a user everything may be seen."""
    owner = owner_of(source)
    return user_id is None or owner is None or owner == user_source(user_id)


def topic_tag(topic: str) -> str:
    """The tag that a fact of a topic has: the topic's words, folded."""
    return " ".join(words(topic)) or fold(topic).strip()


def same_wording(one: str, other: str) -> bool:
    """Whether two facts say the same in the same words."""
    return words(one) == words(other)


def _frame(content: str) -> tuple[list[str], str] | None:
    found = _FRAME.match(content.strip())
    if found is None:
        return None
    subject = [word for word in words(found["subject"]) if word not in _ARTICLES]
    return (subject, found["value"].strip()) if subject else None


def _is_name(value: str) -> bool:
    """Whether a value reads like the name of somebody or something: it starts with a capital."""
    return value[:1].isupper() and not value.isupper()


def replaces(new: str, old: str) -> bool:
    """Whether a new fact makes an old one of the same topic outdated.

    Both have to say something about the same subject, and the subject has to be of a kind that has
    one value only ("my phone number is", "my favourite colour is"), or both values have to be
    names ("my dentist is Dr. Cruz"). In doubt both are kept: "my son is six" does not end "my son
    is allergic to nuts".
    """
    one, other = _frame(new), _frame(old)
    if one is None or other is None or one[0] != other[0]:
        return False
    return bool(_ONE_VALUED.intersection(one[0])) or (_is_name(one[1]) and _is_name(other[1]))


def fact_of(memory: Memory | Hit) -> Fact:
    """The fact that a memory holds."""
    meta: dict[str, Any] = memory["meta"]
    return Fact(
        fact_id=memory["memory_id"],
        topic=str(meta.get("topic", "")),
        content=memory["content"],
        source=meta.get("source"),
        confidence=float(meta.get("confidence", 1.0)),
        created_at=memory["created_at"],
        updated_at=memory["updated_at"],
        history=list(meta.get("history", [])),
        supersedes=meta.get("supersedes"),
        stored=memory["stored"],
    )


def hit_of(hit: Hit) -> FactHit:
    """The fact that a search found."""
    return FactHit(**fact_of(hit), score=hit["score"], found_by=hit["found_by"])
