"""The accepting side of TCP links: one ROUTER socket, and a channel for each peer on it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

from aisys.errors import Refused
from aisys.logs import get_logger
from aisys.messaging.frames import FrameEncoder, Kind
from aisys.messaging.keys import KeyRing
from aisys.messaging.link import Channel, LinkContext
from aisys.messaging.outbox import Outbox
from aisys.messaging.server_link import ServerLink
from aisys.messaging.wire_errors import encode_error
from aisys.messaging.zap import ZAP_DOMAIN
from aisys.messaging.zmq_socket import Identity, Part, PeerGone, ZmqNode, user_of

__all__ = ["Accept", "RouterServer"]

RETRY_S = 0.02
# Routing ids whose connection broke the protocol. ZeroMQ cannot close one connection, so what comes
# from them is ignored.
MAX_BANNED = 4096
ROUTER_PARTS = 2

Accept: TypeAlias = Callable[[Channel], ServerLink | None]

log = get_logger("aisys.messaging")


class RouterChannel:
    """One peer of a listening socket, known by the routing id that ZeroMQ gave it."""

    __slots__ = ("_identity", "_key", "_machine", "_outbox", "_server", "link")

    def __init__(
        self,
        server: RouterServer,
        identity: bytes,
        key: str | None,
        machine: str | None,
        limit_bytes: int,
    ) -> None:
        self._server = server
        self._identity = identity
        self._key = key
        self._machine = machine
        self._outbox = Outbox(limit_bytes)
        self.link: ServerLink | None = None

    @property
    def transport_name(self) -> str:
        """How this channel travels."""
        return "tcp"

    @property
    def peer_key(self) -> str | None:
        """The key of the handshake, as ZeroMQ says with each message."""
        return self._key

    @property
    def peer_machine(self) -> str | None:
        """The machine this key belongs to."""
        return self._machine

    def write(self, data: bytes) -> None:
        """Send a batch."""
        if self.link is not None:
            self._outbox.put(data)
            self.drain()

    def drain(self) -> bool:
        """Hand over what ZeroMQ takes; True if nothing is left."""
        try:
            self._outbox.drain(lambda data: self._server.send(self._identity, data))
        except PeerGone as error:
            link = self.link
            self._server.forget(self._identity, banned=False)
            self.link = None
            if link is not None:
                self._server.stats.unroutable.inc()
                link.lost(error)
            return True
        link = self.link
        pressure = self._outbox.pressure()
        if pressure is not None and link is not None:
            if pressure:
                link.paused()
            else:
                link.resumed()
        return self._outbox.bytes == 0

    def buffered_bytes(self) -> int:
        """Bytes that ZeroMQ has not taken."""
        return self._outbox.bytes

    def close(self) -> None:
        """Listen to this peer no more: ZeroMQ has no way to close one connection."""
        self.abort()

    def abort(self) -> None:
        """As `close`."""
        if self.link is not None:
            self.link = None
            self._server.forget(self._identity, banned=True)

    def pause_reading(self) -> None:
        """One peer of a ROUTER cannot be paused; the bound of its write buffer cuts it off."""

    def resume_reading(self) -> None:
        """As above."""


class RouterServer:
    """One listening ROUTER socket and the peers on it."""

    __slots__ = (
        "_accept",
        "_banned",
        "_blocked",
        "_channels",
        "_keys",
        "_limits",
        "_loop",
        "_pump",
        "_retry",
        "stats",
    )

    def __init__(
        self,
        context: LinkContext,
        node: ZmqNode,
        identity: Identity | None,
        keys: KeyRing | None,
        urls: Sequence[str],
        accept: Accept,
    ) -> None:
        self.stats = context.stats
        self._loop = context.loop
        self._limits = context.limits
        self._keys = keys
        self._accept = accept
        self._channels: dict[bytes, RouterChannel] = {}
        self._banned: OrderedDict[bytes, None] = OrderedDict()
        self._blocked: set[RouterChannel] = set()
        self._retry: asyncio.TimerHandle | None = None
        socket = node.listening(identity, ZAP_DOMAIN, urls)
        self._pump = node.pump(socket, self._on_message, self._on_writable)

    def _on_message(self, parts: list[Part]) -> None:
        identity = parts[0].bytes
        if identity in self._banned:
            return
        channel = self._channels.get(identity)
        if len(parts) != ROUTER_PARTS:
            self.stats.bad_frames.inc()
            self._turn_away(identity, channel, f"a message of {len(parts) - 1} parts")
            return
        payload = parts[1]
        key, machine = self._who(payload)
        if self._keys is not None and machine is None:
            # Revoked while connected: ZeroMQ asks about a key only once, so each message is looked
            # at.
            self.stats.refused_peers.labels("revoked").inc()
            self._turn_away(identity, channel, "this key is not admitted any more")
            return
        if channel is None:
            channel = RouterChannel(self, identity, key, machine, self._limits.write_buffer_bytes)
            channel.link = self._accept(channel)
            if channel.link is None:
                self._turn_away(identity, None, "too many connections, or shutting down")
                return
            self._channels[identity] = channel
        elif channel.peer_key != key:
            self._turn_away(identity, channel, "another key on the same connection")
            return
        if channel.link is not None:
            channel.link.feed(payload.buffer)

    def _who(self, payload: Part) -> tuple[str | None, str | None]:
        if self._keys is None:
            return None, None
        key = user_of(payload)
        return key, self._keys.machine_of(key) if key is not None else None

    def _turn_away(self, identity: bytes, channel: RouterChannel | None, why: str) -> None:
        error = Refused(why, reason="unauthorised")
        log.warning("peer_turned_away", reason=why)
        if channel is not None and channel.link is not None:
            channel.link.fail(error, "turned_away")
            return
        encoder = FrameEncoder()
        encoder.add(int(Kind.ERROR), 0, None, encode_error(error))
        self.forget(identity, banned=True)
        try:
            self.send(identity, encoder.take())
        except PeerGone:
            # It is gone already: nothing to tell it.
            self.stats.unroutable.inc()

    def send(self, identity: bytes, data: bytes) -> bool:
        """Send a batch to one peer; False if there is no room.

        Raises:
            PeerGone: the peer is gone.
        """
        if self._pump.closed:
            raise PeerGone("the socket is closed")
        sent = self._pump.send((identity, data))
        if not sent:
            channel = self._channels.get(identity)
            if channel is not None:
                self._blocked.add(channel)
            # A ROUTER says that it is writable as soon as any peer is: ask again for this one.
            if self._retry is None:
                self._retry = self._loop.call_later(RETRY_S, self._on_writable)
        return sent

    def _on_writable(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        blocked, self._blocked = self._blocked, set()
        for channel in blocked:
            channel.drain()

    def forget(self, identity: bytes, *, banned: bool) -> None:
        """Drop a peer; a banned one is ignored from now on."""
        channel = self._channels.pop(identity, None)
        if channel is not None:
            self._blocked.discard(channel)
        if banned:
            self._banned[identity] = None
            if len(self._banned) > MAX_BANNED:
                self._banned.popitem(last=False)

    def close(self) -> None:
        """Stop listening; its connections end."""
        if self._retry is not None:
            self._retry.cancel()
        self._pump.close(linger_ms=200)
