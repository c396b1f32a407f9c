"""The JSON codec on orjson, with the reference writer and reader for everything that orjson does otherwise."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from aisys.json import tier_stdlib
from aisys.json.arrays import array_of
from aisys.json.convert import NOT_PLAIN, plain
from aisys.json.limits import MAX_DEPTH
from aisys.json.raw import Raw
from aisys.json.reading import Text
from aisys.json.writing import Default

NAME: Final = "orjson"

_OPTIONS: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_BYTES: Final = frozenset({bytes, bytearray})
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_BIG_RUN: Final = b"0" * 19
_BIG_INTEGER: Final = re.compile(rb"(?<![.0-9])[0-9]{19,}")

canonical = tier_stdlib.canonical
get = tier_stdlib.get
get_many = tier_stdlib.get_many


def loads(data: Text) -> Any:
    """See `aisys.json.loads`."""
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError:
            return tier_stdlib.loads(data)
    elif isinstance(data, memoryview):
        data = data.tobytes()
    if type(data) not in _BYTES:
        return tier_stdlib.loads(data)  # a subclass, or something else, for its error
    if _beyond_orjson(data):
        return tier_stdlib.loads(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # The reference reads it again, for the same error at the same place.
        return tier_stdlib.loads(data)


def _beyond_orjson(data: bytes | bytearray) -> bool:
    """Whether the text may nest deeper than our limit, or hold an integer that orjson would make a float."""
    if _may_be_too_deep(data):
        return True
    return _BIG_RUN in data.translate(_DIGITS_TO_ZERO) and _BIG_INTEGER.search(data) is not None


def _may_be_too_deep(text: bytes | bytearray) -> bool:
    """Whether there are enough brackets to break the depth limit."""
    return text.count(b"[") + text.count(b"{") > MAX_DEPTH


def dumps(value: object, *, default: Default | None = None, sort_keys: bool = False) -> bytes:
    """See `aisys.json.dumps`."""
    if default is not None:
        # A default that changes the value being written crashes orjson (3.13); the reference bears it.
        return tier_stdlib.dumps(value, default=default, sort_keys=sort_keys)

    def convert(item: Any) -> Any:
        if type(item) is Raw:
            tier_stdlib.loads(item.data)
            return orjson.Fragment(item.data)
        converted = plain(item)
        if converted is NOT_PLAIN:
            raise TypeError
        return converted

    try:
        text = orjson.dumps(
            value, default=convert, option=_OPTIONS | (orjson.OPT_SORT_KEYS if sort_keys else 0)
        )
    except TypeError:
        # The reference decides whether it has a form after all (orjson allows fewer levels), and
        # raises the same error for all tiers.
        return tier_stdlib.dumps(value, sort_keys=sort_keys)
    if b"null" in text or _may_be_too_deep(text):
        # orjson writes NaN and infinities as null, and does not count tuples; the reference does.
        return tier_stdlib.dumps(value, sort_keys=sort_keys)
    return text


def dumps_str(value: object, *, default: Default | None = None, sort_keys: bool = False) -> str:
    """See `aisys.json.dumps_str`."""
    return dumps(value, default=default, sort_keys=sort_keys).decode()


def loads_array(buffer: Text, pointer: str = "", dtype: str = "float32") -> Any:
    """See `aisys.json.loads_array`."""
    return array_of(loads(buffer) if not pointer else get(buffer, pointer), dtype)
