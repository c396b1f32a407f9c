"""Links over TCP: ROUTER and DEALER sockets of ZeroMQ with CURVE, one message for each batch.

A DEALER socket serves one connection: ZeroMQ's own reconnecting is off (it has no back-off when a
handshake fails, and would feed a new server the middle of an old conversation), so the link above
makes each attempt, with its own pause.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import zmq

from aisys.errors import AisysError, ConfigError, Problem, Refused
from aisys.logs import get_logger
from aisys.messaging.client_link import ClientLink
from aisys.messaging.frames import FrameEncoder, Kind
from aisys.messaging.keys import KeyRing
from aisys.messaging.limits import MIB, Limits
from aisys.messaging.link import Channel, LinkContext
from aisys.messaging.model import Address
from aisys.messaging.pump import SocketPump
from aisys.messaging.server_link import ServerLink
from aisys.messaging.wire_errors import encode_error
from aisys.messaging.zap import ZAP_DOMAIN, ZapHandler

__all__ = ["TcpNode"]

# Batches inside ZeroMQ for each peer; beyond that they wait here, where their bytes are counted.
HIGH_WATER_MARK = 32
HANDSHAKE_MS = 2000
BACKLOG = 512
MAX_SOCKETS = 4096
SELF_TEST_S = 5.0
RETRY_S = 0.02
# Routing ids whose connection broke the protocol; ZeroMQ cannot close one connection, so what they
# send is ignored.
MAX_BANNED = 4096
ROUTER_PARTS = 2

Accept: TypeAlias = Callable[[Channel], ServerLink | None]

log = get_logger("aisys.messaging")

_EVENT = struct.Struct("=hi")
_ENDED = {
    zmq.EVENT_CLOSED: "the connection was refused",
    zmq.EVENT_DISCONNECTED: "the connection broke",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the handshake failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the handshake failed: the other side does not speak CURVE",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the other side refused this process's key",
}
_WATCHED = zmq.EVENT_HANDSHAKE_SUCCEEDED
for _event in _ENDED:
    _WATCHED |= _event


class _Outbox:
    """Batches that ZeroMQ does not take yet, for one peer."""

    __slots__ = ("_batches", "_limit", "bytes", "over")

    def __init__(self, limit_bytes: int) -> None:
        self._batches: deque[bytes] = deque()
        self._limit = limit_bytes
        self.bytes = 0
        self.over = False

    def put(self, data: bytes) -> None:
        self._batches.append(data)
        self.bytes += len(data)

    def drain(self, send: Callable[[bytes], bool]) -> None:
        while self._batches and send(self._batches[0]):
            self.bytes -= len(self._batches.popleft())

    def pressure(self) -> bool | None:
        """True when the limit was crossed upwards, False downwards, None when nothing changed."""
        if not self.over and self.bytes > self._limit:
            self.over = True
            return True
        if self.over and self.bytes <= self._limit // 2:
            self.over = False
            return False
        return None


class DealerChannel:
    """The dialling side: one socket, one connection."""

    __slots__ = (
        "_connected",
        "_link",
        "_monitor",
        "_open",
        "_outbox",
        "_pump",
        "_server_key",
        "_socket",
    )

    def __init__(
        self,
        node: TcpNode,
        url: str,
        server_key: str | None,
        link: ClientLink,
        limits: Limits,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._link: ClientLink | None = link
        self._server_key = server_key
        self._outbox = _Outbox(limits.write_buffer_bytes)
        self._connected: asyncio.Future[None] = loop.create_future()
        self._open = True
        socket = self._socket = node.socket(zmq.DEALER, server_key)
        monitor = socket.get_monitor_socket(_WATCHED)
        monitor.linger = 0
        self._monitor = SocketPump(loop, monitor, self._on_event)
        self._pump = SocketPump(loop, socket, self._on_message, self._on_writable)
        try:
            socket.connect(url)
        except zmq.ZMQError as error:
            self.abort()
            raise AisysError(f"{url} is not an address to connect to: {error}") from error

    async def connected(self) -> None:
        """Return when the handshake is done.

        Raises:
            OSError: the connection or the handshake failed.
            Refused: the other side does not admit this process's key.
        """
        await self._connected

    def _on_event(self, parts: list[zmq.Frame]) -> None:
        event, value = _EVENT.unpack_from(parts[0].bytes)
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            if not self._connected.done():
                self._connected.set_result(None)
            return
        why = _ENDED.get(event)
        if why is None or not self._open:
            return
        error: Exception = ConnectionResetError(why)
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            error = Refused(f"{why} (status {value})", reason="unauthorised")
        if not self._connected.done():
            self._connected.set_exception(error)
            # Retrieved here: nobody may be waiting any more.
            self._connected.exception()
        # What the peer sent before it closed comes first.
        self._pump.drain()
        link = self._link
        self.abort()
        if link is not None:
            link.lost(error)

    def _on_message(self, parts: list[zmq.Frame]) -> None:
        link = self._link
        if link is not None and self._open:
            if len(parts) == 1:
                link.feed(parts[0].buffer)
            else:
                link.fail(AisysError(f"a message of {len(parts)} parts"), "bad_frame")

    # --- Channel

    @property
    def transport_name(self) -> str:
        """How this channel travels."""
        return "tcp"

    @property
    def peer_key(self) -> str | None:
        """The key the server proved to have in the handshake."""
        return self._server_key

    @property
    def peer_machine(self) -> str | None:
        """Settled by the key that was dialled."""
        return None

    def write(self, data: bytes) -> None:
        """Send a batch."""
        if self._open:
            self._outbox.put(data)
            self._on_writable()

    def _on_writable(self) -> None:
        self._outbox.drain(lambda data: self._pump.send((data,)))
        pressure = self._outbox.pressure()
        link = self._link
        if pressure is not None and link is not None:
            if pressure:
                link.paused()
            else:
                link.resumed()

    def buffered_bytes(self) -> int:
        """Bytes that ZeroMQ has not taken."""
        return self._outbox.bytes

    def close(self) -> None:
        """Close after what ZeroMQ has taken; it gets a fifth of a second in the background."""
        self._shut(200)

    def abort(self) -> None:
        """Close at once."""
        self._shut(0)

    def _shut(self, linger_ms: int) -> None:
        if not self._open:
            return
        self._open = False
        self._link = None
        if not self._connected.done():
            self._connected.cancel()
        self._monitor.close()
        self._socket.disable_monitor()
        self._pump.close(linger_ms)

    def pause_reading(self) -> None:
        """Not needed: only servers pause, and they are RouterChannels."""

    def resume_reading(self) -> None:
        """As above."""


class RouterChannel:
    """One peer of a listening socket, known by the routing id that ZeroMQ gave to its connection."""

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
        self._outbox = _Outbox(limit_bytes)
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
        except zmq.ZMQError as error:
            link = self.link
            self._server.forget(self._identity, banned=False)
            self.link = None
            if link is not None:
                self._server.stats.unroutable.inc()
                link.lost(ConnectionResetError(f"the connection is gone: {error}"))
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
        """One peer of a ROUTER cannot be paused: the bounds of the link's write buffer cut it off instead."""

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
        socket: zmq.Socket[bytes],
        keys: KeyRing | None,
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
        self._pump = SocketPump(context.loop, socket, self._on_message, self._on_writable)

    def _on_message(self, parts: list[zmq.Frame]) -> None:
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

    def _who(self, payload: zmq.Frame) -> tuple[str | None, str | None]:
        if self._keys is None:
            return None, None
        try:
            key = payload.get("User-Id")
        except zmq.ZMQError:
            return None, None
        return str(key), self._keys.machine_of(str(key))

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
        except zmq.ZMQError:
            # It is gone already: nothing to tell it.
            self.stats.unroutable.inc()

    def send(self, identity: bytes, data: bytes) -> bool:
        """Send a batch to one peer; False if there is no room.

        Raises:
            zmq.ZMQError: the peer is gone.
        """
        if self._pump.closed:
            raise zmq.ZMQError(zmq.ENOTSOCK)
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


