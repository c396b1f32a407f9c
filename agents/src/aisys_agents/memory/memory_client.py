"""Main PC's door to the memory store on PC2: a circuit breaker, and a buffer for its absence."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from aisys import Agent, every, method
from aisys.errors import AgentError, ArgumentError, Indefinite, Refused
from aisys.ids import new_id
from aisys_agents.memory.breaker import CircuitBreaker
from aisys_agents.memory.buffer import (
    BUFFERED,
    MIGRATIONS,
    WriteBuffer,
    buffered_memory,
    changed,
)
from aisys_agents.memory.database import Database
from aisys_agents.memory.errors import StoreAway, StoreFailed
from aisys_agents.memory.memory_orchestrator_service import (
    Added,
    Deleted,
    Found,
    MemoryOrchestratorService,
    Updated,
)
from aisys_agents.memory.models import (
    Content,
    Hit,
    Importance,
    Limit,
    Memory,
    MemoryChange,
    MemoryChanges,
    NewMemory,
    Read,
    SearchMode,
    Tier,
)
from aisys_agents.memory.store_search import Query

__all__ = ["LinkStatus", "MemoryClient", "SearchFilters", "Searched", "Stored"]

T = TypeVar("T")

_BATCH = 100
_CACHED = 256
_DOUBTFUL = 0.25
_NOT_AWAY = frozenset({"bad_argument", "unauthorised", "too_large", "unknown_method"})


class Stored(TypedDict):
    """The id of a memory and where it is: the machine that has it, or `buffered`."""

    memory_id: str
    stored: str


class Searched(TypedDict):
    """What was found, how it was searched, and whom the search could not reach."""

    results: list[Hit]
    mode: str
    unreached: list[str]


class LinkStatus(TypedDict):
    """The breaker's state, its failures in a row, what waits, what the store refused to take."""

    state: str
    failures: int
    buffered: int
    last_ok: float | None
    rejected: int


