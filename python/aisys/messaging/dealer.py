"""The dialling side of a TCP link: one DEALER socket for one connection.

ZeroMQ's own reconnecting is off: it has no back-off when a handshake fails, and would feed a new
server the middle of an old conversation. The link above makes each attempt, with its own pause.
"""

from __future__ import annotations

import asyncio

from aisys.errors import FrameError, Refused
from aisys.messaging.limits import Limits
from aisys.messaging.link import Link
from aisys.messaging.outbox import Outbox
from aisys.messaging.zmq_socket import Identity, LinkEvent, Part, ZmqNode

__all__ = ["DealerChannel"]


class DealerChannel:
    """The dialling side: one socket, one connection."""

    __slots__ = ("_connected", "_link", "_open", "_outbox", "_pump", "_server_key")

    def __init__(
        self,
        node: ZmqNode,
        identity: Identity | None,
        server_key: str | None,
        link: Link,
        limits: Limits,
    ) -> None:
        self._link: Link | None = link
        self._server_key = server_key
        self._outbox = Outbox(limits.write_buffer_bytes)
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = True
        socket = node.dialling(identity, server_key)
        self._pump = node.pump(socket, self._on_message, self._on_writable)
        self._pump.watch(self._on_event)

    async def connect(self, url: str) -> None:
        """Return when the handshake is done.

        Raises:
            OSError: the connection or the handshake failed.
            Refused: the other side does not admit this process's key.
        """
        self._pump.connect(url)
        await self._connected

    def _on_event(self, event: LinkEvent) -> None:
        if event is LinkEvent.OTHER or not self._open:
            return
        if event is LinkEvent.READY:
            if not self._connected.done():
                self._connected.set_result(None)
            return
        error: Exception = ConnectionResetError(event.value)
        if event is LinkEvent.KEY_REFUSED:
            error = Refused(event.value, reason="unauthorised")
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

    def _on_message(self, parts: list[Part]) -> None:
        link = self._link
        if link is not None and self._open:
            if len(parts) == 1:
                link.feed(parts[0].buffer)
            else:
                link.fail(FrameError(f"a message of {len(parts)} parts"), "bad_frame")

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
        self._pump.close(linger_ms)

    def pause_reading(self) -> None:
        """Not needed: only servers pause, and they are RouterChannels."""

    def resume_reading(self) -> None:
        """As above."""
