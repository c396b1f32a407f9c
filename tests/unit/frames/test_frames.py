"""Frames: laziness, limits, buffers, and names that travel once."""

from __future__ import annotations

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
