"""The dialling end of a link: keeps the connection, sends calls, takes replies and events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aisys import json
from aisys.errors import (
    CallError,
    DeadlineExceeded,
    FrameError,
    Indefinite,
    Refused,
    Unreachable,
)
from aisys.logs import get_logger
from aisys.messaging.call import Call
from aisys.messaging.deadlines import TICKS_PER_S, DeadlineWheel
from aisys.messaging.dialled import DialledLink, Dialler
from aisys.messaging.frames import FLAG_STREAM, Correlation, Frame, Kind
from aisys.messaging.link import LinkContext, batch_frame_bytes
from aisys.messaging.model import Address, Buffer
from aisys.messaging.stream import ReplyStream
from aisys.messaging.subscriber import Position
from aisys.messaging.waiting import OpenCall, Waiting, WaitingCalls
from aisys.messaging.wire_errors import decode_error

__all__ = ["ClientLink"]

ACK = int(Kind.ACK)
CANCEL = int(Kind.CANCEL)
CREDIT = int(Kind.CREDIT)
END = int(Kind.END)
ERROR = int(Kind.ERROR)
EVENT = int(Kind.EVENT)
HEARTBEAT = int(Kind.HEARTBEAT)
HELLO = int(Kind.HELLO)
ITEM = int(Kind.ITEM)
REPLY = int(Kind.REPLY)
REQUEST = int(Kind.REQUEST)
SUBSCRIBE = int(Kind.SUBSCRIBE)
UNSUBSCRIBE = int(Kind.UNSUBSCRIBE)

log = get_logger("aisys.messaging")


# What the encoder raises for one frame that cannot be sent; the batch stays sound.
UNSENDABLE = (FrameError, ValueError, OverflowError, BufferError)


class ClientLink(DialledLink):
    """The way from this process to one host, over as many connections as it takes.

    Args:
        context: what the endpoint's links share.
        address: where the host listens.
        dial: opens a channel to an address, or raises OSError or AisysError.
    """

    __slots__ = (
        "_calls",
        "_calls_add",
        "_confirmations",
        "_confirmed",
        "_max_open",
        "_max_timeout_s",
        "_position",
        "_take",
        "_waiting",
        "_wheel",
        "pinned",
    )

    def __init__(self, context: LinkContext, address: Address, dial: Dialler) -> None:
        super().__init__(context, address, dial)
        self._calls = Correlation()
        self._calls_add = self._calls.add
        self._take: Callable[[int], Any] = self._calls.take
        self._wheel = DeadlineWheel(context.loop, context.now, self._calls.get, self._expire)
        self._max_open = context.limits.max_open_calls
        self._max_timeout_s = context.limits.max_timeout_s
        self._waiting = WaitingCalls(context.limits)
        self._confirmations: list[tuple[int, asyncio.Future[None]]] = []
        self._confirmed = 0
        self._position = Position(address.host)
        self.pinned = False

    # --- calls

    def call(
        self,
        target: str,
        body: bytes,
        timeout_s: float,
        attachments: Sequence[Buffer],
        priority: int,
        trace: bytes | None,
        flags: int,
    ) -> Call:
        """Send a request; the future always ends."""
        call = Call()
        call.link = self
        call.target = target
        call.timeout_s = timeout_s
        if (
            self._open
            and not attachments
            and len(body) <= self.max_body_bytes
            and 0.0 < timeout_s <= self._max_timeout_s
            and len(self._calls) < self._max_open
        ):
            call.corr = corr = self._calls_add(call)
            # DeadlineWheel.add, without the call.
            wheel = self._wheel
            deadline = self._now() + timeout_s
            if int(deadline * TICKS_PER_S) + 1 == wheel.last_tick:
                wheel.last.append(corr)
            else:
                wheel.add(corr, deadline)
            try:
                self._pending += self._add(
                    REQUEST, corr, target, body, flags, priority, int(timeout_s * 1e6), trace
                )
            except UNSENDABLE as error:
                self._unsendable(call, error)
                return call
            if len(self._calls) == 1:
                # Nothing else is under way: waiting for company would only add a turn of the loop.
                self._flush()
            elif not self._flush_scheduled:
                self._flush_scheduled = True
                self._call_soon(self._flush_turn)
            elif self._pending > self._batch_bytes:
                self._flush()
        else:
            call.corr = 0
            self._admit(call, body, attachments, priority, trace, flags)
        return call

    def stream(
        self,
        target: str,
        body: bytes,
        timeout_s: float,
        attachments: Sequence[Buffer],
        priority: int,
        trace: bytes | None,
        flags: int,
    ) -> ReplyStream:
        """Send a request for a stream of items."""
        window = self._context.limits.stream_window
        stream = ReplyStream(self, target, timeout_s, window, self._context.loop)
        self._admit(stream, body, attachments, priority, trace, flags | FLAG_STREAM)
        return stream

    def _admit(
        self,
        call: OpenCall,
        body: bytes,
        attachments: Sequence[Buffer],
        priority: int,
        trace: bytes | None,
        flags: int,
    ) -> None:
        size = batch_frame_bytes(body, attachments)
        problem = self._problem(call, size)
        if problem is not None:
            self._refuse(call, problem)
            return
        call.corr = self._calls_add(call)
        deadline = self._now() + call.timeout_s
        self._wheel.add(call.corr, deadline)
        waiting = Waiting(call, body, deadline, attachments, priority, trace, flags)
        if self._ready:
            self._send_call(waiting, deadline - call.timeout_s)
        else:
            self._waiting.put(waiting, size)
            self.connect()

    def _problem(self, call: OpenCall, size: int) -> Refused | None:
        if self._closed or self._context.draining:
            return Refused(f"{call.target}: this process is shutting down", reason="shutting_down")
        if not 0.0 < call.timeout_s <= self._max_timeout_s:
            return Refused(
                f"{call.target}: {call.timeout_s:g} s is no time to answer in "
                f"(more than 0, at most {self._max_timeout_s:g})",
                reason="expired",
            )
        if size > self.max_body_bytes:
            return self._too_large(call, size)
        has_room = not self._blocked if self._ready else self._waiting.has_room(size)
        if not has_room or len(self._calls) >= self._max_open:
            host = self.address.host
            return Refused(
                f"{call.target}: too much is waiting for {host} already", reason="overloaded"
            )
        return None

    def _refuse(self, call: OpenCall, problem: Refused) -> None:
        self._stats.refused.labels(problem.reason).inc()
        call.set_exception(problem)

    def _too_large(self, call: OpenCall, size: int) -> Refused:
        most = self.max_body_bytes
        return Refused(
            f"{call.target}: {size} bytes, a request has at most {most}", reason="too_large"
        )

    def _send_call(self, waiting: Waiting, now: float) -> None:
        left_us = int((waiting.deadline - now) * 1e6)
        call = waiting.call
        try:
            self._pending += self._add(
                REQUEST,
                call.corr,
                call.target,
                waiting.body,
                waiting.flags,
                waiting.priority,
                max(1, left_us),
                waiting.trace,
                waiting.attachments or None,
            )
        except UNSENDABLE as error:
            self._unsendable(call, error)
            return
        self._schedule_flush()
        if self._pending > self._batch_bytes:
            self._flush()

    def _unsendable(self, call: OpenCall, error: Exception) -> None:
        self._take(call.corr)
        self._refuse(call, Refused(f"{call.target[:256]}: {error}", reason="bad_frame"))

    def cancelled(self, call: OpenCall) -> None:
        """The caller lost interest: forget the call, and tell the server if it knows of it."""
        if self._take(call.corr) is None:
            return
        if not self._waiting.discard(call.corr) and self._ready:
            self.send(CANCEL, call.corr)

    def grant(self, corr: int, items: int) -> None:
        """Let a stream send `items` more."""
        if self._ready:
            self.send(CREDIT, corr, items.to_bytes(4, "little"))

    def _expire(self, corr: int) -> None:
        call = self._take(corr)
        if call is None or call.done():
            return
        if self._waiting.discard(corr):
            reason = f": {self.last_error}" if self.last_error else ""
            call.set_exception(
                Unreachable(
                    f"{call.target}: no connection to {self.address.host} "
                    f"in {call.timeout_s:g} s{reason}"
                )
            )
            return
        if self._ready:
            self.send(CANCEL, corr)
        call.set_exception(
            DeadlineExceeded(
                f"{call.target} on {self.address.host} did not answer in {call.timeout_s:g} s",
                timeout_s=call.timeout_s,
            )
        )

    # --- in

    def _on_frames(self, frames: list[Frame]) -> None:
        if not self._ready:
            self._greeted(frames.pop(0))
        take = self._take
        late = 0
        for frame in frames:
            kind = frame.kind
            if kind == REPLY:
                call = take(frame.corr)
                if call is None:
                    late += 1
                elif not call.done():
                    call.set_result(frame)
            elif kind == EVENT:
                self._context.subscriber.on_event(self._position, frame)
            else:
                self._on_control(frame, kind)
                if self._channel is None:
                    break
        if late:
            self._stats.late.inc(late)

    def _on_control(self, frame: Frame, kind: int) -> None:
        if kind == HEARTBEAT:
            self._context.subscriber.on_beacon(self._position, frame.corr)
        elif kind == ERROR:
            self._on_error(frame)
        elif kind in (ITEM, END):
            self._on_item(frame, kind)
        elif kind == ACK:
            self._on_ack(frame)
        else:
            raise FrameError(
                f"{self.address.host} sent a frame of kind {kind}, which only a client sends"
            )

    def _on_error(self, frame: Frame) -> None:
        if frame.corr == 0:
            self._closed_by_peer(frame)
            return
        call = self._take(frame.corr)
        if call is None:
            self._stats.late.inc()
        elif not call.done():
            call.set_exception(decode_error(frame.body, self.address.host))

    def _on_item(self, frame: Frame, kind: int) -> None:
        stream = self._calls.get(frame.corr)
        if stream is None:
            self._stats.late.inc()
        elif not isinstance(stream, ReplyStream):
            self._take(frame.corr)
            self.send(CANCEL, frame.corr)
            if isinstance(stream, Call) and not stream.done():
                stream.set_exception(
                    CallError(f"{stream.target} streams its reply: iterate over stream()")
                )
        elif kind == END:
            self._take(frame.corr)
            stream.set_ended()
        elif not stream.put(frame):
            raise FrameError(f"{self.address.host} sent more stream items than were asked for")

    # --- interest in events

    def send_interest(self, patterns: list[str], version: int) -> None:
        """Ask for events; confirmed by `wait_confirmed`."""
        if self._ready:
            self.send(SUBSCRIBE, version, json.dumps({"patterns": patterns}))

    def send_disinterest(self, patterns: list[str], version: int) -> None:
        """Take interest back."""
        if self._ready:
            self.send(UNSUBSCRIBE, version, json.dumps({"patterns": patterns}))

    def _on_ack(self, frame: Frame) -> None:
        self._context.subscriber.on_confirmed(self._position, frame.body)
        self._confirmed = max(self._confirmed, frame.corr)
        self._settle_confirmations()

    def _settle_confirmations(self, everything: bool = False) -> None:
        waiting = self._confirmations
        self._confirmations = []
        for version, future in waiting:
            if not everything and version > self._confirmed:
                self._confirmations.append((version, future))
            elif not future.done():
                future.set_result(None)

    async def wait_confirmed(self, version: int, first_attempt_s: float) -> None:
        """Return when the peer has confirmed the interest of `version`, or is not connected."""
        if not self._ready:
            # The first attempt of a new link is waited for: who subscribes at start-up must not
            # miss events.
            await asyncio.wait((self._settled,), timeout=first_attempt_s)
        if self._ready and self._confirmed < version:
            future = self._context.loop.create_future()
            self._confirmations.append((version, future))
            await future

    def pin(self) -> None:
        """Keep this link up, and carry events on it."""
        if self.pinned:
            return
        self.pinned = True
        if self._ready:
            subscriber = self._context.subscriber
            self.send_interest(subscriber.patterns, subscriber.version)
        else:
            self._settled = self._context.loop.create_future()
            self.connect()

    def unpin(self) -> None:
        """Take no more events from this host."""
        if self.pinned:
            self.pinned = False
            subscriber = self._context.subscriber
            self.send_disinterest(subscriber.patterns, subscriber.version)

    # --- the connection

    def _is_wanted(self) -> bool:
        return self.pinned or bool(self._waiting)

    def _open_calls(self) -> int:
        return len(self._calls)

    def _on_ready(self) -> None:
        subscriber = self._context.subscriber
        if self.pinned:
            interest = {"patterns": subscriber.patterns, "replace": True}
            self.send(SUBSCRIBE, subscriber.version, json.dumps(interest))
        now = self._now()
        for waiting in self._waiting.take_all():
            size = batch_frame_bytes(waiting.body, waiting.attachments)
            if size > self.max_body_bytes:
                # The other side takes less than this process does, which is known only now.
                self._take(waiting.call.corr)
                self._refuse(waiting.call, self._too_large(waiting.call, size))
            else:
                self._send_call(waiting, now)

    def _on_refused(self, why: str) -> None:
        for waiting in self._waiting.take_all():
            call = waiting.call
            self._take(call.corr)
            problem = f"{call.target}: no connection to {self.address.host}: {why}"
            call.set_exception(Unreachable(problem))

    def _on_lost(self, error: Exception) -> None:
        self._confirmed = 0
        self._settle_confirmations(everything=True)
        super()._on_lost(error)

    def _on_ready_lost(self, error: Exception) -> None:
        self._wheel.clear()
        lost = f"the link to {self.address.host} was lost before the answer came: {error}"
        for call in self._calls.drain():
            if isinstance(call, Call | ReplyStream) and not call.done():
                call.set_exception(Indefinite(f"{call.target}: {lost}"))

    async def close(self) -> None:
        """End the link; what was sent becomes indefinite, what was not becomes refused."""
        await super().close()
        self._wheel.clear()
