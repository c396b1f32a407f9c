"""Objects that are not JSON themselves but have one obvious JSON form.

Every tier calls `plain` for what it does not write itself, so that all tiers agree.
"""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

NOT_PLAIN: Final = object()
"""What `plain` returns for an object without a JSON form."""

_NUMBER_KINDS: Final = "biuf"
_TEXT_KIND: Final = "U"


def plain(value: Any) -> Any:
    """The object as something closer to JSON (its parts may need `plain` again), or `NOT_PLAIN`.

    Raises:
        ValueError: an object of a supported type whose value has no JSON form.
    """
    if isinstance(value, Enum):
        return value.value
    converted = _builtin_subclass(value)
    if converted is not NOT_PLAIN:
        return converted
    converted = _standard_library(value)
    if converted is not NOT_PLAIN:
        return converted
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return _installed(value)


def _builtin_subclass(value: Any) -> Any:
    """A subclass of a JSON-like builtin as that builtin, ignoring what the subclass overrides."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, dict):
        return dict(value.items())
    if isinstance(value, list | tuple):
        return list(value)
    return NOT_PLAIN


def _standard_library(value: Any) -> Any:
    if isinstance(value, datetime):
        return _rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        if value.tzinfo is not None:
            raise ValueError("a time with a time zone has no RFC 3339 form: use a datetime")
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    return NOT_PLAIN


def _rfc3339(value: datetime) -> str:
    """RFC 3339 text; a naive datetime has no offset, as it says nothing about one."""
    offset = value.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        # RFC 3339 offsets have no seconds (historical local mean times do): the instant is kept, in UTC.
        value = value.astimezone(UTC)
    return value.isoformat()


def _installed(value: Any) -> Any:
    """Types of optional libraries; one that was never imported cannot have made the value."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json")
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _numpy(value)
    return NOT_PLAIN


def _numpy(value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "f" and value.dtype.itemsize < 8:
        # The shortest text that gives the same float32 back, not the digits of its double.
        return _shortest(value.tolist(), value.dtype.type)
    if kind == "f" and value.dtype.itemsize > 8:
        return value.astype("float64").tolist()
    if kind in _NUMBER_KINDS or kind == _TEXT_KIND:
        return value.tolist()
    return NOT_PLAIN


def _shortest(value: Any, kind: Any) -> Any:
    if isinstance(value, list):
        return [_shortest(item, kind) for item in value]
    return float(str(kind(value)))
