"""From one line of configuration to a backend."""

from __future__ import annotations

from pathlib import Path

from aisys.backends.base import Backend, Durability
from aisys.backends.errors import BackendError
from aisys.backends.file import FileBackend
from aisys.backends.memory import MemoryBackend
from aisys.clock import SYSTEM_CLOCK, Clock

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def open_backend(
    kind: str,
    *,
    path: Path | str | None = None,
    prefix: str = "",
    durability: Durability = "disk",
    max_bytes: int = 64 * 1024 * 1024,
    clock: Clock = SYSTEM_CLOCK,
) -> Backend:
    """The backend that `kind` names. It opens at its first use or by `open()`.

    Args:
        kind: `memory`, `file`, or a URL `redis://`, `rediss://` or `unix://`.
        path: the folder of a file backend.
        prefix: put before each key in Redis, so that fleets can share a server.
        durability: of a file backend: `disk` or `process`.
        max_bytes: the bound of a memory backend.
        clock: where time comes from.

    Raises:
        BackendError: the kind is unknown, or a file backend has no path.
    """
    if kind == "memory":
        return MemoryBackend(max_bytes=max_bytes, clock=clock)
    if kind == "file":
        if path is None:
            raise BackendError("a file backend needs a path: the folder for its file")
        return FileBackend(path, durability=durability, clock=clock)
    if kind.startswith(_REDIS_SCHEMES):
        # Importing redis costs 0.4 s and 22 MB: only those who use it pay.
        from aisys.backends.redis import RedisBackend

        return RedisBackend(kind, prefix=prefix)
    raise BackendError(
        f"unknown backend {kind.partition('://')[0]!r}: use memory, file, or a URL such as "
        "redis://127.0.0.1:6379/0"
    )
