"""The frame format of `docs/wire.md` in plain Python, independent of the native codec."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

_FIXED = struct.Struct("<IHBBQQ24sI")
_LENGTH = struct.Struct("<H")
NAMED = 1
ATTACHED = 2
NO_TRACE = bytes(24)


@dataclass(frozen=True)
class ModelFrame:
    """One frame."""

    kind: int
    corr: int
    target: str | None
    body: bytes
    flags: int = 0
    prio: int = 100
    deadline_us: int = 0
    trace: bytes | None = None
    attachments: tuple[bytes, ...] = ()


@dataclass
class ModelEncoder:
    """One link direction, sending end."""

    max_targets: int = 65536
    ids: dict[str, int] = field(default_factory=dict)

    def encode(self, frame: ModelFrame) -> bytes:
        """The bytes of a frame."""
        flags = frame.flags & ~(NAMED | ATTACHED)
        number, name = 0, b""
        if frame.target is not None:
            number = self.ids.get(frame.target, 0)
            if not number:
                flags |= NAMED
                text = frame.target.encode()
                name = _LENGTH.pack(len(text)) + text
                if len(self.ids) < self.max_targets:
                    number = self.ids[frame.target] = len(self.ids) + 1
        table = b""
        if frame.attachments:
            flags |= ATTACHED
            count = len(frame.attachments)
            table = struct.pack(
                f"<H{count}I", count, *(len(buffer) for buffer in frame.attachments)
            )
        rest = name + table + frame.body + b"".join(frame.attachments)
        fixed = _FIXED.pack(
            _FIXED.size + len(rest),
            flags,
            frame.kind,
            frame.prio,
            frame.corr,
            frame.deadline_us,
            frame.trace or NO_TRACE,
            number,
        )
        return fixed + rest


class ModelError(Exception):
    """The bytes break a rule."""


def _must(rule: bool, what: str) -> None:
    if not rule:
        raise ModelError(what)


@dataclass
class ModelDecoder:
    """One link direction, receiving end, for whole batches: every rule and limit of the page."""

    max_frame_bytes: int = 16 << 20
    max_targets: int = 65536
    names: list[str] = field(default_factory=list)

    def decode(self, batch: bytes) -> Iterable[ModelFrame]:
        """The frames of a batch, without what is left of a last one that is not whole.

        Raises:
            ModelError: the bytes break a rule.
        """
        while len(batch) >= 4:
            (size,) = struct.unpack_from("<I", batch)
            _must(_FIXED.size <= size <= self.max_frame_bytes, "length")
            if len(batch) < size:
                return
            yield self._one(batch[:size])
            batch = batch[size:]

    def _one(self, data: bytes) -> ModelFrame:
        _, flags, kind, prio, corr, deadline_us, trace, number = _FIXED.unpack_from(data)
        _must(1 <= kind <= 63, "kind")
        _must(flags < 0x100, "reserved flags")
        rest = data[_FIXED.size :]
        if flags & NAMED:
            target, rest = self._named(number, rest)
        else:
            _must(number <= len(self.names), "unknown target")
            target = self.names[number - 1] if number else None
        attachments: list[bytes] = []
        if flags & ATTACHED:
            rest, attachments = _attached(rest)
        return ModelFrame(
            kind=kind,
            corr=corr,
            target=target,
            body=rest,
            flags=flags & ~(NAMED | ATTACHED),
            prio=prio,
            deadline_us=deadline_us,
            trace=None if trace == NO_TRACE else trace,
            attachments=tuple(attachments),
        )

    def _named(self, number: int, rest: bytes) -> tuple[str, bytes]:
        _must(len(rest) >= 2, "name")
        (length,) = _LENGTH.unpack_from(rest)
        _must(1 <= length <= 512, "length of a name")
        _must(len(rest) >= 2 + length, "name")
        try:
            target = rest[2 : 2 + length].decode()
        except UnicodeDecodeError:
            raise ModelError("name") from None
        if number:
            _must(number == len(self.names) + 1, "order of names")
            _must(number <= self.max_targets, "number of names")
            self.names.append(target)
            _must(sum(len(name.encode()) for name in self.names) <= 4 << 20, "bytes of names")
        return target, rest[2 + length :]


def _attached(rest: bytes) -> tuple[bytes, list[bytes]]:
    """The body, and the attachments behind it."""
    _must(len(rest) >= 2, "attachment table")
    (count,) = _LENGTH.unpack_from(rest)
    _must(count <= 4096, "number of attachments")
    _must(len(rest) >= 2 + 4 * count, "attachment table")
    lengths = struct.unpack_from(f"<{count}I", rest, 2)
    rest = rest[2 + 4 * count :]
    start = len(rest) - sum(lengths)
    _must(start >= 0, "attachments")
    attachments = []
    at = start
    for length in lengths:
        attachments.append(rest[at : at + length])
        at += length
    return rest[:start], attachments
