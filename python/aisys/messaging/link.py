"""What both ends of a link have in common: frames leave and arrive by the batch."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aisys.errors import AisysError, FrameError
from aisys.messaging.frames import Frame, FrameDecoder, FrameEncoder, Kind
from aisys.messaging.hello import Hello
from aisys.messaging.limits import Limits
from aisys.messaging.model import Buffer, Peer
from aisys.messaging.stats import LinkStats
from aisys.messaging.wire_errors import encode_error

if TYPE_CHECKING:
    from aisys.messaging.publisher import Publisher
    from aisys.messaging.service import Service
    from aisys.messaging.subscriber import Subscriber

__all__ = ["Channel", "Link", "LinkContext", "batch_frame_bytes"]

# Plain integers: comparing with an IntEnum member costs three times as much.
ERROR = int(Kind.ERROR)
HEARTBEAT = int(Kind.HEARTBEAT)
HELLO = int(Kind.HELLO)

# Header and target definition, and a table entry for each attachment, beside body and buffers.
FRAME_OVERHEAD_BYTES = 2048
ATTACHMENT_OVERHEAD_BYTES = 4


def batch_frame_bytes(body: Buffer, attachments: Sequence[Buffer]) -> int:
    """About how many bytes a frame takes, without its fixed overhead."""
    size = len(body)
    for buffer in attachments:
        size += memoryview(buffer).nbytes + ATTACHMENT_OVERHEAD_BYTES
    return size


class Channel(Protocol):
    """A connection that carries batches: a unix socket, or one peer of a ZeroMQ socket."""

    @property
    def transport_name(self) -> str:
        """`unix` or `tcp`."""
        ...

    @property
    def peer_key(self) -> str | None:
        """The Z85 key the peer proved to have, None where the transport has no keys."""

    @property
    def peer_machine(self) -> str | None:
        """The machine this key or socket belongs to, None if only the greeting can tell."""

    def write(self, data: bytes) -> None:
        """Send a batch, now or when the peer reads again."""

    def buffered_bytes(self) -> int:
        """Bytes accepted by `write` that have not left this process."""
        ...

    def close(self) -> None:
        """End the connection after what is buffered; nothing is delivered from it any more."""

    def abort(self) -> None:
        """End the connection at once."""

    def pause_reading(self) -> None:
        """Take nothing from the peer until `resume_reading`."""

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""


@dataclass(slots=True)
class LinkContext:
    """What all links of an endpoint share."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    limits: Limits
    stats: LinkStats
    hello: Hello
    service: Service
    publisher: Publisher
    subscriber: Subscriber
    draining: bool = False


