"""The accepting end of a link: requests and interest come in, replies and events go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aisys import json
from aisys.errors import AisysError, FrameError, Refused
from aisys.logs import get_logger
from aisys.messaging.frames import Frame, Kind
from aisys.messaging.hello import Hello, VersionMismatch
from aisys.messaging.incoming import Incoming
from aisys.messaging.link import FRAME_OVERHEAD_BYTES, Channel, Link, LinkContext, batch_frame_bytes
from aisys.messaging.model import Buffer, LinkInfo, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aisys.messaging.publisher import Audience

__all__ = ["ServerLink"]

ACK = int(Kind.ACK)
CANCEL = int(Kind.CANCEL)
CREDIT = int(Kind.CREDIT)
ERROR = int(Kind.ERROR)
EVENT = int(Kind.EVENT)
HEARTBEAT = int(Kind.HEARTBEAT)
HELLO = int(Kind.HELLO)
REQUEST = int(Kind.REQUEST)
SUBSCRIBE = int(Kind.SUBSCRIBE)
UNSUBSCRIBE = int(Kind.UNSUBSCRIBE)

CREDIT_BYTES = 4
MAX_SUBSCRIBE_BYTES = 1024 * 1024
# A peer that does not read its replies is cut off when this many times the write buffer has piled
# up.
HARD_BUFFER_FACTOR = 2

log = get_logger("aisys.messaging")


class ServerLink(Link):
    """One accepted connection.

    Args:
        context: what the endpoint's links share.
        channel: the connection.
        on_closed: told when it has ended.

    Attributes:
        open_requests: requests without an answer, by correlation id.
    """

    __slots__ = (
        "_audience",
        "_greeted",
        "_max_open",
        "_on_closed",
        "_timeout_s",
        "open_requests",
        "stream_window",
    )

    def __init__(
        self, context: LinkContext, channel: Channel, on_closed: Callable[[ServerLink], None]
    ) -> None:
        super().__init__(context, Peer("", channel.peer_machine or "", channel.peer_key))
        self._use(channel)
        self._on_closed = on_closed
        self._greeted = False
        self._audience: Audience | None = None
        self._timeout_s = context.limits.default_timeout_s
        self._max_open = context.limits.max_open_requests
        self.stream_window = context.limits.stream_window
        self.open_requests: dict[int, Incoming] = {}

    # --- in

    def _on_frames(self, frames: list[Frame]) -> None:
        if not self._greeted:
            self._greet(frames.pop(0))
            if not self._greeted:
                return
        now = self._now()
        open_requests = self.open_requests
        window = self.stream_window
        longest = self._context.limits.max_timeout_s
        requests: list[Incoming] = []
        for frame in frames:
            if frame.kind == REQUEST:
                corr = frame.corr
                deadline_us = frame.deadline_us
                seconds = deadline_us * 1e-6 if deadline_us else self._timeout_s
                if seconds > longest:
                    seconds = longest
                request = Incoming(self, frame, now + seconds, window)
                if corr in open_requests or not corr:
                    raise FrameError(f"{self.peer.host} used the request id {corr} twice")
                open_requests[corr] = request
                requests.append(request)
            else:
                if requests:
                    self._deliver(requests)
                    requests = []
                self._on_control(frame)
                if self._channel is None:
                    return
        if requests:
            self._deliver(requests)

    def _deliver(self, requests: list[Incoming]) -> None:
        context = self._context
        if context.draining:
            self._refuse(requests, "shutting_down", f"{context.hello.host} is shutting down")
            return
        excess = len(self.open_requests) - self._max_open
        if excess > 0:
            refused, requests = requests[-excess:], requests[:-excess]
            self._refuse(
                refused, "overloaded", f"{context.hello.host} holds too many requests of this peer"
            )
            if not requests:
                return
        try:
            context.service.on_requests(requests)
        except Exception as error:
            self._stats.handler_errors.inc()
            log.exception("service_raised", peer=self.peer.host, error=repr(error))
            for request in requests:
                if not request.finished:
                    request.fail(error)

    def _refuse(self, requests: list[Incoming], reason: str, message: str) -> None:
        self._stats.refused.labels(reason).inc(len(requests))
        for request in requests:
            request.fail(Refused(message, reason=reason))

    def _on_control(self, frame: Frame) -> None:
        kind = frame.kind
        if kind == CANCEL:
            request = self.open_requests.pop(frame.corr, None)
            if request is not None:
                self._cancel(request)
        elif kind == CREDIT:
            body = frame.body
            if len(body) != CREDIT_BYTES:
                raise FrameError(f"{self.peer.host} sent a credit of {len(body)} bytes")
            request = self.open_requests.get(frame.corr)
            if request is not None:
                request.grant(int.from_bytes(body, "little"))
        elif kind in (SUBSCRIBE, UNSUBSCRIBE):
            self._on_interest(frame)
        elif kind == ERROR and frame.corr == 0:
            self._end(AisysError(f"{self.peer.host} closed the link"), "closed_by_peer")
        elif kind != HEARTBEAT:
            raise FrameError(
                f"{self.peer.host} sent a frame of kind {kind}, which only a server sends"
            )

    def _greet(self, frame: Frame) -> None:
        channel = self._channel
        if frame.kind != HELLO or channel is None:
            raise FrameError(
                f"a peer began with a frame of kind {frame.kind} instead of a greeting"
            )
        try:
            hello = Hello.decode(frame.body, "the peer")
        except VersionMismatch as error:
            log.warning("version_mismatch", error=str(error))
            self.fail(error, "version_mismatch")
            return
        machine = channel.peer_machine
        if machine is not None and hello.machine != machine:
            self._stats.refused_peers.labels("wrong_machine").inc()
            log.warning("peer_refused", claimed=hello.machine, proven=machine)
            problem = f"the greeting says machine {hello.machine!r}, the key {machine!r}"
            self.fail(Refused(problem, reason="unauthorised"), "unauthorised")
            return
        self.peer = Peer(hello.host, hello.machine, channel.peer_key)
        self.max_body_bytes = min(self.max_body_bytes, hello.max_frame_bytes - FRAME_OVERHEAD_BYTES)
        self._audience = self._context.publisher.attach(self, hello.instance)
        self._greeted = True
        self._stats.links.labels("in").inc()
        self.send(HELLO, 0, self._context.hello.encode())

    # --- events

    def _on_interest(self, frame: Frame) -> None:
        audience = self._audience
        body = frame.body
        if audience is None or len(body) > MAX_SUBSCRIBE_BYTES:
            raise FrameError(f"{self.peer.host} sent subscriptions of {len(body)} bytes")
        try:
            document = json.loads(body)
            patterns = [pattern for pattern in document["patterns"] if isinstance(pattern, str)]
            replace = bool(document.get("replace"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FrameError(f"{self.peer.host} sent subscriptions that cannot be read") from error
        publisher = self._context.publisher
        if frame.kind == UNSUBSCRIBE:
            publisher.remove(audience, patterns)
        else:
            publisher.add(audience, patterns, replace)
        self.send(ACK, frame.corr, json.dumps({"epoch": audience.epoch, "seq": audience.seq}))

    def send_event(self, topic: str, seq: int, body: Buffer, attachments: Sequence[Buffer]) -> bool:
        """Put an event into this turn's batch; False if the peer does not read or take so much."""
        if self._blocked or self._channel is None:
            return False
        if batch_frame_bytes(body, attachments) > self.max_body_bytes:
            return False
        self.send(EVENT, seq, body, attachments, topic)
        return True

    def _may_beat(self) -> bool:
        return self._greeted

    def _beacon(self) -> int:
        return self._audience.seq if self._audience is not None else 0

    # --- flow control and the end

    def paused(self) -> None:
        """The peer does not read its replies: take no more requests from it."""
        super().paused()
        if self._channel is not None:
            self._channel.pause_reading()

    def resumed(self) -> None:
        """The peer reads again."""
        super().resumed()
        self._heard = True
        if self._channel is not None:
            self._channel.resume_reading()

    def _flush(self) -> None:
        super()._flush()
        if (
            self._blocked
            and self.buffered_bytes() > HARD_BUFFER_FACTOR * self._context.limits.write_buffer_bytes
        ):
            self.fail(AisysError(f"{self.peer.host} does not read its replies"), "stalled")

    def answered_late(self) -> None:
        """A request was answered twice, or after its caller had gone."""
        self._stats.late.inc()

    def _cancel(self, request: Incoming) -> None:
        request.cancelled = True
        request.wake()
        try:
            self._context.service.on_cancel(request)
        except Exception as error:
            self._stats.handler_errors.inc()
            log.exception("service_raised", peer=self.peer.host, error=repr(error))

    def _end(self, error: Exception, reason: str) -> None:
        if self._channel is not None:
            self._channel.close()
        self.lost(error, reason)

    def close(self) -> None:
        """End the connection because this process stops."""
        self.fail(
            Refused(f"{self._context.hello.host} has stopped", reason="shutting_down"), "stopped"
        )

    def _on_lost(self, error: Exception) -> None:  # noqa: ARG002 - the client's side needs it
        if self._greeted:
            self._stats.links.labels("in").dec()
        if self._audience is not None:
            self._context.publisher.detach(self._audience, self)
            self._audience = None
        requests = list(self.open_requests.values())
        self.open_requests.clear()
        for request in requests:
            self._cancel(request)
        self._on_closed(self)

    @property
    def greeted(self) -> bool:
        """Whether the peer has said who it is."""
        return self._greeted

    def info(self) -> LinkInfo:
        """This link as `Endpoint.links()` shows it."""
        channel = self._channel
        state = "closed" if channel is None else "ready" if self._greeted else "connecting"
        transport = channel.transport_name if channel is not None else ""
        return LinkInfo(
            self.peer.host,
            self.peer.machine,
            transport,
            dialled=False,
            state=state,
            open_calls=len(self.open_requests),
            buffered_bytes=self.buffered_bytes(),
            last_error=self.last_error,
        )
