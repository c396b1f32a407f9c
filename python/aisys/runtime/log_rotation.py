"""Keeps log files bounded. The writers go on writing: they opened their file for appending."""

from __future__ import annotations

import shutil
from pathlib import Path

MAX_LOG_BYTES = 16 * 1024 * 1024


def rotate_logs(folder: Path, max_bytes: int = MAX_LOG_BYTES) -> list[Path]:
    """Copy every log over the limit to `<name>.1` and empty it; gives the files that were rotated.

    What is written between the copy and the cut is lost from the log; that is why it happens seldom, and why reports
    of errors have a store of their own.
    """
    rotated = []
    for path in folder.glob("*.log"):
        if path.stat().st_size > max_bytes:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            with path.open("r+b") as log:
                log.truncate(0)
            rotated.append(path)
    return rotated
