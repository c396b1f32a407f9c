"""A record of a machine's processes, so that leftovers of a supervisor that was killed can be found and ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from aisys import json
from aisys.supervision import os_process


class ProcessRecord:
    """Names processes by pid and start time: a pid alone may have been given to somebody else since."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, processes: Mapping[str, int]) -> None:
        """Record the present processes by name."""
        entries = {name: [pid, os_process.start_time(pid)] for name, pid in processes.items()}
        json.dump_file(self._path, entries)

    def read(self) -> dict[str, int]:
        """The recorded processes that still run, by name."""
        try:
            entries = json.load_file(self._path)
        except (FileNotFoundError, ValueError):
            return {}
        return {
            name: pid
            for name, (pid, started) in entries.items()
            if started is not None and os_process.is_running(pid, started)
        }

    def exists(self) -> bool:
        """Whether an earlier run left a record, as one that was killed does."""
        return self._path.exists()

    def end_leftovers(self) -> list[str]:
        """Kill what is left of an earlier run and return the names."""
        left = {name: pid for name, pid in self.read().items() if pid != os.getpid()}
        for pid in left.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return sorted(left)

    def remove(self) -> None:
        """Forget the record after a clean stop."""
        self._path.unlink(missing_ok=True)
