"""JSON pointers (RFC 6901), and finding their target in a text without the native codec."""

from __future__ import annotations

from collections.abc import Iterator
from json import decoder
from typing import Any, Final

from aisys.json.errors import JSONPointerError

_DECODER: Final = decoder.JSONDecoder()
# Public by its use in the documented `json.decoder`, but missing from its stub.
_scan_string: Final[Any] = vars(decoder)["scanstring"]
_MAX_INDEX_DIGITS: Final = 19
_WHITESPACE: Final = " \t\n\r"


def pointer_tokens(pointer: str) -> list[str]:
    """The keys and indexes of a pointer, unescaped.

    Raises:
        ValueError: not a JSON pointer.
    """
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError(f"a JSON pointer is empty or starts with '/': {pointer!r}")
    return [_unescape(token, pointer) for token in pointer[1:].split("/")]


def _unescape(token: str, pointer: str) -> str:
    if "~" not in token:
        return token
    if token.replace("~0", "").replace("~1", "").find("~") >= 0:
        raise ValueError(f"in a JSON pointer '~' is written '~0' and '/' '~1': {pointer!r}")
    return token.replace("~1", "/").replace("~0", "~")


def missing(pointer: str) -> JSONPointerError:
    """The error for a pointer that leads nowhere."""
    return JSONPointerError(f"no value at {pointer!r}", pointer=pointer)


def array_index(token: str) -> int | None:
    """The index a token stands for, or None if it is none (`01`, `-`, `x`)."""
    if not token.isascii() or not token.isdecimal() or len(token) > _MAX_INDEX_DIGITS:
        return None
    return int(token) if token[0] != "0" or len(token) == 1 else None


def find_span(text: str, pointer: str) -> tuple[int, int]:
    """Start and end, in characters, of a pointer's value in a valid JSON text.

    Raises:
        JSONPointerError: there is no such value.
        ValueError: not a JSON pointer.
    """
    start = _skip(text, 0)
    for token in pointer_tokens(pointer):
        opener = text[start : start + 1]
        if opener == "{":
            found = _find_member(text, start, token)
        elif opener == "[":
            found = _find_item(text, start, array_index(token))
        else:
            found = None
        if found is None:
            raise missing(pointer)
        start = found
    return start, _end(text, start)


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in _WHITESPACE and position < len(text):
        position += 1
    return position


def _end(text: str, start: int) -> int:
    return _DECODER.raw_decode(text, start)[1]


def _find_member(text: str, start: int, key: str) -> int | None:
    """The value of the last member of that name, as `loads` would keep it."""
    found = None
    for name, value in _members(text, start):
        if name == key:
            found = value
    return found


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    position = _skip(text, start + 1)
    while text[position] != "}":
        if text[position] == ",":
            position = _skip(text, position + 1)
        name, position = _scan_string(text, position + 1)
        value = _skip(text, _skip(text, position) + 1)
        yield name, value
        position = _skip(text, _end(text, value))


def _find_item(text: str, start: int, index: int | None) -> int | None:
    if index is None:
        return None
    position = _skip(text, start + 1)
    count = 0
    while text[position] != "]":
        if text[position] == ",":
            position = _skip(text, position + 1)
        if count == index:
            return position
        position = _skip(text, _end(text, position))
        count += 1
    return None
