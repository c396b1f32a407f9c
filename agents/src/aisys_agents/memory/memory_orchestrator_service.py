"""The fleet's memory store: every kind of memory, in tiers that age, with links between them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, every, method
from aisys.ids import new_id
from aisys_agents.memory import store
from aisys_agents.memory.ageing import AgeReport, AgeRules, age
from aisys_agents.memory.database import Database
from aisys_agents.memory.errors import StoreFailed
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
    StoreStats,
    Tier,
)
from aisys_agents.memory.store_search import Query, search

__all__ = [
    "Added",
    "Deleted",
    "Found",
    "Linked",
    "MemoryOrchestratorService",
    "Updated",
]

T = TypeVar("T")

_DAY_S = 86_400.0


Batch = Annotated[list[Content | NewMemory], Field(min_length=1, max_length=1_000)]
"""Many memories to store at once."""


class Added(TypedDict):
    """What was stored.

    `memory_id` is the first of `memory_ids`; `added` are those that are new, the others were there
    already; `stored` is the machine that has them on its disk.
    """

    memory_id: str
    memory_ids: list[str]
    added: list[str]
    stored: str


class Found(TypedDict):
    """What a search found, best first, and how it searched."""

    results: list[Hit]
    mode: str


class Updated(TypedDict):
    """The memory as it is now."""

    memory: Memory


class Deleted(TypedDict):
    """How many memories were removed."""

    deleted: int


class Linked(TypedDict):
    """The id of a link."""

    link_id: str


class MemoryOrchestratorService(Agent):
    """Keeps the fleet's memories durably and finds them again.

    What a method acknowledges is on the disk. Searching ranks by terms (BM25) and by likeness
    (hashed words and trigrams), so it needs no model. An hourly clock lets memories age and keeps
    a daily backup beside the file.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            short_hours: how long a memory of the short tier rests before it is judged.
            medium_days: the same for the medium tier.
            backups: how many daily copies are kept; 0 for none.
        """

        short_hours: float = Field(24.0, gt=0)
        medium_days: float = Field(30.0, gt=0)
        backups: int = Field(3, ge=0, le=100)

    async def on_start(self) -> None:
        """Open the file."""
        self._accesses: Counter[str] = Counter()
        self._database = Database(self.state.path / "memories.sqlite3", store.MIGRATIONS)
        await self._database.open()

    async def on_stop(self) -> None:
        """Write the last accesses and close the file."""
        await self.count_accesses()
        await self._database.close()

    @method(timeout_s=10)
    async def add_memory(
        self,
        content: Content | Batch,
        kind: str = "general",
        tier: Tier = "short",
        importance: Importance = 0.5,
        tags: list[str] | None = None,
        parent_id: str | None = None,
        meta: dict[str, Any] | None = None,
        expires_at: float | None = None,
        memory_id: str | None = None,
        created_at: float | None = None,
    ) -> Added:
        """Store one memory, or all of a list in one commit.

        Args:
            content: what it says; items of a list may have fields of their own.
            kind: what sort of memory it is, such as `fact` or `turn`.
            tier: how long it lasts.
            importance: how much it matters, 0 to 1.
            tags: words to find it by besides its content.
            parent_id: the memory it belongs to.
            meta: anything else worth keeping.
            expires_at: when it is to be removed, in seconds since the epoch.
            memory_id: its id; one that is there already is left as it is, so a repeated delivery
                does no harm. Only for a single memory.
            created_at: when it came about, if not now.

        Raises:
            StoreFailed: it could not be written; nothing was stored.
        """
        now = self.clock.time()
        shared = NewMemory(
            content="",
            kind=kind,
            tier=tier,
            importance=importance,
            tags=tags or [],
            parent_id=parent_id,
            meta=meta or {},
            expires_at=expires_at,
            created_at=now if created_at is None else created_at,
        )
        given = content if isinstance(content, list) else [content]
        items: list[NewMemory] = []
        for entry in given:
            item = NewMemory(content=entry) if isinstance(entry, str) else entry
            items.append({**shared, "memory_id": new_id("mem"), **item})
        if isinstance(content, str) and memory_id is not None:
            items[0]["memory_id"] = memory_id
        outcome = await self._write(lambda db: store.add(db, items, now))
        new = {stored_id for stored_id, is_new in outcome if is_new}
        for item in items:
            if item["memory_id"] in new:
                await self._changed(item, "added")
        return Added(
            memory_id=outcome[0][0],
            memory_ids=[stored_id for stored_id, _ in outcome],
            added=sorted(new),
            stored=self.machine,
        )

    @method(timeout_s=10, idempotent=True)
    async def get_memory(
        self, memory_id: str, with_children: bool = False, with_related: bool = False
    ) -> Read:
        """Read one memory, and if asked its children and what it is linked with; counts the access.

        Raises:
            MemoryNotFound: there is none with this id.
        """

        def look(db: sqlite3.Connection) -> Read:
            return Read(
                memory=store.get(db, memory_id, self.machine),
                children=store.children(db, memory_id, self.machine) if with_children else None,
                related=store.related(db, memory_id, self.machine) if with_related else None,
            )

        found = await self._database.read(look)
        self._accesses[memory_id] += 1
        return found

    @method(timeout_s=10, idempotent=True)
    async def search_memory(
        self,
        query: str,
        mode: SearchMode = "auto",
        kind: str | None = None,
        parent_id: str | None = None,
        tags: list[str] | None = None,
        limit: Limit = 10,
        tiers: list[Tier] | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Found:
        """Find memories, best first; each says by which ways it was found.

        Args:
            query: the words to search for; empty for the newest memories.
            mode: `text` by terms, `similarity` by likeness, `auto` by both, `recent` by time.
            kind: only this kind.
            parent_id: only children of this memory.
            tags: only memories that have all of these.
            limit: how many at most.
            tiers: only these tiers; without it all but the archive.
            meta: only memories whose meta has these values.
        """
        asked = Query(
            text=query,
            mode=mode,
            kind=kind,
            parent_id=parent_id,
            tags=tags or (),
            tiers=tiers or (),
            meta=meta or {},
            limit=limit,
        )
        now = self.clock.time()
        hits, used = await self._database.read(lambda db: search(db, asked, now, self.machine))
        return Found(results=hits, mode=used)

    @method(timeout_s=10)
    async def update_memory(
        self,
        memory_id: str,
        changes: MemoryChanges | None = None,
        reinforce: Importance | None = None,
    ) -> Updated:
        """Edit a memory, or raise its importance; either resets its ageing.

        Args:
            memory_id: which one.
            changes: the fields to set; `meta` is merged key by key, a null removes a key.
            reinforce: the share of what is missing to full importance that is added.

        Raises:
            MemoryNotFound: there is none with this id.
        """
        now = self.clock.time()
        memory = await self._write(
            lambda db: store.update(db, memory_id, changes or {}, reinforce, now, self.machine)
        )
        await self._changed(memory, "updated")
        return Updated(memory=memory)

    @method(timeout_s=10, idempotent=True)
    async def delete_memory(self, memory_id: str, cascade: bool = False) -> Deleted:
        """Remove a memory with its links and, with `cascade`, everything below it."""
        removed = await self._write(lambda db: store.delete(db, memory_id, cascade=cascade))
        for memory in removed:
            self._accesses.pop(memory["memory_id"], None)
            await self._changed(memory, "deleted")
        return Deleted(deleted=len(removed))

    @method(timeout_s=10, idempotent=True)
    async def link_memories(
        self, source_id: str, target_id: str, relation: str, strength: Importance = 1.0
    ) -> Linked:
        """Tie two memories; a context group is a memory of its own that its members link to.

        Raises:
            MemoryNotFound: one of the two is missing.
        """
        now = self.clock.time()
        link_id = await self._write(
            lambda db: store.link(db, source_id, target_id, relation, strength, now)
        )
        return Linked(link_id=link_id)

    @method(timeout_s=10, idempotent=True)
    async def get_stats(self) -> StoreStats:
        """How much the store holds."""
        return await self._database.read(store.stats)

    @every(seconds=5)
    async def count_accesses(self) -> None:
        """Write down which memories were read since the last time."""
        if self._accesses:
            counts, self._accesses = self._accesses, Counter()
            now = self.clock.time()
            await self._write(lambda db: store.touch(db, counts, now))

    @every(hours=1)
    async def age_memories(self) -> None:
        """Let memories age, and keep a copy of the day."""
        report = await self.age_now()
        if any((report.promoted, report.faded, report.archived, report.merged, report.expired)):
            self.log.info(
                "memories aged",
                promoted=report.promoted,
                faded=report.faded,
                archived=report.archived,
                merged=report.merged,
                expired=report.expired,
            )
        await self._back_up()

    async def age_now(self) -> AgeReport:
        """Run the ageing rules once."""
        rules = AgeRules(
            short_s=self.config.short_hours * 3_600.0, medium_s=self.config.medium_days * _DAY_S
        )
        now = self.clock.time()
        return await self._write(lambda db: age(db, rules, now))

    async def _back_up(self) -> None:
        if not self.config.backups:
            return
        folder = self.state.path / "backups"
        now = self.clock.time()
        kept = await asyncio.to_thread(_backups, folder)
        if not kept or now - float(kept[-1].stem.partition("-")[2]) >= _DAY_S:
            await self._database.backup(folder / f"memories-{int(now)}.sqlite3")
            await asyncio.to_thread(_remove_all_but, self.config.backups, folder)

    async def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        try:
            result = await self._database.write(change)
        except StoreFailed as error:
            self.health.set("store", False, str(error))
            raise
        self.health.set("store", True)
        return result

    async def _changed(self, memory: Memory | NewMemory, change: str) -> None:
        event = MemoryChange(
            memory_id=memory["memory_id"],
            kind=memory.get("kind", "general"),
            change=change,
            tier=memory.get("tier", "short"),
            tags=memory.get("tags", []),
            stored=self.machine,
        )
        await self.publish("memory.changed", event)


def _backups(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("memories-*.sqlite3"), key=lambda path: int(path.stem[9:]))


def _remove_all_but(count: int, folder: Path) -> None:
    for path in _backups(folder)[:-count]:
        path.unlink()
