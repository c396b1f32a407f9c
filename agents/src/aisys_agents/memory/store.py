"""The store of memories as functions on a SQLite connection: keep, read, change, link, forget."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aisys import json
from aisys.ids import new_id
from aisys_agents.memory.errors import MemoryNotFound
from aisys_agents.memory.models import Memory, MemoryChanges, NewMemory, StoreStats
from aisys_agents.text.similarity import hashed_vector, pack_vector, trigram_tokens
from aisys_agents.text.words import terms

__all__ = [
    "MIGRATIONS",
    "add",
    "children",
    "delete",
    "get",
    "link",
    "memory_of",
    "related",
    "stats",
]
__all__ += ["touch", "update"]

MIGRATIONS = (
    """
CREATE TABLE memories(
  seq INTEGER PRIMARY KEY, memory_id TEXT NOT NULL UNIQUE, content TEXT NOT NULL,
  kind TEXT NOT NULL, tier TEXT NOT NULL, importance REAL NOT NULL, tags TEXT NOT NULL,
  parent_id TEXT, meta TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
  accessed_at REAL NOT NULL, aged_at REAL NOT NULL, accesses INTEGER NOT NULL, expires_at REAL,
  revision INTEGER NOT NULL, length INTEGER NOT NULL, vector BLOB NOT NULL) STRICT;
