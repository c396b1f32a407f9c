"""Which annotations can never hold binary data, and so travel as bare JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from typing_extensions import is_typeddict

_LEAVES: frozenset[Any] = frozenset(
    (
        str,
        int,
        float,
        bool,
        None,
        type(None),
        dt.datetime,
        dt.date,
        dt.time,
        dt.timedelta,
        decimal.Decimal,
        uuid.UUID,
    )
)
_CONTAINERS: frozenset[Any] = frozenset((list, dict, tuple, set, frozenset, Sequence, Mapping))


def is_plain(annotation: Any, _seen: frozenset[Any] = frozenset()) -> bool:
    """Whether every value of this type is JSON without attachments."""
    if annotation in _LEAVES or annotation is Ellipsis:
        return True
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _plain_generic(annotation, origin, _seen)
    if not isinstance(annotation, type) or annotation in _seen:
        # A type that contains itself is plain if its other parts are.
        return annotation in _seen
    if issubclass(annotation, enum.Enum):
        return True
    fields = _field_types(annotation)
    if fields is None:
        return False
    seen = _seen | {annotation}
    return all(is_plain(field, seen) for field in fields)


def _plain_generic(annotation: Any, origin: Any, seen: frozenset[Any]) -> bool:
    if origin is typing.Literal:
        return all(
            isinstance(value, str | int | bool | None) for value in typing.get_args(annotation)
        )
    if origin is typing.Annotated:
        return is_plain(typing.get_args(annotation)[0], seen)
    if origin in (typing.Union, types.UnionType) or origin in _CONTAINERS:
        return all(is_plain(argument, seen) for argument in typing.get_args(annotation))
    return False


def _field_types(cls: type) -> list[Any] | None:
    """The types of a structure's fields, or None when the class is no known kind of structure."""
    if issubclass(cls, BaseModel):
        if cls.model_config.get("extra") == "allow" or cls.__pydantic_root_model__:
            return None
        return [field.annotation for field in cls.model_fields.values()]
    if dataclasses.is_dataclass(cls) or is_typeddict(cls):
        try:
            return list(typing.get_type_hints(cls).values())
        except NameError:
            return None
    return None
