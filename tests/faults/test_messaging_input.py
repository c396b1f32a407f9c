"""Bytes that break the protocol, and peers that do not read: the process lives and the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aisys.errors import Refused, Unreachable
from aisys.messaging import PROTOCOL_VERSION, Gap, Limits
from aisys.messaging.frames import FLAG_STREAM, FrameDecoder, FrameEncoder, Kind
from aisys.messaging.hello import Hello
from aisys.messaging.wire_errors import decode_error
from support.messaging import FAST, Pair, pair_of, value
from support.waiting import eventually

pytestmark = pytest.mark.fault

SEED = 20261122


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ais") as name:
        yield Path(name)


@pytest.fixture
async def pair(folder: Path) -> AsyncIterator[Pair]:
    async with pair_of("unix", folder) as made:
        yield made


def _hello() -> bytes:
    return Hello("raw", "near", "1", 16 * 1024 * 1024).encode()


async def _talk(pair: Pair, data: bytes) -> bytes:
    """Send bytes on a new connection; what came back until the server closed it."""
    reader, writer = await asyncio.open_unix_connection(str(pair.path))
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
    finally:
        writer.close()


def _frame(
    kind: int, corr: int = 0, body: bytes = b"", target: str | None = None, flags: int = 0
) -> bytes:
    encoder = FrameEncoder()
    encoder.add(kind, corr, target, body, flags)
    return encoder.take()


def _greeted(*frames: tuple[int, int, bytes]) -> bytes:
    encoder = FrameEncoder()
    encoder.add(Kind.HELLO, 0, None, _hello())
    for kind, corr, body in frames:
        encoder.add(kind, corr, "echo" if kind == Kind.REQUEST else None, body)
    return encoder.take()


GARBAGE = {
    "text": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4,
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "huge length": struct.pack("<I", 2**32 - 1) + bytes(100),
    "short length": struct.pack("<I", 3) + bytes(100),
    "request before the greeting": _frame(Kind.REQUEST, 1, b"x", "echo"),
    "greeting that is no JSON": _frame(Kind.HELLO, 0, bytes([PROTOCOL_VERSION]) + b"{"),
    "greeting without names": _frame(Kind.HELLO, 0, bytes([PROTOCOL_VERSION]) + b"{}"),
    "greeting of wrong types": _frame(
        Kind.HELLO,
        0,
        bytes([PROTOCOL_VERSION]) + b'{"host":1,"machine":[],"instance":{},"max_frame_bytes":"x"}',
    ),
    "empty greeting": _frame(Kind.HELLO),
    "huge greeting": _frame(Kind.HELLO, 0, bytes([PROTOCOL_VERSION]) + b" " * 100_000),
    "a reply": _greeted((Kind.REPLY, 1, b"")),
    "an event": _greeted((Kind.EVENT, 1, b"")),
    "a second greeting": _greeted((Kind.HELLO, 0, _hello())),
    "an unknown kind": _greeted((40, 0, b"")),
    "a credit of one byte": _greeted((Kind.CREDIT, 1, b"1")),
    "interest that is no JSON": _greeted((Kind.SUBSCRIBE, 1, b"[")),
    "interest of a wrong form": _greeted((Kind.SUBSCRIBE, 1, b'{"patterns": 7}')),
    "a malformed pattern": _greeted((Kind.SUBSCRIBE, 1, b'{"patterns": ["a..b"]}')),
    "request id zero": _greeted((Kind.REQUEST, 0, b"")),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_ends_its_link_only(pair: Pair, what: str) -> None:
    """The connection is closed and counted, no handler sees anything, and others are served."""
    await pair.client.call(pair.address, "echo", b"", timeout_s=5)
    await _talk(pair, GARBAGE[what])

    assert value(pair.server_metrics, "aisys_bad_frames_total") == 1
    assert len(pair.desk.seen) == 1
    assert (await pair.client.call(pair.address, "echo", b"served", timeout_s=5)).body == b"served"
    await eventually(lambda: len(pair.server.links()) == 1)


async def test_a_request_id_used_twice_ends_the_link(pair: Pair) -> None:
    """Two open requests under one id could not be told apart."""
    encoder = FrameEncoder()
    encoder.add(Kind.HELLO, 0, None, _hello())
    for _ in range(2):
        encoder.add(Kind.REQUEST, 7, "never", b"")
    await _talk(pair, encoder.take())

    assert value(pair.server_metrics, "aisys_bad_frames_total") == 1


async def test_random_bytes(pair: Pair) -> None:
    """Three hundred connections with random or mutated bytes: none reaches a handler, memory stays."""
    dice = random.Random(SEED)
    good = _greeted((Kind.SUBSCRIBE, 1, b'{"patterns": ["a.*"]}'), (Kind.CANCEL, 1, b""))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        if dice.random() < 0.5:
            data = dice.randbytes(dice.randrange(1, 4000))
        else:
            mutated = bytearray(good)
            for _ in range(dice.randrange(1, 8)):
                mutated[dice.randrange(len(mutated))] = dice.randrange(256)
            data = bytes(mutated)
        _, writer = await asyncio.open_unix_connection(str(pair.path))
        writer.write(data)
        writer.write_eof()
        writer.close()
    reply = await pair.client.call(pair.address, "echo", b"alive", timeout_s=10)

    assert reply.body == b"alive"
    assert len(pair.desk.seen) == 1
    assert value(pair.server_metrics, "aisys_bad_frames_total") > 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    await eventually(lambda: len(pair.server.links()) == 1)


async def test_another_protocol_version_is_a_clear_error(pair: Pair) -> None:
    """The peer is told both versions and what to do."""
    answer = await _talk(pair, _frame(Kind.HELLO, 0, bytes([PROTOCOL_VERSION + 1]) + b"{}"))

    (frame,) = FrameDecoder().feed(answer)
    error = decode_error(frame.body, "far")
    assert type(error).__name__ == "VersionMismatch"
    assert f"version {PROTOCOL_VERSION + 1}, this process {PROTOCOL_VERSION}" in str(error)
    assert "install the same version" in str(error)


async def test_a_caller_of_another_version_is_told(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call to a server of another version fails at once, with both versions in the message."""
    monkeypatch.setattr(Hello, "encode", lambda self: bytes([PROTOCOL_VERSION + 1]) + b"{}")
    with pytest.raises(Unreachable, match="protocol version"):
        await pair.client.call(pair.address, "echo", b"", timeout_s=5)


