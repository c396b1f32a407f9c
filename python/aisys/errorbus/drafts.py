"""Reports on their way from the code that failed to the spool's file."""

from __future__ import annotations

import reprlib
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aisys.errorbus.report import (
    MAX_CONTEXT,
    MAX_CONTEXT_TEXT,
    MAX_FIELD,
    MAX_MESSAGE,
    MAX_TRACEBACK,
    Report,
    cut,
)

MAX_FRAMES: Final = 40
reporting = threading.local()
"""`reporting.busy` is set in a thread while it makes or writes one: no report starts another."""

_WITHHELD: Final = "[withheld: redaction failed]"

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = MAX_CONTEXT_TEXT


@dataclass(frozen=True, slots=True)
class Draft:
    """A report without its number, and its traceback before it is text.

    Formatting a traceback reads source files, so it waits for the spool's thread.
    """

    report: Report
    trace: traceback.TracebackException | None


def capture(error: BaseException) -> traceback.TracebackException:
    """What is needed to format the traceback of `error` later, without holding its frames."""
    return traceback.TracebackException(
        type(error), error, error.__traceback__, limit=-MAX_FRAMES, lookup_lines=False, compact=True
    )


def finish(draft: Draft, redact: Callable[[str], str]) -> Report:
    """The report with its traceback as text, and every text of it redacted and bounded."""
    report = draft.report
    try:
        text = "" if draft.trace is None else "".join(draft.trace.format())
        return replace(
            report,
            message=_clean(report.message, redact, MAX_MESSAGE),
            impact=_clean(report.impact, redact, MAX_FIELD),
            traceback=_clean(text, redact, MAX_TRACEBACK),
            context={
                _clean(key, redact, MAX_FIELD): (
                    _clean(value, redact, MAX_CONTEXT_TEXT) if isinstance(value, str) else value
                )
                for key, value in report.context.items()
            },
        )
    except Exception:  # noqa: BLE001 - what cannot be redacted must not leave, but the fact must
        return replace(report, message=_WITHHELD, impact="", traceback="", context={})


def _clean(text: str, redact: Callable[[str], str], limit: int) -> str:
    # Lone surrogates come from undecodable file names; JSON has no place for them.
    return cut(redact(text.encode("utf-8", "backslashreplace").decode()), limit)


def safe_context(context: Mapping[str, Any] | None) -> dict[str, Any]:
    """A small copy that JSON can carry, whatever was given."""
    if not context:
        return {}
    copy: dict[str, Any] = {}
    for key, value in context.items():
        if len(copy) == MAX_CONTEXT:
            copy["..."] = f"{len(context) - MAX_CONTEXT} left out"
            break
        copy[str(key)[:MAX_FIELD]] = _safe_value(value)
    return copy


def _safe_value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, str):
        return value[:MAX_CONTEXT_TEXT]
    return _repr.repr(value)[:MAX_CONTEXT_TEXT]
