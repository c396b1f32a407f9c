"""Frames: laziness, limits, buffers, and names that travel once."""

from __future__ import annotations

import contextlib
import gc
import sys
import weakref

import numpy as np
import pytest

from aisys.errors import FrameError
from aisys.messaging.frames import (
    FLAG_ATTACHED,
    FLAG_NAMED,
    FLAG_SAMPLED,
    FLAG_STREAM,
    FrameDecoder,
    FrameEncoder,
    Kind,
)
from aisys.messaging.hello import PROTOCOL_VERSION, Hello, VersionMismatch


def test_a_frame_shows_every_field() -> None:
    """What the encoder was given is what the frame shows."""
    trace = bytes(range(24))
    encoder = FrameEncoder()
    flags = FLAG_SAMPLED | FLAG_STREAM
    size = encoder.add(Kind.REQUEST, 7, "A.b", b"{}", flags, 3, 30_000_000, trace, [b"xy", b""])
    (frame,) = FrameDecoder().feed(encoder.take())
    assert (frame.kind, frame.corr, frame.target, frame.body) == (Kind.REQUEST, 7, "A.b", b"{}")
    assert frame.flags == flags | FLAG_NAMED | FLAG_ATTACHED
    assert (frame.prio, frame.deadline_us, frame.trace, frame.size) == (3, 30_000_000, trace, size)
    assert [bytes(view) for view in frame.attachments] == [b"xy", b""]
    assert repr(frame) == f"Frame(kind=2, corr=7, target=A.b, size={size})"


def test_defaults_are_plain() -> None:
    """A frame with only the required fields has priority 100 and nothing else."""
    encoder = FrameEncoder()
    encoder.add(Kind.HEARTBEAT, 0, None, b"")
    (frame,) = FrameDecoder().feed(encoder.take())
    assert (frame.prio, frame.flags, frame.deadline_us) == (100, 0, 0)
    assert (frame.trace, frame.target, frame.body, frame.attachments) == (None, None, b"", [])
    assert frame.size == 52


def test_a_body_is_built_once() -> None:
    """Reading the body twice gives the same object."""
    encoder = FrameEncoder()
    encoder.add(Kind.EVENT, 0, "t", b"some body")
    (frame,) = FrameDecoder().feed(encoder.take())
    assert frame.body is frame.body


def test_one_string_serves_all_frames_of_a_target() -> None:
    """The receiver makes one string for a target and hands it out again."""
    encoder = FrameEncoder()
    encoder.add(Kind.EVENT, 0, "speech.final", b"1")
    encoder.add(Kind.EVENT, 0, "speech." + "final".lower(), b"2")
    first, second = FrameDecoder().feed(encoder.take())
    assert first.target is second.target
    assert second.size == 52 + 1


def test_attachments_of_one_chunk_share_its_bytes() -> None:
    """Attachments of a frame that came whole are read-only views of the bytes that were fed."""
    encoder = FrameEncoder()
    encoder.add(Kind.REPLY, 1, None, b"b", attachments=[b"a" * 1000])
    batch = encoder.take()
    (frame,) = FrameDecoder().feed(batch)
    (view,) = frame.attachments
    assert view.obj is batch
    assert view.readonly
    assert view == b"a" * 1000


def test_attachments_of_a_split_frame_outlive_it() -> None:
    """Attachments of a frame that came in pieces stay valid after frame and decoder are gone."""
    encoder = FrameEncoder()
    encoder.add(Kind.REPLY, 1, None, b"b", attachments=[b"a" * 300_000, b"c" * 10])
    batch = encoder.take()
    decoder = FrameDecoder()
    assert decoder.feed(batch[:100_000]) == []
    assert decoder.tail_bytes == 100_000
    (frame,) = decoder.feed(batch[100_000:])
    views = frame.attachments
    del frame, decoder
    gc.collect()
    assert [bytes(view) for view in views] == [b"a" * 300_000, b"c" * 10]
    assert all(view.readonly for view in views)


def test_a_mutable_chunk_may_be_reused() -> None:
    """A bytearray that was fed may be overwritten at once: frames do not look into it."""
    encoder = FrameEncoder()
    encoder.add(Kind.EVENT, 0, "t", b"body", attachments=[b"more"])
    chunk = bytearray(encoder.take())
    (frame,) = FrameDecoder().feed(chunk)
    chunk[:] = bytes(len(chunk))
    assert (frame.body, bytes(frame.attachments[0])) == (b"body", b"more")


