"""The reader in Python: the standard library's, held to the rules that it leaves open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, NoReturn

from aisys.json.errors import decode_error
from aisys.json.limits import MAX_DEPTH, MAX_INT_DIGITS

Text = bytes | bytearray | memoryview | str

_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class _Refused(Exception):
    """A number that is well-formed but cannot be kept."""

    def __init__(self, problem: str, token: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.token = token


def text_of(data: Text) -> str:
    """The text of a document.

    Raises:
        JSONDecodeError: not UTF-8, or a str with lone surrogates.
        TypeError: neither bytes-like nor str.
    """
    if isinstance(data, str):
        try:
            data.encode()
        except UnicodeEncodeError as error:
            raise decode_error("the str holds a lone surrogate", data, error.start) from None
        return data
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(
            f"JSON text is bytes, bytearray, memoryview or str, not {type(data).__name__}"
        )
    if isinstance(data, memoryview):
        data = data.tobytes()  # it may be strided, which `str` does not take
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode()
        raise decode_error("invalid UTF-8", good, len(good)) from None


def read(data: Text) -> Any:
    """The value of a JSON text.

    Raises:
        JSONDecodeError: not JSON, or beyond a limit.
        TypeError: neither bytes-like nor str.
    """
    return read_text(text_of(data))


def read_text(text: str) -> Any:
    """The value of a JSON text that is known to be valid Unicode."""
    check_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise decode_error(error.msg[:1].lower() + error.msg[1:], text, error.pos) from None
    except _Refused as error:
        raise decode_error(error.problem, text, _position(text, error.token)) from None
    except RecursionError:
        raise decode_error("nested too deep for the call stack", text, 0) from None
    check_surrogates(text)
    return value


def check_depth(text: str) -> None:
    """Refuse arrays and objects nested deeper than the limit."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise decode_error(f"nested deeper than {MAX_DEPTH} levels", text, match.start())
        elif bracket in "]}":
            depth -= 1


def check_surrogates(text: str) -> None:
    """Refuse escapes of lone surrogates in a valid text, where backslashes occur in strings only."""
    if "\\u" not in text:
        return
    for match in _ESCAPE.finditer(text):
        if match[1]:
            raise decode_error("escape of a lone surrogate", text, match.start())


def _parse_float(token: str) -> float:
    value = float(token)
    if not isfinite(value):
        raise _Refused("the number is too large for a double", token)
    return value


def _parse_int(token: str) -> int:
    if len(token) > MAX_INT_DIGITS and len(token.removeprefix("-")) > MAX_INT_DIGITS:
        raise _Refused(f"the integer has more than {MAX_INT_DIGITS} digits", token)
    return int(token)


def _parse_constant(token: str) -> NoReturn:
    raise _Refused(f"{token} is not JSON", token)


def _position(text: str, token: str) -> int:
    """Where a refused token stands outside strings."""
    for start, end in _gaps(text):
        found = text.find(token, start, end)
        if found >= 0:
            return found
    return 0


def _gaps(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of a text between its strings."""
    start = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0][0] == '"':
            yield start, match.start()
            start = match.end()
    yield start, len(text)


_DECODER: Final = json.JSONDecoder(
    parse_float=_parse_float, parse_int=_parse_int, parse_constant=_parse_constant
)
