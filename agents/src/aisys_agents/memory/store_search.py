"""Finding memories: SQLite's full-text index names the candidates, `ranking` puts them in order."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aisys import json
from aisys_agents.memory.models import ARCHIVE, Hit, SearchMode
from aisys_agents.memory.ranking import Question
from aisys_agents.memory.store import memory_of
from aisys_agents.text.similarity import trigram_tokens, unpack_vector

__all__ = ["Query", "search"]

_CANDIDATES = 200
_MAX_TERMS = 32
_MAX_GRAMS = 64


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for, and among what.

    Attributes:
        text: the words; empty for the newest memories.
        mode: how to search.
        kind: only this kind.
        parent_id: only below this memory.
        tags: only memories that have all of these.
        tiers: only these tiers; empty for all but the archive.
        meta: only memories whose meta has these values.
        limit: how many at most.
    """

    text: str
    mode: SearchMode = "auto"
    kind: str | None = None
    parent_id: str | None = None
    tags: Sequence[str] = ()
    tiers: Sequence[str] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 10


def _filters(query: Query, now: float) -> tuple[str, list[Any]]:
    clauses = ["(m.expires_at IS NULL OR m.expires_at > ?)"]
    values: list[Any] = [now]
    if query.kind is not None:
        clauses.append("m.kind = ?")
        values.append(query.kind)
    if query.parent_id is not None:
        clauses.append("m.parent_id = ?")
        values.append(query.parent_id)
    if query.tiers:
        clauses.append(f"m.tier IN ({', '.join('?' * len(query.tiers))})")
        values.extend(query.tiers)
    else:
        clauses.append("m.tier != ?")
        values.append(ARCHIVE)
    for tag in query.tags:
        clauses.append("m.seq IN (SELECT seq FROM memory_tags WHERE tag = ?)")
        values.append(tag)
    for key, value in query.meta.items():
        clauses.append("EXISTS (SELECT 1 FROM json_each(m.meta) WHERE key = ? AND value IS ?)")
        values.extend((key, json.dumps_str(value) if isinstance(value, list | dict) else value))
    return " AND ".join(clauses), values


def _recent(db: sqlite3.Connection, query: Query, now: float, place: str) -> list[Hit]:
    where, values = _filters(query, now)
    rows = db.execute(
        f"SELECT m.* FROM memories m WHERE {where}"  # noqa: S608 - built from constants only
        " ORDER BY m.created_at DESC, m.seq DESC LIMIT ?",
        (*values, query.limit),
    )
    return [Hit(**memory_of(row, place), score=0.0, found_by=["recent"]) for row in rows]


def _candidates(
    db: sqlite3.Connection, column: str, words: Sequence[str], query: Query, now: float
) -> dict[int, sqlite3.Row]:
    if not words:
        return {}
    where, values = _filters(query, now)
    quoted = " OR ".join(f'"{word}"' for word in words)
    rows = db.execute(
        "SELECT m.*, memory_index.terms AS index_terms FROM memory_index"  # noqa: S608 - as above
        " JOIN memories m ON m.seq = memory_index.rowid"
        f" WHERE memory_index MATCH ? AND {where} ORDER BY memory_index.rank LIMIT ?",
        (f"{column} : ({quoted})", *values, _CANDIDATES),
    )
    return {row["seq"]: row for row in rows}


def _containing(db: sqlite3.Connection, words: Sequence[str]) -> dict[str, int]:
    return {
        word: db.execute(
            "SELECT count(*) FROM memory_index WHERE memory_index MATCH ?", (f'terms : "{word}"',)
        ).fetchone()[0]
        for word in words
    }


def search(
    db: sqlite3.Connection, query: Query, now: float, place: str
) -> tuple[list[Hit], SearchMode]:
    """Find memories, best first; of equals the more important, then the newer.

    Returns:
        What was found, and how it was searched: "recent" when there were no words to search for.
    """
    if query.mode == "recent" or not query.text.strip():
        return _recent(db, query, now, place), "recent"
    totals = db.execute("SELECT memories, terms FROM totals").fetchone()
    bare = Question(query.text, query.mode, texts=0, average_length=0.0, containing={})
    asked = bare.terms[:_MAX_TERMS]
    question = Question(
        query.text,
        query.mode,
        texts=totals["memories"],
        average_length=totals["terms"] / max(totals["memories"], 1),
        containing=_containing(db, asked),
    )
    rows: dict[int, sqlite3.Row] = {}
    if query.mode != "similarity":
        rows |= _candidates(db, "terms", asked, query, now)
    if query.mode != "text":
        grams = trigram_tokens(" ".join(asked) or query.text)[:_MAX_GRAMS]
        rows |= _candidates(db, "grams", grams, query, now)
    hits: list[Hit] = []
    for row in rows.values():
        judged = question.rank(Counter(row["index_terms"].split()), unpack_vector(row["vector"]))
        if judged.found_by:
            memory = memory_of(row, place)
            hits.append(Hit(**memory, score=judged.score, found_by=list(judged.found_by)))
    hits.sort(key=lambda hit: (-round(hit["score"], 3), -hit["importance"], -hit["created_at"]))
    return hits[: query.limit], query.mode
