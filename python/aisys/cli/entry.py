"""Where the `aisys` and `aisys-agent` commands begin: sound standard streams, and Ctrl-C at any moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

EXIT_INTERRUPTED = 130


def main() -> None:
    """The console script `aisys`."""
    _run(lambda: _import_main()())


def agent() -> None:
    """The console script `aisys-agent`."""
    _run(lambda: _import_agent()())


def _import_main() -> Callable[[], None]:
    from aisys.cli.main import main as command

    return command


def _import_agent() -> Callable[[], None]:
    from aisys.cli.agent_main import main as command

    return command


def _run(command: Callable[[], None]) -> None:
    try:
        _open_missing_streams()
        command()
    except KeyboardInterrupt:
        # Also while modules are being imported, where a traceback would say nothing to anybody.
        sys.exit(EXIT_INTERRUPTED)


def _open_missing_streams() -> None:
    """Give closed descriptors 0 to 2 to /dev/null: a socket that got one of them would be written to as output.

    A text that the terminal's encoding cannot show is escaped instead of failing the command.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - a descriptor, not a path
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
