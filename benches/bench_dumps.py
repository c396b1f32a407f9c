"""Encoding JSON against orjson: objects met again, and objects never seen before.

Ours and the peer have objects of their own, several documents to a row, and the same number of each.
The floor is a copy of the text.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, fresh, over, run_case


def groups() -> list[Group]:
    """The rows."""
    chats = documents.chats().items()
    rows = [
        _dumps("dumps 95 B", documents.small),
        _dumps("dumps 590 B, interned keys", documents.envelope),
        _dumps("dumps 590 B, private keys", _private_envelope),
    ]
    rows += [_dumps(f"dumps 20 kB chat, {name}, again", make) for name, make in chats]
    rows += [_dumps_first(f"dumps 20 kB chat, {name}, first", make) for name, make in chats]
    return [*rows, _dumps("dumps 3072 floats", documents.floats)]


def _private_envelope(seed: int) -> Any:
    return documents.private_keys(documents.envelope(seed))


def _copies(values: list[Any]) -> list[bytearray]:
    return [bytearray(orjson.dumps(value)) for value in values]


def _dumps(name: str, make: documents.Make) -> Group:
    # Each side has objects of its own: orjson leaves a UTF-8 copy in every str that is not ASCII.
    return Group(
        name,
        (
            Side("aisys", over(json.dumps, documents.variants(make)), "ours"),
            Side("orjson", over(orjson.dumps, documents.variants(make))),
            Side("memcpy", over(bytes, _copies(documents.variants(make))), "floor"),
        ),
    )


def _dumps_first(name: str, make: documents.Make) -> Group:
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
                "orjson", fresh(orjson.dumps, lambda i: json.loads(texts[i]), kinds=kinds), most=400
            ),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_dumps(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
