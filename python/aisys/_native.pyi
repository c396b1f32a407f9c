"""The Rust extension. Reached only through the face modules of each hot path."""

from collections.abc import Callable
from typing import Any

def build_facts() -> dict[str, str]: ...

# -- JSON: `aisys.json` is the face and documents these functions ------------------------------

def json_setup(
    plain: Callable[[Any], Any],
    not_plain: object,
    raw: type,
    decode_error: type[Exception],
    encode_error: type[Exception],
    pointer_error: type[Exception],
) -> None:
    """Hand over what lives on the Python side: called once by `aisys.json`."""

def json_loads(data: bytes | bytearray | memoryview | str, /) -> Any:
    """The value of a JSON text: see `aisys.json.loads`."""

def json_dumps(
    value: object, *, default: Callable[[Any], Any] | None = None, sort_keys: bool = False
) -> bytes:
    """The value as JSON text in UTF-8: see `aisys.json.dumps`."""

def json_dumps_str(
    value: object, *, default: Callable[[Any], Any] | None = None, sort_keys: bool = False
) -> str:
    """The value as JSON text: see `aisys.json.dumps_str`."""

def json_canonical(value: object) -> bytes:
    """The canonical text of a value: see `aisys.json.canonical`."""

def json_get(
    buffer: bytes | bytearray | memoryview | str,
    pointer: str,
    *,
    default: object = ...,
    raw: bool = False,
) -> Any:
    """The value at a JSON pointer: see `aisys.json.get`."""

def json_get_many(
    buffer: bytes | bytearray | memoryview | str, *pointers: str, raw: bool = False
) -> tuple[Any, ...]:
    """The values at several JSON pointers: see `aisys.json.get_many`."""

def json_loads_array(
    buffer: bytes | bytearray | memoryview | str, pointer: str = "", dtype: str = "float32"
) -> Any:
    """The array of numbers at a JSON pointer: see `aisys.json.loads_array`."""
