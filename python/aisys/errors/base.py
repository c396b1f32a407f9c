"""The root of the exception tree and the catalogue of codes."""

from __future__ import annotations

from typing import Any, ClassVar, Self

_classes: dict[str, type[AisysError]] = {}


class AisysError(Exception):
    """Something that aisys can name.

    Subclasses set `code` (stable, snake_case, unique), `retryable` (whether the same call may be made again
    without risk) and `fields` (the attributes that travel with the error to another process).
    """

    code: ClassVar[str] = "aisys_error"
    retryable: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        code = cls.__dict__.get("code")
        if code is None:
            return
        known = _classes.get(code)
        if known is not None and (known.__module__, known.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise TypeError(
                f"error code {code!r} of {cls.__qualname__} is taken by {known.__qualname__}: choose another"
            )
        _classes[code] = cls

    def to_wire(self) -> dict[str, Any]:
        """The fields that travel, as JSON-like values."""
        return {name: getattr(self, name, None) for name in self.fields}

    @classmethod
    def from_wire(cls, message: str, fields: dict[str, Any]) -> Self:
        """Rebuild the error from what `to_wire` gave, without running a subclass's constructor."""
        error = cls.__new__(cls, message)
        error.args = (message,)
        for name in cls.fields:
            setattr(error, name, fields.get(name))
        return error


_classes["aisys_error"] = AisysError


def error_class(code: str) -> type[AisysError] | None:
    """The class registered for a code, or None: classes come from code that was imported, never from data."""
    return _classes.get(code)


def error_codes() -> dict[str, type[AisysError]]:
    """Every registered code with its class."""
    return dict(_classes)
