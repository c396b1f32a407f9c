"""Errors on the wire: JSON with the code, the typed fields and the traceback of the other side.

Classes are looked up among those that this process imported (the catalogue of `aisys.errors` and a
fixed list of built-in exceptions). Nothing is imported, unpickled or evaluated because a message
names it.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

from aisys import json
from aisys.errors import AisysError, Indefinite, RemoteError, error_class

__all__ = ["decode_error", "encode_error"]

MAX_MESSAGE_CHARS = 4096
MAX_TRACEBACK_CHARS = 16_384
MAX_FIELDS_BYTES = 65_536

# Exceptions that one message text can rebuild. OSError and UnicodeError carry more than that and
# are left out.
_BUILTINS: dict[str, type[Exception]] = {
    cls.__name__: cls
    for cls in (
        ArithmeticError,
        AssertionError,
        AttributeError,
        BufferError,
        EOFError,
        FloatingPointError,
        IndexError,
        KeyError,
        LookupError,
        MemoryError,
        NotImplementedError,
        OverflowError,
        PermissionError,
        FileNotFoundError,
        RecursionError,
        RuntimeError,
        TimeoutError,
        TypeError,
        ValueError,
        ZeroDivisionError,
    )
}


def encode_error(error: BaseException) -> bytes:
    """The bytes that tell another process of an exception; never raises."""
    if isinstance(error, asyncio.CancelledError):
        error = Indefinite("the call was cancelled on the other side while it was being executed")
    document: dict[str, Any] = {
        "code": error.code if isinstance(error, AisysError) else "",
        "message": _message(error),
        "fields": {},
        "type": type(error).__name__,
        "traceback": _traceback(error),
    }
    if isinstance(error, AisysError):
        try:
            fields = error.to_wire()
            if len(json.dumps(fields, default=str)) <= MAX_FIELDS_BYTES:
                document["fields"] = fields
        except Exception as problem:  # noqa: BLE001 - a field that cannot travel must not hide the error itself
            document["traceback"] += (
                f"\n(the fields of the error were left out: {type(problem).__name__})"
            )
    return json.dumps(document, default=str)


def decode_error(body: bytes, origin: str) -> Exception:
    """The exception that `encode_error` described.

    Args:
        body: what arrived.
        origin: the host it came from, for the note.

    Returns:
        An instance of the same class where this process knows it, else a `RemoteError`; with the
        remote traceback as a note.
    """
    try:
        document = json.loads(body)
        code = document.get("code", "")
        message = str(document.get("message", ""))[:MAX_MESSAGE_CHARS]
        type_name = str(document.get("type", "Exception"))[:256]
        fields = document.get("fields") or {}
        trace = str(document.get("traceback", ""))[:MAX_TRACEBACK_CHARS]
        error = _rebuild(code, message, type_name, fields if isinstance(fields, dict) else {})
    except (ValueError, AttributeError, TypeError):
        return RemoteError(
            f"{origin} failed and its description cannot be read", type_name="unknown"
        )
    if trace:
        error.add_note(f"on {origin}:\n{trace.rstrip()}")
    return error


def _rebuild(code: object, message: str, type_name: str, fields: dict[str, Any]) -> Exception:
    if isinstance(code, str) and code:
        known = error_class(code)
        if known is not None:
            return known.from_wire(message, fields)
    builtin = _BUILTINS.get(type_name)
    if builtin is not None and not code:
        return builtin(message)
    return RemoteError(f"{type_name}: {message}" if message else type_name, type_name=type_name)


def _message(error: BaseException) -> str:
    try:
        # str(KeyError("x")) is "'x'": the quotes would be quoted again on the other side.
        first = error.args[0] if len(error.args) == 1 else None
        text = first if isinstance(first, str) else str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error
        text = "(the error has no readable message)"
    return text[:MAX_MESSAGE_CHARS]


def _traceback(error: BaseException) -> str:
    if error.__traceback__ is None:
        return "\n".join(getattr(error, "__notes__", ()))[-MAX_TRACEBACK_CHARS:]
    try:
        return "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARS:]
    except Exception:  # noqa: BLE001 - as above
        return ""
