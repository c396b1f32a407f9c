"""Frames: the kinds, the flags, and the native codec. `docs/wire.md` specifies the bytes."""

from __future__ import annotations

import enum
from typing import Final

from aisys._native import Correlation as Correlation
from aisys._native import Frame as Frame
from aisys._native import FrameDecoder as FrameDecoder
from aisys._native import FrameEncoder as FrameEncoder

__all__ = [
    "FLAG_ATTACHED",
    "FLAG_IDEMPOTENT",
    "FLAG_NAMED",
    "FLAG_SAMPLED",
    "FLAG_STREAM",
    "TRACE_BYTES",
    "Correlation",
    "Frame",
    "FrameDecoder",
    "FrameEncoder",
    "Kind",
]

FLAG_NAMED: Final = 1
"""The frame carries its target's name. The encoder sets it."""

FLAG_ATTACHED: Final = 2
"""The frame carries attachments. The encoder sets it."""

FLAG_SAMPLED: Final = 4
"""The trace of this call is recorded."""

FLAG_STREAM: Final = 8
"""The caller wants a stream of items."""

FLAG_IDEMPOTENT: Final = 16
"""Doing it twice is as good as once, so the call may be sent again."""

TRACE_BYTES: Final = 24
"""The size of a frame's trace: 16 bytes of trace id and 8 of span id."""


class Kind(enum.IntEnum):
    """What a frame is."""

    HELLO = 1
    REQUEST = 2
    REPLY = 3
    ERROR = 4
    EVENT = 5
    ITEM = 6
    END = 7
    CANCEL = 8
    CREDIT = 9
    HEARTBEAT = 10
    SUBSCRIBE = 11
    UNSUBSCRIBE = 12
    ACK = 13
