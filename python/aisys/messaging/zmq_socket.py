"""Plain ZeroMQ sockets on an asyncio or uvloop loop; the only module that knows ZeroMQ.

ZeroMQ gives one file descriptor for both directions, readable only and edge-triggered: it says
"something may have changed", once. Any send or receive may consume that edge. So after each of them
`EVENTS` is read again, the reader drains until there is nothing more, and `ZmqNode.look`,
which the endpoint calls twice a second, finds what was missed all the same.
"""

from __future__ import annotations

import asyncio
import enum
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import zmq
from zmq.utils import z85

__all__ = [
    "Identity",
    "LinkEvent",
    "Part",
    "PeerGone",
    "SocketOptions",
    "SocketPump",
    "ZmqNode",
    "encode_key",
    "new_key_pair",
    "user_of",
]

Part: TypeAlias = zmq.Frame

# Messages handled before the loop gets a turn for other work.
MESSAGES_PER_TURN = 64
# Our messages have one or two parts; of others no more than this is kept.
MAX_PARTS = 8
# Below this size copying is cheaper than the bookkeeping of a shared buffer.
COPY_BELOW_BYTES = 65_536
# Batches inside ZeroMQ for each peer; beyond that they wait in the outbox, where bytes are counted.
HIGH_WATER_MARK = 32
HANDSHAKE_MS = 2000
MIN_BEAT_MS = 100
BACKLOG = 512
MAX_SOCKETS = 4096

_SOCKET_EVENT = struct.Struct("=hi")


class PeerGone(ConnectionError):
    """A ROUTER socket has no connection to that peer any more."""


class LinkEvent(enum.Enum):
    """What became of a connection."""

    READY = "ready"
    REFUSED = "the connection was refused"
    BROKEN = "the connection broke"
    HANDSHAKE_FAILED = "the handshake failed"
    NOT_CURVE = "the handshake failed: the other side does not speak CURVE"
    KEY_REFUSED = "the other side refused this process's key"
    OTHER = "something else"


_EVENTS = {
    int(zmq.EVENT_HANDSHAKE_SUCCEEDED): LinkEvent.READY,
    int(zmq.EVENT_CLOSED): LinkEvent.REFUSED,
    int(zmq.EVENT_DISCONNECTED): LinkEvent.BROKEN,
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): LinkEvent.HANDSHAKE_FAILED,
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): LinkEvent.NOT_CURVE,
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): LinkEvent.KEY_REFUSED,
}


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """What every socket of a process is opened with.

    Attributes:
        max_message_bytes: larger messages end their connection, also before authentication.
        heartbeat_s: between ZeroMQ's own heartbeats, in seconds; they find dead networks.
        heartbeat_misses: silent heartbeats after which the connection is given up.
        connect_timeout_s: time for the TCP connection, in seconds.
    """

    max_message_bytes: int
    heartbeat_s: float
    heartbeat_misses: int
    connect_timeout_s: float


@dataclass(frozen=True, slots=True)
class Identity:
    """The CURVE keys of one socket, Z85.

    Attributes:
        public: its own public key.
        secret: its own secret key.
    """

    public: str
    secret: str


