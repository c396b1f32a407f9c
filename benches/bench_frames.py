"""Framing against msgpack, protobuf and msgspec: the same fields, one batch after the other.

What is promised is against the functions of msgpack and the messages of protobuf. msgpack's objects
with a buffer of their own and msgspec are there for comparison.
"""

from __future__ import annotations

from collections.abc import Callable

import msgpack  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aisys.messaging import payload
from aisys.messaging.frames import Correlation, FrameDecoder, FrameEncoder, Kind
from benches import documents
from benches import frame_peers as peers
from benches.frame_peers import DEADLINE_US, PRIORITY, Message, rows_of
from benches.ratio import Group, Prepare, Side, Work, cases, over, run_case

REQUEST = int(Kind.REQUEST)
BATCH = 64
IN_FLIGHT = 64

Vector = npt.NDArray[np.float32]


def groups() -> list[Group]:
    """The rows."""
    rows = []
    for name, messages in (
        ("256 B", _messages(256)),
        ("2 kB", _messages(2048)),
        ("256 B and 2 attachments", _messages(256, attachments=2)),
    ):
        rows += [_encode(name, messages), _decode(name, messages)]
    return [*rows, _correlation(), _vector()]


def _messages(size_bytes: int, attachments: int = 0) -> list[Message]:
    """A batch: several targets, one in four with a trace, bodies of JSON; attachments up to 12 kB."""
    targets = ("NLUAgent.parse", "KnowledgeBase.search_facts", "Responder.say")
    return [
        Message(
            corr=(1 << 32) | number,
            target=targets[number % len(targets)],
            body=orjson.dumps(documents.message(number, size_bytes)),
            trace=number.to_bytes(24, "little") if number % 4 == 3 else None,
            attachments=[bytes(300 + 180 * number)] * attachments,
        )
        for number in range(BATCH)
    ]


def _side(
    name: str,
    make: Callable[[list[Message]], peers.Batch],
    messages: list[Message],
    must: float | None = None,
    goal: float | None = None,
) -> Side:
    """Operations are messages; what `make` returns handles a whole batch of them.

    Nothing is promised of attachments: with them the copying is what costs, or that nothing is copied.
    """

    def prepared() -> Prepare:
        batch = make(messages)

        def prepare(count: int) -> Work:
            rounds = [None] * (count // BATCH)

            def work() -> None:
                for _ in rounds:
                    batch()

            return work

        return prepare

    if name == "aisys":
        return Side(name, prepared, "ours", step=BATCH)
    if messages[0].attachments:
        must = goal = None
    return Side(name, prepared, step=BATCH, must=must, goal=goal)


def _floor(messages: list[Message]) -> Side:
    return Side("memcpy", over(bytes, [bytearray(each.body) for each in messages]), "floor")


def _encode_ours(messages: list[Message]) -> peers.Batch:
    encoder = FrameEncoder()
    rows, add, take = rows_of(messages), encoder.add, encoder.take

    def plain() -> None:
        for corr, target, body, trace, _ in rows:
            add(REQUEST, corr, target, body, 0, PRIORITY, DEADLINE_US, trace)
        take()

    def attached() -> None:
        for corr, target, body, trace, attachments in rows:
            add(REQUEST, corr, target, body, 0, PRIORITY, DEADLINE_US, trace, attachments)
        take()

    return attached if messages[0].attachments else plain


def _decode_ours(messages: list[Message]) -> peers.Batch:
    # The first batch of a link names the targets; what is measured is a link in use.
    encoder, decoder = FrameEncoder(), FrameDecoder()
    decoder.feed(_encoded(encoder, messages))
    data = _encoded(encoder, messages)
    feed = decoder.feed

    def plain() -> None:
        for frame in feed(data):
            frame.corr  # noqa: B018 - reading is the work
            frame.target  # noqa: B018
            frame.body  # noqa: B018

    def attached() -> None:
        for frame in feed(data):
            frame.corr  # noqa: B018
            frame.target  # noqa: B018
            frame.body  # noqa: B018
            frame.attachments  # noqa: B018

    return attached if messages[0].attachments else plain


def _encode(name: str, messages: list[Message]) -> Group:
    return Group(
        f"frame encode, {name}",
        (
            _side("aisys", _encode_ours, messages),
            _side("msgpack packb", peers.encode_msgpack, messages, must=3.0, goal=5.0),
            _side("msgpack Packer", peers.encode_packer, messages),
            _side("protobuf", peers.encode_protobuf, messages, must=8.0, goal=13.0),
            _side("msgspec tuple", peers.encode_tuple, messages),
            _side("msgspec Struct", peers.encode_struct, messages),
            _floor(messages),
        ),
    )


def _decode(name: str, messages: list[Message]) -> Group:
    return Group(
        f"frame decode, {name}",
        (
            _side("aisys", _decode_ours, messages),
            _side("msgpack unpackb", peers.decode_msgpack, messages, must=1.6, goal=2.0),
            _side("msgpack Unpacker", peers.decode_unpacker, messages),
            _side("protobuf", peers.decode_protobuf, messages, must=3.5, goal=4.5),
            _side("msgspec tuple", peers.decode_tuple, messages),
            _side("msgspec Struct", peers.decode_struct, messages),
            _floor(messages),
        ),
    )


def _correlation() -> Group:
    """A call goes out and its reply comes back, with others in flight."""
    calls = [object() for _ in range(BATCH)]

    def ours() -> Prepare:
        table = Correlation()
        for number in range(IN_FLIGHT):
            table.add(number)
        add, take = table.add, table.take

        def work(call: object) -> object:
            return take(add(call))

        return over(work, calls)()

    def dictionary() -> Prepare:
        table: dict[int, object] = dict(enumerate(range(IN_FLIGHT)))
        take = table.pop
        last = IN_FLIGHT

        def work(call: object) -> object:
            nonlocal last
            last += 1
            table[last] = call
            return take(last, None)

        return over(work, calls)()

    return Group(
        "correlation, in and out",
        (Side("aisys", ours, "ours"), Side("dict and a counter", dictionary)),
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
            REQUEST,
            each.corr,
            each.target,
            each.body,
            0,
            PRIORITY,
            DEADLINE_US,
            each.trace,
            each.attachments,
        )
    return encoder.take()


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_frames(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
