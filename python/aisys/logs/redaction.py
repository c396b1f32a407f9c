"""Secrets never reach a log line: by value when registered, by the name of the field always."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REPLACEMENT = "[redacted]"
_MIN_SECRET_CHARS = 4
_MAX_DEPTH = 8
_SECRET_KEY = re.compile(
    r"passw|secret|token|api_?key|private_?key|authorization|credential|cookie", re.IGNORECASE
)
# Counters and identifiers whose names merely contain such a word.
_HARMLESS_KEY = re.compile(
    r"^(max_|num_|n_)?(prompt_|completion_|total_|context_)?tokens(_|$)", re.IGNORECASE
)

_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """Keep a value out of all logs of this process, wherever it turns up.

    Values shorter than four characters are left alone: taking them out would make logs unreadable
    and hide nothing.
    """
    global _pattern
    if len(value) < _MIN_SECRET_CHARS or value in _secrets:
        return
    _secrets.add(value)
    longest_first = sorted(_secrets, key=len, reverse=True)
    _pattern = re.compile("|".join(re.escape(secret) for secret in longest_first))


def redact_text(text: str) -> str:
    """The text without registered secrets."""
    return text if _pattern is None else _pattern.sub(REPLACEMENT, text)


def redact(value: Any, depth: int = 0) -> Any:
    """A JSON-like copy of a value without secrets; what is no JSON value becomes its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            redact_text(str(key)): (
                REPLACEMENT if is_secret_key(str(key)) and item else redact(item, depth + 1)
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return redact_text(str(value))


def is_secret_key(key: str) -> bool:
    """Whether a field of this name holds a secret."""
    return _SECRET_KEY.search(key) is not None and _HARMLESS_KEY.search(key) is None