CREATE INDEX memories_by_parent ON memories(parent_id, created_at);
CREATE INDEX memories_by_kind ON memories(kind, created_at);
CREATE INDEX memories_by_age ON memories(tier, aged_at);
CREATE INDEX memories_by_expiry ON memories(expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE memory_tags(
  tag TEXT NOT NULL, seq INTEGER NOT NULL REFERENCES memories(seq) ON DELETE CASCADE,
  PRIMARY KEY(tag, seq)) STRICT, WITHOUT ROWID;
CREATE INDEX memory_tags_by_memory ON memory_tags(seq);
CREATE TABLE links(
  link_id TEXT PRIMARY KEY, source_id TEXT NOT NULL, target_id TEXT NOT NULL,
  relation TEXT NOT NULL, strength REAL NOT NULL, created_at REAL NOT NULL,
  UNIQUE(source_id, target_id, relation),
  FOREIGN KEY(source_id) REFERENCES memories(memory_id) ON DELETE CASCADE,
  FOREIGN KEY(target_id) REFERENCES memories(memory_id) ON DELETE CASCADE) STRICT;
CREATE INDEX links_by_target ON links(target_id);
CREATE VIRTUAL TABLE memory_index USING fts5(terms, grams, detail=column);
CREATE TABLE totals(one INTEGER PRIMARY KEY CHECK(one = 1), memories INTEGER NOT NULL,
  terms INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES(1, 0, 0);
""",
)
"""The format of the file. The index holds what `text.words` and `text.similarity` make of a text,
so that SQLite's tokeniser and ours cannot disagree; the totals give the mean length for BM25."""

_RELATED = """
SELECT l.link_id, l.relation, l.strength, l.source_id, l.target_id, m.* FROM links l
JOIN memories m ON m.memory_id = CASE WHEN l.source_id = :id THEN l.target_id ELSE l.source_id END
WHERE l.source_id = :id OR l.target_id = :id ORDER BY l.strength DESC, l.created_at LIMIT :limit
"""

_DESCENDANTS = """
WITH RECURSIVE family(memory_id) AS (
  VALUES(?) UNION SELECT m.memory_id FROM memories m JOIN family f ON m.parent_id = f.memory_id)
SELECT m.* FROM memories m JOIN family USING(memory_id)
"""


def memory_of(row: sqlite3.Row, place: str) -> Memory:
    """The memory in a row of `memories`.

    Args:
        row: the row.
        place: where it is stored, for whoever is told about it.
    """
    return Memory(
        memory_id=row["memory_id"],
        content=row["content"],
        kind=row["kind"],
        tier=row["tier"],
        importance=row["importance"],
        tags=json.loads(row["tags"]),
        parent_id=row["parent_id"],
        meta=json.loads(row["meta"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        accessed_at=row["accessed_at"],
        accesses=row["accesses"],
        expires_at=row["expires_at"],
        revision=row["revision"],
        stored=place,
    )


def _row(db: sqlite3.Connection, memory_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM memories WHERE memory_id = ?", (memory_id,)
    ).fetchone()
    if row is None:
        raise MemoryNotFound(memory_id)
    return row


def _index(db: sqlite3.Connection, seq: int, content: str, tags: Iterable[str]) -> None:
    """Enter a text in the index and its figures in the row and the totals."""
    text = " ".join((content, *tags))
    found = terms(text)
    db.execute(
        "INSERT INTO memory_index(rowid, terms, grams) VALUES(?, ?, ?)",
        (seq, " ".join(found), " ".join(trigram_tokens(text))),
    )
    db.execute(
        "UPDATE memories SET length = ?, vector = ? WHERE seq = ?",
        (len(found), pack_vector(hashed_vector(text)), seq),
    )
    db.execute("UPDATE totals SET memories = memories + 1, terms = terms + ?", (len(found),))
    db.executemany(
        "INSERT OR IGNORE INTO memory_tags(tag, seq) VALUES(?, ?)", [(tag, seq) for tag in tags]
    )


def _unindex(db: sqlite3.Connection, seq: int, length: int) -> None:
    db.execute("DELETE FROM memory_index WHERE rowid = ?", (seq,))
    db.execute("DELETE FROM memory_tags WHERE seq = ?", (seq,))
    db.execute("UPDATE totals SET memories = memories - 1, terms = terms - ?", (length,))


def add(db: sqlite3.Connection, items: Sequence[NewMemory], now: float) -> list[tuple[str, bool]]:
    """Store memories.

    Returns:
        For each its id and whether it is new. An id that is there already is left as it is: it
        is the same memory, delivered twice.
    """
    outcome: list[tuple[str, bool]] = []
    for item in items:
        memory_id = item.get("memory_id") or new_id("mem")
        tags = list(dict.fromkeys(item.get("tags", [])))
        created = item.get("created_at", now)
        row = db.execute(
            "INSERT INTO memories(memory_id, content, kind, tier, importance, tags, parent_id,"
            " meta, created_at, updated_at, accessed_at, aged_at, accesses, expires_at, revision,"
            " length, vector) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 1, 0, x'')"
            " ON CONFLICT(memory_id) DO NOTHING RETURNING seq",
            (
                memory_id,
                item["content"],
                item.get("kind", "general"),
                item.get("tier", "short"),
                float(item.get("importance", 0.5)),
                json.dumps_str(tags),
                item.get("parent_id"),
                json.dumps_str(item.get("meta", {})),
                created,
                now,
                created,
                created,
                item.get("expires_at"),
            ),
        ).fetchone()
        if row is not None:
            _index(db, row["seq"], item["content"], tags)
        outcome.append((memory_id, row is not None))
    return outcome


def get(db: sqlite3.Connection, memory_id: str, place: str) -> Memory:
    """Read one memory.

    Raises:
        MemoryNotFound: there is none with this id.
    """
    return memory_of(_row(db, memory_id), place)


def children(
    db: sqlite3.Connection, memory_id: str, place: str, limit: int = 1_000
) -> list[Memory]:
    """The memories whose parent this is, oldest first."""
    rows = db.execute(
        "SELECT * FROM memories WHERE parent_id = ? ORDER BY created_at, seq LIMIT ?",
        (memory_id, limit),
    )
    return [memory_of(row, place) for row in rows]


def related(
    db: sqlite3.Connection, memory_id: str, place: str, limit: int = 1_000
) -> list[dict[str, Any]]:
    """The memories linked with this one, strongest first, each with its link."""
    return [
        {
            "link_id": row["link_id"],
            "relation": row["relation"],
            "strength": row["strength"],
            "direction": "to" if row["source_id"] == memory_id else "from",
            "memory": memory_of(row, place),
        }
        for row in db.execute(_RELATED, {"id": memory_id, "limit": limit})
    ]


def _merged(meta: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**meta, **changes}.items() if value is not None}


def update(
    db: sqlite3.Connection,
    memory_id: str,
    changes: MemoryChanges,
    reinforce: float | None,
    now: float,
    place: str,
) -> Memory:
    """Change a memory, or raise its importance; either resets its ageing.

    Args:
        db: the connection.
        memory_id: which one.
        changes: the fields to set; `meta` is merged.
        reinforce: the share (0 to 1) of what is missing to full importance that is added.
        now: seconds since the epoch.
        place: where the store is.

    Raises:
        MemoryNotFound: there is none with this id.
    """
    row = _row(db, memory_id)
    content = changes.get("content", row["content"])
    tags = list(dict.fromkeys(changes.get("tags", json.loads(row["tags"]))))
    importance = float(changes.get("importance", row["importance"]))
    if reinforce is not None:
        importance = min(1.0, importance + (1.0 - importance) * max(0.0, min(reinforce, 1.0)))
    db.execute(
        "UPDATE memories SET content = ?, kind = ?, tier = ?, importance = ?, tags = ?,"
        " parent_id = ?, meta = ?, expires_at = ?, updated_at = ?, aged_at = ?,"
        " revision = revision + 1 WHERE seq = ?",
        (
            content,
            changes.get("kind", row["kind"]),
            changes.get("tier", row["tier"]),
            importance,
            json.dumps_str(tags),
            changes.get("parent_id", row["parent_id"]),
            json.dumps_str(_merged(json.loads(row["meta"]), changes.get("meta", {}))),
            changes.get("expires_at", row["expires_at"]),
            now,
            now,
            row["seq"],
        ),
    )
    if "content" in changes or "tags" in changes:
        _unindex(db, row["seq"], row["length"])
        _index(db, row["seq"], content, tags)
    return get(db, memory_id, place)


def touch(db: sqlite3.Connection, counts: Mapping[str, int], now: float) -> None:
    """Count accesses; an access resets ageing."""
    db.executemany(
        "UPDATE memories SET accesses = accesses + ?, accessed_at = ?, aged_at = ?"
        " WHERE memory_id = ?",
        [(count, now, now, memory_id) for memory_id, count in counts.items()],
    )


def delete(db: sqlite3.Connection, memory_id: str, *, cascade: bool) -> list[Memory]:
    """Remove a memory with its links, and with `cascade` everything below it.

    Returns:
        What was removed; nothing when there was no such memory.
    """
    if cascade:
        rows = db.execute(_DESCENDANTS, (memory_id,)).fetchall()
    else:
        rows = db.execute("SELECT * FROM memories WHERE memory_id = ?", (memory_id,)).fetchall()
    for row in rows:
        _unindex(db, row["seq"], row["length"])
        db.execute("DELETE FROM memories WHERE seq = ?", (row["seq"],))
    return [memory_of(row, "") for row in rows]


def link(
    db: sqlite3.Connection,
    source_id: str,
    target_id: str,
    relation: str,
    strength: float,
    now: float,
) -> str:
    """Tie two memories; a link that is there already takes the new strength.

    Raises:
        MemoryNotFound: one of the two is missing.
    """
    for memory_id in (source_id, target_id):
        _row(db, memory_id)
    row = db.execute(
        "INSERT INTO links VALUES(?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(source_id, target_id, relation) DO UPDATE SET strength = excluded.strength"
        " RETURNING link_id",
        (new_id("link"), source_id, target_id, relation, strength, now),
    ).fetchone()
    return str(row["link_id"])


def stats(db: sqlite3.Connection) -> StoreStats:
    """How much is kept: memories by tier, links, bytes of the file."""
    tiers = db.execute("SELECT tier, count(*) FROM memories GROUP BY tier")
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    return StoreStats(
        memories=db.execute("SELECT memories FROM totals").fetchone()[0],
        tiers={row[0]: row[1] for row in tiers},
        links=db.execute("SELECT count(*) FROM links").fetchone()[0],
        bytes=pages * size,
    )