async def test_a_silent_connection_is_closed(folder: Path) -> None:
    """Who connects and says nothing is cut off after three heartbeats."""
    async with pair_of("unix", folder, limits=Limits(heartbeat_s=0.2)) as pair:
        assert await _talk(pair, b"") != b"x"
        assert value(pair.server_metrics, "aisys_links_closed_total", reason="silent") == 1


async def test_connections_are_bounded(folder: Path) -> None:
    """Above the bound a connection is closed before it can send anything."""
    async with pair_of("unix", folder, server_limits=Limits(max_links=3)) as pair:
        sockets = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        try:
            for sock in sockets:
                sock.connect(str(pair.path))
            await eventually(
                lambda: (
                    value(pair.server_metrics, "aisys_refused_peers_total", reason="too_many_links")
                    == 2
                )
            )
            assert len(pair.server.links()) == 3
        finally:
            for sock in sockets:
                sock.close()


async def test_a_peer_that_does_not_read_its_replies_is_cut_off(folder: Path) -> None:
    """Requests of a peer that never reads are not taken any more, memory is bounded, others are served."""
    limits = Limits(write_buffer_bytes=200_000, stall_timeout_s=0.5, heartbeat_s=0.2)
    async with pair_of("unix", folder, server_limits=limits) as pair:
        deaf = socket.socket(socket.AF_UNIX)
        deaf.setblocking(False)
        deaf.connect(str(pair.path))
        encoder = FrameEncoder()
        encoder.add(Kind.HELLO, 0, None, _hello())
        for corr in range(1, 200):
            encoder.add(Kind.REQUEST, corr, "big", b"50000")
        data = encoder.take()
        with contextlib.suppress(BlockingIOError):
            deaf.sendall(data)
        await eventually(
            lambda: value(pair.server_metrics, "aisys_links_closed_total", reason="stalled") == 1
        )
        reply = await pair.client.call(pair.address, "echo", b"served", timeout_s=5)

        assert reply.body == b"served"
        deaf.close()


