"""A bounded cache by kind: entries expire, and the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

from aisys.clock import Clock

__all__ = ["EntryCache", "KindStats", "Policy", "Priority"]

Priority = Literal["low", "normal", "high"]
_ORDER: tuple[Priority, ...] = ("low", "normal", "high")


@dataclass(frozen=True, slots=True)
class Policy:
    """How long entries of a kind live, how many there may be, and how dear they are."""

    ttl_s: float = 300.0
    max_size: int = 500
    priority: Priority = "normal"


@dataclass(slots=True)
class _Entry:
    value: Any
    size: int
    stored_at: float
    expires_at: float


@dataclass(slots=True)
class KindStats:
    """What happened with a kind since the start."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    expired: int = 0


@dataclass(slots=True)
class _Kind:
    policy: Policy
    entries: OrderedDict[str, _Entry] = field(default_factory=OrderedDict)
    stats: KindStats = field(default_factory=KindStats)


class EntryCache:
    """Values by kind and key, within a bound of bytes over all kinds.

    Args:
        clock: monotonic time for the lives of entries.
        max_bytes: the bound.
        max_kinds: how many kinds there may be.
        policies: the policies that kinds begin with; any other kind has the default policy.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_bytes: int,
        max_kinds: int = 1_000,
        policies: dict[str, Policy] | None = None,
    ) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_kinds = max_kinds
        self._kinds = {kind: _Kind(policy) for kind, policy in (policies or {}).items()}
        self.bytes = 0

    def get(self, kind: str, key: str) -> tuple[bool, Any, float]:
        """Whether there is such an entry, its value, and its age in seconds."""
        shelf = self._kinds.get(kind)
        if shelf is None:
            return False, None, 0.0
        now = self._clock.monotonic()
        entry = shelf.entries.get(key)
        if entry is not None and entry.expires_at <= now:
            self._remove(shelf, key)
            shelf.stats.expired += 1
            entry = None
        if entry is None:
            shelf.stats.misses += 1
            return False, None, 0.0
        shelf.entries.move_to_end(key)
        shelf.stats.hits += 1
        return True, entry.value, now - entry.stored_at

    def put(self, kind: str, key: str, value: Any, size: int, ttl_s: float | None) -> float | None:
        """Store an entry.

        Returns:
            How long it lives, in seconds; None when it was not stored because it is too large or
            there are too many kinds.
        """
        shelf = self._kinds.get(kind)
        if shelf is None:
            if len(self._kinds) >= self._max_kinds:
                return None
            shelf = self._kinds[kind] = _Kind(Policy())
        self._remove(shelf, key)
        if size > self._max_bytes // 4:
            return None
        life = shelf.policy.ttl_s if ttl_s is None else ttl_s
        now = self._clock.monotonic()
        shelf.entries[key] = _Entry(value, size, now, now + life)
        self.bytes += size
        self._trim(shelf)
        self._make_room(keep=shelf)
        return life

    def invalidate(self, kind: str, key: str | None) -> int:
        """Remove one entry, or all of a kind; how many there were."""
        shelf = self._kinds.get(kind)
        if shelf is None:
            return 0
        if key is not None:
            return int(self._remove(shelf, key))
        removed = len(shelf.entries)
        self.bytes -= sum(entry.size for entry in shelf.entries.values())
        shelf.entries.clear()
        return removed

    def set_policy(self, kind: str, policy: Policy) -> bool:
        """Set a kind's policy for what is stored from now on; False with too many kinds."""
        shelf = self._kinds.get(kind)
        if shelf is None:
            if len(self._kinds) >= self._max_kinds:
                return False
            self._kinds[kind] = _Kind(policy)
            return True
        shelf.policy = policy
        self._trim(shelf)
        return True

    def shed(self, up_to: Priority) -> int:
        """Drop everything of this priority and lower; how many entries."""
        dropped = 0
        for shelf in self._kinds.values():
            if _ORDER.index(shelf.policy.priority) <= _ORDER.index(up_to):
                shelf.stats.evictions += len(shelf.entries)
                dropped += len(shelf.entries)
                self.bytes -= sum(entry.size for entry in shelf.entries.values())
                shelf.entries.clear()
        return dropped

    def expire(self) -> int:
        """Drop what has outlived its time; how many entries."""
        now = self._clock.monotonic()
        dropped = 0
        for shelf in self._kinds.values():
            over = [key for key, entry in shelf.entries.items() if entry.expires_at <= now]
            for key in over:
                self._remove(shelf, key)
            shelf.stats.expired += len(over)
            dropped += len(over)
        return dropped

    def kinds(self) -> list[tuple[str, Policy, KindStats, int]]:
        """Every kind with its policy, figures and number of entries."""
        return [
            (kind, shelf.policy, shelf.stats, len(shelf.entries))
            for kind, shelf in sorted(self._kinds.items())
        ]

    def _remove(self, shelf: _Kind, key: str) -> bool:
        entry = shelf.entries.pop(key, None)
        if entry is None:
            return False
        self.bytes -= entry.size
        return True

    def _evict_oldest(self, shelf: _Kind) -> None:
        self._remove(shelf, next(iter(shelf.entries)))
        shelf.stats.evictions += 1

    def _trim(self, shelf: _Kind) -> None:
        while len(shelf.entries) > shelf.policy.max_size:
            self._evict_oldest(shelf)

    def _make_room(self, keep: _Kind) -> None:
        """Evict until the bound holds: by priority, then from the fullest kind."""
        while self.bytes > self._max_bytes:
            filled = [shelf for shelf in self._kinds.values() if shelf.entries]
            if not any(shelf is not keep for shelf in filled) and len(keep.entries) <= 1:
                return
            victim = min(
                filled,
                key=lambda shelf: (_ORDER.index(shelf.policy.priority), -len(shelf.entries)),
            )
            self._evict_oldest(victim)
