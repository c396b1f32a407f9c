"""What can go wrong with JSON text, the same for every tier."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors import AisysError


class JSONDecodeError(AisysError, ValueError):
    """The text is not JSON, or breaks a documented limit.

    Attributes:
        line: line of the problem, from 1.
        column: column of the problem in characters, from 1.
        offset: position of the problem in bytes of UTF-8, from 0.
    """

    code: ClassVar[str] = "json_decode_error"
    fields: ClassVar[tuple[str, ...]] = ("line", "column", "offset")

    def __init__(self, message: str, *, line: int = 1, column: int = 1, offset: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.offset = offset


class JSONEncodeError(AisysError, TypeError):
    """The value has no JSON form.

    Attributes:
        pointer: JSON pointer of the offending value inside the value that was dumped; empty for the value itself.
    """

    code: ClassVar[str] = "json_encode_error"
    fields: ClassVar[tuple[str, ...]] = ("pointer",)

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class JSONPointerError(AisysError, LookupError):
    """The pointer leads to nothing in this document.

    Attributes:
        pointer: the pointer as given.
    """

    code: ClassVar[str] = "json_pointer_error"
    fields: ClassVar[tuple[str, ...]] = ("pointer",)

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


def decode_error(problem: str, text: str, position: int) -> JSONDecodeError:
    """The error for a problem at a character position of a text."""
    before = text[:position]
    line = before.count("\n") + 1
    column = position - (before.rfind("\n") + 1) + 1
    offset = len(before.encode("utf-8", "surrogatepass"))
    message = f"{problem}: line {line} column {column} (byte {offset})"
    return JSONDecodeError(message, line=line, column=column, offset=offset)