@contextlib.asynccontextmanager
async def _deaf_server(path: Path) -> AsyncIterator[list[int]]:
    """A server that greets and then reads nothing; yields the number of connections."""
    connections: list[int] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await reader.read(4096)
        writer.write(_frame(Kind.HELLO, 0, Hello("far", "near", "1", 16 * 1024 * 1024).encode()))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()
        writer.close()

    path.parent.chmod(0o700)
    server = await asyncio.start_unix_server(serve, path, limit=4096)
    try:
        yield connections
    finally:
        done.set()
        server.close()


async def test_calls_to_a_server_that_does_not_read_are_refused(folder: Path) -> None:
    """The write buffer is bounded: more calls end at once with `overloaded`, and then the link ends."""
    limits = Limits(
        write_buffer_bytes=300_000, stall_timeout_s=1.0, heartbeat_s=0.5, reconnect_s=5.0
    )
    async with pair_of("unix", folder, limits=limits) as pair:
        await pair.server.close(grace_s=0)
        async with _deaf_server(pair.path) as connections:
            outcomes: list[str] = []

            async def call() -> None:
                try:
                    await pair.client.call(pair.address, "echo", bytes(50_000), timeout_s=20)
                except Refused as error:
                    outcomes.append(error.reason)
                except Exception as error:
                    outcomes.append(type(error).__name__)

            callers: list[asyncio.Task[None]] = []
            while "overloaded" not in outcomes:
                callers.append(asyncio.ensure_future(call()))
                assert len(callers) < 500
                await asyncio.sleep(0)
            await asyncio.gather(*callers)

            assert connections
            assert set(outcomes) == {"overloaded", "Indefinite"}
            assert value(pair.client_metrics, "aisys_calls_refused_total", reason="overloaded") >= 1


async def test_events_for_a_peer_that_does_not_read_become_a_gap(folder: Path) -> None:
    """The publisher drops them, counts them, and the subscriber's numbers add up when it reads again."""
    limits = Limits(write_buffer_bytes=200_000, stall_timeout_s=30.0, heartbeat_s=30.0)
    async with pair_of("unix", folder, limits=limits) as pair:
        pair.client.set_peers([pair.address])
        got: list[int] = []
        gaps: list[Gap] = []
        await pair.client.subscribe("x", lambda event: got.append(event.seq), on_gap=gaps.append)
        (link,) = pair.client._dialled.values()
        channel = link._channel
        assert channel is not None
        channel.pause_reading()
        sent = refused = 0
        while refused < 50:
            if pair.server.publish("x", bytes(10_000)):
                sent += 1
            else:
                refused += 1
            await asyncio.sleep(0)
        channel.resume_reading()
        await eventually(lambda: len(got) == sent)
        await eventually(lambda: pair.server.publish("x", b"last"))
        await eventually(lambda: len(got) == sent + 1)

        dropped = value(pair.server_metrics, "aisys_events_dropped_total", where="link")
        assert dropped >= 50
        assert sum(gap.count for gap in gaps) == dropped
        assert got[-1] == len(got) + dropped


async def test_a_producer_that_exceeds_its_credit_is_cut_off(folder: Path) -> None:
    """A server that sends more items than were asked for ends the link, not the process."""
    path = folder / "far.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        encoder = FrameEncoder()
        encoder.add(Kind.HELLO, 0, None, Hello("far", "near", "1", 16 * 1024 * 1024).encode())
        while data := await reader.read(65536):
            for frame in decoder.feed(data):
                if frame.kind == Kind.REQUEST and frame.flags & FLAG_STREAM:
                    for _ in range(100):
                        encoder.add(Kind.ITEM, frame.corr, None, b"x")
            writer.write(encoder.take())
        writer.close()

    async with pair_of("unix", folder, limits=FAST) as pair:
        await pair.server.close(grace_s=0)
        server = await asyncio.start_unix_server(serve, path)
        stream = pair.client.stream(pair.address, "flood", b"", timeout_s=5)
        items = 0
        with pytest.raises(Exception, match="more stream items than were asked for"):
            async for _ in stream:
                items += 1

        assert items == 32
        assert value(pair.client_metrics, "aisys_bad_frames_total") == 1
        await pair.client.close()
        server.close()
