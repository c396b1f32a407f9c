"""Where the logs of a process go."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

from aisys.logs.formatter import JsonFormatter, TextFormatter

_HANDLER_NAME = "aisys"


def configure(
    level: str = "info",
    *,
    json: bool = True,
    stream: TextIO | None = None,
    **fields: Any,
) -> None:
    """Send the logs of this process to a stream; calling it again replaces the first set-up.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        json: one JSON object a line; else text for people.
        stream: where to; the standard error stream by default.
        fields: fields of every line: agent, machine, host.

    Raises:
        ValueError: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r}: use debug, info, warning or error")
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter(JsonFormatter(fields) if json else TextFormatter(fields))
    root = logging.getLogger()
    for known in list(root.handlers):
        if known.get_name() == _HANDLER_NAME:
            root.removeHandler(known)
    root.addHandler(handler)
    root.setLevel(number)
