"""The writer in Python: the reference for what is accepted, how it looks, and which error is raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final

from aisys.json.convert import NOT_PLAIN, plain
from aisys.json.errors import JSONDecodeError, JSONEncodeError
from aisys.json.limits import (
    MAX_CANONICAL_INT,
    MAX_CONVERSIONS,
    MAX_DEPTH,
    MAX_EXACT_INT,
    MAX_INT,
    MIN_INT,
)
from aisys.json.raw import Raw

Default = Callable[[Any], Any]

_CONSTANTS: Final = {None: "null", True: "true", False: "false"}
_WRITTEN: Final = frozenset({str, type(None), bool, int, float, Raw, dict, list, tuple})
_HINTS: Final = {
    "bytes": "send it as an attachment or encode it as text",
    "set": "sets have no order: pass default=sorted or default=list",
    "frozenset": "sets have no order: pass default=sorted or default=list",
}


class _Container:
    """An array or object that is being written."""

    __slots__ = ("closer", "is_object", "items", "separator", "token")

    def __init__(self, items: Iterator[tuple[Any, Any]], opener: str, closer: str) -> None:
        self.items = items
        self.separator = opener
        self.closer = closer
        self.is_object = opener == "{"
        self.token: str | None = None


class Writer:
    """Writes one value as pieces of text.

    It keeps its own stack, so that the depth limit does not depend on how deep the caller stands.
    """

    def __init__(
        self, check_raw: Callable[[bytes], object], default: Default | None, *, sort_keys: bool
    ) -> None:
        self._pieces: list[str] = []
        self._open: list[_Container] = []
        self._check_raw = check_raw
        self._default = default
        self._sort_keys = sort_keys

    def text(self, value: Any) -> str:
        """The JSON text of the value.

        Raises:
            JSONEncodeError: it has none.
        """
        try:
            self._begin(value)
            while self._open:
                self._continue(self._open[-1])
        except JSONEncodeError as error:
            raise self._placed(error) from error.__cause__
        return "".join(self._pieces)

    def _placed(self, error: JSONEncodeError) -> JSONEncodeError:
        """The error with the pointer to where the writer stands."""
        tokens = [container.token for container in self._open if container.token is not None]
        if not tokens:
            return error
        escaped = [token.replace("~", "~0").replace("/", "~1") for token in tokens]
        pointer = "/" + "/".join(escaped).encode("utf-8", "replace").decode()
        return JSONEncodeError(f"{error} (at {pointer})", pointer=pointer)

    def _continue(self, container: _Container) -> None:
        for token, item in container.items:
            self._pieces.append(container.separator)
            container.separator = ","
            container.token = None
            if container.is_object:
                self._pieces.append(_string(token) + ":")
            container.token = str(token)
            self._begin(item)
            return
        empty = container.separator != ","
        self._pieces.append(container.separator + container.closer if empty else container.closer)
        self._open.pop()

    def _begin(self, value: Any) -> None:
        """Write a scalar, or open a container."""
        kind = type(value)
        if kind is str:
            self._pieces.append(_string(value))
        elif value is None or kind is bool:
            self._pieces.append(_CONSTANTS[value])
        elif kind is int:
            self._pieces.append(self._integer(value))
        elif kind is float:
            self._pieces.append(self._number(value))
        elif kind is Raw:
            self._pieces.append(self._raw(value))
        elif kind is dict or kind is list or kind is tuple:
            self._enter(value)
        else:
            self._begin(self._converted(value))

    def _enter(self, value: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise JSONEncodeError(
                f"nested deeper than {MAX_DEPTH} levels, or a value that contains itself"
            )
        if type(value) is dict:
            self._open.append(_Container(iter(self._ordered(value)), "{", "}"))
        else:
            self._open.append(_Container(iter(enumerate(value)), "[", "]"))

    def _ordered(self, value: dict[Any, Any]) -> list[tuple[str, Any]]:
        members = [(_key(key), item) for key, item in value.items()]
        if self._sort_keys:
            members.sort(key=self._sort_key)
        return members

    @staticmethod
    def _sort_key(member: tuple[str, Any]) -> Any:
        return member[0]

    def _raw(self, value: Raw) -> str:
        try:
            self._check_raw(value.data)
        except JSONDecodeError as error:
            raise JSONEncodeError(f"Raw holds text that is not JSON: {error}") from error
        return value.data.decode()

    def _converted(self, value: Any) -> Any:
        """What stands for a value of another type; its type is one that `_write` knows."""
        current = value
        for _ in range(MAX_CONVERSIONS):
            try:
                converted = plain(current)
            except ValueError as error:
                raise JSONEncodeError(str(error)) from error
            if converted is NOT_PLAIN:
                if self._default is None:
                    raise unsupported(current)
                converted = self._default(current)
            if type(converted) in _WRITTEN:
                return converted
            current = converted
        raise JSONEncodeError(
            f"default gave nothing that JSON can hold in {MAX_CONVERSIONS} calls for one value"
        )

    def _integer(self, value: int) -> str:
        if MIN_INT <= value <= MAX_INT:
            return int.__repr__(value)
        raise JSONEncodeError("the integer does not fit 64 bits: send it as a string")

    def _number(self, value: float) -> str:
        if isfinite(value):
            return float.__repr__(value)
        raise JSONEncodeError(f"JSON has no {value}: use None, or leave the member out")


class CanonicalWriter(Writer):
    """Writes RFC 8785 text: one value, one text."""

    def __init__(self, check_raw: Callable[[bytes], object]) -> None:
        super().__init__(check_raw, None, sort_keys=True)

    @staticmethod
    def _sort_key(member: tuple[str, Any]) -> Any:
        return member[0].encode("utf-16-be")

    def _raw(self, value: Raw) -> str:
        raise JSONEncodeError(f"Raw text ({len(value)} bytes) is not canonical: decode it first")

    def _integer(self, value: int) -> str:
        if abs(value) <= MAX_EXACT_INT:
            return int.__repr__(value)
        if abs(value) < MAX_CANONICAL_INT:
            text = int.__repr__(value)
            if text == ecmascript_number(float(value)):
                return text
        raise JSONEncodeError(
            "a double does not keep the integer's digits, so it has no canonical form: "
            "send it as a string"
        )

    def _number(self, value: float) -> str:
        return ecmascript_number(value) if isfinite(value) else super()._number(value)


def ecmascript_number(value: float) -> str:
    """A finite float as ECMAScript's Number::toString writes it."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent_text = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent_text or 0)  # digits before the decimal point
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


def unsupported(value: object) -> JSONEncodeError:
    """The error for a value without a JSON form."""
    name = type(value).__name__
    hint = _HINTS.get(name, "convert it, or pass default=")
    return JSONEncodeError(f"{name} has no JSON form: {hint}")


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    if isinstance(key, str):
        converted = plain(key)
        if isinstance(converted, str):
            return str.__str__(converted)
    raise JSONEncodeError(f"a JSON object has str keys, not {type(key).__name__} ({key!r:.80})")


def _string(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise JSONEncodeError(f"the str holds a lone surrogate at index {error.start}") from error
    return encode_basestring(value)
