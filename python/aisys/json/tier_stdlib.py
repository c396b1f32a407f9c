"""The JSON codec on the standard library alone: the last tier, and the reference of the others."""

from __future__ import annotations

from typing import Any, Final

from aisys.json.arrays import array_of
from aisys.json.errors import JSONPointerError
from aisys.json.pointers import find_span
from aisys.json.raw import Raw
from aisys.json.reading import Text, read, read_text, text_of
from aisys.json.writing import CanonicalWriter, Default, Writer

NAME: Final = "stdlib"
_MISSING: Final = object()

loads = read


def dumps(value: object, *, default: Default | None = None, sort_keys: bool = False) -> bytes:
    """See `aisys.json.dumps`."""
    return dumps_str(value, default=default, sort_keys=sort_keys).encode()


def dumps_str(value: object, *, default: Default | None = None, sort_keys: bool = False) -> str:
    """See `aisys.json.dumps_str`."""
    return Writer(read, default, sort_keys=sort_keys).text(value)


def canonical(value: object) -> bytes:
    """See `aisys.json.canonical`."""
    return CanonicalWriter(read).text(value).encode()


def get(buffer: Text, pointer: str, *, default: object = _MISSING, raw: bool = False) -> Any:
    """See `aisys.json.get`."""
    text = text_of(buffer)
    read_text(text)
    try:
        start, end = find_span(text, pointer)
    except JSONPointerError:
        if default is _MISSING:
            raise
        return default
    return Raw(text[start:end]) if raw else read_text(text[start:end])


def get_many(buffer: Text, *pointers: str, raw: bool = False) -> tuple[Any, ...]:
    """See `aisys.json.get_many`."""
    text = text_of(buffer)
    return tuple(get(text, pointer, raw=raw) for pointer in pointers)


def loads_array(buffer: Text, pointer: str = "", dtype: str = "float32") -> Any:
    """See `aisys.json.loads_array`."""
    return array_of(get(buffer, pointer), dtype)
