"""The fields of a frame by other encodings: what a program without a frame format would send.

Each function sets up one way and returns what handles a whole batch. Decoding reads three fields, as
a receiver does before it hands the body on. The loops are written out: a call for each message would
be measured with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

Batch = Callable[[], None]

KIND = 2
PRIORITY = 100
DEADLINE_US = 30_000_000


@dataclass(frozen=True)
class Message:
    """The fields of one request that differ from message to message."""

    corr: int
    target: str
    body: bytes
    trace: bytes | None
    attachments: list[bytes]


def rows_of(messages: list[Message]) -> list[tuple[int, str, bytes, bytes | None, list[bytes]]]:
    """The fields as tuples, which a loop takes apart faster than attributes."""
    return [(each.corr, each.target, each.body, each.trace, each.attachments) for each in messages]


class Plain(msgspec.Struct, array_like=True):
    """The fields as msgspec declares them."""

    kind: int
    prio: int
    corr: int
    deadline_us: int
    trace: bytes | None
    target: str
    body: bytes


class Attached(Plain, array_like=True):
    """The same with attachments."""

    attachments: list[bytes]


def _protobuf_class() -> Any:
    """The message class of the fields, described here: no compiler, no generated file."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="aisys_benches.proto", package="aisys_benches", syntax="proto3"
    )
    message = file.message_type.add(name="Fields")
    types = {
        "kind": kinds.TYPE_UINT32,
        "prio": kinds.TYPE_UINT32,
        "corr": kinds.TYPE_UINT64,
        "deadline_us": kinds.TYPE_UINT64,
        "trace": kinds.TYPE_BYTES,
        "target": kinds.TYPE_STRING,
        "body": kinds.TYPE_BYTES,
        "attachments": kinds.TYPE_BYTES,
    }
    for number, (name, kind) in enumerate(types.items(), 1):
        label = kinds.LABEL_REPEATED if name == "attachments" else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aisys_benches.Fields"))


Protobuf = _protobuf_class()


def encode_msgpack(messages: list[Message]) -> Batch:
    """`packb` for each message."""
    rows, packb = rows_of(messages), msgpack.packb

    def plain() -> None:
        for corr, target, body, trace, _ in rows:
            packb((KIND, PRIORITY, corr, DEADLINE_US, trace, target, body))

    def attached() -> None:
        for corr, target, body, trace, attachments in rows:
            packb((KIND, PRIORITY, corr, DEADLINE_US, trace, target, body, attachments))

    return attached if messages[0].attachments else plain


def encode_packer(messages: list[Message]) -> Batch:
    """One Packer that collects the batch in its own buffer: msgpack at its best."""
    packer = msgpack.Packer(autoreset=False)
    rows, pack, take, reset = rows_of(messages), packer.pack, packer.bytes, packer.reset

    def plain() -> None:
        for corr, target, body, trace, _ in rows:
            pack((KIND, PRIORITY, corr, DEADLINE_US, trace, target, body))
        take()
        reset()

    def attached() -> None:
        for corr, target, body, trace, attachments in rows:
            pack((KIND, PRIORITY, corr, DEADLINE_US, trace, target, body, attachments))
        take()
        reset()

    return attached if messages[0].attachments else plain


def encode_protobuf(messages: list[Message]) -> Batch:
    """A message object, and its bytes."""
    rows = rows_of(messages)

    def plain() -> None:
        for corr, target, body, trace, _ in rows:
            Protobuf(
                kind=KIND,
                prio=PRIORITY,
                corr=corr,
                deadline_us=DEADLINE_US,
                trace=trace,
                target=target,
                body=body,
            ).SerializeToString()

    def attached() -> None:
        for corr, target, body, trace, attachments in rows:
            Protobuf(
                kind=KIND,
                prio=PRIORITY,
                corr=corr,
                deadline_us=DEADLINE_US,
                trace=trace,
                target=target,
                body=body,
                attachments=attachments,
            ).SerializeToString()

    return attached if messages[0].attachments else plain


def encode_tuple(messages: list[Message]) -> Batch:
    """A tuple by msgspec."""
    rows, encode = rows_of(messages), msgspec.msgpack.Encoder().encode

    def plain() -> None:
        for corr, target, body, trace, _ in rows:
            encode((KIND, PRIORITY, corr, DEADLINE_US, trace, target, body))

    def attached() -> None:
        for corr, target, body, trace, attachments in rows:
            encode((KIND, PRIORITY, corr, DEADLINE_US, trace, target, body, attachments))

    return attached if messages[0].attachments else plain


def encode_struct(messages: list[Message]) -> Batch:
    """A Struct, and its bytes by msgspec."""
    rows, encode = rows_of(messages), msgspec.msgpack.Encoder().encode

    def plain() -> None:
        for corr, target, body, trace, _ in rows:
            encode(Plain(KIND, PRIORITY, corr, DEADLINE_US, trace, target, body))

    def attached() -> None:
        for corr, target, body, trace, attachments in rows:
            encode(Attached(KIND, PRIORITY, corr, DEADLINE_US, trace, target, body, attachments))

    return attached if messages[0].attachments else plain


def _packed(messages: list[Message]) -> list[bytes]:
    return [
        msgpack.packb(
            (KIND, PRIORITY, corr, DEADLINE_US, trace, target, body, *filter(None, [attachments]))
        )
        for corr, target, body, trace, attachments in rows_of(messages)
    ]


def decode_msgpack(messages: list[Message]) -> Batch:
    """`unpackb` for each message."""
    packed, unpackb = _packed(messages), msgpack.unpackb

    def batch() -> None:
        for data in packed:
            fields = unpackb(data, use_list=False)
            fields[2]
            fields[5]
            fields[6]

    return batch


def decode_unpacker(messages: list[Message]) -> Batch:
    """One Unpacker that takes the batch."""
    data = b"".join(_packed(messages))
    unpacker = msgpack.Unpacker(use_list=False)

    def batch() -> None:
        unpacker.feed(data)
        for fields in unpacker:
            fields[2]
            fields[5]
            fields[6]

    return batch


def decode_protobuf(messages: list[Message]) -> Batch:
    """A message object of each message's bytes."""
    packed = [
        Protobuf(
            kind=KIND,
            prio=PRIORITY,
            corr=corr,
            deadline_us=DEADLINE_US,
            trace=trace,
            target=target,
            body=body,
            attachments=attachments,
        ).SerializeToString()
        for corr, target, body, trace, attachments in rows_of(messages)
    ]
    parse = Protobuf.FromString

    def batch() -> None:
        for data in packed:
            fields = parse(data)
            fields.corr  # noqa: B018 - reading is the work
            fields.target  # noqa: B018
            fields.body  # noqa: B018

    return batch


def decode_tuple(messages: list[Message]) -> Batch:
    """Any tuple by msgspec."""
    packed, decode = _packed(messages), msgspec.msgpack.Decoder(tuple).decode

    def batch() -> None:
        for data in packed:
            fields = decode(data)
            fields[2]
            fields[5]
            fields[6]

    return batch


def decode_struct(messages: list[Message]) -> Batch:
    """The declared Struct by msgspec."""
    shape = Attached if messages[0].attachments else Plain
    packed, decode = _packed(messages), msgspec.msgpack.Decoder(shape).decode

    def batch() -> None:
        for data in packed:
            fields = decode(data)
            fields.corr  # noqa: B018 - reading is the work
            fields.target  # noqa: B018
            fields.body  # noqa: B018

    return batch
