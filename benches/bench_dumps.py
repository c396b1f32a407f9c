"""Encoding JSON against orjson: objects met again, and objects never seen before.

Ours and the peer have objects of their own, several documents to a row, and the same number of each.
The floor is a copy of the text.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, fresh, over, run_case


def groups() -> list[Group]:
    """The rows."""
    chats = documents.chats()
    rows = [
        _dumps("dumps 95 B", documents.small),
        _dumps("dumps 590 B, interned keys", documents.envelope, Aim(1.1, 1.5)),
        _dumps("dumps 590 B, private keys", _private_envelope, Aim(0.9, 1.1)),
    ]
    rows += [
        _dumps(f"dumps 20 kB chat, {name}, again", make, Aim(0.9, 1.05))
        for name, make in chats.items()
    ]
    rows.append(_dumps_first("dumps 20 kB chat, ASCII, first", chats["ASCII"]))
    rows += [
        _dumps_first(f"dumps 20 kB chat, {name}, first", make, Aim(1.6, 3.0))
        for name, make in {**chats, "Latin-1": _latin_chat, "emoji": _emoji_chat}.items()
        if name != "ASCII"
    ]
    return [
        *rows,
        _dumps("dumps 3072 floats", documents.floats),
        _dumps("dumps 20 kB of other shapes", _shapes),
    ]


@dataclass(frozen=True)
class Aim:
    """What is promised, and what is aimed at, as a ratio to the peer."""

    must: float | None = None
    goal: float | None = None


def _latin_chat(seed: int) -> Any:
    """A chat in a language of Western Europe: one byte a character in memory, two in UTF-8 for some."""
    return documents.chat(seed, _latin_phrase)


def _latin_phrase(pick: random.Random) -> str:
    words = (
        "où",
        "été",
        "déjà",
        "garçon",
        "météo",
        "demain",
        "matin",
        "quelle",
        "heure",
        "musique",
        "für",
        "schön",
    )
    return " ".join(pick.choices(words, k=pick.randrange(20, 90)))


def _emoji_chat(seed: int) -> Any:
    """A chat with an emoji in every message: four bytes a character in memory."""
    return documents.chat(seed, lambda pick: documents.mixed_phrase(pick) + pick.choice(" 😀🎵🌦️"))


def _shapes(seed: int) -> Any:
    """Numbers of every size, arrays in arrays, and many keys that come once."""
    pick = random.Random(seed)
    if seed % 4 == 0:
        return [pick.getrandbits(pick.randrange(1, 63)) for _ in range(1600)]
    if seed % 4 == 1:
        return [[[pick.randrange(100), pick.randrange(100)], [], [None, True]] for _ in range(700)]
    if seed % 4 == 2:
        return {f"entry {pick.getrandbits(32)}": pick.randrange(10**6) for _ in range(800)}
    return [
        {"id": number, "name": f"item {number}", "tags": [], "at": {"x": 1, "y": -2}}
        for number in range(350)
    ]


def _private_envelope(seed: int) -> Any:
    return documents.private_keys(documents.envelope(seed))


def _copies(values: list[Any]) -> list[bytearray]:
    return [bytearray(orjson.dumps(value)) for value in values]


def _dumps(name: str, make: documents.Make, aim: Aim = Aim()) -> Group:
    # Each side has objects of its own: orjson leaves a UTF-8 copy in every str that is not ASCII.
    return Group(
        name,
        (
            Side("aisys", over(json.dumps, documents.variants(make)), "ours"),
            Side(
                "orjson",
                over(orjson.dumps, documents.variants(make)),
                must=aim.must,
                goal=aim.goal,
            ),
            Side("memcpy", over(bytes, _copies(documents.variants(make))), "floor"),
        ),
    )


def _dumps_first(name: str, make: documents.Make, aim: Aim = Aim()) -> Group:
    """Objects that were never encoded before, as those that a program has just made."""
    texts = [orjson.dumps(document) for document in documents.variants(make)]
    kinds = len(texts)
    return Group(
        name,
        (
            Side(
                "aisys",
                fresh(json.dumps, lambda i: json.loads(texts[i]), kinds=kinds),
                "ours",
                most=400,
            ),
            Side(
                "orjson",
                fresh(orjson.dumps, lambda i: json.loads(texts[i]), kinds=kinds),
                most=400,
                must=aim.must,
                goal=aim.goal,
            ),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_dumps(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
