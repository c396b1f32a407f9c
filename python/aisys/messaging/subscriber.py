"""The receiving side of publish/subscribe: one interest for the process, handed out inside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aisys import json
from aisys.errors import FrameError
from aisys.messaging.frames import Frame
from aisys.messaging.limits import Limits
from aisys.messaging.model import Buffer, Event, Gap
from aisys.messaging.patterns import PatternSet, check_pattern
from aisys.messaging.stats import LinkStats
from aisys.messaging.subscription import EventHandler, GapHandler, Subscription

if TYPE_CHECKING:
    from aisys.messaging.client_link import ClientLink

__all__ = ["Position", "Subscriber"]

MAX_CACHED_TOPICS = 4096


class Position:
    """How far this process has followed one publisher.

    Attributes:
        publisher: the publisher's host id.
        epoch: the count it belongs to, "" before the first confirmation.
        seq: the last number seen or reported missing.
    """

    __slots__ = ("epoch", "publisher", "seq")

    def __init__(self, publisher: str) -> None:
        self.publisher = publisher
        self.epoch = ""
        self.seq = 0


class Subscriber:
    """The subscriptions of an endpoint.

    Each pattern is asked for once per link, however many local subscriptions share it, and each
    event arrives once and is handed to every subscription that it fits.
    """

    __slots__ = (
        "_limits",
        "_loop",
        "_patterns",
        "_routes",
        "_stats",
        "_subscriptions",
        "_wanted",
        "links",
        "local_seq",
        "version",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, stats: LinkStats) -> None:
        self._loop = loop
        self._limits = limits
        self._stats = stats
        self._subscriptions: dict[Subscription, PatternSet] = {}
        self._patterns: dict[str, int] = {}
        self._routes: dict[str, list[Subscription]] = {}
        self.links: dict[str, ClientLink] = {}
        self.version = 0
        self.local_seq = 0

    @property
    def patterns(self) -> list[str]:
        """Every pattern that this process wants, once."""
        return list(self._patterns)

    def add(self, pattern: str, handler: EventHandler, on_gap: GapHandler | None) -> Subscription:
        """Subscribe locally and tell every link that carries events.

        Raises:
            ValueError: the pattern is malformed, or there are too many.
        """
        check_pattern(pattern)
        known = self._patterns.get(pattern, 0)
        if not known and len(self._patterns) >= self._limits.max_patterns:
            raise ValueError(f"more than {self._limits.max_patterns} subscription patterns")
        subscription = Subscription(
            self, pattern, handler, on_gap, self._loop, self._limits, self._stats
        )
        self._subscriptions[subscription] = PatternSet((pattern,))
        self._patterns[pattern] = known + 1
        self._routes.clear()
        if not known:
            self.version += 1
            for link in self.links.values():
                link.send_interest([pattern], self.version)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; the last one of a pattern takes the interest back."""
        if self._subscriptions.pop(subscription, None) is None:
            return
        self._routes.clear()
        pattern = subscription.pattern
        left = self._patterns[pattern] - 1
        if left:
            self._patterns[pattern] = left
            return
        del self._patterns[pattern]
        self.version += 1
        for link in self.links.values():
            link.send_disinterest([pattern], self.version)

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self._subscriptions:
            subscription.stop()
        self._subscriptions.clear()
        self._patterns.clear()
        self._routes.clear()

    # --- what arrives

    def on_event(self, position: Position, frame: Frame) -> None:
        """An event from a link."""
        seq = frame.corr
        if seq <= position.seq:
            raise FrameError(f"{position.publisher} numbered an event {seq} after {position.seq}")
        if seq != position.seq + 1:
            self._missed(position, seq - 1)
        position.seq = seq
        topic = frame.target
        if topic is None:
            raise FrameError(f"{position.publisher} sent an event without a topic")
        route = self._routes.get(topic)
        if route is None:
            route = self._find(topic)
        if route:
            event = Event(topic, frame.body, frame.attachments, position.publisher, seq, frame.size)
            for subscription in route:
                subscription.put(event)

    def on_beacon(self, position: Position, seq: int) -> None:
        """The publisher says how many events were due so far: the last ones may be missing."""
        if position.epoch and seq > position.seq:
            self._missed(position, seq)

    def on_confirmed(self, position: Position, body: bytes) -> None:
        """The publisher confirmed the interest, and says where its count stands."""
        try:
            document = json.loads(body)
            epoch, seq = document["epoch"], document["seq"]
        except (ValueError, KeyError, TypeError) as error:
            raise FrameError(
                f"{position.publisher} confirmed subscriptions in an unknown form"
            ) from error
        if not isinstance(epoch, str) or not isinstance(seq, int):
            raise FrameError(f"{position.publisher} confirmed subscriptions in an unknown form")
        if position.epoch == epoch:
            if seq > position.seq:
                self._missed(position, seq)
            return
        restarted = bool(position.epoch)
        position.epoch = epoch
        position.seq = seq
        if restarted:
            self._report(Gap(position.publisher, 1, 0, restarted=True))

    def _missed(self, position: Position, last: int) -> None:
        gap = Gap(position.publisher, position.seq + 1, last - position.seq)
        position.seq = last
        self._report(gap)

    def _report(self, gap: Gap) -> None:
        # Which subscription the lost events would have reached cannot be known here: all hear of
        # it.
        for subscription in self._subscriptions:
            subscription.put(gap)

    def deliver_local(
        self, topic: str, body: bytes, attachments: Sequence[Buffer], publisher: str
    ) -> bool:
        """Hand an event of this process to its own subscriptions; True if any wanted it."""
        route = self._routes.get(topic)
        if route is None:
            route = self._find(topic)
        if not route:
            return False
        self.local_seq += 1
        views = [memoryview(buffer).toreadonly() for buffer in attachments]
        size = len(body) + sum(view.nbytes for view in views)
        event = Event(topic, body, views, publisher, self.local_seq, size)
        for subscription in route:
            subscription.put(event)
        return True

    def _find(self, topic: str) -> list[Subscription]:
        if len(self._routes) >= MAX_CACHED_TOPICS:
            self._routes.clear()
        route = [
            subscription
            for subscription, patterns in self._subscriptions.items()
            if patterns.match(topic)
        ]
        self._routes[topic] = route
        return route
