"""What `self.state` is: an agent's own JSON values in a backend, and a folder for its own files."""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aisys import json
from aisys.backends.base import Backend
from aisys.backends.errors import BackendError

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
MAX_ATTEMPTS: Final = 100


class State:
    """JSON values under the keys of one namespace.

    Namespaces in one backend do not see each other's keys. Values are what `aisys.json` can write;
    they come back as plain JSON values.

    Args:
        backend: where the values are.
        namespace: usually the agent's name: letters, digits, `_`, `.` and `-`.
        path: the agent's own folder; made 0700 when first asked for. Without one it is a temporary
            folder that goes when the state is collected or the process ends.
    """

    def __init__(self, backend: Backend, namespace: str, *, path: Path | None = None) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise BackendError(
                f"namespace {namespace!r}: use letters, digits, '_', '.' and '-', at most 128"
            )
        self.backend = backend
        self.namespace = namespace
        self._prefix = f"{namespace}/"
        self._path = path
        self._path_ready = False

    @property
    def path(self) -> Path:
        """The agent's own folder, readable by nobody else."""
        if self._path is None:
            folder = tempfile.TemporaryDirectory(prefix=f"aisys-{self.namespace}-")
            weakref.finalize(self, folder.cleanup)
            self._path = Path(folder.name)
            self._path_ready = True
        elif not self._path_ready:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # An existing folder, or one made under a strange umask.
            self._path.chmod(0o700)
            self._path_ready = True
        return self._path

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        data = await self.backend.get(self._prefix + key)
        return default if data is None else self._loads(key, data)

    async def set(self, key: str, value: Any, *, ttl_s: float | None = None) -> None:
        """Store `value`; returns when it is as durable as the backend makes it.

        Raises:
            JSONEncodeError: the value is not JSON.
        """
        await self.backend.set(self._prefix + key, json.dumps(value), ttl_s=ttl_s)

    async def delete(self, *keys: str) -> int:
        """Remove the keys; return how many existed."""
        return await self.backend.delete(*[self._prefix + key for key in keys])

    async def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with `prefix`, sorted."""
        cut = len(self._prefix)
        return sorted([key[cut:] async for key in self.backend.scan(self._prefix + prefix)])

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of those keys that exist."""
        found = await self.backend.mget([self._prefix + key for key in keys])
        return {
            key: self._loads(key, data)
            for key, data in zip(keys, found, strict=True)
            if data is not None
        }

    async def set_many(self, items: Mapping[str, Any], *, ttl_s: float | None = None) -> None:
        """Store all items, or none."""
        encoded = {self._prefix + key: json.dumps(value) for key, value in items.items()}
        await self.backend.mset(encoded, ttl_s=ttl_s)

    async def incr(self, key: str, amount: int = 1) -> int:
        """Add to the number at `key` (0 when absent), atomically; return the new number."""
        return await self.backend.incr(self._prefix + key, amount)

    async def update(
        self,
        key: str,
        change: Callable[[Any], Any],
        default: Any = None,
        *,
        ttl_s: float | None = None,
    ) -> Any:
        """Replace the value by `change(value)`, atomically; return the new value.

        `change` is called again when another writer was faster, so it must only compute.

        Raises:
            BackendError: others were faster 100 times in a row.
        """
        full_key = self._prefix + key
        for _ in range(MAX_ATTEMPTS):
            data = await self.backend.get(full_key)
            value = change(default if data is None else self._loads(key, data))
            if await self.backend.compare_and_set(full_key, data, json.dumps(value), ttl_s=ttl_s):
                return value
        raise BackendError(
            f"{self.namespace}: {key!r} changes too often to update: spread it over several keys"
        )

    async def append(self, key: str, *values: Any, max_items: int | None = None) -> int:
        """Add values to the end of the list at `key`; return its length.

        The cost is that of what is added, however long the list. With `max_items` the oldest beyond
        it go.
        """
        encoded = [json.dumps(value) for value in values]
        return await self.backend.append(self._prefix + key, encoded, max_items=max_items)

    async def read_list(self, key: str, start: int = 0, stop: int | None = None) -> list[Any]:
        """The items `start:stop` of the list at `key`; negative numbers count from its end."""
        items = await self.backend.read_list(self._prefix + key, start, stop)
        return [self._loads(key, item) for item in items]

    def _loads(self, key: str, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise BackendError(
                f"{self.namespace}: {key!r} does not hold JSON ({error}): something else wrote it"
            ) from error
