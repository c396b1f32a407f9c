"""Decoding JSON against orjson: small documents, chats in several scripts, arrays of numbers.

The floor is a copy of the text. Several documents to a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys import json
from benches import documents
from benches.ratio import Group, Side, cases, over, run_case

CHATS = {"ASCII": (1.2, 1.7), "mixed": (1.4, 2.4), "CJK": (1.0, 2.0)}
"""Ratios to orjson by what a conversation is written in: below which we are not ahead, and what we aim at."""


def groups() -> list[Group]:
    """The rows."""
    kinds = documents.readings()
    rows = [
        _loads("loads 95 B", _texts(documents.variants(documents.small)), 1.1, 1.4),
        _loads("loads 590 B", _texts(documents.variants(documents.envelope)), 1.1, 1.4),
        _new_keys(),
    ]
    rows += [
        _loads(f"loads 20 kB chat, {name}", _texts(kinds[name]), *wanted)
        for name, wanted in CHATS.items()
    ]
    return [*rows, _loads("loads 3072 floats", _float_texts(), 1.0, 1.3), _loads_array()]


def _texts(values: list[Any]) -> list[bytes]:
    return [orjson.dumps(value) for value in values]


def _float_texts() -> list[bytes]:
    return [documents.float_texts(seed) for seed in range(documents.VARIANTS)]


def _loads(name: str, texts: list[bytes], must: float, goal: float) -> Group:
    return Group(
        name,
        (
            Side("aisys", over(json.loads, texts), "ours"),
            Side("orjson", over(orjson.loads, texts), must=must, goal=goal),
            Side("memcpy", over(bytes, [bytearray(text) for text in texts]), "floor"),
        ),
    )


def _new_keys() -> Group:
    """Objects of keys that were never seen before: no cache of keys helps."""
    texts = [documents.strange(seed) for seed in range(8192)]
    return Group(
        "loads 590 B, new keys",
        (
            Side("aisys", over(json.loads, texts), "ours"),
            Side("orjson", over(orjson.loads, texts)),
        ),
    )


def _loads_array() -> Group:
    texts = _float_texts()
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
                must=4.0,
                goal=6.0,
            ),
            Side("frombuffer", over(lambda data: np.frombuffer(data, np.float32), raw), "floor"),
        ),
    )


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_loads(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