class TcpNode:
    """The ZeroMQ context of an endpoint, with everything that lives in it.

    Args:
        context: what the endpoint's links share.
        keys: the key ring; None means no encryption, allowed on loopback only.
    """

    __slots__ = ("_context", "_ctx", "_keys", "_servers", "_zap")

    def __init__(self, context: LinkContext, keys: KeyRing | None) -> None:
        self._context = context
        self._keys = keys
        self._ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._ctx.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        self._servers: list[RouterServer] = []
        self._zap = (
            ZapHandler(self._ctx, context.loop, keys, context.stats) if keys is not None else None
        )

    def socket(self, kind: int, server_key: str | None = None) -> zmq.Socket[bytes]:
        """A socket with every limit set; for a DEALER, the key of the server it will talk to."""
        limits = self._context.limits
        socket = self._ctx.socket(kind)
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, limits.max_frame_bytes + limits.batch_bytes + MIB)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        beat_ms = max(100, int(limits.heartbeat_s * 1000))
        socket.setsockopt(zmq.HEARTBEAT_IVL, beat_ms)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, beat_ms * limits.heartbeat_misses)
        socket.setsockopt(zmq.HEARTBEAT_TTL, beat_ms * limits.heartbeat_misses)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if kind == zmq.DEALER:
            socket.setsockopt(zmq.RECONNECT_IVL, -1)
            socket.setsockopt(zmq.CONNECT_TIMEOUT, int(limits.connect_timeout_s * 1000))
            if self._keys is not None and server_key is not None:
                socket.curve_secretkey = self._keys.secret.encode()
                socket.curve_publickey = self._keys.public(self._keys.machine).encode()
                socket.curve_serverkey = server_key.encode()
        else:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
            socket.setsockopt(zmq.BACKLOG, BACKLOG)
            if self._keys is not None:
                socket.curve_server = True
                socket.curve_secretkey = self._keys.secret.encode()
                socket.zap_domain = ZAP_DOMAIN
                socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        return socket

    async def listen(self, urls: Sequence[str], accept: Accept) -> None:
        """Listen on every address, then see that a random key is refused.

        Raises:
            ConfigError: an address beyond loopback without keys, a malformed one, or one that is
                taken.
            AisysError: the self-test got through.
        """
        for url in urls:
            if self._keys is None and not _is_loopback(url):
                raise _problem(
                    url,
                    "would let anybody on the network in, because there are no keys",
                    "run `aisys keys create` and set security.curve, or listen on 127.0.0.1",
                )
        socket = self.socket(zmq.ROUTER)
        try:
            for url in urls:
                socket.bind(url)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise _problem(
                url, f"cannot be listened on: {error}", "see `aisys ports` for what uses it"
            ) from error
        self._servers.append(RouterServer(self._context, socket, self._keys, accept))
        if self._keys is not None:
            for url in urls:
                await self._self_test(url)
        else:
            log.warning("tcp_without_keys", urls=list(urls))

    async def _self_test(self, url: str) -> None:
        """Knock with a random key; being let in means that the access list does not work."""
        if self._keys is None or self._zap is None:
            return
        public, secret = zmq.curve_keypair()
        self._zap.expected = public
        socket = self.socket(zmq.DEALER, self._keys.public(self._keys.machine))
        socket.curve_publickey, socket.curve_secretkey = public, secret
        loop = self._context.loop
        outcome: asyncio.Future[int] = loop.create_future()

        def on_event(parts: list[zmq.Frame]) -> None:
            event = _EVENT.unpack_from(parts[0].bytes)[0]
            if not outcome.done():
                outcome.set_result(event)

        monitor = socket.get_monitor_socket(_WATCHED)
        monitor.linger = 0
        pump = SocketPump(loop, monitor, on_event)
        try:
            socket.connect(_reachable(url))
            async with asyncio.timeout(SELF_TEST_S):
                event = await outcome
        except TimeoutError:
            event = 0
        finally:
            pump.close()
            socket.disable_monitor()
            socket.close(linger=0)
        if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise AisysError(
                f"the self-test of {url} failed (event {event}): a connection with a random key was not refused, "
                "so this process does not serve"
            )

    async def dial(self, address: Address, link: ClientLink) -> Channel:
        """Connect to a host on another machine.

        Raises:
            OSError: nobody answers, or the handshake failed.
            AisysError: this process has no key for that machine, or is not admitted there.
        """
        url = address.tcp or ""
        server_key: str | None = None
        if self._keys is not None:
            server_key = address.server_key or self._keys.public(address.machine)
        elif address.server_key is not None:
            raise AisysError(
                f"{address.host} has a key and this process has none: set security.curve"
            )
        elif not _is_loopback(url):
            raise AisysError(
                f"{url} is not on this computer, and without keys nothing is sent there"
            )
        channel = DealerChannel(self, url, server_key, link, self._context.limits)
        try:
            await channel.connected()
        except BaseException:
            channel.abort()
            raise
        return channel

    async def close(self) -> None:
        """Close every socket and end the context."""
        for server in self._servers:
            server.close()
        if self._zap is not None:
            self._zap.close()
        # Ending the context waits for lingering sockets: not on the event loop.
        await asyncio.to_thread(self._ctx.term)


def _host_of(url: str) -> str:
    if not url.startswith("tcp://") or ":" not in url[6:]:
        raise _problem(url, "is not an address such as tcp://127.0.0.1:5713", "")
    return url[6:].rpartition(":")[0].strip("[]")


def _is_loopback(url: str) -> bool:
    host = _host_of(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(url: str) -> str:
    """The address to connect to for an address to listen on."""
    host = _host_of(url)
    port = url.rpartition(":")[2]
    if host in ("*", "0.0.0.0"):  # noqa: S104 - compared with, not listened on
        return f"tcp://127.0.0.1:{port}"
    return f"tcp://[::1]:{port}" if host == "::" else url


def _problem(url: str, what: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(where=url, setting="", what=what, remedy=remedy)])
