"""What an agent needs from the layers around it, as narrow protocols.

The runtime fills them with an `Endpoint`, an error-bus `Reporter`, a `State` and a `TaskStore`; the
test kit fills them inside one process. Agents see only these faces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from aisys.errorbus import Severity

Buffer: TypeAlias = bytes | bytearray | memoryview


class ErrorReporter(Protocol):
    """Where errors go; never raises, never blocks."""

    def report(
        self,
        error: BaseException | str,
        *,
        severity: Severity = "high",
        category: str = "internal",
        impact: str | None = None,
        context: Mapping[str, Any] | None = None,
        method: str | None = None,
    ) -> str:
        """Send a report on its way and return its id."""
        ...


class RawEvent(Protocol):
    """An event as it came off a link."""

    @property
    def topic(self) -> str:
        """The dotted topic."""
        ...

    @property
    def body(self) -> bytes:
        """The payload, packed."""
        ...

    @property
    def attachments(self) -> Sequence[Buffer]:
        """Binary parts of the payload."""
        ...

    @property
    def publisher(self) -> str:
        """The host that published it."""
        ...


class Subscription(Protocol):
    """An open subscription."""

    async def aclose(self) -> None:
        """Stop the delivery."""


class Publisher(Protocol):
    """Publish and subscribe by topic."""

    def publish(self, topic: str, body: bytes, attachments: Sequence[Buffer] = ()) -> int:
        """Send an event on its way; never blocks."""
        ...

    async def subscribe(self, pattern: str, handler: Callable[[Any], None]) -> Subscription:
        """Deliver matching events to `handler`, which must not block."""
        ...


class RemoteReply(Protocol):
    """What came back from another host."""

    @property
    def body(self) -> bytes:
        """The result, packed."""
        ...

    @property
    def attachments(self) -> Sequence[Buffer]:
        """Binary parts of the result."""
        ...


class RemoteStream(Protocol):
    """A streamed reply from another host."""

    def __aiter__(self) -> RemoteStream:
        """The stream itself."""
        ...

    async def __anext__(self) -> RemoteReply:
        """The next item."""
        ...

    async def aclose(self) -> None:
        """Cancel what is left of it."""


class RemoteCaller(Protocol):
    """Calls into other hosts; `messaging.Endpoint` is one."""

    def call(
        self,
        address: Any,
        target: str,
        body: bytes,
        *,
        timeout_s: float,
        attachments: Sequence[Buffer] = (),
        priority: int = 100,
        trace: bytes | None = None,
        sampled: bool = False,
        idempotent: bool = False,
    ) -> asyncio.Future[Any]:
        """Start a call that ends by its deadline in a reply or an exception."""
        ...

    def stream(
        self,
        address: Any,
        target: str,
        body: bytes,
        *,
        timeout_s: float,
        attachments: Sequence[Buffer] = (),
        priority: int = 100,
        trace: bytes | None = None,
        sampled: bool = False,
    ) -> Any:
        """Start a call whose reply is streamed."""


class Routes(Protocol):
    """Where agents live; `registry.RouteTable` is one."""

    def lookup(self, agent: str) -> Any:
        """The route to an agent (with `.address`), or None."""


TaskHandler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Any]]


class TaskQueue(Protocol):
    """The durable task queue of this host."""

    def register(self, name: str, handler: TaskHandler, *, retries: int, timeout_s: float) -> None:
        """Let `handler` execute the tasks called `name` (`Agent.task`)."""

    def unregister(self, name: str) -> None:
        """Claim no more tasks called `name`."""

    async def submit(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        priority: int,
        delay_s: float = 0.0,
        task_id: str | None = None,
        retries: int = 5,
    ) -> str:
        """Accept a task durably and return its id; the same `task_id` twice is one task."""
        ...