def test_any_contiguous_buffer_is_a_body() -> None:
    """Bodies and attachments may be any contiguous buffer of any item type."""
    array = np.arange(6, dtype="float32").reshape(2, 3)
    encoder = FrameEncoder()
    encoder.add(
        Kind.REPLY, 1, None, bytearray(b"x"), attachments=[array, memoryview(b"yz"), array[:0]]
    )
    (frame,) = FrameDecoder().feed(encoder.take())
    assert frame.body == b"x"
    assert [bytes(view) for view in frame.attachments] == [array.tobytes(), b"yz", b""]
    with pytest.raises(BufferError, match="contiguous"):
        encoder.add(Kind.REPLY, 1, None, array.T)
    assert encoder.pending_frames == 0


def test_a_refused_frame_leaves_the_batch() -> None:
    """A frame over the limit raises FrameError and does not spoil the batch or the names."""
    encoder = FrameEncoder(max_frame_bytes=100)
    encoder.add(Kind.REQUEST, 1, None, b"1")
    with pytest.raises(FrameError, match="limit is 100"):
        encoder.add(Kind.REQUEST, 2, "A.b", bytes(100))
    encoder.add(Kind.REQUEST, 3, "A.b", b"3")
    frames = FrameDecoder().feed(encoder.take())
    assert [(frame.corr, frame.target) for frame in frames] == [(1, None), (3, "A.b")]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"kind": 0}, FrameError),
        ({"kind": 64}, FrameError),
        ({"kind": 256}, OverflowError),
        ({"flags": 0x100}, FrameError),
        ({"flags": -1}, OverflowError),
        ({"prio": 256}, OverflowError),
        ({"corr": 1 << 64}, OverflowError),
        ({"target": ""}, FrameError),
        ({"target": "x" * 513}, FrameError),
        ({"target": "\ud800"}, UnicodeEncodeError),
        ({"target": b"x"}, TypeError),
        ({"body": "text"}, TypeError),
        ({"trace": b"short"}, ValueError),
        ({"attachments": [1]}, TypeError),
        ({"attachments": [b""] * 4097}, FrameError),
    ],
)
def test_bad_arguments_are_refused(fields: dict[str, object], error: type[Exception]) -> None:
    """A frame that cannot exist is refused where it is made."""
    encoder = FrameEncoder()
    good = {"kind": 2, "corr": 1, "target": "A.b", "body": b""}
    with pytest.raises(error):
        encoder.add(**{**good, **fields})  # type: ignore[arg-type]
    assert encoder.pending_bytes == 0


@pytest.mark.parametrize(
    ("positional", "named", "problem"),
    [
        ((2, 1, None), {}, "missing required argument: 'body'"),
        ((), {"kind": 2, "target": None, "body": b""}, "missing required argument: 'corr'"),
        ((2, 1, None, b""), {"kind": 2}, "multiple values for argument 'kind'"),
        ((2, 1, None, b""), {"size": 2}, "unexpected keyword argument 'size'"),
        ((2, 1, None, b"", 0, 100, 0, None, None, 0), {}, "at most 9 arguments"),
        ((2, 1, None, b"", None), {}, "NoneType"),
    ],
)
def test_arguments_are_those_of_a_function(
    positional: tuple[object, ...], named: dict[str, object], problem: str
) -> None:
    """Arguments that are missing, given twice or unknown are a TypeError, as for any function."""
    encoder = FrameEncoder()
    with pytest.raises(TypeError, match=problem):
        encoder.add(*positional, **named)  # type: ignore[arg-type]
    assert encoder.take() == b""


class Number:
    """Counts as a whole number without being one."""

    def __index__(self) -> int:
        return 3


class Text(str):
    """A string of a class of its own."""

    __slots__ = ()


class Bytes(bytes):
    """Bytes of a class of their own."""

    __slots__ = ()


