"""Trace context that travels with calls, and the spans that sampled calls leave behind."""

from aisys.tracing.context import TraceContext as TraceContext
from aisys.tracing.context import current as current
from aisys.tracing.context import new_trace as new_trace
from aisys.tracing.context import reset as reset
from aisys.tracing.context import use as use
from aisys.tracing.spans import DEFAULT_SPANS as DEFAULT_SPANS
from aisys.tracing.spans import Span as Span
from aisys.tracing.spans import SpanStore as SpanStore
from aisys.tracing.spans import start_span as start_span

__all__ = [
    "DEFAULT_SPANS",
    "Span",
    "SpanStore",
    "TraceContext",
    "current",
    "new_trace",
    "reset",
    "start_span",
    "use",
]
