"""The codec in use: the fastest tier that works here, chosen once at import.

`AISYS_JSON=native|orjson|stdlib` forces a tier, for comparing them and for ruling one out. The tiers accept,
refuse and mean the same; only speed and the way exponents of floats are spelt (`1e16`, `1e+16`) differ.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast, overload

from aisys.build import record_json_tier
from aisys.json.raw import Raw
from aisys.json.reading import Text
from aisys.json.writing import Default

Tier = Literal["native", "orjson", "stdlib"]
_TIERS: Final[tuple[Tier, ...]] = ("native", "orjson", "stdlib")


class Codec(Protocol):
    """What a tier's module offers; the functions below document it."""

    NAME: str
    dumps: Any
    dumps_str: Any
    loads: Any
    get: Any
    get_many: Any
    loads_array: Any
    canonical: Any


def open_tier(name: str) -> Codec:
    """The module of a tier.

    Raises:
        ImportError: the tier does not work here.
        ValueError: there is no tier of that name.
    """
    if name not in _TIERS:
        raise ValueError(f"AISYS_JSON names a JSON tier, one of {', '.join(_TIERS)}: not {name!r}")
    try:
        return cast("Codec", importlib.import_module(f"aisys.json.tier_{name}"))
    except AttributeError as error:
        raise ImportError(f"the extension was built without a JSON codec: {error}") from error


def _choose() -> Codec:
    forced = os.environ.get("AISYS_JSON")
    if forced:
        return open_tier(forced)
    for name in _TIERS[:-1]:
        try:
            return open_tier(name)
        except ImportError:
            continue
    return open_tier(_TIERS[-1])


_codec: Final = _choose()
record_json_tier(_codec.NAME)


def tier() -> Tier:
    """The tier in use."""
    return cast("Tier", _codec.NAME)


if TYPE_CHECKING:

    def dumps(value: object, *, default: Default | None = None, sort_keys: bool = False) -> bytes:
        """The value as JSON text in UTF-8, without spaces.

        Takes str, int of 64 bits, finite float, bool, None, list, tuple, dict with str keys, and what has one
        obvious JSON form: dataclasses, enums (their value), datetime, date and time (RFC 3339), UUID and Decimal
        (as strings), pydantic models, numpy numbers and arrays, and `Raw` (checked, then copied).

        Args:
            value: what to write.
            default: called with a value that has no JSON form; its result is written instead.
            sort_keys: write the members of objects in the order of their keys' code points.

        Raises:
            JSONEncodeError: the value, or something in it, has no JSON form; `pointer` tells where.
        """
        ...

    def dumps_str(value: object, *, default: Default | None = None, sort_keys: bool = False) -> str:
        """As `dumps`, but a str."""
        ...

    def loads(data: Text) -> Any:
        """The value of a JSON text, by RFC 8259 to the letter.

        Of members with the same name the last counts. Refused are NaN and infinities, numbers that overflow a
        double, escapes of lone surrogates, invalid UTF-8 and a byte order mark, nesting deeper than 512 and
        integers of more than 4300 digits.

        Raises:
            JSONDecodeError: not such a text.
            TypeError: neither bytes-like nor str.
        """

    @overload
    def get(buffer: Text, pointer: str, *, raw: Literal[True]) -> Raw: ...
    @overload
    def get(buffer: Text, pointer: str, *, default: object = ..., raw: bool = False) -> Any: ...
    def get(buffer: Text, pointer: str, *, default: object = ..., raw: bool = False) -> Any:
        """The value at a JSON pointer (RFC 6901), decoding nothing else.

        For a valid document it is what `loads` would have put there. What lies beside the way is skipped by its
        strings and brackets and not checked further.

        Args:
            buffer: the JSON text.
            pointer: such as `/body/text` or `/items/0`; empty for the whole document.
            default: the result if there is no such value, instead of an error.
            raw: give the value's text as `Raw` instead of decoding it.

        Raises:
            JSONPointerError: there is no such value and no default.
            JSONDecodeError: the text on the way is not JSON.
            ValueError: not a JSON pointer.
        """

    def get_many(buffer: Text, *pointers: str, raw: bool = False) -> tuple[Any, ...]:
        """The values at several pointers, as `get` finds each.

        Raises:
            JSONPointerError: one of them has no value.
            JSONDecodeError: the text on the way is not JSON.
            ValueError: not a JSON pointer.
        """
        ...

    def loads_array(buffer: Text, pointer: str = "", dtype: str = "float32") -> Any:
        """The array of numbers at a pointer as a numpy array; nested arrays of equal lengths give more dimensions.

        Args:
            buffer: the JSON text.
            pointer: where the array is; empty for the whole document.
            dtype: `float32`, `float64`, or `int8` to `int64`, `uint8` to `uint64`.

        Raises:
            JSONDecodeError: not an array of numbers that the dtype can hold.
            JSONPointerError: there is no such value.
            ValueError: an unknown dtype, or more dimensions than numpy has (64).
            ImportError: numpy is not installed.
        """

    def canonical(value: object) -> bytes:
        """The one canonical text of a value (RFC 8785), for hashing and signing.

        Raises:
            JSONEncodeError: no JSON form, `Raw`, or an integer whose digits a double would not keep.
        """
        ...

else:
    # The functions themselves, not wrappers: a call of the native tier goes straight into the extension.
    dumps = _codec.dumps
    dumps_str = _codec.dumps_str
    loads = _codec.loads
    get = _codec.get
    get_many = _codec.get_many
    loads_array = _codec.loads_array
    canonical = _codec.canonical
