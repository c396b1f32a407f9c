"""A store in the memory of one process: for tests, caches and fleets that keep nothing."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import Final

from aisys.backends.base import (
    Backend,
    Durability,
    add_to_counter,
    check_key,
    check_max_items,
    check_ttl,
)
from aisys.backends.errors import BackendError, WrongKind
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import Refused

ENTRY_BYTES: Final = 200
"""What an entry is charged beside its key and value: dictionary slot, objects, bookkeeping."""
ITEM_BYTES: Final = 48


class _Entry:
    __slots__ = ("expires", "items", "size", "value")

    def __init__(self, value: bytes | None, items: deque[bytes] | None, size: int) -> None:
        self.value = value
        self.items = items
        self.size = size
        self.expires: float | None = None


class MemoryBackend(Backend):
    """Keeps at most `max_bytes`; beyond that the least recently used keys go, counted in `evicted`.

    Attributes:
        evicted: keys that went because of the bound.
        used_bytes: what the entries are charged now.
    """

    def __init__(self, *, max_bytes: int = 64 * 1024 * 1024, clock: Clock = SYSTEM_CLOCK) -> None:
        if max_bytes < ENTRY_BYTES:
            raise BackendError(f"max_bytes must be at least {ENTRY_BYTES}, not {max_bytes}")
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._expiries: list[tuple[float, str]] = []
        self.evicted = 0
        self.used_bytes = 0

    @property
    def durability(self) -> Durability:
        """Nothing outlives the process."""
        return "memory"

    async def open(self) -> None:
        """Nothing to open."""

    async def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""
        return self._value(key)

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store `value`."""
        check_ttl(ttl_s)
        self._put(key, bytes(value), ttl_s)
        self._shrink()

    async def delete(self, *keys: str) -> int:
        """Remove the keys; return how many existed."""
        count = 0
        for key in keys:
            check_key(key)
            if self._live(key) is not None:
                self._drop(key)
                count += 1
        return count

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`."""
        for key in keys:
            check_key(key)
        found = [self._live(key) for key in keys]
        return [None if entry is None else entry.value for entry in found]

    async def mset(self, items: Mapping[str, bytes], *, ttl_s: float | None = None) -> None:
        """Store all items, or none."""
        check_ttl(ttl_s)
        total = sum(self._charge(key, len(value)) for key, value in items.items())
        if total > self._max_bytes:
            raise self._too_large(total)
        for key, value in items.items():
            self._put(key, bytes(value), ttl_s)
        self._shrink()

    async def incr(self, key: str, amount: int = 1) -> int:
        """Add `amount`; return the new number."""
        entry = self._live(key)
        total = add_to_counter(key, self._value(key), amount)
        expires = None if entry is None else entry.expires
        self._put(key, str(total).encode(), None)
        self._entries[key].expires = expires
        self._shrink()
        return total

    async def compare_and_set(
        self, key: str, expected: bytes | None, new: bytes | None, *, ttl_s: float | None = None
    ) -> bool:
        """Store `new` only if the key holds `expected`."""
        check_ttl(ttl_s)
        if self._value(key) != expected:
            return False
        if new is not None:
            self._put(key, bytes(new), ttl_s)
            self._shrink()
        elif expected is not None:
            self._drop(key)
        return True

    async def scan(self, prefix: str = "") -> AsyncIterator[str]:
        """The keys that begin with `prefix`."""
        now = self._clock.time()
        # A copy, because the caller may change the store between two keys.
        found = [
            key
            for key, entry in self._entries.items()
            if key.startswith(prefix) and (entry.expires is None or entry.expires > now)
        ]
        for key in found:
            yield key

    async def append(
        self, key: str, values: Sequence[bytes], *, max_items: int | None = None
    ) -> int:
        """Add values to the end of the list."""
        check_max_items(max_items)
        items = self._items(key)
        if not values:
            return 0 if items is None else len(items)
        entry = self._entries.get(key)
        old: deque[bytes] = deque() if items is None else items
        surplus = 0 if max_items is None else max(0, len(old) + len(values) - max_items)
        kept = [bytes(value) for value in values[max(0, surplus - len(old)) :]]
        change = sum(len(value) + ITEM_BYTES for value in kept)
        change -= sum(len(value) + ITEM_BYTES for value in islice(old, surplus))
        size = change + (self._charge(key, 0) if entry is None else entry.size)
        if size > self._max_bytes:
            raise self._too_large(size)
        if entry is None or items is None:
            items = deque()
            entry = _Entry(None, items, 0)
            self._entries[key] = entry
        for _ in range(min(surplus, len(items))):
            items.popleft()
        items.extend(kept)
        self.used_bytes += size - entry.size
        entry.size = size
        self._shrink()
        return len(items)

    async def read_list(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The items `start:stop`."""
        items = self._items(key)
        if items is None:
            return []
        first, last, _ = slice(start, stop).indices(len(items))
        return list(islice(items, first, max(first, last)))

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._expiries.clear()
        self.used_bytes = 0

    def _value(self, key: str) -> bytes | None:
        check_key(key)
        entry = self._live(key)
        if entry is None:
            return None
        if entry.value is None:
            raise WrongKind(f"{key!r} holds a list: use read_list()")
        return entry.value

    def _items(self, key: str) -> deque[bytes] | None:
        check_key(key)
        entry = self._live(key)
        if entry is None:
            return None
        if entry.items is None:
            raise WrongKind(f"{key!r} holds a value, not a list")
        return entry.items

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires is not None and entry.expires <= self._clock.time():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _charge(self, key: str, value_bytes: int) -> int:
        return len(check_key(key)) + value_bytes + ENTRY_BYTES

    def _put(self, key: str, value: bytes, ttl_s: float | None) -> None:
        size = self._charge(key, len(value))
        if size > self._max_bytes:
            raise self._too_large(size)
        self._drop(key)
        entry = _Entry(value, None, size)
        self._entries[key] = entry
        self.used_bytes += size
        if ttl_s is not None:
            entry.expires = self._clock.time() + ttl_s
            heapq.heappush(self._expiries, (entry.expires, key))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used_bytes -= entry.size

    def _shrink(self) -> None:
        now = self._clock.time()
        while self._expiries and self._expiries[0][0] <= now:
            expires, key = heapq.heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is not None and entry.expires == expires:
                self._drop(key)
        if len(self._expiries) > 2 * len(self._entries) + 64:
            # Keys that were overwritten leave their old expiry behind.
            self._expiries = [
                (entry.expires, key)
                for key, entry in self._entries.items()
                if entry.expires is not None
            ]
            heapq.heapify(self._expiries)
        while self.used_bytes > self._max_bytes:
            _, entry = self._entries.popitem(last=False)
            self.used_bytes -= entry.size
            self.evicted += 1

    def _too_large(self, size: int) -> Refused:
        return Refused(
            f"{size} bytes do not fit into a memory store of {self._max_bytes} bytes",
            reason="too_large",
        )
