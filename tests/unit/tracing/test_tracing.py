"""Trace contexts and the spans that sampled work leaves."""

from __future__ import annotations

import pytest

from aisys import tracing
from aisys.tracing import SpanStore, TraceContext, start_span


def test_a_context_survives_the_wire() -> None:
    """24 bytes carry the ids; the sampled bit travels beside them."""
    context = tracing.new_trace(sampled=True)

    assert TraceContext.from_bytes(context.to_bytes(), sampled=True) == context
    assert len(context.to_bytes()) == 24


def test_bytes_of_another_length_are_no_context() -> None:
    """A context of the wrong length is refused."""
    with pytest.raises(ValueError, match="24 bytes, not 3"):
        TraceContext.from_bytes(b"abc")


def test_nothing_is_recorded_outside_of_a_sampled_trace() -> None:
    """Without a trace, or with one that is not sampled, a span costs nothing and leaves nothing."""
    store = SpanStore()
    with start_span("work", store=store) as span:
        span.set(size=3)
    token = tracing.use(tracing.new_trace(sampled=False))
    try:
        with start_span("work", store=store):
            pass
    finally:
        tracing.reset(token)

    assert len(store) == 0
    assert tracing.current() is None


def test_spans_nest_and_keep_their_parents() -> None:
    """An inner span's parent is the outer span; the surrounding context comes back."""
    store = SpanStore()
    root = tracing.new_trace()
    token = tracing.use(root)
    try:
        with start_span("outer", store=store, agent="A", attributes={"size": 3}) as outer:
            outer.set(more=True)
            with start_span("inner", store=store):
                pass
        assert tracing.current() == root
    finally:
        tracing.reset(token)

    first, second = store.find(root.trace_id)
    assert (first.name, second.name) == ("outer", "inner")
    assert first.parent_id == root.span_id
    assert second.parent_id == first.span_id
    assert first.attributes == {"size": 3, "more": True}
    assert first.to_dict()["trace_id"] == root.trace_id.hex()
    assert store.newest(1) == [first]


def test_an_exception_is_the_outcome_of_its_span() -> None:
    """A span that ends in an exception says which, and the exception goes on."""
    store = SpanStore()
    root = tracing.new_trace()
    token = tracing.use(root)
    try:
        with pytest.raises(KeyError), start_span("work", store=store):
            raise KeyError("x")
    finally:
        tracing.reset(token)

    (span,) = store.find(root.trace_id)
    assert span.outcome == "error"
    assert span.attributes == {"error": "KeyError"}


def test_the_store_keeps_the_newest() -> None:
    """A full store forgets the oldest span and goes on counting."""
    store = SpanStore(capacity=2)
    token = tracing.use(tracing.new_trace())
    try:
        for name in "abc":
            with start_span(name, store=store):
                pass
    finally:
        tracing.reset(token)

    assert [span.name for span in store.newest()] == ["c", "b"]
    assert store.added == 3
