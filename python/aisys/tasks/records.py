"""The rows of the task file, and each change of a task as a function of a connection."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aisys import json
from aisys.backends.sqlite import Schema
from aisys.tasks.model import Claim, TaskInfo

MAX_DEATHS: Final = 3

SCHEMA: Final = Schema(
    kind="task",
    application_id=0x41495333,
    version=1,
    statements=(
        """CREATE TABLE tasks (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL,
            priority INTEGER NOT NULL, position INTEGER NOT NULL, payload BLOB, digest BLOB NOT
            NULL, attempts INTEGER NOT NULL DEFAULT 0, max_attempts INTEGER NOT NULL,
            deaths INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0,
            lease_until REAL NOT NULL DEFAULT 0, cancelling INTEGER NOT NULL DEFAULT 0,
            submitted REAL NOT NULL, due REAL NOT NULL, finished REAL NOT NULL DEFAULT 0,
            worker TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', result BLOB)""",
        # One small index for each question that is asked all the time.
        "CREATE INDEX tasks_ready ON tasks (name, priority, position) WHERE state = 'ready'",
        "CREATE INDEX tasks_delayed ON tasks (due) WHERE state = 'delayed'",
        "CREATE INDEX tasks_running ON tasks (lease_until) WHERE state = 'running'",
        "CREATE INDEX tasks_finished ON tasks (finished) WHERE state IN ('done', 'cancelled')",
        "CREATE INDEX tasks_dead ON tasks (finished) WHERE state = 'dead'",
        """CREATE TABLE owner (
            one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL,
            active INTEGER NOT NULL, bytes INTEGER NOT NULL)""",
        "INSERT INTO owner (one, epoch, active, bytes) VALUES (1, 0, 0, 0)",
    ),
)

_INFO: Final = (
    "id, name, state, priority, attempts, max_attempts, submitted, due, finished, worker, reason, "
    "payload, result"
)
_FREE: Final = "lease_until = 0, worker = ''"

