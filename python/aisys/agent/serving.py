"""One request on its way through the dispatcher."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aisys import tracing
from aisys.agent.driving import close_stream
from aisys.agent.local import LocalMethod
from aisys.agent.scope import CallScope, scope
from aisys.errors import Refused

if TYPE_CHECKING:
    from aisys.messaging import Incoming
    from aisys.metrics import Registry


class Run:
    """One request that is being served."""

    context: contextvars.Context
    coroutine: Any

    __slots__ = (
        "arguments",
        "began",
        "cancelled",
        "context",
        "coroutine",
        "method",
        "request",
        "scope",
        "task",
        "trace",
        "wrap",
    )

    def __init__(
        self,
        request: Incoming,
        method: LocalMethod,
        arguments: dict[str, Any],
        wrap: Callable[[Incoming, LocalMethod, dict[str, Any]], Any] | None,
        began: float,
    ) -> None:
        self.request = request
        self.method = method
        self.arguments = arguments
        self.wrap = wrap
        self.began = began
        self.scope = CallScope(request.deadline, method.context)
        trace = request.trace
        self.trace = (
            tracing.TraceContext.from_bytes(trace, request.sampled) if trace is not None else None
        )
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False


def first_step(run: Run) -> Any:
    """Begin a handler; runs inside of the handler's own context."""
    scope.set(run.scope)
    if run.trace is not None:
        tracing.use(run.trace)
    if run.wrap is None:
        run.coroutine = coroutine = run.method.function(**run.arguments)
    else:
        run.coroutine = coroutine = run.wrap(run.request, run.method, run.arguments)
    return coroutine.send(None)


class Counters:
    """What the dispatcher counts beside the calls themselves."""

    __slots__ = ("running", "shed", "waiting")

    def __init__(self, metrics: Registry) -> None:
        self.waiting = metrics.gauge("aisys_requests_waiting", "Requests waiting for a handler.")
        self.running = metrics.gauge("aisys_requests_running", "Handlers that are suspended.")
        self.shed = metrics.counter(
            "aisys_requests_shed_total", "Requests refused because too many were waiting."
        )


def admit(request: Incoming, method: LocalMethod, now: float, streaming: bool) -> None:
    """Refuse what must not start.

    Raises:
        Refused: it expired while it waited, the agent takes no work, or it asks for the wrong kind
            of reply.
    """
    if request.deadline <= now:
        raise Refused(f"{request.target}: expired while waiting", reason="expired")
    if not method.agent.accepting:
        method.check_accepting()
    if method.spec.streamed and not streaming:
        raise Refused(f"{request.target} is streamed: iterate over it", reason="bad_argument")


async def send_items(request: Incoming, method: LocalMethod, arguments: dict[str, Any]) -> None:
    """Send a stream's items as the consumer takes them; a plain result is one item."""
    schema = method.spec.result
    made = method.function(**arguments)
    if not method.spec.streamed:
        body, attachments = schema.encode(schema.validate(await made))
        await request.send_item(body, attachments)
        return
    iterator = aiter(made if hasattr(made, "__aiter__") else await made)
    try:
        async for item in iterator:
            body, attachments = schema.encode(schema.validate(item))
            await request.send_item(body, attachments)
    finally:
        await close_stream(iterator)
