"""A logger that takes fields: `log.info("stored", fact_id=3)`."""

from __future__ import annotations

import logging
from typing import Any

FIELDS_ATTRIBUTE = "aisys_fields"


class Logger:
    """Writes events with fields through the standard `logging` package.

    Args:
        logger: where records go.
        fields: fields of every record, for example `agent`.
    """

    __slots__ = ("_fields", "_logger", "isEnabledFor")

    def __init__(self, logger: logging.Logger, fields: dict[str, Any] | None = None) -> None:
        self._logger = logger
        self._fields = fields or {}
        self.isEnabledFor = logger.isEnabledFor

    @property
    def name(self) -> str:
        """The name of the logger."""
        return self._logger.name

    def bind(self, **fields: Any) -> Logger:
        """A logger that adds fields to every record."""
        return Logger(self._logger, {**self._fields, **fields})

    def debug(self, event: str, /, **fields: Any) -> None:
        """Log what only a developer wants to know."""
        if self.isEnabledFor(logging.DEBUG):
            self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """Log what an operator may want to know."""
        if self.isEnabledFor(logging.INFO):
            self._emit(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Log what may need attention."""
        if self.isEnabledFor(logging.WARNING):
            self._emit(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Log what went wrong."""
        if self.isEnabledFor(logging.ERROR):
            self._emit(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: Any) -> None:
        """Log what went wrong, with the traceback of the exception being handled."""
        if self.isEnabledFor(logging.ERROR):
            self._emit(logging.ERROR, event, {"exc_info": True, **fields})

    def _emit(self, level: int, event: str, fields: dict[str, Any]) -> None:
        error = fields.pop("exc_info", None)
        self._logger.log(
            level,
            "%s",
            event,
            exc_info=error,
            extra={FIELDS_ATTRIBUTE: {**self._fields, **fields}},
            stacklevel=3,
        )


def get_logger(name: str, **fields: Any) -> Logger:
    """The logger of a name, with fields for every record.

    Args:
        name: dotted, usually `__name__` or `agent.<Name>`.
        fields: fields of every record.
    """
    return Logger(logging.getLogger(name), fields)
