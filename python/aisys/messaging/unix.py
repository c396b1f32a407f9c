"""Links over unix stream sockets: the way between hosts of one machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from aisys.errors import AisysError, ConfigError, Problem, Refused
from aisys.logs import get_logger
from aisys.messaging.link import Link
from aisys.messaging.stats import LinkStats

if TYPE_CHECKING:
    from aisys.messaging.server_link import ServerLink

__all__ = ["UnixChannel", "UnixListener", "connect_unix"]

# sizeof(sockaddr_un.sun_path) is 108 on Linux, with the final NUL.
MAX_PATH_BYTES = 107
BACKLOG = 512
_UCRED = struct.Struct("3i")

log = get_logger("aisys.messaging")


class UnixChannel(asyncio.Protocol):
    """One connected unix socket.

    Args:
        machine: the machine of this process, which is that of the peer too.
        buffer_bytes: bytes waiting to leave above which the link is told to pause.
        accept: makes the link of an accepted connection, None on the dialling side.
    """

    def __init__(
        self,
        machine: str,
        buffer_bytes: int,
        stats: LinkStats,
        accept: Callable[[UnixChannel], ServerLink | None] | None = None,
        link: Link | None = None,
    ) -> None:
        self._machine = machine
        self._buffer_bytes = buffer_bytes
        self._stats = stats
        self._accept = accept
        self._link: Link | None = link
        self._transport: asyncio.Transport | None = None
        self.refusal: AisysError | None = None
        if link is not None:
            # The transport enters the link directly: one Python call less for each batch.
            self.data_received = link.feed  # type: ignore[method-assign]

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        # uvloop's transports do not derive from asyncio's.
        transport = cast("asyncio.Transport", transport)
        uid = _peer_uid(transport)
        if uid not in (os.getuid(), 0):
            self._stats.refused_peers.labels("wrong_user").inc()
            log.warning("peer_refused", uid=uid)
            self.refusal = Refused(
                f"the process at the other end of the socket belongs to user {uid}",
                reason="unauthorised",
            )
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=self._buffer_bytes)
        if self._accept is not None:
            link = self._accept(self)
            if link is None:
                self._transport = None
                transport.abort()
                return
            self._link = link

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._link is not None and self._transport is not None:
            self._link.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        transport, self._transport = self._transport, None
        if transport is not None and self._link is not None:
            why = (
                f"the connection broke: {exc}"
                if exc is not None
                else "the other side closed the connection"
            )
            self._link.lost(ConnectionResetError(why))

    def pause_writing(self) -> None:
        """The peer does not read."""
        if self._link is not None and self._transport is not None:
            self._link.paused()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._link is not None and self._transport is not None:
            self._link.resumed()

    # --- Channel

    @property
    def transport_name(self) -> str:
        """How this channel travels."""
        return "unix"

    @property
    def peer_key(self) -> str | None:
        """Unix peers are known by their user, not by a key."""
        return None

    @property
    def peer_machine(self) -> str | None:
        """Both ends of a unix socket are on one machine."""
        return self._machine

    def write(self, data: bytes) -> None:
        """Send a batch."""
        if self._transport is not None:
            self._transport.write(data)

    def buffered_bytes(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self) -> None:
        """Close after what is buffered."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def abort(self) -> None:
        """Close at once."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def pause_reading(self) -> None:
        """Leave what comes in the kernel."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the kernel again."""
        if self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()


def _peer_uid(transport: asyncio.Transport) -> int:
    sock = transport.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(credentials)[1]
    return uid


async def connect_unix(
    path: str, link: Link, machine: str, buffer_bytes: int, stats: LinkStats
) -> UnixChannel:
    """Connect to a host's socket.

    Raises:
        OSError: nobody listens there.
        Refused: the listener belongs to another user.
    """
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_unix_connection(
        lambda: UnixChannel(machine, buffer_bytes, stats, link=link), path
    )
    if channel.refusal is not None:
        raise channel.refusal
    return channel


class UnixListener:
    """A listening unix socket, with a lock that tells a live owner from a dead one's leftovers."""

    __slots__ = ("_lock", "_path", "_server")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[bytes] | None = None
        self._server: asyncio.Server | None = None

    async def start(self, factory: Callable[[], UnixChannel]) -> None:
        """Listen.

        Raises:
            ConfigError: the path is too long, its folder is open to others, or a live process
                listens there.
        """
        _check_path(self._path)
        _private_folder(self._path.parent)
        self._lock = _take_lock(self._path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(self._path)
            sock.setblocking(False)
            sock.bind(os.fspath(self._path))
            self._path.chmod(0o600)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(factory, sock=sock, backlog=BACKLOG)
        except BaseException:
            sock.close()
            self._release()
            raise

    async def close(self) -> None:
        """Stop listening and remove the socket; connections stay."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._release()

    def _release(self) -> None:
        # The lock file stays: removing it would let two processes hold locks on two files of one
        # name.
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()


def _check_path(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise _problem(
            path,
            f"the path has {length} bytes, a unix socket takes {MAX_PATH_BYTES}",
            "set AISYS_RUNTIME_DIR to a shorter folder",
        )


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise _problem(folder, "is not a folder", "remove it, or set AISYS_RUNTIME_DIR")
    if facts.st_uid != os.getuid():
        raise _problem(
            folder,
            f"belongs to user {facts.st_uid}",
            "set AISYS_RUNTIME_DIR to a folder of your own",
        )
    if facts.st_mode & 0o077:
        raise _problem(
            folder, "is open to other users, who could connect", f"run: chmod 700 {folder}"
        )


def _take_lock(path: Path) -> IO[bytes]:
    lock_path = path.with_name(path.name + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    lock = os.fdopen(descriptor, "r+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise _live(path) from None
    return lock


def _remove_stale(path: Path) -> None:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(facts.st_mode):
        raise _problem(path, "is in the way and is not a socket", "remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        code = probe.connect_ex(os.fspath(path))
    if code in (0, errno.EAGAIN, errno.EINPROGRESS):
        raise _live(path)
    path.unlink()


def _live(path: Path) -> ConfigError:
    return _problem(
        path,
        "another running process listens on this socket",
        "stop it first (`aisys status` shows what runs), or give this fleet another port_offset",
    )


def _problem(path: Path, what: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(where=str(path), setting="", what=what, remedy=remedy)])
