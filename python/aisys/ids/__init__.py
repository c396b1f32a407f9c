"""Identifiers: random, 128 bits, safe to make in a forked process."""

from __future__ import annotations

import os

__all__ = ["new_id", "new_span_id", "new_trace_id"]


def new_id(prefix: str = "") -> str:
    """A random identifier of 128 bits in hexadecimal, after `prefix_` if one is given."""
    text = os.urandom(16).hex()
    return f"{prefix}_{text}" if prefix else text


def new_trace_id() -> bytes:
    """A W3C trace id: 16 random bytes."""
    return os.urandom(16)


def new_span_id() -> bytes:
    """A W3C span id: 8 random bytes."""
    return os.urandom(8)
