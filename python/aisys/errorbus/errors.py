"""What can go wrong on the error bus itself; never raised by `Reporter.report`."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors import AisysError


class ErrorBusError(AisysError):
    """The spool or the collector cannot do what it was asked."""

    code: ClassVar[str] = "errorbus_error"
