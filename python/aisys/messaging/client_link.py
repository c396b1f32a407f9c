"""The dialling end of a link: keeps the connection, sends calls, takes replies and events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from aisys import json
from aisys.errors import (
    AisysError,
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
from aisys.messaging.frames import FLAG_STREAM, Correlation, Frame, Kind
from aisys.messaging.hello import Hello
from aisys.messaging.link import Channel, Link, LinkContext, batch_frame_bytes
from aisys.messaging.model import Address, Buffer, LinkInfo, Peer
from aisys.messaging.stream import ReplyStream
from aisys.messaging.subscriber import Position
from aisys.messaging.wire_errors import decode_error

__all__ = ["ClientLink", "Dialler"]

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

# A link that held this long was sound: when it is lost, the next attempt is made at once.
STABLE_AFTER_S = 5.0

log = get_logger("aisys.messaging")


class Waiting(NamedTuple):
    """A call that has not been sent because there is no connection."""

    call: Call | ReplyStream
    body: bytes
    deadline: float
    attachments: Sequence[Buffer]
    priority: int
    trace: bytes | None
    flags: int


Dialler: TypeAlias = Callable[[Address, "ClientLink"], Awaitable[Channel]]


class ClientLink(Link):
    """The way from this process to one host, over as many connections as it takes.

    Args:
        context: what the endpoint's links share.
        address: where the host listens.
        dial: opens a channel to an address, or raises OSError or AisysError.
    """

    __slots__ = (
        "_calls",
        "_calls_add",
        "_closed",
        "_confirmations",
        "_confirmed",
        "_dial",
        "_early_losses",
        "_greeting",
        "_keeper",
        "_max_open",
        "_max_timeout_s",
        "_open",
        "_position",
        "_ready",
        "_ready_at",
        "_settled",
        "_state",
        "_take",
        "_waiting",
        "_waiting_bytes",
        "_wake",
        "_wheel",
        "address",
        "pinned",
    )

    def __init__(self, context: LinkContext, address: Address, dial: Dialler) -> None:
        self._calls = Correlation()
        self._calls_add = self._calls.add
        self._take: Callable[[int], Any] = self._calls.take
        self._wheel = DeadlineWheel(context.loop, context.now, self._calls.get, self._expire)
        self._max_open = context.limits.max_open_calls
        self._max_timeout_s = context.limits.max_timeout_s
        self._dial = dial
        self._waiting: dict[int, Waiting] = {}
        self._waiting_bytes = 0
        self._keeper: asyncio.Task[None] | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._settled: asyncio.Future[None] = context.loop.create_future()
        self._confirmations: list[tuple[int, asyncio.Future[None]]] = []
        self._confirmed = 0
        self._position = Position(address.host)
        self._state = "idle"
        self._ready = False
        self._ready_at = 0.0
        self._early_losses = 0
        self._open = False
        self._closed = False
        self.address = address
        self.pinned = False
        super().__init__(context, Peer(address.host, address.machine, address.server_key))

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
        call = Call(self, target, timeout_s)
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
            except (FrameError, ValueError, OverflowError) as error:
                self._unsendable(call, error)
                return call
            if not self._flush_scheduled:
                self._flush_scheduled = True
                self._call_soon(self._flush_turn)
            if self._pending > self._batch_bytes:
                self._flush()
        else:
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
        call: Call | ReplyStream,
        body: bytes,
        attachments: Sequence[Buffer],
        priority: int,
        trace: bytes | None,
        flags: int,
    ) -> None:
        problem = self._problem(call, batch_frame_bytes(body, attachments))
        if problem is not None:
            if isinstance(problem, Refused):
                self._stats.refused.labels(problem.reason).inc()
            call.set_exception(problem)
            return
        call.corr = self._calls_add(call)
        deadline = self._now() + call.timeout_s
        self._wheel.add(call.corr, deadline)
        waiting = Waiting(call, body, deadline, attachments, priority, trace, flags)
        if self._ready:
            self._send_call(waiting, deadline - call.timeout_s)
        else:
            self._waiting[call.corr] = waiting
            self._waiting_bytes += len(body)
            self.connect()

    def _problem(self, call: Call | ReplyStream, size: int) -> Refused | None:
        host = self.address.host
        limits = self._context.limits
        if self._closed or self._context.draining:
            return Refused(f"{call.target}: this process is shutting down", reason="shutting_down")
        if not 0.0 < call.timeout_s <= self._max_timeout_s:
            return Refused(
                f"{call.target}: {call.timeout_s:g} s is no time to answer in "
                f"(more than 0, at most {self._max_timeout_s:g})",
                reason="expired",
            )
        if size > self.max_body_bytes:
            return Refused(
                f"{call.target}: {size} bytes are more than the {self.max_body_bytes} a request may have",
                reason="too_large",
            )
        full = self._ready and self._blocked
        waits = len(self._waiting), self._waiting_bytes + size
        if not self._ready:
            full = waits[0] >= limits.max_waiting_calls or waits[1] > limits.max_waiting_bytes
        if full or len(self._calls) >= self._max_open:
            return Refused(
                f"{call.target}: too much is waiting for {host} already", reason="overloaded"
            )
        return None

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
        except (FrameError, ValueError, OverflowError) as error:
            self._unsendable(call, error)
            return
        self._schedule_flush()
        if self._pending > self._batch_bytes:
            self._flush()

    def _unsendable(self, call: Call | ReplyStream, error: Exception) -> None:
        self._take(call.corr)
        self._stats.refused.labels("bad_frame").inc()
        call.set_exception(Refused(f"{call.target[:256]}: {error}", reason="bad_frame"))

    def cancelled(self, call: Call | ReplyStream) -> None:
        """The caller lost interest: forget the call, and tell the server if it knows of it."""
        if self._take(call.corr) is None:
            return
        if not self._unwait(call.corr) and self._ready:
            self.send(CANCEL, call.corr)

    def grant(self, corr: int, items: int) -> None:
        """Let a stream send `items` more."""
        if self._ready:
            self.send(CREDIT, corr, items.to_bytes(4, "little"))

    def _unwait(self, corr: int) -> bool:
        waiting = self._waiting.pop(corr, None)
        if waiting is None:
            return False
        self._waiting_bytes -= len(waiting.body)
        return True

    def _expire(self, corr: int) -> None:
        call = self._take(corr)
        if call is None or call.done():
            return
        if self._unwait(corr):
            reason = f": {self.last_error}" if self.last_error else ""
            call.set_exception(
                Unreachable(
                    f"{call.target}: no connection to {self.address.host} in {call.timeout_s:g} s{reason}"
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
        error = decode_error(frame.body, self.address.host)
        if frame.corr == 0:
            channel = self._channel
            if channel is not None:
                channel.close()
            self.lost(error, "closed_by_peer")
            return
        call = self._take(frame.corr)
        if call is None:
            self._stats.late.inc()
        elif not call.done():
            call.set_exception(error)

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
            # The first attempt of a new link is waited for: who subscribes at start-up must not miss events.
            await asyncio.wait((self._settled,), timeout=first_attempt_s)
        if self._ready and self._confirmed < version:
            future = self._context.loop.create_future()
            self._confirmations.append((version, future))
            await future

    # --- the connection

    def connect(self) -> None:
        """Begin to connect unless that is under way; ends the pause before the next attempt."""
        if self._closed:
            return
        if self._keeper is None or self._keeper.done():
            self._keeper = self._context.loop.create_task(
                self._keep(), name=f"aisys link to {self.address.host}"
            )

    def readdress(self, address: Address) -> None:
        """The host listens elsewhere now."""
        self.address = address
        self.fail(AisysError(f"{address.host} has a new address"), "moved")
        self._wake.set()

    @property
    def _wanted(self) -> bool:
        return not self._closed and (self.pinned or bool(self._waiting))

    async def _keep(self) -> None:
        limits = self._context.limits
        pause_s = limits.reconnect_s
        # A link that breaks as soon as it is up must not be made again and again without a pause.
        await self._pause(
            self._early_losses and min(pause_s * 2**self._early_losses, limits.reconnect_max_s)
        )
        while self._wanted and not self._ready:
            self._state = "connecting"
            try:
                await self._attempt(limits.connect_timeout_s)
            except (OSError, TimeoutError, AisysError) as error:
                pause_s = self._attempt_failed(error, pause_s)
            self._settle()
            if self._ready or not self._wanted:
                break
            if await self._pause(pause_s):
                pause_s *= 2
        if not self._ready:
            self._state = "idle"

    async def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; False if something new, such as an address, cut it short."""
        if seconds <= 0:
            return False
        self._state = "waiting"
        self._wake.clear()
        try:
            # Jitter, so that a hundred clients of a restarted server do not come at once.
            async with asyncio.timeout(seconds * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
                await self._wake.wait()
        except TimeoutError:
            return True
        return False

    async def _attempt(self, timeout_s: float) -> None:
        greeting = self._greeting = self._context.loop.create_future()
        try:
            async with asyncio.timeout(timeout_s):
                channel = await self._dial(self.address, self)
                self._channel = channel
                self.send(HELLO, 0, self._context.hello.encode())
                await greeting
        except TimeoutError:
            error = TimeoutError(f"no answer in {timeout_s:g} s")
            self._drop_channel(error)
            raise error from None
        except BaseException as error:
            self._drop_channel(
                error if isinstance(error, Exception) else AisysError("connecting was given up")
            )
            raise
        finally:
            self._greeting = None

    def _drop_channel(self, error: Exception) -> None:
        channel = self._channel
        if channel is not None:
            channel.abort()
            self.lost(error, "not_greeted")

    def _attempt_failed(self, error: Exception, pause_s: float) -> float:
        """Note why; return the pause before the next attempt, in seconds."""
        limits = self._context.limits
        self.last_error = str(error) or type(error).__name__
        self._stats.reconnects.inc()
        refused = isinstance(error, Refused) and error.reason == "unauthorised"
        longest = limits.refused_reconnect_max_s if refused else limits.reconnect_max_s
        if refused or isinstance(error, FrameError):
            log.warning("link_refused", peer=self.address.host, error=self.last_error)
            # Waiting would not help those who wait now: tell them why at once.
            self._fail_waiting(f"{self.last_error}")
        return min(pause_s, longest)

    def _fail_waiting(self, why: str) -> None:
        waiting = list(self._waiting)
        for corr in waiting:
            self._unwait(corr)
            call = self._take(corr)
            if call is not None and not call.done():
                call.set_exception(
                    Unreachable(f"{call.target}: no connection to {self.address.host}: {why}")
                )

    def _greeted(self, frame: Frame) -> None:
        greeting = self._greeting
        if greeting is None or greeting.done():
            raise FrameError(f"{self.address.host} greeted at the wrong time")
        if frame.kind == ERROR and frame.corr == 0:
            self._on_error(frame)
            return
        if frame.kind != HELLO:
            raise FrameError(f"{self.address.host} began with a frame of kind {frame.kind}")
        hello = Hello.decode(frame.body, self.address.host)
        channel = self._channel
        machine = channel.peer_machine if channel is not None else None
        if (hello.host, hello.machine) != (self.address.host, self.address.machine) or (
            machine is not None and machine != hello.machine
        ):
            raise FrameError(
                f"{self.address.host} on {self.address.machine} was called, "
                f"{hello.host} on {hello.machine} answered: check the addresses in the configuration"
            )
        self.max_body_bytes = (
            min(self._context.limits.max_frame_bytes, hello.max_frame_bytes) - 2048
        )
        self._become_ready()
        greeting.set_result(None)

    def _become_ready(self) -> None:
        self._ready = True
        self._ready_at = self._now()
        self._open = not self._blocked
        self._state = "ready"
        self.last_error = ""
        self._stats.links.labels("out").inc()
        subscriber = self._context.subscriber
        if self.pinned:
            self.send(
                SUBSCRIBE,
                subscriber.version,
                json.dumps({"patterns": subscriber.patterns, "replace": True}),
            )
        now = self._now()
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self._waiting_bytes = 0
        for item in waiting:
            if not item.call.done():
                self._send_call(item, now)

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

    def _settle(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)

    def paused(self) -> None:
        """The peer does not read: refuse calls."""
        super().paused()
        self._open = False

    def resumed(self) -> None:
        """The peer reads again."""
        super().resumed()
        self._open = self._ready

    def _on_lost(self, error: Exception) -> None:
        was_ready = self._ready
        self._ready = self._open = False
        self._state = "idle"
        self._confirmed = 0
        self._settle_confirmations(everything=True)
        greeting = self._greeting
        if greeting is not None and not greeting.done():
            greeting.set_exception(
                error if isinstance(error, AisysError | OSError) else AisysError(str(error))
            )
        if not was_ready:
            return
        self._early_losses = (
            self._early_losses + 1 if self._now() - self._ready_at < STABLE_AFTER_S else 0
        )
        self._stats.links.labels("out").dec()
        for call in self._calls.drain():
            if isinstance(call, Call | ReplyStream) and not call.done():
                call.set_exception(
                    Indefinite(
                        f"{call.target}: the link to {self.address.host} was lost before the answer came: {error}"
                    )
                )
        self._wheel.clear()
        if self._wanted:
            self.connect()

    async def close(self) -> None:
        """End the link; what was sent becomes indefinite, what was not becomes refused."""
        if self._closed:
            return
        self._closed = True
        self._fail_waiting("this process is shutting down")
        self.fail(AisysError(f"{self._context.hello.host} closed the link"), "stopped")
        self._wake.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._settle()
        self._wheel.clear()
        self._state = "closed"

    def info(self) -> LinkInfo:
        """This link as `Endpoint.links()` shows it."""
        channel = self._channel
        here = self.address.machine == self._context.hello.machine and self.address.unix_path
        transport = channel.transport_name if channel is not None else "unix" if here else "tcp"
        return LinkInfo(
            self.address.host,
            self.address.machine,
            transport,
            dialled=True,
            state=self._state,
            open_calls=len(self._calls),
            buffered_bytes=self.buffered_bytes(),
            last_error=self.last_error,
        )
