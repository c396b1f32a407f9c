"""The hops of one request, gathered from the machines it crossed."""

from __future__ import annotations

from typing import Any

from aisys.cli.client import FleetClient
from aisys.cli.run import say
from aisys.ids import new_span_id, new_trace_id
from aisys.tracing import TraceContext


def new_trace() -> TraceContext:
    """A trace that every process on the way records."""
    return TraceContext(new_trace_id(), new_span_id(), sampled=True)


async def find_spans(
    client: FleetClient, context: TraceContext
) -> tuple[list[dict[str, Any]], list[str]]:
    """Every recorded span of a trace in the order in which they began, and the machines out of reach."""
    found, missing = await client.each_machine("find_spans", {"trace_id": context.trace_id.hex()})
    spans = (span for spans in found.values() for span in spans)
    return sorted(spans, key=lambda span: span["start_s"]), list(missing)


async def show_hops(client: FleetClient, context: TraceContext) -> None:
    """Print the hops as a tree: agent, machine, milliseconds."""
    spans, missing = await find_spans(client, context)
    known = {span["span_id"] for span in spans}
    under: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span["parent_id"] if span["parent_id"] in known else ""
        under.setdefault(parent, []).append(span)
    say(f"trace {context.trace_id.hex()}")

    def walk(parent: str, depth: int) -> None:
        for span in under.get(parent, ()):
            outcome = "" if span["outcome"] == "ok" else f"  {span['outcome']}"
            name = "  " * depth + span["name"]
            say(f"  {name:<58} {span['machine']:<8} {span['duration_ms']:8.2f} ms{outcome}")
            walk(span["span_id"], depth + 1)

    walk("", 0)
    for machine in missing:
        say(f"  (the spans of {machine} are missing: it cannot be reached)")
