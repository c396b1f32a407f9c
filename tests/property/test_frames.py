"""The native frame codec against an independent model of the format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisys.errors import FrameError
from aisys.messaging.frames import Frame, FrameDecoder, FrameEncoder
from models.frame_model import NO_TRACE, ModelDecoder, ModelEncoder, ModelError, ModelFrame

u64 = st.integers(0, 2**64 - 1)
u8 = st.integers(0, 255)
targets = (
    st.none()
    | st.sampled_from(["A.b", "Memory.search", "speech.final", "ü", "嗨.x"])
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
)
frames = st.builds(
    ModelFrame,
    kind=st.integers(1, 63),
    corr=u64,
    target=targets,
    body=st.binary(max_size=300),
    flags=u8.map(lambda flags: flags & ~3),
    prio=u8,
    deadline_us=u64,
    trace=st.none() | st.binary(min_size=24, max_size=24).filter(lambda trace: trace != NO_TRACE),
    attachments=st.lists(st.binary(max_size=100), max_size=3).map(tuple),
)
batches = st.lists(frames, max_size=12)


def as_model(frame: Frame) -> ModelFrame:
    """A native frame as the model has it."""
    return ModelFrame(
        kind=frame.kind,
        corr=frame.corr,
        target=frame.target,
        body=frame.body,
        flags=frame.flags & ~3,
        prio=frame.prio,
        deadline_us=frame.deadline_us,
        trace=frame.trace,
        attachments=tuple(bytes(view) for view in frame.attachments),
    )


def add(encoder: FrameEncoder, frame: ModelFrame) -> int:
    """Encode a model frame natively."""
    return encoder.add(
        frame.kind,
        frame.corr,
        frame.target,
        frame.body,
        frame.flags,
        frame.prio,
        frame.deadline_us,
        frame.trace,
        list(frame.attachments),
    )


@given(batches, st.integers(0, 4))
def test_encoded_bytes_are_those_of_the_model(batch: list[ModelFrame], max_targets: int) -> None:
    """The encoder writes the bytes the specification asks for, even with a full table."""
    native, model = FrameEncoder(max_targets=max_targets), ModelEncoder(max_targets)
    sizes = [add(native, frame) for frame in batch]
    expected = [model.encode(frame) for frame in batch]
    assert native.pending_frames == len(batch)
    assert sizes == [len(data) for data in expected]
    assert native.take() == b"".join(expected)
    assert (native.pending_bytes, native.pending_frames, native.take()) == (0, 0, b"")


@given(batches, st.data())
def test_decoding_is_the_same_under_any_split(batch: list[ModelFrame], data: st.DataObject) -> None:
    """However the stream is cut, whatever type brings it, the frames are those that were sent."""
    model = ModelEncoder()
    stream = b"".join(model.encode(frame) for frame in batch)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    kind = data.draw(st.sampled_from([bytes, bytearray, memoryview]))
    decoder = FrameDecoder()
    got: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += decoder.feed(kind(stream[start:end]))
    assert [as_model(frame) for frame in got] == batch
    assert decoder.tail_bytes == 0


@given(batches)
def test_the_model_reads_native_bytes(batch: list[ModelFrame]) -> None:
    """A decoder written from the specification alone reads what the encoder writes."""
    native = FrameEncoder()
    for frame in batch:
        add(native, frame)
    assert list(ModelDecoder().decode(native.take())) == batch


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_random_bytes_raise_frame_error_only(chunks: list[bytes]) -> None:
    """Bytes that are not frames raise FrameError, then and ever after, and nothing else."""
    decoder = FrameDecoder(max_frame_bytes=4096)
    broken = False
    for chunk in chunks:
        try:
            for frame in decoder.feed(chunk):
                as_model(frame)
        except FrameError:
            broken = True
        else:
            assert not broken


@given(batches.filter(bool), st.data())
def test_damage_is_judged_as_by_the_model(batch: list[ModelFrame], data: st.DataObject) -> None:
    """A damaged batch gives the frames that the model reads, or FrameError where the model refuses."""
    encoder = ModelEncoder()
    stream = bytearray(b"".join(encoder.encode(frame) for frame in batch))
    for _ in range(data.draw(st.integers(1, 4))):
        # Damage to what a frame says of itself, most of which is at its beginning, is what matters.
        place = data.draw(st.integers(0, min(len(stream), 120) - 1))
        stream[place] = data.draw(u8)
    model = ModelDecoder(max_frame_bytes=8192, max_targets=4)
    decoder = FrameDecoder(max_frame_bytes=8192, max_targets=4)
    try:
        expected = list(model.decode(bytes(stream)))
    except ModelError:
        with pytest.raises(FrameError):
            decoder.feed(bytes(stream))
        assert decoder.tail_bytes == 0
    else:
        assert [as_model(frame) for frame in decoder.feed(bytes(stream))] == expected
