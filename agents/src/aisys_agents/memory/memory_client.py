"""Main PC's door to the memory store on PC2: a circuit breaker, and a buffer for its absence."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from aisys import Agent, every, method
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
from aisys_agents.memory.delivery import Delivery
from aisys_agents.memory.errors import StoreAway
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
from aisys_agents.memory.store_link import StoreLink
from aisys_agents.memory.store_search import Query

__all__ = ["LinkStatus", "MemoryClient", "SearchFilters", "Searched", "Stored"]

_CACHED = 256


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
        breaker = CircuitBreaker(
            self.clock, failures=self.config.failures, open_s=self.config.open_s
        )
        self._link = StoreLink(self.store, breaker, self.clock, timeout_s=self.config.timeout_s)
        self._database = Database(self.state.path / "buffer.sqlite3", MIGRATIONS)
        await self._database.open()
        self._buffer = WriteBuffer(self._database, limit=self.config.buffer_limit)
        await self._buffer.load()
        self._delivery = Delivery(
            self._buffer, self._link, delivered=self._delivered, rejected=self._rejected
        )
        self._seen: OrderedDict[str, Memory] = OrderedDict()
        # Held while the buffer is delivered or changed, so that no change falls between the two.
        self._changing = asyncio.Lock()

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
            added: Added = await self._link.ask(lambda store: store.add_memory([item]))
        except StoreAway as error:
            async with self._changing:
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
            found = await self._link.ask(
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
            read: Read = await self._link.ask(
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
        async with self._changing:
            waiting = self._buffer.get(memory_id)
            if waiting is not None:
                item = changed(waiting, changes, reinforce)
                await self._buffer.put([item])
                await self._tell(item, "updated", BUFFERED)
                return Updated(memory=buffered_memory(item))
        updated: Updated = await self._link.ask(
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
        async with self._changing:
            family = self._buffer.family(memory_id) if cascade else [memory_id]
            waiting = [found for found in family if self._buffer.get(found) is not None]
            if waiting:
                await self._buffer.forget(waiting)
        try:
            deleted: Deleted = await self._link.ask(
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
            state=self._link.breaker.state,
            failures=self._link.breaker.failures,
            buffered=len(self._buffer),
            last_ok=self._link.breaker.last_ok,
            rejected=len(await self._buffer.rejected()),
        )

    @every(seconds=1)
    async def deliver(self) -> None:
        """Try the store while it was away or anything waits for it, and deliver what waits."""
        if self._buffer.idle and self._link.breaker.state == "closed":
            return
        try:
            if self._link.breaker.state != "closed":
                await self._link.probe(lambda store: store.get_stats())
            async with self._changing:
                await self._delivery.run()
        except StoreAway as error:
            self.health.set("store", False, f"{error}; {len(self._buffer)} memories wait")
        else:
            self.health.set("store", True)

    async def _delivered(self, item: NewMemory, stored: str) -> None:
        await self._tell(item, "delivered", stored)

    async def _rejected(self, item: NewMemory, error: Exception) -> None:
        await self._buffer.reject(item["memory_id"], str(error), self.clock.time())
        self.errors.report(
            error,
            severity="high",
            impact="a buffered memory was refused by the store and put aside",
            context={"memory_id": item["memory_id"]},
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
