"""Decoding JSON against orjson: small documents, chats in several scripts, arrays of numbers.

The floor is a copy of the text. Several documents to a row.
"""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, over, run_case


def groups() -> list[Group]:
    """The rows."""
    rows = [_loads("loads 95 B", documents.small), _loads("loads 590 B", documents.envelope)]
    rows += [_loads(f"loads 20 kB chat, {name}", make) for name, make in documents.chats().items()]
    return [*rows, _loads("loads 3072 floats", documents.floats), _loads_array()]


def _loads(name: str, make: documents.Make) -> Group:
    texts = [orjson.dumps(document) for document in documents.variants(make)]
    return Group(
        name,
        (
            Side("aisys", over(json.loads, texts), "ours"),
            Side("orjson", over(orjson.loads, texts)),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


def _loads_array() -> Group:
    texts = [orjson.dumps(document) for document in documents.variants(documents.floats)]
    raw = [np.array(orjson.loads(text), dtype=np.float32).tobytes() for text in texts]
    return Group(
        "loads 3072 floats to float32",
        (
            Side(
                "aisys", over(lambda text: json.loads_array(text, dtype="float32"), texts), "ours"
            ),
            Side(
                "orjson + np.array",
                over(lambda text: np.array(orjson.loads(text), dtype=np.float32), texts),
            ),
            Side("frombuffer", over(lambda data: np.frombuffer(data, np.float32), raw), "floor"),
        ),
    )


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_loads(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
