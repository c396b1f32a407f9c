"""How memories age: used and important ones move to a longer tier, the rest fades into the archive.

Nothing is lost by ageing. An archived memory is kept and can be asked for; it only no longer comes
up by itself. What is deleted is what its author gave an end (`expires_at`).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from aisys import json
from aisys.ids import new_id
from aisys_agents.memory.models import ARCHIVE, NewMemory
from aisys_agents.memory.store import add, delete, link
from aisys_agents.text.sentences import digest, split_sentences

__all__ = ["AgeReport", "AgeRules", "age"]

_MERGES_A_RUN = 10
_MERGED_AT_MOST = 60


@dataclass(frozen=True, slots=True)
class AgeRules:
    """When memories move on.

    Attributes:
        short_s: how long a short memory rests before it is judged, in seconds.
        medium_s: the same for a medium one.
        keep_importance: from this importance on a memory moves to the longer tier.
        keep_accesses: or from this number of accesses on.
        fade: what is left of the importance of any other.
        forget_importance: below this it goes to the archive.
        merge_from: this many archived memories below one parent get a digest in their place.
    """

    short_s: float = 86_400.0
    medium_s: float = 30 * 86_400.0
    keep_importance: float = 0.6
    keep_accesses: int = 3
    fade: float = 0.5
    forget_importance: float = 0.1
    merge_from: int = 8


@dataclass(frozen=True, slots=True)
class AgeReport:
    """How many memories a run promoted, faded, archived, merged into digests, and let expire."""

    promoted: int
    faded: int
    archived: int
    merged: int
    expired: int


def age(db: sqlite3.Connection, rules: AgeRules, now: float) -> AgeReport:
    """Let time do its work once; running it again at the same `now` changes nothing."""
    expired = 0
    for row in db.execute(
        "SELECT memory_id FROM memories WHERE expires_at IS NOT NULL AND expires_at <= ?", (now,)
    ).fetchall():
        expired += len(delete(db, row["memory_id"], cascade=False))
    promoted = faded = 0
    # Medium first: a memory must not run through both tiers at once.
    for tier, longer, rest_s in (
        ("medium", "long", rules.medium_s),
        ("short", "medium", rules.short_s),
    ):
        promoted += db.execute(
            "UPDATE memories SET tier = ?, aged_at = ? WHERE tier = ? AND aged_at <= ?"
            " AND (importance >= ? OR accesses >= ?)",
            (longer, now, tier, now - rest_s, rules.keep_importance, rules.keep_accesses),
        ).rowcount
        faded += db.execute(
            "UPDATE memories SET importance = importance * ?, aged_at = ?"
            " WHERE tier = ? AND aged_at <= ?",
            (rules.fade, now, tier, now - rest_s),
        ).rowcount
    archived = db.execute(
        "UPDATE memories SET tier = ? WHERE tier IN ('short', 'medium') AND importance < ?"
        " AND aged_at = ?",
        (ARCHIVE, rules.forget_importance, now),
    ).rowcount
    return AgeReport(promoted, faded, archived, _merge(db, rules, now), expired)


def _merge(db: sqlite3.Connection, rules: AgeRules, now: float) -> int:
    """Give each well-filled group of archived memories a digest that is found in their place."""
    unmerged = (
        "tier = 'archive' AND kind != 'summary' AND NOT EXISTS"
        " (SELECT 1 FROM links WHERE target_id = memory_id AND relation = 'summarises')"
    )
    groups = db.execute(
        f"SELECT parent_id, kind FROM memories WHERE parent_id IS NOT NULL AND {unmerged}"  # noqa: S608
        " GROUP BY parent_id, kind HAVING count(*) >= ? LIMIT ?",
        (rules.merge_from, _MERGES_A_RUN),
    ).fetchall()
    merged = 0
    for group in groups:
        rows = db.execute(
            f"SELECT * FROM memories WHERE parent_id = ? AND kind = ? AND {unmerged}"  # noqa: S608
            " ORDER BY created_at LIMIT ?",
            (group["parent_id"], group["kind"], _MERGED_AT_MOST),
        ).fetchall()
        # A digest belongs to whoever its memories belong to; those of others have one of their own.
        user_id, source = _whose(rows[0])
        rows = [row for row in rows if _whose(row) == (user_id, source)]
        sentences = [text for row in rows for text in split_sentences(row["content"])]
        chosen = digest(sentences[:_MERGED_AT_MOST], max_sentences=5, max_tokens=300)
        summary_id = new_id("mem")
        summary = NewMemory(
            content=" ".join(chosen) or rows[0]["content"][:1_000],
            memory_id=summary_id,
            kind="summary",
            tier="long",
            importance=rules.keep_importance,
            tags=list(dict.fromkeys(tag for row in rows for tag in json.loads(row["tags"])))[:20],
            parent_id=group["parent_id"],
            meta={
                "of_kind": group["kind"],
                "merged": len(rows),
                "backend": "rules",
                **({"user_id": user_id} if user_id is not None else {}),
                **({"source": source} if source is not None else {}),
            },
        )
        add(db, [summary], now)
        for row in rows:
            link(db, summary_id, row["memory_id"], "summarises", 1.0, now)
        merged += len(rows)
    return merged


def _whose(row: sqlite3.Row) -> tuple[str | None, str | None]:
    """The user and the source of a memory."""
    meta = json.loads(row["meta"])
    return meta.get("user_id"), meta.get("source")
