"""The sending side of publish/subscribe: who wants which topic, and how many events each was due.

Each subscribing process has its own sequence of the events that match its patterns. An event that
cannot leave (the peer does not read, the link is down) uses up its number all the same, so the
subscriber learns of the loss from the next number, from the beacon in the heartbeat, or from the
confirmation after a reconnect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aisys.errors import FrameError
from aisys.ids import new_id
from aisys.messaging.limits import Limits
from aisys.messaging.model import Buffer
from aisys.messaging.patterns import PatternSet, check_pattern, check_topic
from aisys.messaging.stats import LinkStats

if TYPE_CHECKING:
    from aisys.messaging.server_link import ServerLink

__all__ = ["Audience", "Publisher"]

MAX_CACHED_TOPICS = 4096
MAX_AUDIENCES = 4096


class Audience:
    """One subscribing process.

    Attributes:
        key: machine, host and run of the subscriber.
        epoch: a random id; a new one means that counting began anew.
        seq: how many events were due to it in this epoch.
        link: its link, None while it is disconnected.
        lost_at: when the link went, in monotonic seconds.
    """

    __slots__ = ("epoch", "key", "link", "lost_at", "patterns", "seq")

    def __init__(self, key: str, link: ServerLink) -> None:
        self.key = key
        self.link: ServerLink | None = link
        self.epoch = new_id()
        self.seq = 0
        self.lost_at = 0.0
        self.patterns = PatternSet()


class Publisher:
    """The audiences of an endpoint.

    Args:
        limits: how many patterns a peer may have, how long a disconnected one is counted for.
        stats: the endpoint's counters.
        now: monotonic seconds.
    """

    __slots__ = ("_audiences", "_limits", "_now", "_routes", "_stats")

    def __init__(self, limits: Limits, stats: LinkStats, now: Callable[[], float]) -> None:
        self._limits = limits
        self._stats = stats
        self._now = now
        self._audiences: dict[str, Audience] = {}
        self._routes: dict[str, list[Audience]] = {}

    def attach(self, link: ServerLink, instance: str) -> Audience:
        """The audience of the process behind `link`, with its count if it was here before."""
        key = f"{link.peer.machine} {link.peer.host} {instance}"
        audience = self._audiences.get(key)
        if audience is None:
            self._expire()
            audience = self._audiences[key] = Audience(key, link)
        else:
            audience.link = link
        return audience

    def detach(self, audience: Audience, link: ServerLink) -> None:
        """`link` is gone: count on for a while, so that a reconnect can tell what was missed."""
        if audience.link is not link:
            return
        audience.link = None
        audience.lost_at = self._now()
        if not audience.patterns:
            self._audiences.pop(audience.key, None)

    def _expire(self) -> None:
        limit = self._now() - self._limits.audience_s
        gone = [a for a in self._audiences.values() if a.link is None and a.lost_at < limit]
        if len(self._audiences) - len(gone) >= MAX_AUDIENCES:
            absent = [a for a in self._audiences.values() if a.link is None]
            gone = sorted(absent, key=lambda audience: audience.lost_at)[: len(absent) // 2 + 1]
        for audience in gone:
            del self._audiences[audience.key]
        if gone:
            self._routes.clear()

    def add(self, audience: Audience, patterns: list[str], replace: bool) -> None:
        """Note what an audience wants.

        Raises:
            FrameError: a pattern is malformed, or there are too many.
        """
        if replace:
            audience.patterns.clear()
        for pattern in patterns:
            try:
                check_pattern(pattern)
            except ValueError as error:
                raise FrameError(str(error)) from error
            audience.patterns.add(pattern)
        self._routes.clear()
        if len(audience.patterns) > self._limits.max_patterns:
            raise FrameError(f"more than {self._limits.max_patterns} subscription patterns")

    def remove(self, audience: Audience, patterns: list[str]) -> None:
        """Note what an audience no longer wants."""
        for pattern in patterns:
            audience.patterns.discard(pattern)
        self._routes.clear()

    def publish(self, topic: str, body: Buffer, attachments: Sequence[Buffer]) -> int:
        """Send an event to everyone who wants it.

        Returns:
            How many links it left on.

        Raises:
            ValueError: `topic` cannot be published to.
        """
        route = self._routes.get(topic)
        if route is None:
            route = self._find(topic)
        sent = 0
        for audience in route:
            audience.seq += 1
            link = audience.link
            if link is not None and link.send_event(topic, audience.seq, body, attachments):
                sent += 1
            else:
                self._stats.events_dropped.labels("link").inc()
        return sent

    def _find(self, topic: str) -> list[Audience]:
        check_topic(topic)
        if len(self._routes) >= MAX_CACHED_TOPICS:
            self._routes.clear()
        route = [a for a in self._audiences.values() if a.patterns.match(topic)]
        self._routes[topic] = route
        return route

    def tick(self) -> None:
        """Forget who has been away for too long; called by the heartbeat."""
        if any(audience.link is None for audience in self._audiences.values()):
            self._expire()
