"""A small HTTP server that speaks the OpenAI chat protocol over real sockets, for tests of the client."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class OpenAIServer:
    """Answers `/v1/chat/completions` and `/v1/models` as it is told to.

    Attributes:
        reply: the text that the model answers with.
        status: the HTTP status of the answer.
        raw: a body to send instead of a completion.
        break_after: in a stream, close the connection after so many pieces.
        hang: accept requests and never answer.
        requests: the bodies that were asked, oldest first.
        headers: the headers of the last request, in lower case.
    """

    reply: str = "Paris is the capital of France."
    status: int = 200
    raw: bytes | None = None
    break_after: int | None = None
    hang: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The base URL to configure."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        start = await reader.readline()
        if not start:
            return False
        self.headers = {}
        while (line := (await reader.readline()).strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(self.headers.get("content-length", "0")))
        if self.hang:
            await asyncio.Event().wait()
        if self.status >= 400:
            error = {"error": {"message": "that did not go well", "type": "test"}}
            await self._send(writer, self.status, json.dumps(error).encode())
        elif self.raw is not None:
            await self._send(writer, 200, self.raw)
        elif start.split()[1].endswith(b"/models"):
            await self._send(writer, 200, b'{"data": [{"id": "test-model"}]}')
        else:
            asked = json.loads(body)
            self.requests.append(asked)
            if asked.get("stream"):
                await self._stream(writer, asked)
                return False
            await self._send(writer, 200, json.dumps(self._completion(asked)).encode())
        return True

    def _completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.reply}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        }

    async def _send(self, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        words = self.reply.split(" ")
        pieces = [word if n == 0 else f" {word}" for n, word in enumerate(words)]
        await self._event(writer, {"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
        for number, piece in enumerate(pieces):
            if number == self.break_after:
                writer.transport.abort()
                return
            delta = {
                "model": asked["model"],
                "choices": [{"index": 0, "delta": {"content": piece}}],
            }
            await self._event(writer, delta)
        await self._event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await self._event(writer, {"choices": [], "usage": {"completion_tokens": 7}})
        writer.write(self._chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async def _event(self, writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
        writer.write(
            self._chunk(b": keep-alive\n\ndata: " + json.dumps(document).encode() + b"\n\n")
        )
        await writer.drain()

    @staticmethod
    def _chunk(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"
