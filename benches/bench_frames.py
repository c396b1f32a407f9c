"""Framing against msgpack: the same fields, one message after the other and in batches.

The peer packs a tuple of the same fields: what a program without a frame format of its own would
send. Decoding reads three fields, as a receiver does before it hands the body on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgpack  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys.messaging import payload
from aisys.messaging.frames import FrameDecoder, FrameEncoder, Kind
from benches import documents
from benches.ratio import Group, Prepare, Side, Work, cases, over, run_case

REQUEST = int(Kind.REQUEST)
BATCH = 64

Vector = npt.NDArray[np.float32]
DEADLINE_US = 30_000_000
PRIORITY = 100


@dataclass(frozen=True)
class Message:
    """The fields of one request."""

    corr: int
    target: str
    body: bytes
    trace: bytes | None


def groups() -> list[Group]:
    """The rows."""
    rows = []
    for name, messages in (("256 B", _messages(256)), ("2 kB", _messages(2048))):
        rows += [_encode(name, messages), _decode(name, messages)]
    return [*rows, _vector()]


def _messages(size_bytes: int) -> list[Message]:
    """A batch: several targets, one in four with a trace, bodies of JSON."""
    targets = ("NLUAgent.parse", "KnowledgeBase.search_facts", "Responder.say")
    return [
        Message(
            corr=(1 << 32) | number,
            target=targets[number % len(targets)],
            body=orjson.dumps(documents.message(number, size_bytes)),
            trace=number.to_bytes(24, "little") if number % 4 == 3 else None,
        )
        for number in range(BATCH)
    ]


def _plain(message: Message) -> tuple[object, ...]:
    return (
        REQUEST,
        PRIORITY,
        message.corr,
        DEADLINE_US,
        message.trace,
        message.target,
        message.body,
    )


def _batches(batch: Callable[[], object]) -> Prepare:
    """Operations are messages; `batch` handles a whole batch of them."""

    def prepare(count: int) -> Work:
        rounds = [None] * (count // BATCH)

        def work() -> None:
            for _ in rounds:
                batch()

        return work

    return prepare


def _encode(name: str, messages: list[Message]) -> Group:
    def ours() -> Prepare:
        encoder = FrameEncoder()
        add, take = encoder.add, encoder.take
        fields = [(each.corr, each.target, each.body, each.trace) for each in messages]

        def batch() -> None:
            for corr, target, body, trace in fields:
                add(REQUEST, corr, target, body, 0, PRIORITY, DEADLINE_US, trace)
            take()

        return _batches(batch)

    def peer() -> Prepare:
        # One Packer for all, which collects the batch in its own buffer: msgpack at its best.
        packer = msgpack.Packer(autoreset=False)
        pack, take, reset = packer.pack, packer.bytes, packer.reset
        fields = [(each.corr, each.target, each.body, each.trace) for each in messages]

        def batch() -> None:
            for corr, target, body, trace in fields:
                pack((REQUEST, PRIORITY, corr, DEADLINE_US, trace, target, body))
            take()
            reset()

        return _batches(batch)

    def one_by_one() -> Prepare:
        fields = [(each.corr, each.target, each.body, each.trace) for each in messages]

        def batch() -> None:
            for corr, target, body, trace in fields:
                msgpack.packb((REQUEST, PRIORITY, corr, DEADLINE_US, trace, target, body))

        return _batches(batch)

    return Group(
        f"frame encode, {name}",
        (
            Side("aisys", ours, "ours", step=BATCH),
            Side("msgpack Packer", peer, step=BATCH),
            Side("msgpack packb", one_by_one, step=BATCH),
            Side("memcpy", over(bytes, [bytearray(each.body) for each in messages]), "floor"),
        ),
    )


def _decode(name: str, messages: list[Message]) -> Group:
    def ours() -> Prepare:
        # The first batch of a link names the targets; what is measured is a link in use.
        encoder, decoder = FrameEncoder(), FrameDecoder()
        decoder.feed(_encoded(encoder, messages))
        data = _encoded(encoder, messages)
        feed = decoder.feed

        def batch() -> None:
            for frame in feed(data):
                frame.corr  # noqa: B018 - reading is the work
                frame.target  # noqa: B018
                frame.body  # noqa: B018

        return _batches(batch)

    def peer() -> Prepare:
        data = b"".join(msgpack.packb(_plain(message)) for message in messages)
        unpacker = msgpack.Unpacker(use_list=False)

        def batch() -> None:
            unpacker.feed(data)
            for fields in unpacker:
                fields[2]
                fields[5]
                fields[6]

        return _batches(batch)

    def one_by_one() -> Prepare:
        packed = [msgpack.packb(_plain(message)) for message in messages]

        def batch() -> None:
            for data in packed:
                fields = msgpack.unpackb(data, use_list=False)
                fields[2]
                fields[5]
                fields[6]

        return _batches(batch)

    return Group(
        f"frame decode, {name}",
        (
            Side("aisys", ours, "ours", step=BATCH),
            Side("msgpack Unpacker", peer, step=BATCH),
            Side("msgpack unpackb", one_by_one, step=BATCH),
            Side("memcpy", over(bytes, [bytearray(each.body) for each in messages]), "floor"),
        ),
    )


def _vector() -> Group:
    """An embedding as an argument, packed and unpacked: beside the JSON text, and inside of it."""
    vectors = [np.array(documents.floats(seed), np.float32) for seed in range(documents.VARIANTS)]
    option = orjson.OPT_SERIALIZE_NUMPY

    def attached(vector: Vector) -> object:
        body, attachments = payload.pack({"vector": vector})
        return payload.unpack(body, [memoryview(each) for each in attachments])

    def as_text(vector: Vector) -> object:
        text = orjson.dumps({"vector": vector}, option=option)
        return np.array(orjson.loads(text)["vector"], dtype=np.float32)

    def as_bytes(vector: Vector) -> object:
        data = msgpack.packb({"dtype": "float32", "data": vector.tobytes()})
        return np.frombuffer(msgpack.unpackb(data)["data"], np.float32)

    return Group(
        "3072 float32, packed and unpacked",
        (
            Side("aisys attachment", over(attached, vectors), "ours"),
            Side("orjson text", over(as_text, vectors)),
            Side("msgpack bytes", over(as_bytes, vectors)),
            Side("memcpy", over(np.copy, vectors), "floor"),
        ),
    )


def _encoded(encoder: FrameEncoder, messages: list[Message]) -> bytes:
    for each in messages:
        encoder.add(
            REQUEST, each.corr, each.target, each.body, 0, PRIORITY, DEADLINE_US, each.trace
        )
    return encoder.take()


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_frames(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
