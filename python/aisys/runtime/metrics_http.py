"""The Prometheus endpoint of a machine: a few lines of HTTP/1.1, bound to loopback or the machine's address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

MAX_REQUEST_BYTES = 8192
REQUEST_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 32

Page = Callable[[str | None], Awaitable[tuple[int, str, bytes]]]
"""Takes the request's `Accept` header, if it has one, and gives (status, content type, body)."""

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class MetricsServer:
    """Serves a fixed set of pages to GET requests; one request a connection.

    Args:
        pages: path to page.
    """

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, address: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(
            self._serve, address, port, limit=MAX_REQUEST_BYTES
        )

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                status, kind, body = await self._answer(reader)
                head = (
                    f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (TimeoutError, ConnectionError):
            writer.transport.abort()
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
        plain = "text/plain; charset=utf-8"
        if self._open > MAX_CONNECTIONS:
            return 503, plain, b"too many connections\n"
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return 400, plain, b"not an HTTP request\n"
        if not version.startswith("HTTP/1."):
            return 400, plain, b"HTTP/1.1 is spoken here\n"
        if method != "GET":
            return 405, plain, b"only GET\n"
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            return 404, plain, f"pages: {' '.join(self._pages)}\n".encode()
        return await page(_accept(head))


def _accept(head: bytes) -> str | None:
    """The media types that the client takes; several headers count as one list."""
    fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    found = [value.decode("latin-1") for name, _, value in fields if name.lower() == b"accept"]
    return ", ".join(found) or None