class SearchFilters(TypedDict, total=False):
    """What else a memory must have: all of the tags, one of the tiers, the meta values."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    tags: list[str]
    tiers: list[Tier]
    meta: dict[str, Any]


class MemoryClient(Agent):
    """Forwards to the store on the other machine, and holds what it cannot forward.

    A memory that cannot be stored now is kept in a durable buffer under the id that it will have,
    the reply says `buffered`, and it is found from here meanwhile. While anything waits, or the
    breaker is open, a timer tries every second; the first answer closes the breaker and delivers.
    Delivering twice does no harm, because the store knows the ids.
    """

    store: MemoryOrchestratorService

    class Config(Agent.Config):
        """Settings.

        Attributes:
            timeout_s: how long the store may take to answer.
            failures: so many unanswered calls in a row open the breaker.
            open_s: how long it stays open when nothing is heard.
            buffer_limit: how many memories may wait.
        """

        timeout_s: float = Field(1.0, gt=0)
        failures: int = Field(3, ge=1)
        open_s: float = Field(60.0, gt=0)
        buffer_limit: int = Field(10_000, ge=1)

    async def on_start(self) -> None:
        """Open the buffer."""
        self._breaker = CircuitBreaker(
            self.clock, failures=self.config.failures, open_s=self.config.open_s
        )
        self._database = Database(self.state.path / "buffer.sqlite3", MIGRATIONS)
        await self._database.open()
        self._buffer = WriteBuffer(self._database, limit=self.config.buffer_limit)
        await self._buffer.load()
        self._seen: OrderedDict[str, Memory] = OrderedDict()
        # Held while the buffer is delivered or changed, so that no change falls between the two.
        self._delivery = asyncio.Lock()

    async def on_stop(self) -> None:
        """Close the buffer; what waits is delivered by the next start."""
        await self._database.close()

    @method(timeout_s=10)
    async def add_memory(
        self,
        content: Content,
        kind: str = "general",
        tier: Tier = "short",
        importance: Importance = 0.5,
        tags: list[str] | None = None,
        parent_id: str | None = None,
        meta: dict[str, Any] | None = None,
        expires_at: float | None = None,
        memory_id: str | None = None,
    ) -> Stored:
        """Store a memory on the other machine, or buffer it here and say so.

        Args:
            content: what it says.
            kind: what sort of memory it is.
            tier: how long it lasts.
            importance: how much it matters, 0 to 1.
            tags: words to find it by besides its content.
            parent_id: the memory it belongs to.
            meta: anything else worth keeping.
            expires_at: when it is to be removed, in seconds since the epoch.
            memory_id: its id, for callers that may have to ask again; made here if not given.

        Raises:
            BufferFull: the store is away and nothing more can be buffered.
        """
        item = NewMemory(
            content=content,
            memory_id=memory_id or new_id("mem"),
            kind=kind,
            tier=tier,
            importance=importance,
            tags=tags or [],
            parent_id=parent_id,
            meta=meta or {},
            expires_at=expires_at,
            created_at=self.clock.time(),
        )
        try:
            added: Added = await self._ask(lambda store: store.add_memory([item]))
        except StoreAway as error:
            async with self._delivery:
                await self._buffer.put([item])
            self.log.warning("memory buffered", memory_id=item["memory_id"], reason=str(error))
            await self._tell(item, "added", BUFFERED)
            return Stored(memory_id=item["memory_id"], stored=BUFFERED)
        return Stored(memory_id=added["memory_id"], stored=added["stored"])

    @method(timeout_s=10, idempotent=True)
    async def search_memory(
        self,
        query: str,
        mode: SearchMode = "auto",
        kind: str | None = None,
        limit: Limit = 10,
        parent_id: str | None = None,
        filters: SearchFilters | None = None,
    ) -> Searched:
        """Search the store and the buffer before it; says whom it could not reach.

        Args:
            query: the words to search for; empty for the newest memories.
            mode: `text` by terms, `similarity` by likeness, `auto` by both, `recent` by time.
            kind: only this kind.
            limit: how many at most.
            parent_id: only children of this memory.
            filters: `tags` (all of them), `tiers` (one of them), `meta` (these values).
        """
        chosen = filters or SearchFilters()
        asked = Query(
            text=query,
            mode=mode,
            kind=kind,
            parent_id=parent_id,
            tags=chosen.get("tags", ()),
            tiers=chosen.get("tiers", ()),
            meta=chosen.get("meta", {}),
            limit=limit,
        )
        found = Found(results=[], mode="recent" if not query.strip() else mode)
        unreached: list[str] = []
        try:
            found = await self._ask(
                lambda store: store.search_memory(
                    query,
                    mode=mode,
                    kind=kind,
                    parent_id=parent_id,
                    limit=limit,
                    tags=chosen.get("tags"),
                    tiers=chosen.get("tiers"),
                    meta=chosen.get("meta"),
                )
            )
        except StoreAway as error:
            unreached.append(error.unreached)
        for hit in found["results"]:
            self._remember(hit)
        hits = {hit["memory_id"]: hit for hit in self._buffer.search(asked, self.clock.time())}
        hits.update((hit["memory_id"], hit) for hit in found["results"])
        newest = found["mode"] == "recent"
        ordered = sorted(
            hits.values(), key=lambda hit: -(hit["created_at"] if newest else hit["score"])
        )
        return Searched(results=ordered[:limit], mode=found["mode"], unreached=unreached)

    @method(timeout_s=10, idempotent=True)
    async def get_memory(
        self, memory_id: str, with_children: bool = False, with_related: bool = False
    ) -> Read:
        """Read one memory, and if asked its neighbours.

        What waits in the buffer is read from there. While the store is away a memory that was seen
        lately is given as it was then, with `stored` set to `cache`.

        Raises:
            MemoryNotFound: there is none with this id.
            StoreAway: the store cannot be reached and the memory is not here.
        """
        waiting = self._buffer.get(memory_id)
        if waiting is not None:
            family = [self._buffer.get(found) for found in self._buffer.family(memory_id)]
            children = [
                buffered_memory(item)
                for item in family
                if item is not None and item.get("parent_id") == memory_id
            ]
            return Read(
                memory=buffered_memory(waiting),
                children=children if with_children else None,
                related=[] if with_related else None,
            )
        try:
            read: Read = await self._ask(
                lambda store: store.get_memory(
                    memory_id, with_children=with_children, with_related=with_related
                )
            )
        except StoreAway:
            seen = self._seen.get(memory_id)
            if seen is None or with_children or with_related:
                raise
            return Read(memory={**seen, "stored": "cache"}, children=None, related=None)
        self._remember(read["memory"])
        return read

    @method(timeout_s=10)
    async def update_memory(
        self, memory_id: str, changes: MemoryChanges, reinforce: Importance | None = None
    ) -> Updated:
        """Edit a memory in the store, or in the buffer if it still waits there.

        Raises:
            MemoryNotFound: there is none with this id.
            StoreAway: the store cannot be reached and the memory is not here; nothing was changed.
        """
        async with self._delivery:
            waiting = self._buffer.get(memory_id)
            if waiting is not None:
                item = changed(waiting, changes, reinforce)
                await self._buffer.put([item])
                await self._tell(item, "updated", BUFFERED)
                return Updated(memory=buffered_memory(item))
        updated: Updated = await self._ask(
            lambda store: store.update_memory(memory_id, changes=changes, reinforce=reinforce)
        )
        self._remember(updated["memory"])
        return updated

    @method(timeout_s=10, idempotent=True)
    async def delete_memory(self, memory_id: str, cascade: bool = True) -> Deleted:
        """Remove a memory and, with `cascade`, what is below it, here and in the store.

        Raises:
            StoreAway: the store cannot be reached and the memory is not here; nothing was removed.
        """
        self._seen.pop(memory_id, None)
        async with self._delivery:
            family = self._buffer.family(memory_id) if cascade else [memory_id]
            waiting = [found for found in family if self._buffer.get(found) is not None]
            if waiting:
                await self._buffer.forget(waiting)
        try:
            deleted: Deleted = await self._ask(
                lambda store: store.delete_memory(memory_id, cascade=cascade)
            )
        except StoreAway:
            if memory_id not in waiting:
                raise
            deleted = Deleted(deleted=0)
        return Deleted(deleted=deleted["deleted"] + len(waiting))

    @method(timeout_s=5, idempotent=True)
    async def get_link_status(self) -> LinkStatus:
        """The breaker's state and how much is buffered."""
        return LinkStatus(
            state=self._breaker.state,
            failures=self._breaker.failures,
            buffered=len(self._buffer),
            last_ok=self._breaker.last_ok,
            rejected=len(await self._buffer.rejected()),
        )

    @every(seconds=1)
    async def deliver(self) -> None:
        """Try the store while it was away or anything waits for it, and deliver what waits."""
        if self._buffer.idle and self._breaker.state == "closed":
            return
        try:
            async with self._delivery:
                await self._deliver_deletions()
                while len(self._buffer):
                    await self._deliver_some()
            if self._breaker.state != "closed":
                await self._ask(lambda store: store.get_stats(), probing=True)
        except StoreAway as error:
            self.health.set("store", False, f"{error}; {len(self._buffer)} memories wait")
        else:
            self.health.set("store", True)

    async def _deliver_some(self) -> None:
        items = self._buffer.first(_BATCH)
        try:
            added = await self._ask(lambda store: store.add_memory(list(items)), probing=True)
        except (AgentError, ArgumentError) as error:
            if isinstance(error, StoreAway):
                raise
            if len(items) > 1:
                items = items[:1]
                added = await self._deliver_one(items[0])
            else:
                added = await self._reject(items[0], error)
        for item in items:
            memory_id = item["memory_id"]
            if self._buffer.is_revised(memory_id) and memory_id not in added["added"]:
                await self._deliver_revision(item)
        await self._buffer.remove([item["memory_id"] for item in items])
        for item in items:
            if item["memory_id"] in added["memory_ids"]:
                await self._tell(item, "delivered", added["stored"])

    async def _deliver_one(self, item: NewMemory) -> Added:
        try:
            return await self._ask(lambda store: store.add_memory([item]), probing=True)
        except (AgentError, ArgumentError) as error:
            if isinstance(error, StoreAway):
                raise
            return await self._reject(item, error)

    async def _reject(self, item: NewMemory, error: Exception) -> Added:
        """Put an item aside that the store refuses: it would hold up all that wait behind it."""
        await self._buffer.reject(item["memory_id"], str(error), self.clock.time())
        self.errors.report(
            error,
            severity="high",
            impact="a buffered memory was refused by the store and put aside",
            context={"memory_id": item["memory_id"]},
        )
        return Added(memory_id="", memory_ids=[], added=[], stored="")

    async def _deliver_revision(self, item: NewMemory) -> None:
        """The store had the memory from before it was changed here: change it there as well."""
        changes = MemoryChanges(
            content=item["content"],
            kind=item.get("kind", "general"),
            tier=item.get("tier", "short"),
            importance=item.get("importance", 0.5),
            tags=item.get("tags", []),
            parent_id=item.get("parent_id"),
            meta=item.get("meta", {}),
            expires_at=item.get("expires_at"),
        )
        await self._ask(
            lambda store: store.update_memory(item["memory_id"], changes=changes), probing=True
        )

    async def _deliver_deletions(self) -> None:
        for memory_id in self._buffer.forgotten:
            await self._ask(partial(_delete, memory_id), probing=True)
            await self._buffer.deleted(memory_id)

    async def _ask(
        self,
        question: Callable[[MemoryOrchestratorService], Awaitable[T]],
        *,
        probing: bool = False,
    ) -> T:
        """Ask the store, minding the breaker unless this is its probe.

        Raises:
            StoreAway: it did not answer, or is not asked at present.
        """
        if not probing and not self._breaker.allows():
            raise self._away("it has not answered lately")
        timeout_s = self.config.timeout_s
        if self._breaker.failures and not probing:
            # It did not answer the last time: whoever asks now should not wait as long again.
            timeout_s *= _DOUBTFUL
        asked_at = self.clock.monotonic()
        try:
            answer = await question(self.store.with_options(timeout_s=timeout_s))
        except (Refused, Indefinite, StoreFailed) as error:
            if isinstance(error, Refused) and error.reason in _NOT_AWAY:
                raise
            self._breaker.failed()
            raise self._away(str(error)) from error
        except AgentError:
            self._breaker.succeeded()
            raise
        except asyncio.CancelledError:
            # The caller's own deadline was shorter: that it waited in vain counts all the same.
            if self.clock.monotonic() - asked_at >= timeout_s / 2:
                self._breaker.failed()
            raise
        self._breaker.succeeded()
        return answer

    def _away(self, why: str) -> StoreAway:
        return StoreAway(
            f"the memory store cannot be reached: {why}",
            unreached=MemoryOrchestratorService.__name__,
        )

    def _remember(self, memory: Memory | Hit) -> None:
        """Keep a memory that passed by, for reading while the store is away."""
        plain = Memory(**{key: memory[key] for key in Memory.__annotations__})  # type: ignore[literal-required, typeddict-item]
        self._seen[memory["memory_id"]] = plain
        self._seen.move_to_end(memory["memory_id"])
        while len(self._seen) > _CACHED:
            self._seen.popitem(last=False)

    async def _tell(self, item: NewMemory, change: str, stored: str) -> None:
        """Publish what the store does not: that a memory was buffered, or delivered at last."""
        event = MemoryChange(
            memory_id=item["memory_id"],
            kind=item.get("kind", "general"),
            change=change,
            tier=item.get("tier", "short"),
            tags=item.get("tags", []),
            stored=stored,
        )
        await self.publish("memory.changed", event)


def _delete(memory_id: str, store: MemoryOrchestratorService) -> Awaitable[Deleted]:
    return store.delete_memory(memory_id)
