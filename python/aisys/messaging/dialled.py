"""Keeping a connection to one host: attempts, back-off, greeting, loss."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aisys.errors import AisysError, FrameError, Refused
from aisys.logs import get_logger
from aisys.messaging.frames import Frame, Kind
from aisys.messaging.hello import Hello
from aisys.messaging.link import FRAME_OVERHEAD_BYTES, Channel, Link, LinkContext
from aisys.messaging.model import Address, LinkInfo, Peer
from aisys.messaging.wire_errors import decode_error

__all__ = ["DialledLink", "Dialler"]

ERROR = int(Kind.ERROR)
HELLO = int(Kind.HELLO)

# A link that held this long was sound: when it is lost, the next attempt is made at once.
STABLE_AFTER_S = 5.0

log = get_logger("aisys.messaging")

Dialler: TypeAlias = Callable[[Address, Link], Awaitable[Channel]]


class DialledLink(Link):
    """A link that this process makes, and makes again while somebody wants it.

    Args:
        context: what the endpoint's links share.
        address: where the host listens.
        dial: opens a channel to an address, or raises OSError or AisysError.

    Attributes:
        address: where the host listens.
    """

    __slots__ = (
        "_closed",
        "_dial",
        "_early_losses",
        "_greeting",
        "_keeper",
        "_open",
        "_ready",
        "_ready_at",
        "_settled",
        "_state",
        "_wake",
        "address",
    )

    def __init__(self, context: LinkContext, address: Address, dial: Dialler) -> None:
        super().__init__(context, Peer(address.host, address.machine, address.server_key))
        self._dial = dial
        self._keeper: asyncio.Task[None] | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._settled: asyncio.Future[None] = context.loop.create_future()
        self._state = "idle"
        self._ready = False
        self._ready_at = 0.0
        self._early_losses = 0
        # Ready, and the peer reads: what a call looks at first.
        self._open = False
        self._closed = False
        self.address = address

    # --- what the layer above adds

    def _is_wanted(self) -> bool:
        """Whether the connection should be made again."""
        return False

    def _on_ready(self) -> None:
        """The peers have greeted each other."""

    def _on_ready_lost(self, error: Exception) -> None:
        """A connection that was ready has ended."""

    def _on_refused(self, why: str) -> None:
        """The other side will not have us: waiting does not help."""

    def _open_calls(self) -> int:
        return 0

    def _may_beat(self) -> bool:
        return self._ready

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
        return not self._closed and self._is_wanted()

    async def _keep(self) -> None:
        limits = self._context.limits
        pause_s = limits.reconnect_s
        # A link that breaks as soon as it is up must not be made again and again without a pause.
        await self._pause(
            self._early_losses and min(pause_s * 2**self._early_losses, limits.reconnect_max_s)
        )
        while not self._has_arrived():
            self._state = "connecting"
            try:
                await self._attempt(limits.connect_timeout_s)
            except (OSError, TimeoutError, AisysError) as error:
                pause_s = self._attempt_failed(error, pause_s)
            self._settle()
            if self._has_arrived():
                break
            if await self._pause(pause_s):
                pause_s *= 2
        if not self._ready:
            self._state = "idle"

    def _has_arrived(self) -> bool:
        return self._ready or not self._wanted

    async def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; False if a new address cut it short."""
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
                self._use(channel)
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
            self._on_refused(self.last_error)
        return min(pause_s, longest)

    def _greeted(self, frame: Frame) -> None:
        greeting = self._greeting
        if greeting is None or greeting.done():
            raise FrameError(f"{self.address.host} greeted at the wrong time")
        if frame.kind == ERROR and frame.corr == 0:
            self._closed_by_peer(frame)
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
                f"{hello.host} on {hello.machine} answered: check the addresses in the "
                "configuration"
            )
        limit = min(self._context.limits.max_frame_bytes, hello.max_frame_bytes)
        self.max_body_bytes = limit - FRAME_OVERHEAD_BYTES
        self._ready = True
        self._ready_at = self._now()
        self._open = not self._blocked
        self._state = "ready"
        self.last_error = ""
        self._stats.links.labels("out").inc()
        greeting.set_result(None)
        self._on_ready()

    def _closed_by_peer(self, frame: Frame) -> None:
        error = decode_error(frame.body, self.address.host)
        channel = self._channel
        if channel is not None:
            channel.close()
        self.lost(error, "closed_by_peer")

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
        greeting = self._greeting
        if greeting is not None and not greeting.done():
            known = isinstance(error, AisysError | OSError)
            greeting.set_exception(error if known else AisysError(str(error)))
        if not was_ready:
            return
        early = self._now() - self._ready_at < STABLE_AFTER_S
        self._early_losses = self._early_losses + 1 if early else 0
        self._stats.links.labels("out").dec()
        self._on_ready_lost(error)
        if self._wanted:
            self.connect()

    async def close(self) -> None:
        """End the link; what was sent becomes indefinite, what was not becomes refused."""
        if self._closed:
            return
        self._closed = True
        self._on_refused("this process is shutting down")
        self.fail(AisysError(f"{self._context.hello.host} closed the link"), "stopped")
        self._wake.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._settle()
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
            open_calls=self._open_calls(),
            buffered_bytes=self.buffered_bytes(),
            last_error=self.last_error,
        )
