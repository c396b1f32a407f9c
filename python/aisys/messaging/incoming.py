"""A request as the service sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from aisys.errors import CallError, FrameError, ResultError
from aisys.messaging.frames import FLAG_IDEMPOTENT, FLAG_SAMPLED, FLAG_STREAM, Frame, Kind
from aisys.messaging.link import batch_frame_bytes
from aisys.messaging.model import Buffer, Peer
from aisys.messaging.wire_errors import encode_error

if TYPE_CHECKING:
    from aisys.messaging.server_link import ServerLink

__all__ = ["Incoming", "StreamClosed"]

REPLY = int(Kind.REPLY)
ERROR = int(Kind.ERROR)
ITEM = int(Kind.ITEM)
END = int(Kind.END)


class StreamClosed(CallError):
    """The consumer of a stream has gone, or the stream has been ended."""

    code: ClassVar[str] = "stream_closed"


class Incoming:
    """One request, to be answered exactly once; a second answer is dropped and counted.

    Attributes:
        deadline: when the caller stops waiting, in seconds of this process's monotonic clock.
        cancelled: whether the caller has gone or has lost interest.
    """

    __slots__ = ("_credit", "_frame", "_link", "_waiter", "cancelled", "deadline")

    def __init__(self, link: ServerLink, frame: Frame, deadline: float, credit: int) -> None:
        self._link = link
        self._frame = frame
        self._credit = credit
        self._waiter: asyncio.Future[None] | None = None
        self.deadline = deadline
        self.cancelled = False

    @property
    def target(self) -> str:
        """What is called, `Agent.method`; "" if the request names nothing."""
        return self._frame.target or ""

    @property
    def body(self) -> bytes:
        """The encoded arguments."""
        return self._frame.body

    @property
    def attachments(self) -> list[memoryview]:
        """Read-only views of the buffers sent beside the body."""
        return self._frame.attachments

    @property
    def priority(self) -> int:
        """0 (first) to 255."""
        return self._frame.prio

    @property
    def trace(self) -> bytes | None:
        """The caller's trace context, 24 bytes."""
        return self._frame.trace

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded."""
        return bool(self._frame.flags & FLAG_SAMPLED)

    @property
    def streaming(self) -> bool:
        """Whether the caller wants items."""
        return bool(self._frame.flags & FLAG_STREAM)

    @property
    def idempotent(self) -> bool:
        """Whether the caller says that the call may be repeated."""
        return bool(self._frame.flags & FLAG_IDEMPOTENT)

    @property
    def peer(self) -> Peer:
        """Who asks."""
        return self._link.peer

    @property
    def finished(self) -> bool:
        """Whether it has been answered, cancelled, or lost its link."""
        return self._link.open_requests.get(self._frame.corr) is not self

    def reply(self, body: Buffer, attachments: Sequence[Buffer] = ()) -> None:
        """Answer with a result; one that is too large fails the call with `ResultError`."""
        link = self._link
        corr = self._frame.corr
        if link.open_requests.pop(corr, None) is None:
            link.answered_late()
        elif not attachments and len(body) <= link.max_body_bytes:
            link.send(REPLY, corr, body)
        else:
            self._reply_with(body, attachments)

    def _reply_with(self, body: Buffer, attachments: Sequence[Buffer]) -> None:
        try:
            if not self._fits(body, attachments):
                raise self._too_large(body, attachments)
            self._link.send(REPLY, self._frame.corr, body, attachments)
        except (ResultError, FrameError, ValueError, TypeError, BufferError) as error:
            # The request is off the books: an answer of some kind must leave.
            self._link.send(ERROR, self._frame.corr, encode_error(error))

    def fail(self, error: BaseException) -> None:
        """Answer with an exception."""
        link = self._link
        corr = self._frame.corr
        if link.open_requests.pop(corr, None) is None:
            link.answered_late()
        else:
            link.send(ERROR, corr, encode_error(error))

    async def send_item(self, body: Buffer, attachments: Sequence[Buffer] = ()) -> None:
        """Send one item of a stream, as soon as the consumer wants more.

        Raises:
            StreamClosed: the consumer has gone, or the stream has been ended.
            ResultError: the item is too large.
        """
        while self._credit <= 0 and not self.finished:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)
        if self.finished:
            raise StreamClosed(f"the consumer of {self.target} has gone")
        if not self._fits(body, attachments):
            raise self._too_large(body, attachments)
        self._credit -= 1
        self._link.send(ITEM, self._frame.corr, body, attachments)

    def end(self) -> None:
        """End a stream after its last item."""
        link = self._link
        corr = self._frame.corr
        if link.open_requests.pop(corr, None) is None:
            link.answered_late()
        else:
            link.send(END, corr)
        self.wake()

    def grant(self, items: int) -> None:
        """The consumer wants `items` more."""
        self._credit = min(self._credit + items, self._link.stream_window)
        self.wake()

    def wake(self) -> None:
        """Let a waiting `send_item` look again."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _fits(self, body: Buffer, attachments: Sequence[Buffer]) -> bool:
        return batch_frame_bytes(body, attachments) <= self._link.max_body_bytes

    def _too_large(self, body: Buffer, attachments: Sequence[Buffer]) -> ResultError:
        size = batch_frame_bytes(body, attachments)
        problem = (
            f"result: {size} bytes, more than the {self._link.max_body_bytes} that a link carries"
        )
        return ResultError(f"{self.target}: {problem}", method=self.target, problems=[problem])

    def __repr__(self) -> str:
        return f"Incoming({self.target!r} from {self.peer.host!r})"
