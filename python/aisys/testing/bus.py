"""Publish and subscribe inside one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aisys.agent.ports import Buffer


@dataclass(frozen=True, slots=True)
class LocalEvent:
    """An event as `LocalBus` delivers it."""

    topic: str
    body: bytes
    attachments: Sequence[Buffer] = ()
    publisher: str = "local"


@dataclass(eq=False, slots=True)
class LocalSubscription:
    """One open subscription of a `LocalBus`."""

    pattern: tuple[str, ...]
    handler: Callable[[Any], None]
    subscriptions: list[LocalSubscription] = field(repr=False)

    async def close(self) -> None:
        """Stop the delivery."""
        if self in self.subscriptions:
            self.subscriptions.remove(self)


class LocalBus:
    """Delivers events by topic to handlers of this process, in order, in the next turn of the loop."""

    def __init__(self) -> None:
        self._subscriptions: list[LocalSubscription] = []
        self.published: list[LocalEvent] = []

    def publish(self, topic: str, body: bytes, attachments: Sequence[Buffer] = ()) -> int:
        """Deliver an event; returns 0, the number of links it left on."""
        event = LocalEvent(topic, body, attachments)
        self.published.append(event)
        words = tuple(topic.split("."))
        loop = asyncio.get_running_loop()
        for subscription in self._subscriptions:
            if matches(subscription.pattern, words):
                loop.call_soon(subscription.handler, event)
        return 0

    async def subscribe(self, pattern: str, handler: Callable[[Any], None]) -> LocalSubscription:
        """Deliver matching events to `handler`."""
        subscription = LocalSubscription(tuple(pattern.split(".")), handler, self._subscriptions)
        self._subscriptions.append(subscription)
        return subscription


def matches(pattern: Sequence[str], topic: Sequence[str]) -> bool:
    """Whether a topic fits a pattern: `*` is one word, `**` any number of words, also none."""
    if not pattern:
        return not topic
    if pattern[0] == "**":
        return any(matches(pattern[1:], topic[skip:]) for skip in range(len(topic) + 1))
    return bool(topic) and pattern[0] in ("*", topic[0]) and matches(pattern[1:], topic[1:])
