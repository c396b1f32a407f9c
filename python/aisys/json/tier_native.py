"""The JSON codec in Rust: the extension's functions under the names that every tier has."""

from __future__ import annotations

from typing import Final

from aisys import _native
from aisys.json.convert import NOT_PLAIN, plain
from aisys.json.errors import JSONDecodeError, JSONEncodeError, JSONPointerError
from aisys.json.raw import Raw

NAME: Final = "native"

_native.json_setup(plain, NOT_PLAIN, Raw, JSONDecodeError, JSONEncodeError, JSONPointerError)

loads = _native.json_loads
dumps = _native.json_dumps
dumps_str = _native.json_dumps_str
get = _native.json_get
get_many = _native.json_get_many
loads_array = _native.json_loads_array
canonical = _native.json_canonical