class Link(ABC):
    """One direction of frames out, one in, over a channel that may come and go."""

    __slots__ = (
        "_add",
        "_batch_bytes",
        "_blocked",
        "_call_soon",
        "_channel",
        "_context",
        "_decode",
        "_encoder",
        "_flush_scheduled",
        "_heard",
        "_missed",
        "_now",
        "_pending",
        "_stalled_at",
        "_stalled_bytes",
        "_stats",
        "last_error",
        "max_body_bytes",
        "peer",
    )

    def __init__(self, context: LinkContext, peer: Peer) -> None:
        self._context = context
        self._stats = context.stats
        self._now = context.now
        self._call_soon = context.loop.call_soon
        self._batch_bytes = context.limits.batch_bytes
        self.peer = peer
        self.last_error = ""
        self.max_body_bytes = context.limits.max_frame_bytes - FRAME_OVERHEAD_BYTES
        self._channel: Channel | None = None
        self._flush_scheduled = False
        self._reset()

    def _use(self, channel: Channel) -> None:
        """Send by this channel from now on."""
        limits = self._context.limits
        unix = channel.transport_name == "unix"
        self._batch_bytes = limits.unix_batch_bytes if unix else limits.batch_bytes
        self._channel = channel

    def _reset(self) -> None:
        limits = self._context.limits
        # Names are interned per connection, so both ends start anew with each one.
        self._encoder = FrameEncoder(limits.max_frame_bytes, limits.max_targets)
        self._add = self._encoder.add
        self._decode = FrameDecoder(limits.max_frame_bytes, limits.max_targets).feed
        self._pending = 0
        self._blocked = False
        self._heard = True
        self._missed = 0
        self._stalled_at = 0.0
        self._stalled_bytes = 0

    # --- out

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        self._flush_scheduled = False
        if self._pending:
            self._flush()

    def _flush(self) -> None:
        size = self._pending
        self._pending = 0
        data = self._encoder.take()
        channel = self._channel
        if channel is not None:
            channel.write(data)
            self._stats.bytes_out.inc(size)

    def send(
        self,
        kind: int,
        corr: int = 0,
        body: Buffer = b"",
        attachments: Sequence[Buffer] | None = None,
        target: str | None = None,
    ) -> None:
        """Put a frame into this turn's batch."""
        self._pending += self._add(kind, corr, target, body, 0, 100, 0, None, attachments or None)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._call_soon(self._flush_turn)
        if self._pending > self._batch_bytes:
            self._flush()

    def buffered_bytes(self) -> int:
        """Bytes waiting to leave on this link."""
        channel = self._channel
        return self._pending + (channel.buffered_bytes() if channel is not None else 0)

    # --- in

    def feed(self, data: Buffer) -> None:
        """Take what the channel received: any cut of the byte stream."""
        self._heard = True
        try:
            frames = self._decode(data)
        except FrameError as error:
            self.fail(error, "bad_frame")
            return
        if not frames:
            return
        stats = self._stats
        stats.frames_in.inc(len(frames))
        stats.bytes_in.inc(len(data))
        # Replies made while the batch is handled leave with its end, without another turn of the
        # loop.
        scheduled = self._flush_scheduled
        self._flush_scheduled = True
        try:
            self._on_frames(frames)
        except FrameError as error:
            self.fail(error, "bad_frame")
        finally:
            self._flush_scheduled = scheduled
        if self._pending:
            self._flush()

    @abstractmethod
    def _on_frames(self, frames: list[Frame]) -> None:
        """Handle a batch."""

    # --- flow control, called by the channel

    def paused(self) -> None:
        """The peer does not read: stop producing for it."""
        self._blocked = True
        self._stalled_at = self._now()
        self._stalled_bytes = self.buffered_bytes()

    def resumed(self) -> None:
        """The peer reads again."""
        self._blocked = False

    # --- liveness

    def beat(self, sends: bool, misses: int) -> None:
        """Half a heartbeat has passed: see whether the peer lives.

        Args:
            sends: whether a heartbeat is due.
            misses: silent half heartbeats after which the peer counts as dead.
        """
        if self._channel is None:
            return
        if self._blocked and self._is_stalled():
            self.fail(AisysError(f"{self.peer.host} takes nothing that is sent to it"), "stalled")
            return
        if self._heard:
            self._heard = False
            self._missed = 0
        else:
            self._missed += 1
            if self._missed >= misses:
                seconds = self._context.limits.heartbeat_s * self._context.limits.heartbeat_misses
                self.fail(AisysError(f"{self.peer.host} was silent for {seconds:g} s"), "silent")
                return
        if sends and not self._blocked and self._may_beat():
            self.send(HEARTBEAT, self._beacon())

    def woke_up(self) -> None:
        """This process itself stood still: silence meanwhile says nothing about the peer."""
        self._heard = True

    @abstractmethod
    def _may_beat(self) -> bool:
        """Whether the greeting, which comes first, has been sent."""

    def _beacon(self) -> int:
        return 0

    def _is_stalled(self) -> bool:
        now, waiting = self._now(), self.buffered_bytes()
        if waiting < self._stalled_bytes:
            self._stalled_at = now
        self._stalled_bytes = waiting
        return now - self._stalled_at > self._context.limits.stall_timeout_s

    # --- the end

    def fail(self, error: Exception, reason: str) -> None:
        """End the connection because of `error`, and tell the peer why."""
        channel = self._channel
        if channel is None:
            return
        if reason == "bad_frame":
            self._stats.bad_frames.inc()
        if not self._blocked:
            self._add(ERROR, 0, None, encode_error(error))
            self._pending = 0
            channel.write(self._encoder.take())
            channel.close()
        else:
            channel.abort()
        self.lost(error, reason)

    def lost(self, error: Exception, reason: str = "lost") -> None:
        """The connection has ended; called once for each, by the channel or by `fail`."""
        if self._channel is None:
            return
        self._channel = None
        self.last_error = str(error)
        self._stats.closed.labels(reason).inc()
        self._reset()
        self._on_lost(error)

    @abstractmethod
    def _on_lost(self, error: Exception) -> None:
        """The channel is gone."""
