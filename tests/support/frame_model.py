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


@dataclass
class ModelDecoder:
    """One link direction, receiving end, for whole batches of good frames."""

    names: list[str] = field(default_factory=list)

    def decode(self, batch: bytes) -> Iterable[ModelFrame]:
        """The frames of a batch."""
        while batch:
            (size,) = struct.unpack_from("<I", batch)
            yield self._one(batch[:size])
            batch = batch[size:]

    def _one(self, data: bytes) -> ModelFrame:
        _, flags, kind, prio, corr, deadline_us, trace, number = _FIXED.unpack_from(data)
        rest = data[_FIXED.size :]
        target = self.names[number - 1] if number and not flags & NAMED else None
        if flags & NAMED:
            (length,) = _LENGTH.unpack_from(rest)
            target = rest[2 : 2 + length].decode()
            rest = rest[2 + length :]
            if number:
                assert number == len(self.names) + 1
                self.names.append(target)
        attachments = []
        if flags & ATTACHED:
            (count,) = _LENGTH.unpack_from(rest)
            lengths = struct.unpack_from(f"<{count}I", rest, 2)
            rest = rest[2 + 4 * count :]
            start = len(rest) - sum(lengths)
            buffers = rest[start:]
            rest = rest[:start]
            for length in lengths:
                attachments.append(buffers[:length])
                buffers = buffers[length:]
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
