"""What a sampled call leaves behind: who did what, where, for how long, and how it ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from contextvars import Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aisys.ids import new_span_id
from aisys.tracing.context import TraceContext, current, reset, use


@dataclass(slots=True)
class Span:
    """One timed piece of work of a trace.

    Attributes:
        parent_id: the span that caused this one; zeros when the trace began here.
        start_s: wall-clock seconds since the epoch, for people.
        duration_ms: measured on the monotonic clock.
        outcome: `ok`, `error`, `refused`, `expired` or `cancelled`.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    agent: str = ""
    machine: str = ""
    host: str = ""
    start_s: float = 0.0
    duration_ms: float = 0.0
    outcome: str = "ok"
    attributes: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The span as JSON-like values; ids in hexadecimal."""
        return {
            "trace_id": self.trace_id.hex(),
            "span_id": self.span_id.hex(),
            "parent_id": self.parent_id.hex(),
            "name": self.name,
            "agent": self.agent,
            "machine": self.machine,
            "host": self.host,
            "start_s": self.start_s,
            "duration_ms": self.duration_ms,
            "outcome": self.outcome,
            "attributes": self.attributes,
        }


class SpanStore:
    """The newest spans of this process; the oldest make room.

    Args:
        capacity: how many spans are kept.
    """

    __slots__ = ("_spans", "added")

    def __init__(self, capacity: int = 4096) -> None:
        self._spans: deque[Span] = deque(maxlen=capacity)
        self.added = 0

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, span: Span) -> None:
        """Keep a finished span."""
        self._spans.append(span)
        self.added += 1

    def find(self, trace_id: bytes) -> list[Span]:
        """The kept spans of one trace, in order of their start."""
        found = [span for span in self._spans if span.trace_id == trace_id]
        found.sort(key=lambda span: span.start_s)
        return found

    def newest(self, count: int = 100) -> list[Span]:
        """The last `count` finished spans, newest first."""
        spans = list(self._spans)
        spans.reverse()
        return spans[:count]


DEFAULT_SPANS = SpanStore()


class _Unrecorded:
    """What `start_span` gives when nothing is sampled: enters and leaves without a trace."""

    __slots__ = ()
    span: Span | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set(self, **attributes: Any) -> None:
        """Ignore the attributes."""


class _Recorded:
    """An open span; it is stored when the block ends."""

    __slots__ = ("_began", "_store", "_token", "span")

    def __init__(self, span: Span, store: SpanStore) -> None:
        self.span = span
        self._store = store
        self._began = 0.0
        self._token: Token[TraceContext | None] | None = None

    def __enter__(self) -> Self:
        span = self.span
        self._token = use(TraceContext(span.trace_id, span.span_id, True))
        span.start_s = time.time()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        span = self.span
        span.duration_ms = (time.perf_counter() - self._began) * 1e3
        if error_type is not None:
            if span.outcome == "ok":
                span.outcome = "error" if issubclass(error_type, Exception) else "cancelled"
            span.attributes.setdefault("error", error_type.__name__)
        if self._token is not None:
            reset(self._token)
        self._store.add(span)

    def set(self, **attributes: Any) -> None:
        """Add facts to the span."""
        self.span.attributes.update(attributes)


_UNRECORDED = _Unrecorded()


def start_span(
    name: str,
    *,
    store: SpanStore = DEFAULT_SPANS,
    agent: str = "",
    machine: str = "",
    host: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> _Recorded | _Unrecorded:
    """A context manager around one piece of work; it records only inside a sampled trace.

    Args:
        name: what is done, for example `KnowledgeBase.search_facts`.
        store: where the finished span goes.
        agent: the agent that does it.
        machine: the machine it is done on.
        host: the host process it is done in.
        attributes: further facts.
    """
    context = current()
    if context is None or not context.sampled:
        return _UNRECORDED
    span = Span(
        context.trace_id,
        new_span_id(),
        context.span_id,
        name,
        agent,
        machine,
        host,
        attributes=dict(attributes or {}),
    )
    return _Recorded(span, store)
