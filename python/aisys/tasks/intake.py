"""What is checked before a task is accepted, and before a process owns a store."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from aisys import json
from aisys.backends import BackendError
from aisys.errors import Refused
from aisys.tasks import records
from aisys.tasks.model import MAX_PRIORITY

MAX_ID_BYTES: Final = 200


def new_task(
    name: str,
    payload: Mapping[str, Any],
    task_id: str,
    priority: int,
    max_attempts: int,
    max_payload_bytes: int,
) -> records.NewTask:
    """The task as it is stored.

    Raises:
        Refused: `bad_argument` or `too_large`.
        JSONEncodeError: the payload is not JSON.
    """
    if not name or not task_id or len(task_id.encode()) > MAX_ID_BYTES:
        raise Refused(
            f"a task needs a name, and an id of at most {MAX_ID_BYTES} bytes",
            reason="bad_argument",
        )
    if not 0 <= priority <= MAX_PRIORITY or max_attempts < 1:
        raise Refused(
            f"priority must be 0 to {MAX_PRIORITY} and max_attempts at least 1, "
            f"not {priority} and {max_attempts}",
            reason="bad_argument",
        )
    data = json.canonical(dict(payload))
    if len(data) > max_payload_bytes:
        raise Refused(
            f"the payload has {len(data)} bytes; the limit is {max_payload_bytes}: "
            "store it and send its key",
            reason="too_large",
        )
    digest = records.digest_of(name, data)
    return records.NewTask(task_id, name, data, digest, priority, max_attempts)


def check_room(db: sqlite3.Connection, size: int, max_tasks: int, max_bytes: int) -> None:
    """Go on only if one more task of `size` bytes fits.

    Raises:
        Refused: `full`.
    """
    active, total = records.load(db)
    if active >= max_tasks or total + size > max_bytes:
        raise Refused(
            f"the task store is full: {active} of {max_tasks} tasks, "
            f"{total} of {max_bytes} bytes: run or discard some",
            reason="full",
        )


def due_time(now: float, delay_s: float, eta: datetime | float | None) -> float:
    """When a task becomes ready, seconds since the epoch; 0 when at once.

    Raises:
        Refused: `bad_argument`: the eta has no time zone.
    """
    if eta is None:
        return now + delay_s if delay_s > 0 else 0.0
    if isinstance(eta, datetime):
        if eta.tzinfo is None:
            raise Refused("eta needs a time zone: use datetime.now(UTC)", reason="bad_argument")
        eta = eta.timestamp()
    return eta + max(0.0, delay_s)


def lock_file(path: Path) -> int:
    """Take the lock of a store for as long as the returned descriptor is open.

    Raises:
        BackendError: another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise BackendError(
            f"{path}: the process {owner} owns this task store; only one can"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
