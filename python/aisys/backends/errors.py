"""What can go wrong in a store, apart from the outcomes that every call shares."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors import AisysError


class BackendError(AisysError):
    """A store that could not do what it was asked."""

    code: ClassVar[str] = "backend_error"


class WrongKind(BackendError):
    """The key holds something else: a list, or a value that is not a number."""

    code: ClassVar[str] = "wrong_kind"


class CorruptStore(BackendError):
    """A file of a store is damaged or is not of this kind; nothing in it was changed.

    Attributes:
        path: the file.
        detail: what SQLite says about it.
    """

    code: ClassVar[str] = "corrupt_store"
    fields: ClassVar[tuple[str, ...]] = ("path", "detail")

    def __init__(self, path: str, detail: str, remedy: str) -> None:
        super().__init__(f"{path}: {detail}. {remedy}")
        self.path = path
        self.detail = detail
