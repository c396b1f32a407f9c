"""JSON packets between parent and child processes over a pair of sequenced-packet sockets.

The pair is a lifeline too: each side sees the end of the other as an end of file.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from aisys import json

MAX_PACKET_BYTES = 60_000
"""Below the kernel's default socket buffer, so that one packet always fits an empty one."""


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Channel:
    """One end in a process with an event loop; a packet that does not fit the other side's buffer is dropped.

    Dropping is right here: packets are states sent again every second, and a supervisor that does not read must never
    block a host.
    """

    __slots__ = ("_loop", "_on_close", "_on_packet", "dropped", "sock")

    def __init__(
        self,
        sock: socket.socket,
        on_packet: Callable[[dict[str, Any]], None],
        on_close: Callable[[], None],
    ) -> None:
        self.sock = sock
        self.dropped = 0
        self._on_packet = on_packet
        self._on_close = on_close
        sock.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, packet: dict[str, Any]) -> bool:
        """Send one packet now; False if the other side's buffer is full or the other side is gone."""
        data = json.dumps(packet)
        if len(data) > MAX_PACKET_BYTES:
            raise ValueError(f"a packet of {len(data)} bytes exceeds {MAX_PACKET_BYTES}")
        try:
            self.sock.send(data)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError, OSError):
            self.dropped += 1
            return False
        return True

    def close(self) -> None:
        """Stop reading and close this end; the other side sees an end of file."""
        if self.sock.fileno() >= 0:
            with contextlib.suppress(ValueError, OSError):
                self._loop.remove_reader(self.sock.fileno())
            self.sock.close()

    def _readable(self) -> None:
        while True:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                self._on_close()
                return
            self._on_packet(json.loads(data))
