"""Fields out of undecoded documents, against decoding the whole of them, or all but what is passed over.

The floor is a copy of the text. Several documents to a row.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, over, run_case


class Last(msgspec.Struct):
    """The two fields, for msgspec: it passes over the members that its types do not name."""

    agent: str
    tokens: int


class Document(msgspec.Struct):
    """The way to the two fields."""

    last: Last


def groups() -> list[Group]:
    """The rows."""
    return [_pointers(20_000), _pointers(220_000)]


def _pointers(size_bytes: int) -> Group:
    """Two fields behind everything else: the worst position."""
    texts = documents.before_fields(size_bytes)
    decode = msgspec.json.Decoder(Document).decode

    def whole(text: bytes) -> tuple[Any, Any]:
        last = orjson.loads(text)["last"]
        return last["agent"], last["tokens"]

    def partial(text: bytes) -> tuple[str, int]:
        last = decode(text).last
        return last.agent, last.tokens

    return Group(
        f"2 last fields of {size_bytes // 1000} kB",
        (
            Side("aisys", over(_get_two, texts), "ours"),
            Side("orjson", over(whole, texts), must=7.0, goal=15.0),
            Side("msgspec, a Struct of the two", over(partial, texts), must=3.0, goal=4.5),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


def _get_two(text: bytes) -> tuple[Any, ...]:
    return json.get_many(text, "/last/agent", "/last/tokens")


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_pointers(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