@pytest.mark.parametrize("named", [False, True])
def test_unusual_arguments_mean_the_same(named: bool) -> None:
    """Enums, subclasses, `__index__`, other sequences and keywords give the frame plain arguments give."""
    plain, unusual = FrameEncoder(), FrameEncoder()
    trace = bytes(range(24))
    attachments = [b"x", b"yz"]
    plain.add(2, 2**64 - 1, "A.b", b"body", 4, 3, 2**40, trace, attachments)
    fields = {
        "kind": Kind.REQUEST,
        "corr": 2**64 - 1,
        "target": Text("A.b"),
        "body": Bytes(b"body"),
        "flags": 4,
        "prio": Number(),
        "deadline_us": 2**40,
        "trace": Bytes(trace),
        "attachments": iter(attachments),
    }
    if named:
        unusual.add(**fields)  # type: ignore[arg-type]
    else:
        unusual.add(*fields.values())  # type: ignore[arg-type]
    assert unusual.take() == plain.take()


@pytest.mark.parametrize("value", [0, 1, 2**30 - 1, 2**30, 2**60 - 1, 2**60, 2**63, 2**64 - 1])
def test_whole_numbers_of_every_size_travel(value: int) -> None:
    """Correlation and deadline take and give every number of 64 bits."""
    encoder = FrameEncoder()
    encoder.add(2, value, None, b"", 0, 100, value)
    (frame,) = FrameDecoder().feed(encoder.take())
    assert (frame.corr, frame.deadline_us) == (value, value)
    for beyond in (-value - 1, value + 2**64):
        with pytest.raises(OverflowError):
            encoder.add(2, beyond, None, b"")


@pytest.mark.parametrize("count", [0, 1, 16, 17, 300])
@pytest.mark.parametrize("kind", [list, tuple])
def test_any_number_of_attachments_travels(count: int, kind: type[list[bytes]]) -> None:
    """Attachments come back in order, few or many, from a list or a tuple."""
    attachments = kind(bytes([number % 256]) * number for number in range(count))
    encoder = FrameEncoder()
    encoder.add(2, 1, None, b"body", attachments=attachments)
    (frame,) = FrameDecoder().feed(encoder.take())
    assert [bytes(view) for view in frame.attachments] == list(attachments)
    assert frame.body == b"body"


def test_a_batch_grows_and_keeps_its_bytes() -> None:
    """Batches of every size hold what was added, whatever the size of the one before."""
    encoder, decoder = FrameEncoder(), FrameDecoder()
    for size in (0, 10, 5_000_000, 1, 300, 2_000_000, 0):
        bodies = [bytes([size % 251]) * size, b"last"]
        for body in bodies:
            encoder.add(2, 1, "A.b", body)
        batch = encoder.take()
        frames = decoder.feed(batch)
        assert len(batch) == sum(frame.size for frame in frames)
        assert [frame.body for frame in frames] == bodies


def test_two_batches_are_two_objects() -> None:
    """A batch that was taken never changes, whatever the encoder does next."""
    encoder = FrameEncoder()
    encoder.add(2, 1, None, b"first")
    first = encoder.take()
    copy = bytes(bytearray(first))
    encoder.add(2, 2, None, b"other")
    assert encoder.take() != first
    assert first == copy


def test_a_frame_cannot_be_made_or_changed() -> None:
    """Frames come from a decoder only, and their fields are read-only."""
    encoder = FrameEncoder()
    encoder.add(2, 1, None, b"")
    (frame,) = FrameDecoder().feed(encoder.take())
    with pytest.raises(TypeError):
        type(frame)()
    for name in ("kind", "corr", "target", "body", "prio"):
        with pytest.raises(AttributeError):
            setattr(frame, name, 1)
        with pytest.raises(AttributeError):
            delattr(frame, name)


def test_frames_outlive_their_decoder() -> None:
    """Many frames kept at once stay what they were after batch and decoder are gone."""
    encoder, decoder = FrameEncoder(), FrameDecoder()
    kept = []
    for round_number in range(5):
        for number in range(300):
            encoder.add(2, number + 1, "A.b", str(number * round_number).encode())
        kept.append(decoder.feed(encoder.take()))
    del decoder
    for round_number, frames in enumerate(kept):
        assert [frame.corr for frame in frames] == list(range(1, 301))
        assert [frame.body for frame in frames] == [
            str(number * round_number).encode() for number in range(300)
        ]


