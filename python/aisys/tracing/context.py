"""Which trace the running code belongs to."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import NamedTuple, Self

from aisys.ids import new_span_id, new_trace_id

_TRACE_ID_BYTES = 16
_WIRE_BYTES = 24


class TraceContext(NamedTuple):
    """The trace a piece of work belongs to, as W3C trace context names it.

    Attributes:
        trace_id: 16 bytes, the same along the whole tree of calls.
        span_id: 8 bytes, the caller's span: the parent of whatever is recorded next.
        sampled: whether spans are recorded.
    """

    trace_id: bytes
    span_id: bytes
    sampled: bool = False

    def to_bytes(self) -> bytes:
        """The 24 bytes that travel in a frame; the sampled bit is a flag of the frame."""
        return self.trace_id + self.span_id

    @classmethod
    def from_bytes(cls, data: bytes, sampled: bool = False) -> Self:
        """The context that `to_bytes` wrote.

        Raises:
            ValueError: `data` is not 24 bytes long.
        """
        if len(data) != _WIRE_BYTES:
            raise ValueError(f"a trace context is {_WIRE_BYTES} bytes, not {len(data)}")
        return cls(data[:_TRACE_ID_BYTES], data[_TRACE_ID_BYTES:], sampled)

    def child(self, span_id: bytes) -> TraceContext:
        """The same trace, seen from inside the span `span_id`."""
        return TraceContext(self.trace_id, span_id, self.sampled)


_current: ContextVar[TraceContext | None] = ContextVar("aisys_trace", default=None)

current = _current.get
use = _current.set


def reset(token: Token[TraceContext | None]) -> None:
    """Undo one `use`."""
    _current.reset(token)


def new_trace(sampled: bool = True) -> TraceContext:
    """A context for a new trace: whoever lets a request in starts one."""
    return TraceContext(new_trace_id(), new_span_id(), sampled)