def new_key_pair() -> tuple[str, str]:
    """A new public and secret key, Z85."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def encode_key(key: bytes) -> str:
    """The 32 bytes of a key as Z85."""
    return z85.encode(key).decode()


def user_of(part: Part) -> str | None:
    """The key that the sender of a message proved to have, as the ZAP handler named it."""
    try:
        return str(part.get("User-Id"))
    except zmq.ZMQError:
        return None


class ZmqNode:
    """A ZeroMQ context and the options of its sockets. One for each process that talks TCP."""

    __slots__ = ("_context", "_loop", "_options", "_pumps")

    def __init__(self, loop: asyncio.AbstractEventLoop, options: SocketOptions) -> None:
        self._loop = loop
        self._options = options
        self._pumps: set[SocketPump] = set()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)

    def answering(self, address: str, on_message: Callable[[list[Part]], None]) -> SocketPump:
        """A REP socket inside this process, for the ZAP handler."""
        socket = self._context.socket(zmq.REP)
        socket.linger = 0
        socket.bind(address)
        return SocketPump(self._loop, socket, on_message, None, self._pumps)

    def listening(
        self, identity: Identity | None, domain: bytes, urls: Sequence[str]
    ) -> zmq.Socket[bytes]:
        """A ROUTER socket on every address, with CURVE and the ZAP domain if it has keys.

        Raises:
            OSError: an address cannot be listened on.
        """
        socket = self._socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        socket.setsockopt(zmq.BACKLOG, BACKLOG)
        if identity is not None:
            socket.curve_server = True
            socket.curve_secretkey = identity.secret.encode()
            socket.zap_domain = domain
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        for url in urls:
            try:
                socket.bind(url)
            except zmq.ZMQError as error:
                socket.close(linger=0)
                raise OSError(error.errno, f"{url}: {error.strerror}", url) from error
        return socket

    def dialling(self, identity: Identity | None, server_key: str | None) -> zmq.Socket[bytes]:
        """A DEALER socket for one connection: it does not reconnect by itself."""
        socket = self._socket(zmq.DEALER)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.setsockopt(zmq.CONNECT_TIMEOUT, int(self._options.connect_timeout_s * 1000))
        if identity is not None and server_key is not None:
            socket.curve_secretkey = identity.secret.encode()
            socket.curve_publickey = identity.public.encode()
            socket.curve_serverkey = server_key.encode()
        return socket

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        options = self._options
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, options.max_message_bytes)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        beat_ms = max(MIN_BEAT_MS, int(options.heartbeat_s * 1000))
        socket.setsockopt(zmq.HEARTBEAT_IVL, beat_ms)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, beat_ms * options.heartbeat_misses)
        socket.setsockopt(zmq.HEARTBEAT_TTL, beat_ms * options.heartbeat_misses)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        return socket

    def pump(
        self,
        socket: zmq.Socket[bytes],
        on_message: Callable[[list[Part]], None],
        on_writable: Callable[[], None] | None = None,
    ) -> SocketPump:
        """Drive a socket from the event loop."""
        return SocketPump(self._loop, socket, on_message, on_writable, self._pumps)

    def look(self) -> None:
        """See whether anything has arrived whose edge was missed; called twice a second."""
        for pump in list(self._pumps):
            pump.drain()

    async def close(self) -> None:
        """End the context; every socket must have been closed."""
        # It waits for lingering sockets: not on the event loop.
        await asyncio.to_thread(self._context.term)


class SocketPump:
    """Feeds a callback from a socket, for as long as it is open; a receive is never cancelled.

    Args:
        loop: the event loop.
        socket: the socket, which the pump owns from now on.
        on_message: called with the parts of each message.
        on_writable: called when a socket that refused a message may take it now.
        siblings: the open pumps of the node; this one adds itself and leaves when it is closed.
    """

    __slots__ = (
        "_blocked",
        "_descriptor",
        "_loop",
        "_monitor",
        "_on_message",
        "_on_writable",
        "_scheduled",
        "_siblings",
        "_socket",
        "closed",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: zmq.Socket[bytes],
        on_message: Callable[[list[Part]], None],
        on_writable: Callable[[], None] | None,
        siblings: set[SocketPump],
    ) -> None:
        self._loop = loop
        self._siblings = siblings
        self._socket = socket
        self._on_message = on_message
        self._on_writable = on_writable
        self._monitor: SocketPump | None = None
        self._scheduled = False
        self._blocked = False
        self.closed = False
        self._descriptor = cast("int", socket.getsockopt(zmq.FD))
        loop.add_reader(self._descriptor, self._wake)
        # What came before the reader was there has used up its edge.
        self._schedule()
        siblings.add(self)

    def watch(self, on_event: Callable[[LinkEvent], None]) -> None:
        """Tell what becomes of this socket's connections."""
        mask = 0
        for event in _EVENTS:
            mask |= event
        monitor = self._socket.get_monitor_socket(mask)
        monitor.linger = 0

        def on_message(parts: list[Part]) -> None:
            code = _SOCKET_EVENT.unpack_from(parts[0].bytes)[0]
            on_event(_EVENTS.get(code, LinkEvent.OTHER))

        self._monitor = SocketPump(self._loop, monitor, on_message, None, self._siblings)

    def connect(self, url: str) -> None:
        """Begin to connect.

        Raises:
            OSError: that is not an address.
        """
        try:
            self._socket.connect(url)
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"{url}: {error.strerror}", url) from error

    def send(self, parts: Sequence[bytes]) -> bool:
        """Send a message without waiting; False if the socket has no room.

        Raises:
            PeerGone: the socket does not know the peer.
        """
        try:
            for part in parts[:-1]:
                self._socket.send(part, zmq.DONTWAIT | zmq.SNDMORE)
            last = parts[-1]
            self._socket.send(last, zmq.DONTWAIT, copy=len(last) < COPY_BELOW_BYTES)
        except zmq.Again:
            self._blocked = True
            return False
        except zmq.ZMQError as error:
            raise PeerGone(f"the connection is gone: {error}") from error
        if not self._scheduled and self._events() & zmq.POLLIN:
            self._schedule()
        return True

    def drain(self) -> None:
        """Hand over what has arrived, now."""
        if not self.closed:
            self._wake()

    def _events(self) -> int:
        return cast("int", self._socket.getsockopt(zmq.EVENTS))

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        self._wake()

    def _wake(self) -> None:
        for _ in range(MESSAGES_PER_TURN):
            if self.closed:
                return
            try:
                parts = self._receive()
            except zmq.Again:
                break
            self._on_message(parts)
        else:
            self._schedule()
        if self.closed:
            return
        events = self._events()
        if events & zmq.POLLIN:
            self._schedule()
        if self._blocked and events & zmq.POLLOUT and self._on_writable is not None:
            self._blocked = False
            self._on_writable()

    def _receive(self) -> list[Part]:
        socket = self._socket
        part = socket.recv(zmq.DONTWAIT, copy=False)
        parts = [part]
        while part.more:
            part = socket.recv(zmq.DONTWAIT, copy=False)
            if len(parts) < MAX_PARTS:
                parts.append(part)
        return parts

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket; what it has taken gets `linger_ms` to leave, in the background."""
        if self.closed:
            return
        self.closed = True
        self._siblings.discard(self)
        # The reader goes first: the descriptor belongs to ZeroMQ and may be used again at once.
        self._loop.remove_reader(self._descriptor)
        if self._monitor is not None:
            # In this order: ZeroMQ announces the end of monitoring with a blocking send to the
            # monitor, which would wait for ever for one that is closed.
            self._socket.disable_monitor()
            self._monitor.close()
        self._socket.close(linger=linger_ms)
