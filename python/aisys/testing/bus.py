"""Publish and subscribe inside one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aisys.agent import Subscription
from aisys.agent.ports import Buffer
from aisys.messaging import Endpoint, Service


class Published(NamedTuple):
    """One event that was published."""

    topic: str
    body: bytes
    attachments: tuple[Buffer, ...]


class LocalBus:
    """An end of links without any link: events reach the subscribers of this process.

    Args:
        host: the host's id.
        machine: the machine the process believes to be on.
        service: would serve requests; none arrive.
    """

    def __init__(self, host: str, machine: str, service: Service) -> None:
        self.endpoint = Endpoint(host=host, machine=machine, service=service)
        self.published: list[Published] = []

    def publish(self, topic: str, body: bytes, attachments: Sequence[Buffer] = ()) -> int:
        """Deliver an event to the subscribers of this process, and remember it."""
        self.published.append(Published(topic, body, tuple(attachments)))
        return self.endpoint.publish(topic, body, attachments)

    async def subscribe(self, pattern: str, handler: Callable[[Any], None]) -> Subscription:
        """Deliver matching events to `handler`."""
        return await self.endpoint.subscribe(pattern, handler)
