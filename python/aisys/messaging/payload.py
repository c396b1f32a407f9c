"""Values with binary parts: the parts travel as attachments beside the JSON, never as text in it.

Without attachments the body is the plain JSON of the value. With them it is an object: `value` with
null where a part was, and `at`, one `[path, kind]` or `["path", "ndarray", dtype, shape]` for each
attachment in order.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

from aisys import json
from aisys.errors import FrameError
from aisys.messaging.model import Buffer

__all__ = ["pack", "unpack"]

MAX_DEPTH = 64
MAX_PARTS = 1024
# Plain numbers, booleans and times. Object, void and string types could hold pointers or surprises.
_DTYPE = re.compile(r"[<>|=]?[?biufc]\d{0,2}|[<>]?[mM]8(\[\d*[a-zA-Zμ]{1,7}\])?")
# What needs no second look. Tuples of classes, because a union is built anew by each call.
_PLAIN = frozenset({str, int, float, bool, type(None)})
_BINARY = (bytes, bytearray, memoryview)
_SEQUENCE = (list, tuple)


class _HasParts(Exception):
    pass


def pack(value: object) -> tuple[bytes, list[Buffer]]:
    """Encode a value of JSON types, buffers and numpy arrays, nested in lists, tuples and dicts.

    Returns:
        The body, and the buffers to attach; the buffers of large values are views, not copies.

    Raises:
        TypeError: something in it is neither JSON nor a buffer.
        ValueError: it is nested too deeply or has too many parts.
    """
    if not _has_array(value):
        try:
            # The native encoder finds out in passing whether there are parts at all.
            return json.dumps(value, default=_part_found), []
        except _HasParts:
            pass
    buffers: list[Buffer] = []
    at: list[list[Any]] = []
    bare = _take_parts(value, [], buffers, at)
    return json.dumps({"value": bare, "at": at}), buffers


def _part_found(value: object) -> NoReturn:
    if isinstance(value, _BINARY) or _is_array(value):
        raise _HasParts
    raise TypeError(f"{type(value).__name__} is neither JSON nor a buffer")


def _is_array(value: object) -> bool:
    # numpy is optional and slow to import: nobody can have made an array without it.
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _has_array(value: object) -> bool:
    # JSON would write an array as a list of numbers, a hundred times slower than its bytes.
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return False
    pending: list[Any] = [value]
    seen: set[int] = set()
    for item in pending:  # which grows on the way
        if type(item) in _PLAIN:
            continue
        if isinstance(item, dict):
            below: Any = item.values()
        elif isinstance(item, _SEQUENCE):
            below = item
        elif isinstance(item, numpy.ndarray):
            return True
        else:
            continue
        # A value that contains itself is for the encoder to refuse.
        if id(item) not in seen:
            seen.add(id(item))
            pending.extend(below)
    return False


def _take_parts(value: Any, path: list[Any], buffers: list[Buffer], at: list[list[Any]]) -> Any:
    if len(path) > MAX_DEPTH:
        raise ValueError(f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {key: _take_parts(item, [*path, key], buffers, at) for key, item in value.items()}
    if isinstance(value, _SEQUENCE):
        return [_take_parts(item, [*path, index], buffers, at) for index, item in enumerate(value)]
    if isinstance(value, _BINARY):
        view = memoryview(value)
        buffers.append(value if view.contiguous and view.format == "B" else bytes(view))
        at.append([path, "memoryview" if isinstance(value, memoryview) else "bytes"])
    elif _is_array(value):
        _take_array(value, path, buffers, at)
    else:
        return value
    if len(at) > MAX_PARTS:
        raise ValueError(f"a value with more than {MAX_PARTS} binary parts")
    return None


def _take_array(value: Any, path: list[Any], buffers: list[Buffer], at: list[list[Any]]) -> None:
    dtype = value.dtype.str
    try:
        _dtype(dtype)
    except FrameError:
        raise ValueError(
            f"an array of dtype {value.dtype} cannot be sent: numbers, booleans and times can"
        ) from None
    buffers.append(_bytes_of(value))
    at.append([path, "ndarray", dtype, list(value.shape)])


def _bytes_of(array: Any) -> memoryview:
    try:
        return memoryview(array).cast("B")
    except (TypeError, ValueError):
        # Not in the order of C, empty, or of a type that memoryview does not know.
        numpy = sys.modules["numpy"]
        return memoryview(numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8))


def unpack(body: Buffer, attachments: Sequence[memoryview]) -> Any:
    """Decode what `pack` encoded.

    Raises:
        FrameError: the body does not fit the attachments.
        JSONDecodeError: the body is not JSON.
    """
    document = json.loads(body)
    if not attachments:
        return document
    if not isinstance(document, dict) or not isinstance(document.get("at"), list):
        raise FrameError("attachments without a list of where they belong")
    at = document["at"]
    if len(at) != len(attachments):
        raise FrameError(f"{len(attachments)} attachments for {len(at)} places")
    root: list[Any] = [document.get("value")]
    for place, buffer in zip(at, attachments, strict=True):
        if not isinstance(place, list) or len(place) < 2 or not isinstance(place[0], list):
            raise FrameError("an attachment whose place cannot be read")
        _put(root, place[0], _part(place, buffer))
    return root[0]


def _put(root: list[Any], path: list[Any], part: object) -> None:
    container: Any = root
    key: Any = 0
    for step in path:
        container, key = _step(container, key), step
    _step(container, key, vacant=True)
    container[key] = part


def _step(container: Any, key: Any, vacant: bool = False) -> Any:
    holder: Any = container
    fits = (isinstance(container, dict) and isinstance(key, str) and key in container) or (
        isinstance(container, list) and type(key) is int and 0 <= key < len(container)
    )
    if not fits or (vacant and holder[key] is not None):
        raise FrameError("an attachment whose place is not in the value")
    return holder[key]


def _part(place: list[Any], buffer: memoryview) -> object:
    kind = place[1]
    if kind == "bytes":
        return bytes(buffer)
    if kind == "memoryview":
        return buffer
    if kind == "ndarray" and len(place) == 4:
        return _array(place[2], place[3], buffer)
    raise FrameError(f"an attachment of unknown kind {kind!r}")


def _array(dtype_text: object, shape: object, buffer: memoryview) -> object:
    if not isinstance(dtype_text, str):
        raise FrameError(f"an array of dtype {dtype_text!r} is not accepted")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise FrameError("an array without a proper shape")
    dtype = _dtype(dtype_text)
    if math.prod(shape) * dtype.itemsize != buffer.nbytes:
        raise FrameError(
            f"an array of shape {shape} and dtype {dtype_text} does not have {buffer.nbytes} bytes"
        )
    flat = sys.modules["numpy"].frombuffer(buffer, dtype)
    return flat if len(shape) == 1 else flat.reshape(shape)


@lru_cache(maxsize=64)
def _dtype(text: str) -> Any:
    """The type of an array's items, one of those that can travel."""
    if not _DTYPE.fullmatch(text):
        raise FrameError(f"an array of dtype {text!r} is not accepted")
    try:
        import numpy as np
    except ImportError:
        raise FrameError("an array arrived and numpy is not installed: pip install numpy") from None
    try:
        return np.dtype(text)
    except TypeError as error:
        raise FrameError(f"an array of dtype {text!r} is not accepted") from error