Renewal = Literal["ok", "cancel", "stale"]


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task before it is stored."""

    id: str
    name: str
    payload: bytes
    digest: bytes
    priority: int
    max_attempts: int


def digest_of(name: str, payload: bytes) -> bytes:
    """What tells two tasks with the same id apart, and a damaged payload from a sound one."""
    return hashlib.sha256(name.encode() + b"\0" + payload).digest()


def find_digest(db: sqlite3.Connection, task_id: str) -> tuple[bytes, str] | None:
    """Digest and state of a task."""
    row: tuple[bytes, str] | None = db.execute(
        "SELECT digest, state FROM tasks WHERE id = ?", (task_id,)
    ).fetchone()
    return row


def load(db: sqlite3.Connection) -> tuple[int, int]:
    """How many tasks are active, and the bytes of their payloads."""
    row: tuple[int, int] = db.execute("SELECT active, bytes FROM owner").fetchone()
    return row


def _change_load(db: sqlite3.Connection, tasks: int, size: int) -> None:
    db.execute("UPDATE owner SET active = active + ?, bytes = bytes + ?", (tasks, size))


def insert(db: sqlite3.Connection, task: NewTask, due: float, position: int, now: float) -> None:
    """Store a new task."""
    db.execute(
        "INSERT INTO tasks (id, name, state, priority, position, payload, digest, max_attempts, "
        "submitted, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task.id,
            task.name,
            "delayed" if due > now else "ready",
            task.priority,
            position,
            task.payload,
            task.digest,
            task.max_attempts,
            now,
            due,
        ),
    )
    _change_load(db, 1, len(task.payload))


def take_over(db: sqlite3.Connection, now: float) -> int:
    """Begin a new epoch: whoever held a lease from the former owner holds it no longer."""
    release_lost(db, float("inf"), now, "its owner ended")
    db.execute("UPDATE owner SET epoch = epoch + 1")
    # Counted anew, so that an error in the sums cannot outlive a restart.
    db.execute(
        "UPDATE owner SET (active, bytes) = (SELECT count(*), coalesce(sum(length(payload)), 0) "
        "FROM tasks WHERE state IN ('delayed', 'ready', 'running', 'dead'))"
    )
    return int(db.execute("SELECT epoch FROM owner").fetchone()[0])


def release_lost(db: sqlite3.Connection, until: float, now: float, reason: str) -> int:
    """Give back the tasks whose lease ended by `until`; return how many there were.

    A task that lost its worker three times is taken for its murderer and becomes a dead letter.
    """
    rows = db.execute(
        "SELECT id, attempts, max_attempts, deaths, cancelling FROM tasks "
        "WHERE state = 'running' AND lease_until <= ?",
        (until,),
    ).fetchall()
    for task_id, attempts, max_attempts, deaths, cancelling in rows:
        db.execute("UPDATE tasks SET deaths = deaths + 1 WHERE id = ?", (task_id,))
        if cancelling:
            finish(db, task_id, "cancelled", now)
        elif deaths + 1 >= MAX_DEATHS:
            bury(db, task_id, f"poison: its worker was lost {deaths + 1} times: {reason}", now)
        elif attempts >= max_attempts:
            bury(db, task_id, f"attempts exhausted: {reason}", now)
        else:
            db.execute(
                f"UPDATE tasks SET state = 'ready', reason = ?, {_FREE} WHERE id = ?",  # noqa: S608
                (reason, task_id),
            )
    return len(rows)


def promote(db: sqlite3.Connection, now: float) -> None:
    """Delayed tasks whose time has come become ready."""
    db.execute("UPDATE tasks SET state = 'ready' WHERE state = 'delayed' AND due <= ?", (now,))


def best(db: sqlite3.Connection, names: Sequence[str], limit: int) -> list[str]:
    """The ids of the most urgent ready tasks, in the order in which they must be claimed."""
    found: list[tuple[int, int, str]] = []
    for name in names:
        found += db.execute(
            "SELECT priority, position, id FROM tasks WHERE state = 'ready' AND name = ? "
            "ORDER BY priority, position LIMIT ?",
            (name, limit),
        )
    return [task_id for _, _, task_id in sorted(found)[:limit]]


def claim(
    db: sqlite3.Connection,
    task_id: str,
    token: int,
    worker: str,
    lease: tuple[float, float],
    now: float,
) -> Claim | None:
    """Take a ready task; None if its payload is damaged, in which case it is a dead letter now.

    Args:
        db: the file.
        task_id: a task that is ready.
        token: higher than any before.
        worker: who takes it.
        lease: its length in seconds, and the monotonic time of its end.
        now: seconds since the epoch.
    """
    name, payload, digest, priority, attempts, max_attempts = db.execute(
        "UPDATE tasks SET state = 'running', attempts = attempts + 1, token = ?, worker = ?, "
        "lease_until = ? WHERE id = ? "
        "RETURNING name, payload, digest, priority, attempts, max_attempts",
        (token, worker, lease[1], task_id),
    ).fetchone()
    if not isinstance(payload, bytes) or digest_of(name, payload) != digest:
        bury(db, task_id, "corrupt: its payload is not what was submitted", now)
        return None
    return Claim(
        id=task_id,
        name=name,
        payload=json.loads(payload),
        priority=priority,
        attempt=attempts,
        max_attempts=max_attempts,
        token=token,
        lease_s=lease[0],
    )


def is_current(db: sqlite3.Connection, claim: Claim) -> bool:
    """Whether this claim still holds its task."""
    row = db.execute("SELECT state, token FROM tasks WHERE id = ?", (claim.id,)).fetchone()
    return bool(row == ("running", claim.token))


def renew(db: sqlite3.Connection, claim: Claim, lease_until: float) -> Renewal:
    """Extend a lease; say whether the task is to be cancelled, or was lost."""
    row = db.execute(
        "UPDATE tasks SET lease_until = ? WHERE id = ? AND state = 'running' AND token = ? "
        "RETURNING cancelling",
        (lease_until, claim.id, claim.token),
    ).fetchone()
    if row is None:
        return "stale"
    return "cancel" if row[0] else "ok"


def is_cancelling(db: sqlite3.Connection, task_id: str) -> bool:
    """Whether somebody asked for a running task to stop."""
    row = db.execute("SELECT cancelling FROM tasks WHERE id = ?", (task_id,)).fetchone()
    return bool(row and row[0])


def mark_cancelling(db: sqlite3.Connection, task_id: str) -> None:
    """Ask for a running task to stop."""
    db.execute("UPDATE tasks SET cancelling = 1 WHERE id = ?", (task_id,))


def finish(
    db: sqlite3.Connection, task_id: str, state: str, now: float, result: bytes | None = None
) -> None:
    """The task is over: keep its id and result, not its payload."""
    size = db.execute("SELECT length(payload) FROM tasks WHERE id = ?", (task_id,)).fetchone()[0]
    db.execute(
        "UPDATE tasks SET state = ?, finished = ?, result = ?, payload = NULL, lease_until = 0 "
        "WHERE id = ?",
        (state, now, result, task_id),
    )
    _change_load(db, -1, -(size or 0))


def bury(db: sqlite3.Connection, task_id: str, reason: str, now: float) -> None:
    """Make the task a dead letter."""
    db.execute(
        "UPDATE tasks SET state = 'dead', finished = ?, reason = ?, lease_until = 0 WHERE id = ?",
        (now, reason, task_id),
    )


def put_back(
    db: sqlite3.Connection, task_id: str, *, due: float, position: int, reason: str
) -> None:
    """Another attempt, at `due`, behind those of its priority that wait already."""
    db.execute(
        f"UPDATE tasks SET state = 'delayed', due = ?, position = ?, reason = ?, {_FREE} "  # noqa: S608
        "WHERE id = ?",
        (due, position, reason, task_id),
    )


def hand_back(db: sqlite3.Connection, task_id: str) -> None:
    """As if it had not been claimed: same place in the order, the attempt not counted."""
    db.execute(
        f"UPDATE tasks SET state = 'ready', attempts = attempts - 1, {_FREE} WHERE id = ?",  # noqa: S608
        (task_id,),
    )


def revive(db: sqlite3.Connection, task_id: str, position: int) -> bool:
    """A dead letter becomes ready again, with all its attempts."""
    changed = db.execute(
        "UPDATE tasks SET state = 'ready', attempts = 0, deaths = 0, finished = 0, position = ? "
        "WHERE id = ? AND state = 'dead'",
        (position, task_id),
    )
    return changed.rowcount > 0


def discard(db: sqlite3.Connection, task_id: str) -> bool:
    """Remove a dead letter."""
    row = db.execute(
        "DELETE FROM tasks WHERE id = ? AND state = 'dead' RETURNING length(payload)", (task_id,)
    ).fetchone()
    if row is None:
        return False
    _change_load(db, -1, -(row[0] or 0))
    return True


def forget_finished(db: sqlite3.Connection, before: float, keep: int) -> int:
    """Remove finished tasks older than `before`, and the oldest beyond `keep`."""
    where = "state IN ('done', 'cancelled')"
    gone = db.execute(f"DELETE FROM tasks WHERE {where} AND finished < ?", (before,)).rowcount  # noqa: S608
    total = db.execute(f"SELECT count(*) FROM tasks WHERE {where}").fetchone()[0]  # noqa: S608
    if total > keep:
        gone += db.execute(
            f"DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE {where} "  # noqa: S608
            "ORDER BY finished LIMIT ?)",
            (total - keep,),
        ).rowcount
    return gone


def next_due(db: sqlite3.Connection) -> float | None:
    """When the next delayed task becomes ready, seconds since the epoch."""
    row = db.execute("SELECT min(due) FROM tasks WHERE state = 'delayed'").fetchone()
    return None if row is None else row[0]


def select(db: sqlite3.Connection, where: str, values: Sequence[Any], limit: int) -> list[TaskInfo]:
    """Tasks as they are shown. `where` is ours, `values` may be anybody's."""
    rows = db.execute(f"SELECT {_INFO} FROM tasks {where} LIMIT ?", (*values, limit))  # noqa: S608
    shown = []
    for row in rows:
        columns: list[Any] = [*row[:11], _decoded(row[11]), _decoded(row[12])]
        shown.append(TaskInfo(*columns))
    return shown


def _decoded(data: bytes | None) -> Any:
    return None if data is None else json.loads(data)
