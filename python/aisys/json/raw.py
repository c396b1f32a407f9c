"""JSON text that is carried along without being decoded."""

from __future__ import annotations

from typing import Final, final


@final
class Raw:
    """A piece of JSON text: `dumps` checks it and copies it in byte for byte; `get(..., raw=True)` returns one.

    Two fragments are equal when their bytes are equal: `Raw(b"1.0") != Raw(b"1")`.

    Attributes:
        data: the JSON text, UTF-8.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes | bytearray | memoryview | str) -> None:
        """Take the text; it is checked when it is dumped.

        Raises:
            TypeError: neither bytes-like nor str.
        """
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        elif not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"Raw takes JSON text as bytes or str, not {type(data).__name__}")
        self.data: Final = bytes(data)

    def __bytes__(self) -> bytes:
        return self.data

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raw) and self.data == other.data

    def __hash__(self) -> int:
        return hash((Raw, self.data))

    def __repr__(self) -> str:
        return f"Raw({self.data!r})"
