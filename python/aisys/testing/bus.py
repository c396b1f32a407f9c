"""Publish and subscribe inside one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aisys.agent import Subscription
from aisys.agent.ports import Buffer
from aisys.errors import Refused
from aisys.messaging import Endpoint, Incoming


class Published(NamedTuple):
    """One event that was published."""

    topic: str
    body: bytes
    attachments: tuple[Buffer, ...]


class _NoRequests:
    """Nothing listens, so nothing can ask."""

    def on_requests(self, requests: list[Incoming]) -> None:
        for request in requests:
            request.fail(Refused(f"{request.target}: not served here", reason="not_ready"))

    def on_cancel(self, request: Incoming) -> None:  # noqa: ARG002 - nothing runs
        return None


class LocalBus:
    """An end of links without any link: events reach the subscribers of this process.

    Args:
        host: the host's id.
        machine: the machine the process believes to be on.
    """

    def __init__(self, host: str, machine: str) -> None:
        self.endpoint = Endpoint(host=host, machine=machine, service=_NoRequests())
        self.published: list[Published] = []

    def publish(self, topic: str, body: bytes, attachments: Sequence[Buffer] = ()) -> int:
        """Deliver an event to the subscribers of this process, and remember it."""
        self.published.append(Published(topic, body, tuple(attachments)))
        return self.endpoint.publish(topic, body, attachments)

    async def subscribe(self, pattern: str, handler: Callable[[Any], None]) -> Subscription:
        """Deliver matching events to `handler`."""
        return await self.endpoint.subscribe(pattern, handler)
