"""Memories on their way to the store: kept on disk while it is away, searchable meanwhile."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aisys import json
from aisys_agents.memory.database import Database
from aisys_agents.memory.errors import BufferFull
from aisys_agents.memory.models import ARCHIVE, Hit, Memory, MemoryChanges, NewMemory
from aisys_agents.memory.ranking import Question
from aisys_agents.memory.store_search import Query
from aisys_agents.text.similarity import hashed_vector
from aisys_agents.text.words import terms

__all__ = ["BUFFERED", "MIGRATIONS", "WriteBuffer", "buffered_memory", "changed"]

BUFFERED = "buffered"
"""What stands in `stored` of a memory that has not reached the store yet."""

MIGRATIONS = (
    """
CREATE TABLE waiting(
  seq INTEGER PRIMARY KEY, memory_id TEXT NOT NULL UNIQUE, item TEXT NOT NULL,
  revised INTEGER NOT NULL) STRICT;
CREATE TABLE forgotten(memory_id TEXT PRIMARY KEY) STRICT;
CREATE TABLE rejected(
  memory_id TEXT PRIMARY KEY, item TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL) STRICT;
""",
)


def buffered_memory(item: NewMemory) -> Memory:
    """The memory that an item will be once it is stored."""
    created = item.get("created_at", 0.0)
    return Memory(
        memory_id=item.get("memory_id", ""),
        content=item["content"],
        kind=item.get("kind", "general"),
        tier=item.get("tier", "short"),
        importance=item.get("importance", 0.5),
        tags=list(item.get("tags", [])),
        parent_id=item.get("parent_id"),
        meta=dict(item.get("meta", {})),
        created_at=created,
        updated_at=created,
        accessed_at=created,
        accesses=0,
        expires_at=item.get("expires_at"),
        revision=1,
        stored=BUFFERED,
    )


def changed(item: NewMemory, changes: MemoryChanges, reinforce: float | None) -> NewMemory:
    """The item with the changes that the store would make."""
    merged = NewMemory(**{**item, **changes})  # type: ignore[typeddict-unknown-key]
    if "meta" in changes:
        meta = {**item.get("meta", {}), **changes["meta"]}
        merged["meta"] = {key: value for key, value in meta.items() if value is not None}
    if reinforce is not None:
        importance = merged.get("importance", 0.5)
        merged["importance"] = min(1.0, importance + (1.0 - importance) * reinforce)
    return merged


def _fits(memory: Memory, query: Query, now: float) -> bool:
    expires_at = memory["expires_at"]
    in_tier = memory["tier"] in query.tiers if query.tiers else memory["tier"] != ARCHIVE
    return (
        in_tier
        and (expires_at is None or expires_at > now)
        and (query.kind is None or memory["kind"] == query.kind)
        and (query.parent_id is None or memory["parent_id"] == query.parent_id)
        and set(query.tags) <= set(memory["tags"])
        and all(memory["meta"].get(key) == value for key, value in query.meta.items())
    )


class WriteBuffer:
    """A bounded, durable list of memories to store, in the order they were given.

    An item that was changed here may have reached the store before the change, when a call ended
    without an answer; so it is marked, and so is what was deleted here.

    All of it is in memory as well, since it is small and has to be searched; the file counts.

    Args:
        database: the file, open, of format `MIGRATIONS`.
        limit: how many memories may wait.
    """

    def __init__(self, database: Database, *, limit: int = 10_000) -> None:
        self._database = database
        self._limit = limit
        self._items: dict[str, NewMemory] = {}
        self._revised: set[str] = set()
        self._forgotten: list[str] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to tell the store."""
        return not self._items and not self._forgotten

    @property
    def forgotten(self) -> list[str]:
        """The ids that the store must delete, if it has them."""
        return list(self._forgotten)

    def is_revised(self, memory_id: str) -> bool:
        """Whether the item was changed here after it was first tried on the store."""
        return memory_id in self._revised

    def __len__(self) -> int:
        return len(self._items)

    def get(self, memory_id: str) -> NewMemory | None:
        """The waiting item of this id."""
        return self._items.get(memory_id)

    def first(self, count: int) -> list[NewMemory]:
        """The items that have waited longest."""
        return [item for _, item in zip(range(count), self._items.values(), strict=False)]

    async def load(self) -> None:
        """Read what an earlier process left."""
        rows, forgotten = await self._database.read(
            lambda db: (
                db.execute("SELECT * FROM waiting ORDER BY seq").fetchall(),
                db.execute("SELECT memory_id FROM forgotten").fetchall(),
            )
        )
        self._items = {row["memory_id"]: json.loads(row["item"]) for row in rows}
        self._revised = {row["memory_id"] for row in rows if row["revised"]}
        self._forgotten = [row["memory_id"] for row in forgotten]

    async def put(self, items: Sequence[NewMemory]) -> None:
        """Take items with their ids; they are on the disk when this returns.

        An item whose id waits already replaces that one.

        Raises:
            BufferFull: too many wait already; none of these was taken.
        """
        if len(self._items) + len(items) > self._limit:
            raise BufferFull(
                f"the memory store is away and {len(self._items)} memories wait for it already: "
                "nothing was stored"
            )
        revised = {item["memory_id"] for item in items} & self._items.keys()
        rows = [
            (item["memory_id"], json.dumps_str(item), item["memory_id"] in revised)
            for item in items
        ]
        await self._database.write(
            lambda db: db.executemany(
                "INSERT INTO waiting(memory_id, item, revised) VALUES(?, ?, ?)"
                " ON CONFLICT(memory_id) DO UPDATE SET item = excluded.item, revised = 1",
                rows,
            )
        )
        self._items.update((item["memory_id"], item) for item in items)
        self._revised |= revised

    async def remove(self, memory_ids: Sequence[str]) -> int:
        """Drop items that were delivered; how many there were."""
        rows = [(memory_id,) for memory_id in memory_ids if memory_id in self._items]
        if rows:
            await self._database.write(
                lambda db: db.executemany("DELETE FROM waiting WHERE memory_id = ?", rows)
            )
        for (memory_id,) in rows:
            self._items.pop(memory_id, None)
            self._revised.discard(memory_id)
        return len(rows)

    async def forget(self, memory_ids: Sequence[str]) -> None:
        """Drop items that are not wanted any more, and remember to delete them in the store."""
        rows = [(memory_id,) for memory_id in memory_ids]

        def change(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM waiting WHERE memory_id = ?", rows)
            db.executemany("INSERT OR IGNORE INTO forgotten VALUES(?)", rows)

        await self._database.write(change)
        for memory_id in memory_ids:
            self._items.pop(memory_id, None)
            self._revised.discard(memory_id)
            if memory_id not in self._forgotten:
                self._forgotten.append(memory_id)

    async def deleted(self, memory_id: str) -> None:
        """The store has deleted what was forgotten here."""
        await self._database.write(
            lambda db: db.execute("DELETE FROM forgotten WHERE memory_id = ?", (memory_id,))
        )
        self._forgotten.remove(memory_id)

    async def reject(self, memory_id: str, reason: str, now: float) -> None:
        """Put aside an item that the store refuses, so that the others are not held up by it."""

        def move(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO rejected SELECT memory_id, item, ?, ? FROM waiting"
                " WHERE memory_id = ?",
                (reason, now, memory_id),
            )
            db.execute("DELETE FROM waiting WHERE memory_id = ?", (memory_id,))

        await self._database.write(move)
        self._items.pop(memory_id, None)
        self._revised.discard(memory_id)

    def family(self, memory_id: str) -> list[str]:
        """The waiting item of this id and those below it."""
        found = [memory_id] if memory_id in self._items else []
        parents = {memory_id}
        for child_id, item in self._items.items():
            if item.get("parent_id") in parents:
                parents.add(child_id)
                found.append(child_id)
        return found

    def search(self, query: Query, now: float) -> list[Hit]:
        """Find among what waits, by the same measure as the store."""
        fitting = [
            memory
            for memory in map(buffered_memory, reversed(self._items.values()))
            if _fits(memory, query, now)
        ]
        if query.mode == "recent" or not query.text.strip():
            return [
                Hit(**memory, score=0.0, found_by=["recent"]) for memory in fitting[: query.limit]
            ]
        texts = [" ".join((memory["content"], *memory["tags"])) for memory in fitting]
        counts = [Counter(terms(text)) for text in texts]
        containing: Counter[str] = Counter(term for count in counts for term in count)
        question = Question(
            query.text,
            query.mode,
            texts=len(texts),
            average_length=sum(count.total() for count in counts) / max(len(counts), 1),
            containing=containing,
        )
        hits: list[Hit] = []
        for memory, text, count in zip(fitting, texts, counts, strict=True):
            judged = question.rank(count, hashed_vector(text))
            if judged.found_by:
                hits.append(Hit(**memory, score=judged.score, found_by=list(judged.found_by)))
        hits.sort(key=lambda hit: -hit["score"])
        return hits[: query.limit]

    async def rejected(self) -> list[dict[str, Any]]:
        """What the store refused, with the reasons."""
        rows = await self._database.read(
            lambda db: db.execute("SELECT * FROM rejected ORDER BY at").fetchall()
        )
        return [{**dict(row), "item": json.loads(row["item"])} for row in rows]