def test_another_protocol_version_is_named() -> None:
    """A greeting of another version is a frame like any other, and says so before anything else is read."""
    encoder = FrameEncoder()
    encoder.add(Kind.HELLO, 0, None, bytes([PROTOCOL_VERSION + 1]) + b"not even JSON")
    (frame,) = FrameDecoder().feed(encoder.take())
    with pytest.raises(
        VersionMismatch, match=f"version {PROTOCOL_VERSION + 1}, this process {PROTOCOL_VERSION}"
    ):
        Hello.decode(frame.body, "the peer")


def test_a_broken_decoder_stays_broken() -> None:
    """After bytes that are no frame, good frames are refused too: where they begin is unknown."""
    encoder = FrameEncoder()
    encoder.add(Kind.HEARTBEAT, 0, None, b"")
    batch = encoder.take()
    decoder = FrameDecoder()
    assert len(decoder.feed(batch)) == 1
    with pytest.raises(FrameError, match="announces 0 bytes") as caught:
        decoder.feed(bytes(60))
    assert caught.value.code == "bad_frame"
    with pytest.raises(FrameError, match="earlier"):
        decoder.feed(batch)


def test_a_long_length_is_refused_at_once() -> None:
    """Four bytes that announce too much are enough to refuse."""
    with pytest.raises(FrameError, match="4294967295 bytes; the limit is 1000"):
        FrameDecoder(max_frame_bytes=1000).feed(b"\xff\xff\xff\xff")


def test_frames_keep_nothing_else_alive() -> None:
    """A frame that is gone lets its batch go."""

    class Chunk(bytearray):
        """A buffer that can be watched."""

    encoder = FrameEncoder()
    encoder.add(Kind.EVENT, 0, "t", b"body")
    chunk = Chunk(encoder.take())
    watch = weakref.ref(chunk)
    frames = FrameDecoder().feed(chunk)
    del chunk
    assert watch() is None
    assert frames[0].body == b"body"


def test_the_example_of_the_documentation() -> None:
    """The bytes that `docs/wire.md` shows are those that are sent."""
    encoder = FrameEncoder()
    encoder.add(Kind.REQUEST, 7, "A.b", b"{}", attachments=[b"xy"])
    assert encoder.take() == bytes.fromhex(
        "43000000 0300 02 64 0700000000000000 0000000000000000"
        + "00" * 24
        + "01000000 0300412e62 010002000000 7b7d 7879"
    )


@pytest.mark.parametrize("pieces", [1, 2])
def test_frames_leave_no_memory_behind(pieces: int) -> None:
    """Decoding, reading and dropping frames leaves no object behind, whole or in pieces."""
    encoder, decoder = FrameEncoder(), FrameDecoder()

    def exchange() -> None:
        encoder.add(Kind.REPLY, 1 << 40, "A.b", b"x" * 300, attachments=[b"y" * 5000, b"z" * 600])
        batch = encoder.take()
        cut = len(batch) // pieces
        frames = decoder.feed(batch[:cut]) + decoder.feed(batch[cut:])
        for frame in frames:
            assert len(frame.body) + sum(len(view) for view in frame.attachments) == 5900

    for _ in range(50):
        exchange()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        exchange()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


def test_errors_leave_no_memory_behind() -> None:
    """Refused arguments and broken bytes leave no object behind."""
    encoder = FrameEncoder(max_frame_bytes=1000)
    good = FrameEncoder()
    good.add(2, 1 << 40, "A.b", b"x" * 600)
    batch = good.take() * 3 + bytes(60)

    def refuse() -> None:
        for arguments in (
            (0, 1 << 40, f"T.{'x'}", b"body"),
            (2, 1 << 40, "A.b", b"x" * 2000),
            (2, 1 << 70, "A.b", b""),
            (2, 1, "A.b", b"", 0, 100, 0, b"short"),
            (2, 1, "A.b", b"", 0, 100, 0, None, [b"x", 1]),
        ):
            with contextlib.suppress(FrameError, OverflowError, TypeError, ValueError):
                encoder.add(*arguments)  # type: ignore[arg-type]
        with contextlib.suppress(FrameError):
            FrameDecoder().feed(batch)

    for _ in range(50):
        refuse()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        refuse()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
