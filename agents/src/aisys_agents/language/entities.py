"""Entities: numbers, times, durations, names, places, files, expressions, and what is to be kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from aisys_agents.text.arithmetic import find_expression
from aisys_agents.text.cues import plain, words
from aisys_agents.text.dates import parse_when
from aisys_agents.text.durations import find_span
from aisys_agents.text.numbers import NUMBER, parse_number, words_to_digits

__all__ = ["KINDS", "Entity", "content_to_keep", "content_to_remind", "find_entities", "topic_of"]


class Entity(TypedDict):
    """Something that a sentence mentions.

    `kind` is one of `KINDS`; `value` is what it stands for (a number, an ISO date-time, seconds, a text); `text` is
    how it was said; `at` is seconds since the epoch, for times.
    """

    kind: str
    value: Any
    text: str
    at: NotRequired[float]
    repeat: NotRequired[str]
    note: NotRequired[str]


KINDS = (
    "number", "time", "duration", "name", "place", "file", "expression", "phone", "email", "url",
    "content", "topic",
)  # fmt: skip

_NUMBER = re.compile(rf"(?<![\w.,/-])-?(?:{NUMBER})(?:\s*%)?(?![\w/-])")
_PHONE = re.compile(r"(?<![\w.])\+?\d{2,4}(?:[ -]\d{3,4}){1,3}(?!\w)")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"https?://[^\s<>\"']+")
_FILE = re.compile(
    r"(?:[~./\w-]*/)?[\w-]+\.(?:txt|md|pdf|docx?|xlsx?|csv|json|ya?ml|toml|py|rs|js|ts|html|css|sh|log|png|"
    r"jpe?g|gif|mp3|mp4|wav|zip|tar|gz|sql|ini|conf)\b",
    re.IGNORECASE,
)
_TITLED = re.compile(
    r"\b(?:Dr|Dra|Mr|Mrs|Ms|Prof|Atty|Engr|Sir|Ma'am|Aling|Mang|Tita|Tito|Ate|Kuya)\.?\s+[A-Z][\w'-]+"
    r"(?:\s+[A-Z][\w'-]+)*"
)
_MARKED_NAME = re.compile(
    r"\b(?:si|kay|ni|sina|nina|named|called|call|tell|email|text|message|with)\s+"
    r"([A-Z][\w'-]+(?:\s+(?:de|dela|del|[A-Z][\w'-]+))*)"
)
_CAPITALS = re.compile(r"(?<=[a-z,;:] )([A-Z][a-z'-]+(?:\s+[A-Z][a-z'-]+)*)")
_PLACE = re.compile(
    r"\b(?:in|at|from|near|to|sa|papuntang|galing)\s+((?:[A-Z][\w'-]+)(?:\s+[A-Z][\w'-]+)*)"
)
_NOT_NAMES = frozenset(
    word
    for line in (
        "i monday tuesday wednesday thursday friday saturday sunday january february march april",
        "may june july august september october november december english tagalog christmas pasko",
    )
    for word in line.split()
)


def _numbers(text: str, now: datetime) -> Iterator[Entity]:  # noqa: ARG001 - one shape for all finders
    taken = [match.span() for match in _PHONE.finditer(text)]
    digits = words_to_digits(text) if not taken else text
    for match in _NUMBER.finditer(digits):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        body = match.group().rstrip("% ").lstrip("-")
        number = parse_number(body) * (-1 if match.group().startswith("-") else 1)
        value = int(number) if number.denominator == 1 else float(number)
        yield Entity(kind="number", value=value, text=match.group())


def _times(text: str, now: datetime) -> Iterator[Entity]:
    when = parse_when(text, now)
    if when is not None:
        entity = Entity(
            kind="time", value=when.at.isoformat(), text=when.text.strip(), at=when.at.timestamp()
        )
        if when.repeat:
            entity["repeat"] = when.repeat
        if when.assumed:
            entity["note"] = when.assumed
        yield entity


def _durations(text: str, now: datetime) -> Iterator[Entity]:  # noqa: ARG001
    span = find_span(words_to_digits(text))
    if span is not None:
        yield Entity(
            kind="duration", value=float(span.seconds) + span.months * 2629746.0, text=span.text
        )


def _names(text: str, now: datetime) -> Iterator[Entity]:  # noqa: ARG001
    seen: set[str] = set()
    found = [match.group() for match in _TITLED.finditer(text)]
    found += [match[1] for match in _MARKED_NAME.finditer(text)]
    places = {match[1] for match in _PLACE.finditer(text)}
    found += [match[1] for match in _CAPITALS.finditer(text) if match[1] not in places]
    for name in found:
        known = any(name in other for other in seen)
        if not known and name.lower() not in _NOT_NAMES:
            seen.add(name)
            yield Entity(kind="name", value=name, text=name)


def _places(text: str, now: datetime) -> Iterator[Entity]:  # noqa: ARG001
    for match in _PLACE.finditer(text):
        if match[1].split()[0].lower() not in _NOT_NAMES:
            yield Entity(kind="place", value=match[1], text=match[1])


def _expressions(text: str, now: datetime) -> Iterator[Entity]:  # noqa: ARG001
    expression = find_expression(text)
    if expression is not None:
        yield Entity(kind="expression", value=expression, text=expression)


def _plain_finder(
    kind: str, pattern: re.Pattern[str]
) -> Callable[[str, datetime], Iterator[Entity]]:
    def find(text: str, now: datetime) -> Iterator[Entity]:  # noqa: ARG001
        for match in pattern.finditer(text):
            yield Entity(kind=kind, value=match.group(), text=match.group())

    return find


_FINDERS: dict[str, Callable[[str, datetime], Iterable[Entity]]] = {
    "number": _numbers,
    "time": _times,
    "duration": _durations,
    "name": _names,
    "place": _places,
    "file": _plain_finder("file", _FILE),
    "expression": _expressions,
    "phone": _plain_finder("phone", _PHONE),
    "email": _plain_finder("email", _EMAIL),
    "url": _plain_finder("url", _URL),
}


def find_entities(text: str, now: datetime, kinds: Iterable[str] | None = None) -> list[Entity]:
    """The entities that a sentence mentions, by kind.

    Args:
        text: the sentence.
        now: the present moment, for times such as `in 10 seconds`.
        kinds: only these kinds; all by default.
    """
    wanted = set(kinds) if kinds is not None else set(_FINDERS)
    return [
        entity for kind, find in _FINDERS.items() if kind in wanted for entity in find(text, now)
    ]


_KEEP = re.compile(
    r"^.*?\b(?:remember|memori[sz]e|take note|make a note|note|keep in mind|bear in mind|save (?:this|that)|"
    r"write (?:this|that) down|for your information|fyi|don'?t forget|(?:tandaan|alalahanin|itala|isaulo) mo|"
    r"pakitandaan|paki-?note|tandaan)\b[\s,:]*(?:(?:that|this|of|na|nang|po|ito|please|the following|sana|"
    r"naman|for me|ba)\b[\s,:]*)*",
    re.IGNORECASE | re.DOTALL,
)
_TAIL = re.compile(r"[\s,]*(?:please|po|ha|okay|ok|thanks|salamat)?[\s.!?]*$", re.IGNORECASE)


def content_to_keep(text: str) -> str:
    """What is to be remembered, without the words that ask for it; "" when nothing is left."""
    rest = _KEEP.sub("", text.strip(), count=1)
    return _TAIL.sub("", rest).strip(" ,:")


_REMIND = re.compile(
    r"\b(?:(?:please|can you|could you|will you|would you|paki)\s+)*"
    r"(?:remind (?:me|us)|(?:i-?|pa-?|mag-?|paki-?)remind(?:\s+mo)?(?:\s+naman)?(?:\s+ako|\s+kami)?|"
    r"paalalahanan mo(?:\s+ako|\s+akong|\s+kami)?|ipaalala mo(?:\s+sa\s+akin|\s+sa\s+amin)?|pakipaalala(?:\s+sa akin)?|"
    r"(?:set|start|create|make|add|mag-?set)(?:\s+(?:ka|mo|up|me|us))?(?:\s+(?:a|an|the|ng|isang))?"
    r"(?:\s+(?:timer|alarm|reminder))|wake me(?: up)?|gisingin mo(?:\s+ako)?|remember|don'?t forget|"
    r"do not forget)\b",
    re.IGNORECASE,
)
_LINK_START = re.compile(
    r"^(?:(?:to|that|about|of|for|na|ng|nang|tungkol sa|upang|para|and|,|:|-|at|on|in|by|sa|akong|naman|po|ako)\b"
    r"[\s,:]*)+",
    re.IGNORECASE,
)
_LINK_END = re.compile(
    r"(?:[\s,]*\b(?:to|at|on|in|by|for|every|ng|sa|na|nang|please|po|and))+[\s,.!?]*$",
    re.IGNORECASE,
)


def content_to_remind(text: str, now: datetime) -> str:
    """What to be reminded of, without the request and the time; "" for a bare timer or alarm."""
    spelled = words_to_digits(text.strip())
    when = parse_when(text.strip(), now)
    source = text.strip()
    if when is not None and when.end > when.start:
        # The time's place is known in the text with digits; that text is used when they differ.
        source = spelled[: when.start] + " " + spelled[when.end :]
    elif (span := find_span(spelled)) is not None:
        source = spelled[: span.start] + " " + spelled[span.end :]
    rest = " ".join(_REMIND.sub(" ", source, count=1).split())
    rest = _LINK_START.sub("", rest.strip(" .,!?:"))
    return _LINK_END.sub("", rest).strip(" .,!?:")


_OWNED = (
    re.compile(
        r"^(?:that\s+)?(?:my|our|the)\s+(.{2,60}?)\s+(?:is|are|was|were|has|=|will be|ay)\b"
    ),
    re.compile(r"^(?:na\s+)?ang\s+(?:aking\s+)?(.{2,60}?)(?:\s+(?:ko|namin|natin))?\s+ay\b"),
    re.compile(r"\bang\s+(.{2,60}?)\s+(?:ko|namin|natin)\b"),
    re.compile(r"\b(?:my|our)\s+([\w' -]{2,40}?)(?:\s+(?:is|are|ay)\b|[,.]|$)"),
)
_STOP = frozenset(
    word
    for line in (
        "i am is are was the a an my our your that this it to of in on at and or na ang ng sa ay si",
        "ko mo ako namin natin po lang not don't do does have has will be for with no hindi",
    )
    for word in line.split()
)


def topic_of(content: str) -> str:
    """A short topic for something to remember: what it says something about."""
    flat = plain(content)
    for pattern in _OWNED:
        match = pattern.search(flat)
        if match is not None:
            return match[1].strip()
    kept = [word for word in words(content) if word not in _STOP]
    return " ".join(kept[:4]) or flat[:40]
