"""Fields out of undecoded documents, against decoding the whole of them.

The floor is a copy of the text. Several documents to a row.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, over, run_case


def groups() -> list[Group]:
    """The rows."""
    return [_pointers(20_000), _pointers(220_000)]


def _pointers(size_bytes: int) -> Group:
    """Two fields behind everything else: the worst position."""
    makers = (documents.ascii_phrase, documents.mixed_phrase, documents.cjk_phrase)
    texts = [
        orjson.dumps(documents.chat(seed, phrase, size_bytes)) for seed, phrase in enumerate(makers)
    ]

    def whole(text: bytes) -> tuple[Any, Any]:
        last = orjson.loads(text)["last"]
        return last["agent"], last["tokens"]

    return Group(
        f"2 last fields of {size_bytes // 1000} kB",
        (
            Side("aisys", over(_get_two, texts), "ours"),
            Side("orjson", over(whole, texts)),
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
