"""Links over TCP: ZeroMQ with CURVE, one message for each batch, and who may listen."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

from aisys.errors import AisysError, ConfigError, Problem
from aisys.logs import get_logger
from aisys.messaging.dealer import DealerChannel
from aisys.messaging.keys import KeyRing
from aisys.messaging.limits import MIB
from aisys.messaging.link import Channel, Link, LinkContext
from aisys.messaging.model import Address
from aisys.messaging.router import Accept, RouterServer
from aisys.messaging.zap import ZapHandler
from aisys.messaging.zmq_socket import Identity, LinkEvent, SocketOptions, ZmqNode, new_key_pair

__all__ = ["TcpNode"]

SELF_TEST_S = 5.0
LAST_WORDS_S = 0.1

log = get_logger("aisys.messaging")


class TcpNode:
    """Everything of an endpoint that talks TCP.

    Args:
        context: what the endpoint's links share.
        keys: the key ring; None means no encryption, allowed on loopback only.
    """

    __slots__ = ("_context", "_identity", "_keys", "_node", "_servers", "_zap")

    def __init__(self, context: LinkContext, keys: KeyRing | None) -> None:
        limits = context.limits
        self._context = context
        self._keys = keys
        self._identity = Identity(keys.public(keys.machine), keys.secret) if keys else None
        self._node = ZmqNode(
            context.loop,
            SocketOptions(
                # A batch is cut when it passes batch_bytes, so it exceeds them by one frame at
                # most.
                max_message_bytes=limits.max_frame_bytes + limits.batch_bytes + MIB,
                heartbeat_s=limits.heartbeat_s,
                heartbeat_misses=limits.heartbeat_misses,
                connect_timeout_s=limits.connect_timeout_s,
            ),
        )
        self._servers: list[RouterServer] = []
        self._zap = ZapHandler(self._node, keys, context.stats) if keys is not None else None

    async def listen(self, urls: Sequence[str], accept: Accept) -> None:
        """Listen on every address, then see that a random key is refused.

        Raises:
            ConfigError: an address beyond loopback without keys, a malformed one, or one that is
                taken.
            AisysError: the self-test got through.
        """
        for url in urls:
            if self._keys is None and not _is_loopback(url):
                raise _problem(
                    url,
                    "would let anybody on the network in, because there are no keys",
                    "set security.curve and run `aisys keys init`, or listen on 127.0.0.1",
                )
        try:
            server = RouterServer(
                self._context, self._node, self._identity, self._keys, urls, accept
            )
        except OSError as error:
            raise _problem(
                str(error.filename),
                f"cannot be listened on: {error.strerror}",
                "see `aisys ports` for what uses it",
            ) from error
        self._servers.append(server)
        for url in urls:
            await self._self_test(url)

    async def _self_test(self, url: str) -> None:
        """Knock with a random key; being let in means that the access list does not work."""
        if self._identity is None or self._zap is None:
            return
        public, secret = new_key_pair()
        self._zap.expected = public
        outcome: asyncio.Future[LinkEvent] = self._context.loop.create_future()

        def on_event(event: LinkEvent) -> None:
            if not outcome.done():
                outcome.set_result(event)

        socket = self._node.dialling(Identity(public, secret), self._identity.public)
        pump = self._node.pump(socket, lambda _: None)
        pump.watch(on_event)
        try:
            pump.connect(_reachable(url))
            async with asyncio.timeout(SELF_TEST_S):
                event = await outcome
        except TimeoutError:
            event = LinkEvent.OTHER
        finally:
            pump.close()
        if event is not LinkEvent.KEY_REFUSED:
            raise AisysError(
                f"the self-test of {url} failed ({event.value}): a connection with a random key "
                "was not refused, so this process does not serve"
            )

    async def dial(self, address: Address, link: Link) -> Channel:
        """Connect to a host on another machine.

        Raises:
            OSError: nobody answers, or the handshake failed.
            AisysError: this process has no key for that machine, or is not admitted there.
        """
        url = address.tcp or ""
        server_key: str | None = None
        if self._keys is not None:
            server_key = address.server_key or self._keys.public(address.machine)
        elif address.server_key is not None:
            raise AisysError(f"{address.host} has a key, this process none: set security.curve")
        elif not _is_loopback(url):
            raise AisysError(f"{url} is not on this computer; without keys nothing is sent there")
        channel = DealerChannel(self._node, self._identity, server_key, link, self._context.limits)
        try:
            await channel.connect(url)
        except BaseException:
            channel.abort()
            raise
        return channel

    def look(self) -> None:
        """See whether anything has arrived unnoticed."""
        self._node.look()

    async def close(self, grace_s: float) -> None:
        """Close every socket and end the context.

        Args:
            grace_s: how long peers may take to read what was sent last, in seconds.
        """
        if self._servers and grace_s > 0:
            # ZeroMQ drops what a peer has received and not read when the connection ends under it.
            await asyncio.sleep(min(grace_s, LAST_WORDS_S))
        for server in self._servers:
            server.close()
        if self._zap is not None:
            self._zap.close()
        await self._node.close()


def _host_of(url: str) -> str:
    if not url.startswith("tcp://") or ":" not in url[6:]:
        raise _problem(url, "is not an address such as tcp://127.0.0.1:5713", "")
    return url[6:].rpartition(":")[0].strip("[]")


def _is_loopback(url: str) -> bool:
    host = _host_of(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(url: str) -> str:
    """The address to connect to for an address to listen on."""
    host = _host_of(url)
    port = url.rpartition(":")[2]
    if host in ("*", "0.0.0.0"):  # noqa: S104 - compared with, not listened on
        return f"tcp://127.0.0.1:{port}"
    return f"tcp://[::1]:{port}" if host == "::" else url


def _problem(url: str, what: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(where=url, setting="", what=what, remedy=remedy)])
