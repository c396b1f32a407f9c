"""Errors of the wire format."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors.base import AisysError


class FrameError(AisysError):
    """Bytes that are not frames of this protocol, or break one of its limits."""

    code: ClassVar[str] = "bad_frame"
