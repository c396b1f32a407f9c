"""A process's end of all its links."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import Unreachable
from aisys.ids import new_id
from aisys.messaging.call import Call
from aisys.messaging.client_link import ClientLink
from aisys.messaging.frames import FLAG_IDEMPOTENT, FLAG_SAMPLED
from aisys.messaging.hello import Hello
from aisys.messaging.limits import Limits
from aisys.messaging.link import FRAME_OVERHEAD_BYTES, Channel, Link, LinkContext, batch_frame_bytes
from aisys.messaging.model import Address, Buffer, LinkInfo
from aisys.messaging.publisher import Publisher
from aisys.messaging.server_link import ServerLink
from aisys.messaging.service import Service
from aisys.messaging.stats import LinkStats
from aisys.messaging.stream import ReplyStream
from aisys.messaging.subscriber import Subscriber
from aisys.messaging.subscription import EventHandler, GapHandler, Subscription
from aisys.messaging.unix import UnixChannel, UnixListener, connect_unix
from aisys.metrics import DEFAULT_REGISTRY, Registry

if TYPE_CHECKING:
    from aisys.messaging.keys import KeyRing
    from aisys.messaging.tcp import TcpNode

__all__ = ["Endpoint"]

# How long `subscribe` waits for links that have not finished their first attempt to connect.
FIRST_ATTEMPT_S = 1.0
CLOSE_POLL_S = 0.005


class Endpoint:
    """Calls, streams and events between this process and others.

    Make it inside a running event loop; it belongs to that loop and thread.

    Args:
        host: this process's host id, unique in the fleet.
        machine: the machine it runs on.
        service: takes the requests of others.
        keys: the CURVE keys; None allows TCP on loopback only, without encryption.
        limits: the bounds of everything.
        metrics: where the counters live.
        clock: the monotonic clock of deadlines.
    """

    def __init__(
        self,
        *,
        host: str,
        machine: str,
        service: Service,
        keys: KeyRing | None = None,
        limits: Limits | None = None,
        metrics: Registry = DEFAULT_REGISTRY,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        limits = limits or Limits()
        loop = asyncio.get_running_loop()
        stats = LinkStats(metrics)
        self.host = host
        self.machine = machine
        self._keys = keys
        self._limits = limits
        self._stats = stats
        self._publisher = Publisher(limits, stats, clock.monotonic)
        self._subscriber = Subscriber(loop, limits, stats)
        self._context = LinkContext(
            loop=loop,
            now=clock.monotonic,
            limits=limits,
            stats=stats,
            hello=Hello(host, machine, new_id(), limits.max_frame_bytes),
            service=service,
            publisher=self._publisher,
            subscriber=self._subscriber,
        )
        self._dialled: dict[str, ClientLink] = {}
        self._accepted: set[ServerLink] = set()
        self._listeners: list[UnixListener] = []
        self._tcp: TcpNode | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._beats = 0
        self._last_beat = clock.monotonic()
        self._beat_timer = loop.call_later(limits.heartbeat_s / 2, self._beat)

    # --- listening

    async def listen_unix(self, path: Path) -> None:
        """Take connections from processes of this user on this machine.

        Raises:
            ConfigError: the path is too long, its folder is open to others, or a live process
                listens there.
        """
        listener = UnixListener(path)
        buffer_bytes = self._limits.write_buffer_bytes
        await listener.start(
            lambda: UnixChannel(self.machine, buffer_bytes, self._stats, accept=self._accept)
        )
        self._listeners.append(listener)

    async def listen_tcp(self, urls: Sequence[str]) -> None:
        """Take connections from other machines, whose keys are in the key ring.

        Before this returns, a connection with a random key is tried and must be refused.

        Args:
            urls: such as `tcp://127.0.0.1:5713`; port 0 is not allowed.

        Raises:
            ConfigError: an address beyond loopback without keys, or one that is taken.
            AisysError: the self-test got through with a random key.
        """
        await self._tcp_node().listen(urls, self._accept)

    def _tcp_node(self) -> TcpNode:
        if self._tcp is None:
            # zmq costs 80 ms and a thread: only processes that talk to other machines pay for it.
            from aisys.messaging.tcp import TcpNode

            self._tcp = TcpNode(self._context, self._keys)
        return self._tcp

    def _accept(self, channel: Channel) -> ServerLink | None:
        if self._closed or len(self._accepted) >= self._limits.max_links:
            self._stats.refused_peers.labels("too_many_links").inc()
            return None
        link = ServerLink(self._context, channel, self._accepted.discard)
        self._accepted.add(link)
        return link

    # --- calling

    def call(
        self,
        address: Address,
        target: str,
        body: bytes,
        *,
        timeout_s: float,
        attachments: Sequence[Buffer] = (),
        priority: int = 100,
        trace: bytes | None = None,
        sampled: bool = False,
        idempotent: bool = False,
    ) -> Call:
        """Call a method of another host.

        Args:
            address: the host.
            target: `Agent.method`.
            body: the encoded arguments.
            timeout_s: time until the call ends at the latest, in seconds.
            attachments: buffers to send beside the body.
            priority: 0 (first) to 255.
            trace: the trace context, 24 bytes.
            sampled: whether the trace is recorded.
            idempotent: whether the call may be repeated.

        Returns:
            The future of the `Reply`; cancelling it cancels the request. It ends with `Refused`
            (nothing was executed), `Unreachable` (nothing was sent), `DeadlineExceeded` or
            `Indefinite` (the outcome is unknown), or the exception that the other side raised.
        """
        link = self._dialled.get(address.key)
        if link is None or link.address is not address:
            link = self._link(address)
        flags = (FLAG_SAMPLED if sampled else 0) | (FLAG_IDEMPOTENT if idempotent else 0)
        return link.call(target, body, timeout_s, attachments, priority, trace, flags)

    def stream(
        self,
        address: Address,
        target: str,
        body: bytes,
        *,
        timeout_s: float,
        attachments: Sequence[Buffer] = (),
        priority: int = 100,
        trace: bytes | None = None,
        sampled: bool = False,
    ) -> ReplyStream:
        """Call a method that answers with a stream; errors come out of the iteration.

        Args:
            address: the host.
            target: `Agent.method`.
            body: the encoded arguments.
            timeout_s: time for the whole stream, in seconds.
            attachments: buffers to send beside the body.
            priority: 0 (first) to 255.
            trace: the trace context, 24 bytes.
            sampled: whether the trace is recorded.
        """
        flags = FLAG_SAMPLED if sampled else 0
        return self._link(address).stream(
            target, body, timeout_s, attachments, priority, trace, flags
        )

    def _link(self, address: Address) -> ClientLink:
        link = self._dialled.get(address.key)
        if link is None:
            link = ClientLink(self._context, address, self._dial)
            self._dialled[address.key] = link
        elif link.address != address:
            link.readdress(address)
        else:
            link.address = address
        return link

    async def _dial(self, address: Address, link: Link) -> Channel:
        if address.machine == self.machine and address.unix_path is not None:
            limits = self._limits
            return await connect_unix(
                address.unix_path, link, self.machine, limits.write_buffer_bytes, self._stats
            )
        if address.tcp is not None:
            return await self._tcp_node().dial(address, link)
        raise Unreachable(
            f"{address.host} on {address.machine} has no address that {self.machine} can use"
        )

    # --- events

    async def subscribe(
        self, pattern: str, handler: EventHandler, *, on_gap: GapHandler | None = None
    ) -> Subscription:
        """Receive the events whose topic fits `pattern`.

        When this returns, every peer of `set_peers` that is connected has confirmed: what it
        publishes from now on is delivered or reported as a gap. Peers that connect later are asked
        then.

        Args:
            pattern: a topic, with `*` for one word and `**` for any number of words.
            handler: called for each event; if it returns an awaitable, the next event waits for
                that.
            on_gap: told of events that were lost.

        Raises:
            ValueError: the pattern is malformed.
        """
        subscription = self._subscriber.add(pattern, handler, on_gap)
        version = self._subscriber.version
        waits = [
            link.wait_confirmed(version, FIRST_ATTEMPT_S)
            for link in self._subscriber.links.values()
        ]
        if waits:
            await asyncio.gather(*waits)
        return subscription

    def publish(self, topic: str, body: bytes, attachments: Sequence[Buffer] = ()) -> int:
        """Send an event to whoever subscribed; never waits.

        Returns:
            How many links it left on, plus one if this process itself subscribed.

        Raises:
            ValueError: `topic` is malformed, or the event is larger than a frame.
        """
        size = batch_frame_bytes(body, attachments)
        if size > self._limits.max_frame_bytes - FRAME_OVERHEAD_BYTES:
            raise ValueError(
                f"an event of {size} bytes on {topic!r}: a frame has {self._limits.max_frame_bytes}"
            )
        sent = self._publisher.publish(topic, body, attachments)
        return sent + self._subscriber.deliver_local(topic, body, attachments, self.host)

    def set_peers(self, addresses: Iterable[Address]) -> None:
        """Name the hosts whose events are wanted; a link to each of them is kept up."""
        wanted = {
            address.key: address
            for address in addresses
            if (address.host, address.machine) != (self.host, self.machine)
        }
        links = self._subscriber.links
        for key in [key for key in links if key not in wanted]:
            links.pop(key).unpin()
        for key, address in wanted.items():
            link = self._link(address)
            links[key] = link
            link.pin()

    # --- links

    def links(self) -> list[LinkInfo]:
        """Every link, those this process dialled first."""
        links: list[ClientLink | ServerLink] = [*self._dialled.values(), *self._accepted]
        return [link.info() for link in links]

    def _beat(self) -> None:
        interval_s = self._limits.heartbeat_s / 2
        loop = self._context.loop
        self._beat_timer = loop.call_later(interval_s, self._beat)
        now = self._context.now()
        stood_still = now - self._last_beat > 3 * interval_s
        self._last_beat = now
        self._beats += 1
        misses = 2 * self._limits.heartbeat_misses - 1
        sends = self._beats % 2 == 0
        links: list[Link] = [*self._dialled.values(), *self._accepted]
        for link in links:
            if stood_still:
                # A frozen or blocked process has heard nobody: that says nothing about the others.
                link.woke_up()
            link.beat(sends, misses)
        if self._tcp is not None:
            self._tcp.look()
        if sends:
            self._publisher.tick()
            if self._keys is not None:
                self._keys.refresh()

    async def close(self, grace_s: float = 1.0) -> None:
        """Stop: no new requests, time for the open ones, then every link ends.

        Args:
            grace_s: how long requests that are being executed may take, in seconds.
        """
        if self._closed:
            return
        self._closed = True
        self._context.draining = True
        for listener in self._listeners:
            await listener.close()
        limit = self._context.now() + grace_s
        # Polled, because an event for this one moment would cost something with every reply.
        while self._context.now() < limit and any(  # noqa: ASYNC110
            link.open_requests or link.buffered_bytes() for link in self._accepted
        ):
            await asyncio.sleep(CLOSE_POLL_S)
        self._beat_timer.cancel()
        self._subscriber.close()
        had_peers = bool(self._accepted)
        for link in list(self._accepted):
            link.close()
        await asyncio.gather(*(link.close() for link in self._dialled.values()))
        if self._tcp is not None:
            await self._tcp.close(grace_s if had_peers else 0.0)
