"""Finding the JSON calls that hold up the event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from threading import Lock
from time import perf_counter
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, final

from aisys.json import codec

if TYPE_CHECKING:
    from aisys.metrics import Registry

_OPERATIONS: Final = ("loads", "dumps", "dumps_str", "get", "get_many", "loads_array", "canonical")
DEFAULT_THRESHOLD_S: Final = 0.001

_lock: Final = Lock()
_running: list[SlowCalls] = []


@final
class SlowCalls:
    """The timing that `time_slow_calls` began; as a context manager it ends with the block."""

    def __init__(self, registry: Registry, threshold_s: float) -> None:
        slow = registry.counter(
            "aisys_json_slow_calls_total",
            "JSON calls that took the threshold or longer.",
            ("operation",),
        )
        seconds = registry.histogram(
            "aisys_json_slow_call_seconds", "How long slow JSON calls took.", ("operation",)
        )

        def timed(operation: str) -> Callable[..., Any]:
            function = getattr(codec, operation)
            count, observe = slow.labels(operation).inc, seconds.labels(operation).observe

            @wraps(function)
            def call(*args: Any, **options: Any) -> Any:
                began = perf_counter()
                try:
                    return function(*args, **options)
                finally:
                    spent_s = perf_counter() - began
                    if spent_s >= threshold_s:
                        count()
                        observe(spent_s)

            return call

        self._plain = {operation: getattr(codec, operation) for operation in _OPERATIONS}
        self._timed = {operation: timed(operation) for operation in _OPERATIONS}

    def _begin(self) -> None:
        _put(self._timed)

    def stop(self) -> None:
        """Put the functions themselves back; nothing happens if that was done already."""
        with _lock:
            if self in _running:
                _running.remove(self)
                _put(self._plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def time_slow_calls(registry: Registry, *, threshold_s: float = DEFAULT_THRESHOLD_S) -> SlowCalls:
    """Count the JSON calls that take long, by operation, and how long they take.

    While it runs, `loads`, `dumps`, `dumps_str`, `get`, `get_many`, `loads_array` and `canonical` of `aisys.json` are
    functions that look at the clock before and after (about 0.2 us a call); before and afterwards they are what they
    always were, and cost nothing more. Calls through the module (`json.loads(...)`) and those of `load_file`,
    `dump_file`, `iter_ndjson` and `dump_ndjson` are timed. **A function that someone took out of the module before
    (`from aisys.json import loads`) is not**; one that is taken while it runs stays timed.

    Args:
        registry: gets the counter `aisys_json_slow_calls_total` and the histogram `aisys_json_slow_call_seconds`, both
            with the label `operation`.
        threshold_s: how long a call must take to count, in seconds.

    Raises:
        RuntimeError: it runs already.
        ValueError: a negative threshold, or the registry has other metrics of these names.
    """
    if not threshold_s >= 0:
        raise ValueError(f"a threshold in seconds is needed, not {threshold_s!r}")
    with _lock:
        if _running:
            raise RuntimeError("slow JSON calls are timed already: stop that first")
        timing = SlowCalls(registry, threshold_s)
        _running.append(timing)
        timing._begin()
        return timing


def _put(functions: dict[str, Callable[..., Any]]) -> None:
    """Make these the functions of the face."""
    faces: tuple[ModuleType, ...] = (codec, sys.modules["aisys.json"])
    for face in faces:
        for operation, function in functions.items():
            setattr(face, operation, function)
