"""A plain ZeroMQ socket on an asyncio or uvloop loop.

ZeroMQ gives one file descriptor for both directions, readable only and edge-triggered: it says
"something may have changed", once. Any send or receive may consume that edge. So after each of them
`EVENTS` is read again, the reader drains until there is nothing more, and a slow timer looks too,
in case an edge was missed all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import zmq

__all__ = ["SocketPump"]

# Messages handled before the loop gets a turn for other work.
MESSAGES_PER_TURN = 64
# Our messages have one or two parts; of others no more than this is kept.
MAX_PARTS = 8
WATCHDOG_S = 0.5
# Below this size copying is cheaper than the bookkeeping of a shared buffer.
COPY_BELOW_BYTES = 65_536


class SocketPump:
    """Feeds a callback from a socket, for as long as it is open; a receive is never cancelled.

    Args:
        loop: the event loop.
        socket: the socket, which the pump owns from now on.
        on_message: called with the parts of each message.
        on_writable: called when a socket that refused a message may take it now.
    """

    __slots__ = (
        "_blocked",
        "_loop",
        "_on_message",
        "_on_writable",
        "_scheduled",
        "_socket",
        "_watchdog",
        "closed",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: zmq.Socket[bytes],
        on_message: Callable[[list[zmq.Frame]], None],
        on_writable: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._socket = socket
        self._on_message = on_message
        self._on_writable = on_writable
        self._scheduled = False
        self._blocked = False
        self.closed = False
        loop.add_reader(socket.getsockopt(zmq.FD), self._wake)
        # What came before the reader was there has used up its edge.
        self._schedule()
        self._watchdog = loop.call_later(WATCHDOG_S, self._look)

    def send(self, parts: Sequence[bytes]) -> bool:
        """Send a message without waiting; False if the socket has no room.

        Raises:
            zmq.ZMQError: the socket does not know the peer.
        """
        try:
            for part in parts[:-1]:
                self._socket.send(part, zmq.DONTWAIT | zmq.SNDMORE)
            last = parts[-1]
            self._socket.send(last, zmq.DONTWAIT, copy=len(last) < COPY_BELOW_BYTES)
        except zmq.Again:
            self._blocked = True
            return False
        if not self._scheduled and self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self._schedule()
        return True

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        self._wake()

    def _look(self) -> None:
        if not self.closed:
            self._watchdog = self._loop.call_later(WATCHDOG_S, self._look)
            self._wake()

    def drain(self) -> None:
        """Hand over what has arrived, now."""
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
        events = self._socket.getsockopt(zmq.EVENTS)
        if events & zmq.POLLIN:
            self._schedule()
        if self._blocked and events & zmq.POLLOUT and self._on_writable is not None:
            self._blocked = False
            self._on_writable()

    def _receive(self) -> list[zmq.Frame]:
        socket = self._socket
        part = socket.recv(zmq.DONTWAIT, copy=False)
        parts = [part]
        while part.more:
            part = socket.recv(zmq.DONTWAIT, copy=False)
            if len(parts) < MAX_PARTS:
                parts.append(part)
        return parts

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket."""
        if self.closed:
            return
        self.closed = True
        self._watchdog.cancel()
        # The reader goes first: the descriptor belongs to ZeroMQ and may be used again at once.
        self._loop.remove_reader(self._socket.getsockopt(zmq.FD))
        self._socket.close(linger=linger_ms)
