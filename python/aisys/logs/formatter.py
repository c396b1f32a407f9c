"""How a record is written: one JSON object a line, or a line for people."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from typing import Any

from aisys.logs.logger import FIELDS_ATTRIBUTE
from aisys.logs.redaction import redact, redact_text

_context: Callable[[], dict[str, Any]] = dict


def set_context(provider: Callable[[], dict[str, Any]]) -> None:
    """Add fields to every line that only the moment of logging knows, such as the trace.

    Args:
        provider: called for each line; must be quick and must not log.
    """
    global _context
    _context = provider


def record_fields(record: logging.LogRecord, static: dict[str, Any]) -> dict[str, Any]:
    """A record as JSON-like values, secrets taken out."""
    when = dt.datetime.fromtimestamp(record.created, dt.UTC)
    entry: dict[str, Any] = {
        "ts": when.isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": redact_text(record.getMessage()),
        **static,
    }
    entry.update(_context())
    for key, value in redact(getattr(record, FIELDS_ATTRIBUTE, {})).items():
        entry[f"{key}_" if key in ("ts", "level", "logger", "event") else key] = value
    if record.exc_info and record.exc_info[0] is not None:
        entry["error_type"] = record.exc_info[0].__name__
        entry["traceback"] = redact_text(logging.Formatter().formatException(record.exc_info))
    return entry


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Args:
        static: fields of every line: agent, machine, host.
    """

    def __init__(self, static: dict[str, Any]) -> None:
        super().__init__()
        self._static = static

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        entry = record_fields(record, self._static)
        try:
            return json.dumps(entry, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ValueError:
            # A float that JSON lacks must not cost the line.
            return json.dumps({key: str(value) for key, value in entry.items()})


class TextFormatter(logging.Formatter):
    """One line for people, a traceback below it.

    Args:
        static: fields of every line; only the agent is shown.
    """

    def __init__(self, static: dict[str, Any]) -> None:
        super().__init__()
        self._static = static

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        entry = record_fields(record, self._static)
        traceback = entry.pop("traceback", "")
        shown = {"ts", "level", "logger", "event", "machine", "host", "trace_id"}
        rest = " ".join(f"{key}={value}" for key, value in entry.items() if key not in shown)
        line = f"{entry['ts'][11:23]} {entry['level']:<7} {entry['event']} {rest}".rstrip()
        return f"{line}\n{traceback}" if traceback else line
