"""Objects that are not JSON themselves but have one obvious JSON form.

Every tier calls `plain` for what it does not write itself, so that all tiers agree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

NOT_PLAIN: Final = object()
"""What `plain` returns for an object without a JSON form."""

_NUMBER_KINDS: Final = "biuf"
_TEXT_KIND: Final = "U"
_DOUBLE_BYTES: Final = 8

_converters: Final[dict[type, Callable[[Any], Any]]] = {}
# Classes made at run time must not pile up here for ever.
_MAX_CONVERTERS: Final = 1024


def plain(value: Any) -> Any:
    """The object as something closer to JSON (its parts may need `plain` again), or `NOT_PLAIN`.

    Raises:
        ValueError: an object of a supported type whose value has no JSON form.
    """
    kind = type(value)
    converter = _converters.get(kind)
    if converter is None:
        converter = _converter_of(kind)
        if converter is _nothing:
            return NOT_PLAIN  # not kept: pydantic or numpy may be imported later
        if len(_converters) >= _MAX_CONVERTERS:
            _converters.clear()
        _converters[kind] = converter
    return converter(value)


def _nothing(_: Any) -> Any:
    return NOT_PLAIN


def _converter_of(kind: type) -> Callable[[Any], Any]:
    if issubclass(kind, Enum):
        return attrgetter("value")
    converter = _of_builtin(kind) or _of_standard_library(kind)
    if converter is not None:
        return converter
    if is_dataclass(kind):
        return _of_dataclass(kind)
    return _of_installed(kind)


def _of_builtin(kind: type) -> Callable[[Any], Any] | None:
    """For a subclass of a JSON-like builtin: that builtin, ignoring what the subclass overrides."""
    if issubclass(kind, str):
        return str.__str__
    if issubclass(kind, int):
        return int.__int__
    if issubclass(kind, float):
        return float.__float__
    if issubclass(kind, dict):
        return lambda value: dict(value.items())
    if issubclass(kind, list | tuple):
        return list
    return None


def _of_standard_library(kind: type) -> Callable[[Any], Any] | None:
    if issubclass(kind, datetime):
        return _rfc3339
    if issubclass(kind, date):
        return date.isoformat
    if issubclass(kind, time):
        return _time
    if issubclass(kind, UUID | Decimal):
        return str
    return None


def _of_dataclass(kind: Any) -> Callable[[Any], Any]:
    names = [field.name for field in fields(kind)]
    return lambda value: {name: getattr(value, name) for name in names}


def _of_installed(kind: type) -> Callable[[Any], Any]:
    """Types of optional libraries; one that was never imported cannot have made the value."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        return lambda value: value.model_dump(mode="json")
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.ndarray | numpy.generic):
        return _numpy
    return _nothing


def _rfc3339(value: datetime) -> str:
    """RFC 3339 text; a naive datetime has no offset, as it says nothing about one."""
    zone = value.tzinfo
    if zone is not None and zone is not UTC:
        offset = value.utcoffset()
        if offset is not None and offset.total_seconds() % 60:
            # RFC 3339 offsets have no seconds (historical local mean times do): the instant is kept, in UTC.
            value = value.astimezone(UTC)
    return value.isoformat()


def _time(value: time) -> str:
    if value.tzinfo is not None:
        raise ValueError("a time with a time zone has no RFC 3339 form: use a datetime")
    return value.isoformat()


def _numpy(value: Any) -> Any:
    kind, size = value.dtype.kind, value.dtype.itemsize
    if kind == "f" and size < _DOUBLE_BYTES:
        # The shortest text that gives the same float32 back, not the digits of its double.
        return _shortest(value.tolist(), value.dtype.type)
    if kind == "f" and size > _DOUBLE_BYTES:  # a long double keeps only its double
        return value.astype("float64").tolist()
    if kind in _NUMBER_KINDS or kind == _TEXT_KIND:
        return value.tolist()
    return NOT_PLAIN


def _shortest(value: Any, kind: Any) -> Any:
    if isinstance(value, list):
        return [_shortest(item, kind) for item in value]
    return float(str(kind(value)))
