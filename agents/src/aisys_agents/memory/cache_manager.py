"""Shared short-term cache for results that are costly to make again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, every, json, method, subscribe
from aisys.errors import AgentError
from aisys_agents.memory.entry_cache import EntryCache, Policy, Priority

__all__ = [
    "CacheEntry",
    "CacheManager",
    "CachePolicy",
    "CacheStats",
    "EntryStored",
    "Invalidated",
    "KindFigures",
    "PolicySet",
    "TooManyKinds",
]

_POLICIES = {
    "understanding": Policy(ttl_s=300.0, max_size=1_000, priority="normal"),
    "model_choice": Policy(ttl_s=600.0, max_size=500, priority="normal"),
    "context_summary": Policy(ttl_s=3_600.0, max_size=200, priority="low"),
    "answer": Policy(ttl_s=300.0, max_size=500, priority="normal"),
}

Kind = Annotated[str, Field(min_length=1, max_length=100)]
Key = Annotated[str, Field(min_length=1, max_length=1_000)]


class TooManyKinds(AgentError):
    """There are too many kinds of entries already: use keys to tell entries apart, not kinds."""

    code = "cache_too_many_kinds"


class CacheEntry(TypedDict):
    """Whether there was an entry, its value, and how old it is."""

    hit: bool
    value: Any
    age_s: float | None


class EntryStored(TypedDict):
    """Whether the entry was kept (one too large is not), and until when."""

    stored: bool
    expires_at: float


class Invalidated(TypedDict):
    """How many entries were removed."""

    removed: int


class CachePolicy(TypedDict):
    """How long entries of a kind live, how many there may be, and how dear they are."""

    kind: str
    ttl_s: int
    max_size: int
    priority: str


class PolicySet(TypedDict):
    """The policy that holds now."""

    policy: CachePolicy


class KindFigures(CachePolicy):
    """A kind's policy with what happened to its entries."""

    entries: int
    hits: int
    misses: int
    evictions: int
    expired: int


class CacheStats(TypedDict):
    """The kinds, and the bytes of all entries together."""

    kinds: list[KindFigures]
    bytes: int


class CacheManager(Agent):
    """Keeps values in memory, by kind and key, for as long as the kind's policy says.

    A restart empties it. What follows from memories goes when a memory changes; what is cheap goes
    when resources run short.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            max_bytes: the bound over all entries, as JSON text.
            follows_memory: kinds that are emptied when a memory changes.
        """

        max_bytes: int = Field(32 * 1024 * 1024, ge=1_024)
        follows_memory: tuple[str, ...] = ("answer", "context_summary")

    async def on_start(self) -> None:
        """Begin empty."""
        self._cache = EntryCache(
            self.clock, max_bytes=self.config.max_bytes, policies=dict(_POLICIES)
        )

    @method(timeout_s=5, idempotent=True)
    async def get_entry(self, kind: Kind, key: Key) -> CacheEntry:
        """Look an entry up."""
        hit, value, age_s = self._cache.get(kind, key)
        return CacheEntry(hit=hit, value=value, age_s=age_s if hit else None)

    @method(timeout_s=5, idempotent=True)
    async def put_entry(
        self,
        kind: Kind,
        key: Key,
        value: Any,
        ttl_s: Annotated[int, Field(ge=1)] | None = None,
    ) -> EntryStored:
        """Store an entry for `ttl_s` seconds, or for the life of its kind."""
        size = len(key) + len(json.dumps(value))
        life = self._cache.put(kind, key, value, size, ttl_s)
        return EntryStored(stored=life is not None, expires_at=self.clock.time() + (life or 0.0))

    @method(timeout_s=5, idempotent=True)
    async def invalidate(self, kind: Kind, key: Key | None = None) -> Invalidated:
        """Remove one entry, or a whole kind."""
        return Invalidated(removed=self._cache.invalidate(kind, key))

    @method(timeout_s=5, idempotent=True)
    async def set_policy(
        self,
        kind: Kind,
        ttl_s: Annotated[int, Field(ge=1)],
        max_size: Annotated[int, Field(ge=0, le=1_000_000)],
        priority: Priority,
    ) -> PolicySet:
        """Set life, number and priority of a kind's entries.

        Raises:
            TooManyKinds: there are a thousand kinds already.
        """
        if not self._cache.set_policy(kind, Policy(float(ttl_s), max_size, priority)):
            raise TooManyKinds(f"no room for kind {kind!r}")
        return PolicySet(
            policy=CachePolicy(kind=kind, ttl_s=ttl_s, max_size=max_size, priority=priority)
        )

    @method(timeout_s=5, idempotent=True)
    async def get_stats(self) -> CacheStats:
        """Hits, misses and evictions by kind."""
        figures = [
            KindFigures(
                kind=kind,
                ttl_s=round(policy.ttl_s),
                max_size=policy.max_size,
                priority=policy.priority,
                entries=entries,
                hits=stats.hits,
                misses=stats.misses,
                evictions=stats.evictions,
                expired=stats.expired,
            )
            for kind, policy, stats, entries in self._cache.kinds()
        ]
        return CacheStats(kinds=figures, bytes=self._cache.bytes)

    @subscribe("memory.changed")
    async def on_memory_changed(self, event: dict[str, Any]) -> None:
        """What was derived from memories may be wrong now."""
        if event.get("kind") == "turn":
            return  # every utterance is one; it contradicts nothing that is remembered
        for kind in self.config.follows_memory:
            self._cache.invalidate(kind, None)

    @subscribe("resource.pressure")
    async def on_pressure(self, event: dict[str, Any]) -> None:
        """Give memory back: cheap entries when it is short, all but dear ones when critical."""
        if event.get("machine") not in (None, self.machine):
            return
        critical = event.get("level") in ("critical", "high")
        dropped = self._cache.shed("normal" if critical else "low")
        self.log.info("cache shed", entries=dropped, level=event.get("level"))

    @every(seconds=30)
    async def expire(self) -> None:
        """Drop what has outlived its time, so that it does not take room."""
        self._cache.expire()
