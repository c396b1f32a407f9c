"""Timing of slow calls: what is timed, what is not, and that nothing is left of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from aisys import json
from aisys.json import codec
from aisys.json.timing import _OPERATIONS
from aisys.metrics import Registry

CALLS: dict[str, Callable[[], Any]] = {
    "loads": lambda: json.loads(b"[1]"),
    "dumps": lambda: json.dumps([1]),
    "dumps_str": lambda: json.dumps_str({"b": 1, "a": 2}, sort_keys=True),
    "get": lambda: json.get(b"[1]", "/0"),
    "get_many": lambda: json.get_many(b"[1]", "/0", ""),
    "loads_array": lambda: json.loads_array(b"[1]").tolist(),
    "canonical": lambda: json.canonical([1.0]),
}


def _count(registry: Registry, operation: str) -> int:
    head = f'aisys_json_slow_calls_total{{operation="{operation}"}} '.encode()
    lines = [line for line in registry.render().splitlines() if line.startswith(head)]
    return int(lines[0].removeprefix(head)) if lines else 0


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_is_timed_and_gives_the_same(operation: str) -> None:
    """With a threshold of nothing every call counts, under its own name, and the result is as ever."""
    registry = Registry()
    expected = CALLS[operation]()

    with json.time_slow_calls(registry, threshold_s=0.0):
        assert CALLS[operation]() == expected

    assert _count(registry, operation) == 1
    assert f'seconds_count{{operation="{operation}"}} 1'.encode() in registry.render()
    assert set(CALLS) == set(_OPERATIONS)


def test_the_functions_themselves_are_put_back() -> None:
    """Before and after, the face has the tier's own functions, so that it costs nothing."""
    before = {name: getattr(json, name) for name in _OPERATIONS}

    timing = json.time_slow_calls(Registry())
    assert all(getattr(json, name) is not before[name] for name in _OPERATIONS)
    timing.stop()
    timing.stop()

    assert {name: getattr(json, name) for name in _OPERATIONS} == before
    assert {name: getattr(codec, name) for name in _OPERATIONS} == before


def test_quick_calls_do_not_count_and_failing_ones_do() -> None:
    """The threshold decides, not the outcome."""
    slow, all_calls = Registry(), Registry()

    with json.time_slow_calls(slow, threshold_s=60.0):
        json.loads(b"[1]")
    with json.time_slow_calls(all_calls, threshold_s=0.0), pytest.raises(json.JSONDecodeError):
        json.loads(b"[")

    assert _count(slow, "loads") == 0
    assert _count(all_calls, "loads") == 1


def test_a_function_taken_out_before_is_not_timed() -> None:
    """As the documentation says: only calls through the module are."""
    taken = json.loads
    registry = Registry()

    with json.time_slow_calls(registry, threshold_s=0.0):
        taken(b"[1]")

    assert _count(registry, "loads") == 0


def test_files_are_timed() -> None:
    """They call through the module too."""
    registry = Registry()

    with json.time_slow_calls(registry, threshold_s=0.0):
        assert list(json.iter_ndjson(io.BytesIO(b"1\n2\n"))) == [1, 2]
        json.dump_ndjson(io.BytesIO(), [1])

    assert (_count(registry, "loads"), _count(registry, "dumps")) == (2, 1)


def test_only_one_timing_at_a_time() -> None:
    """A second one is an error, and the first goes on; a threshold is no negative number."""
    registry = Registry()

    with json.time_slow_calls(registry, threshold_s=0.0):
        with pytest.raises(RuntimeError, match="timed already"):
            json.time_slow_calls(registry)
        json.loads(b"1")
    assert _count(registry, "loads") == 1
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="threshold"):
            json.time_slow_calls(registry, threshold_s=wrong)
    with json.time_slow_calls(registry):
        pass
