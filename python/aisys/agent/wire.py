"""Values of any kind on the wire: JSON, with bytes and arrays beside it as attachments."""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from aisys import json
from aisys.agent.ports import Buffer
from aisys.messaging.payload import pack, unpack

_LEAVES = (str, int, float, bool, bytes, bytearray, memoryview)


def to_plain(value: Any) -> Any:
    """Models, dataclasses and dates as JSON values; bytes and arrays stay what they are."""
    if isinstance(value, enum.Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, _LEAVES):
        return value
    if isinstance(value, Mapping):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    return _structure(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(to_jsonable_python(key))


def _structure(value: Any) -> Any:
    fields = getattr(type(value), "model_fields", None)
    if fields is not None:
        plain = {name: to_plain(getattr(value, name)) for name in fields}
        plain.update(to_plain(value.model_extra or {}))
        return plain
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: to_plain(getattr(value, name)) for name in fields}
    if hasattr(value, "__array_interface__"):
        return value
    return to_jsonable_python(value)


def encode_any(value: Any) -> tuple[bytes, list[Buffer]]:
    """A value and its attachments, ready to send.

    Raises:
        TypeError: something in it is neither JSON-like nor binary.
    """
    if "numpy" not in sys.modules:
        # Without arrays about, what the JSON writer refuses is binary data or an error.
        try:
            return json.dumps(value), []
        except json.JSONEncodeError:
            pass
    return pack(to_plain(value))


def decode_any(body: bytes, attachments: Sequence[Buffer]) -> Any:
    """The value that `encode_any` sent, as JSON values with bytes and arrays in place.

    Raises:
        ValueError: it is not such a value.
    """
    if not attachments:
        return json.loads(body) if body else None
    views = [memoryview(attachment) for attachment in attachments]
    return unpack(body, views)
