"""numpy arrays from decoded lists, for the tiers without a direct decoder."""

from __future__ import annotations

from typing import Any, Final

from aisys.json.errors import JSONDecodeError

DTYPES: Final = frozenset(
    {"float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
)
_DOUBLE: Final = "float64"


def check_dtype(dtype: str) -> str:
    """The dtype's name.

    Raises:
        ValueError: not one that arrays of JSON numbers are decoded to.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not one of {', '.join(sorted(DTYPES))}")
    return dtype


def array_of(value: Any, dtype: str) -> Any:
    """A numpy array of nested lists of numbers.

    Raises:
        JSONDecodeError: not an array of numbers, ragged, or a number that the dtype cannot hold.
        ValueError: an unknown dtype.
    """
    import numpy as np  # numpy is optional: whoever asks for an array has it

    check_dtype(dtype)
    if not isinstance(value, list):
        raise JSONDecodeError(f"an array of numbers is needed, not {type(value).__name__}")
    shape: list[int] = []
    level: Any = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    flat: list[int | float] = []
    _flatten(value, shape, 0, flat)
    whole = not dtype.startswith("float")
    for number in flat:
        if whole and not isinstance(number, int):
            raise JSONDecodeError(
                f"the number {number!r} is not an integer, as dtype {dtype} needs"
            )
    try:
        array = np.array(flat, dtype=dtype if whole else _DOUBLE)
    except OverflowError as error:
        raise JSONDecodeError(f"a number does not fit dtype {dtype}") from error
    if not whole:
        with np.errstate(over="ignore"):
            array = array.astype(dtype)
        if not np.isfinite(array).all():
            raise JSONDecodeError(f"a number does not fit dtype {dtype}")
    return array.reshape(shape)


def _flatten(value: list[Any], shape: list[int], depth: int, flat: list[int | float]) -> None:
    if len(value) != shape[depth]:
        raise JSONDecodeError("the arrays inside have different lengths")
    if depth + 1 < len(shape):
        for item in value:
            if not isinstance(item, list):
                raise JSONDecodeError("numbers and arrays are mixed")
            _flatten(item, shape, depth + 1, flat)
        return
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise JSONDecodeError(f"an array of numbers is needed, not of {type(item).__name__}")
    flat.extend(value)
