"""The store of memories: what is kept, found, changed and forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisys_agents.memory import store
from aisys_agents.memory.ageing import AgeRules, age
from aisys_agents.memory.errors import MemoryNotFound
from aisys_agents.memory.models import NewMemory
from aisys_agents.memory.store_search import Query, search
from aisys_agents.text.words import terms

DAY = 86_400.0


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys=ON")
    connection.executescript(store.MIGRATIONS[0])
    yield connection
    connection.close()


def keep(
    db: sqlite3.Connection, *contents: str, now: float = 1_000.0, **fields: object
) -> list[str]:
    items = [NewMemory(content=content, **fields) for content in contents]  # type: ignore[typeddict-item]
    return [memory_id for memory_id, _ in store.add(db, items, now)]


def found(db: sqlite3.Connection, text: str, **query: object) -> list[str]:
    hits, _ = search(db, Query(text, **query), 2_000.0, "pc2")  # type: ignore[arg-type]
    return [hit["content"] for hit in hits]


def test_a_memory_is_read_back_as_it_was_given(db: sqlite3.Connection) -> None:
    """Every field survives, and what was left out has its default."""
    (memory_id,) = keep(db, "x", tags=["a", "b", "a"], meta={"k": [1]}, importance=0.7)
    memory = store.get(db, memory_id, "pc2")
    assert memory["tags"] == ["a", "b"]
    assert memory["meta"] == {"k": [1]}
    assert (memory["kind"], memory["tier"], memory["importance"]) == ("general", "short", 0.7)
    assert memory["stored"] == "pc2"


def test_the_same_id_twice_is_one_memory(db: sqlite3.Connection) -> None:
    """Delivering again changes nothing and says so."""
    item = NewMemory(content="once", memory_id="mem_1")
    assert store.add(db, [item, item], 1.0) == [("mem_1", True), ("mem_1", False)]
    assert store.stats(db)["memories"] == 1


def test_the_telling_word_decides(db: sqlite3.Connection) -> None:
    """Of several memories the one with the asked word is first."""
    keep(db, "my dentist is Dr. Cruz, 555 0199", "my plumber is Ben", "my car is red")
    assert found(db, "Who is my dentist?")[0] == "my dentist is Dr. Cruz, 555 0199"
    assert found(db, "plumbers")[0] == "my plumber is Ben"


def test_a_misspelling_still_finds_and_says_how(db: sqlite3.Connection) -> None:
    """Likeness finds what terms miss, and the hit says that it did."""
    keep(db, "my dentist is Dr. Cruz", "the garden needs water")
    hits, mode = search(db, Query("dentsit"), 2_000.0, "pc2")
    assert mode == "auto"
    assert [hit["content"] for hit in hits] == ["my dentist is Dr. Cruz"]
    assert hits[0]["found_by"] == ["similarity"]
    assert found(db, "dentsit", mode="text") == []


def test_nothing_alike_is_not_found(db: sqlite3.Connection) -> None:
    """A question about something else has no hits."""
    keep(db, "my dentist is Dr. Cruz")
    assert found(db, "capital of France") == []


def test_no_words_gives_the_newest(db: sqlite3.Connection) -> None:
    """An empty query lists by time."""
    keep(db, "old", now=1.0)
    keep(db, "new", now=2.0)
    assert found(db, "") == ["new", "old"]


def test_filters_hold_in_every_mode(db: sqlite3.Connection) -> None:
    """Kind, parent, tags, tier and meta each narrow the search."""
    keep(db, "tea one", kind="fact", tags=["drink", "hot"], meta={"user": "ana"}, parent_id="p")
    keep(db, "tea two", tier="archive")
    keep(db, "tea three")
    for query in (
        {"kind": "fact"},
        {"tags": ["drink", "hot"]},
        {"meta": {"user": "ana"}},
        {"parent_id": "p"},
    ):
        assert found(db, "tea", **query) == ["tea one"]
        assert found(db, "", **query) == ["tea one"]
    assert set(found(db, "tea")) == {"tea one", "tea three"}
    assert found(db, "tea", tiers=["archive"]) == ["tea two"]


def test_what_has_expired_is_not_found(db: sqlite3.Connection) -> None:
    """An end in the past hides a memory before ageing removes it."""
    keep(db, "tea", expires_at=1_500.0)
    assert found(db, "tea") == []


def test_an_update_is_searchable_and_merges_meta(db: sqlite3.Connection) -> None:
    """The index follows the content; a null takes a key out of meta."""
    (memory_id,) = keep(db, "likes coffee", meta={"a": 1, "b": 2})
    memory = store.update(
        db, memory_id, {"content": "likes tea", "meta": {"a": None, "c": 3}}, 0.5, 5.0, "pc2"
    )
    assert memory["meta"] == {"b": 2, "c": 3}
    assert memory["importance"] == pytest.approx(0.75)
    assert memory["revision"] == 2
    assert found(db, "tea") == ["likes tea"]
    assert found(db, "coffee") == []


def test_unknown_ids_are_errors(db: sqlite3.Connection) -> None:
    """Reading, changing or linking what is not there names the id."""
    with pytest.raises(MemoryNotFound, match="'no'"):
        store.get(db, "no", "pc2")
    with pytest.raises(MemoryNotFound):
        store.update(db, "no", {}, None, 1.0, "pc2")
    (memory_id,) = keep(db, "x")
    with pytest.raises(MemoryNotFound):
        store.link(db, memory_id, "no", "about", 1.0, 1.0)
    assert store.delete(db, "no", cascade=True) == []


def test_cascade_removes_the_whole_family_and_its_links(db: sqlite3.Connection) -> None:
    """Children of children go too; the index and the totals follow."""
    (top,) = keep(db, "top")
    (child,) = keep(db, "child", parent_id=top)
    keep(db, "grandchild", parent_id=child)
    (other,) = keep(db, "other")
    store.link(db, other, child, "about", 0.5, 1.0)
    assert len(store.delete(db, top, cascade=True)) == 3
    assert store.stats(db)["memories"] == 1
    assert store.stats(db)["links"] == 0
    assert found(db, "grandchild") == []


def test_links_are_seen_from_both_ends_and_not_doubled(db: sqlite3.Connection) -> None:
    """A link again takes the new strength and keeps its id."""
    one, two = keep(db, "one", "two")
    first = store.link(db, one, two, "about", 0.5, 1.0)
    assert store.link(db, one, two, "about", 0.9, 1.0) == first
    (seen,) = store.related(db, two, "pc2")
    assert (seen["direction"], seen["strength"], seen["memory"]["content"]) == ("from", 0.9, "one")


def test_ageing_promotes_the_important_and_the_used_and_fades_the_rest(
    db: sqlite3.Connection,
) -> None:
    """After a rest the worthy move to the longer tier; the others fade into the archive."""
    worthy, used, idle = keep(db, "worthy", "used", "idle", now=0.0)
    store.update(db, worthy, {"importance": 0.9}, None, 0.0, "pc2")
    store.touch(db, {used: 3}, 0.0)
    now = 0.0
    for _ in range(3):
        now += DAY
        age(db, AgeRules(), now)
    assert store.get(db, worthy, "")["tier"] == "medium"
    assert store.get(db, used, "")["tier"] == "medium"
    assert store.get(db, idle, "")["tier"] == "archive"
    age(db, AgeRules(), now + 31 * DAY)
    assert store.get(db, worthy, "")["tier"] == "long"


def test_long_memories_do_not_age(db: sqlite3.Connection) -> None:
    """What was stored to last is as it was after years."""
    (memory_id,) = keep(db, "fact", tier="long", now=0.0)
    before = store.get(db, memory_id, "")
    age(db, AgeRules(), 10_000 * DAY)
    assert store.get(db, memory_id, "") == before


def test_ageing_twice_at_the_same_time_does_nothing_more(db: sqlite3.Connection) -> None:
    """A run repeated after a crash does no harm."""
    keep(db, "a", "b", now=0.0)
    assert age(db, AgeRules(), DAY).faded == 2
    assert age(db, AgeRules(), DAY).faded == 0


def test_ageing_removes_what_expired(db: sqlite3.Connection) -> None:
    """An end in the past is kept to."""
    keep(db, "gone", expires_at=5.0)
    keep(db, "stays", expires_at=50.0)
    assert age(db, AgeRules(), 10.0).expired == 1
    assert store.stats(db)["memories"] == 1


def test_archived_turns_get_a_digest_and_are_kept(db: sqlite3.Connection) -> None:
    """The digest quotes the originals, links to them, and is found in their place."""
    contents = [f"The garden needs water on day {n}." for n in range(8)]
    originals = keep(db, *contents, now=0.0, importance=0.15, parent_id="talk")
    assert age(db, AgeRules(), DAY).merged == 8
    hits, _ = search(db, Query("garden"), 2_000.0, "pc2")
    assert [hit["kind"] for hit in hits] == ["summary"]
    assert len(store.related(db, hits[0]["memory_id"], "pc2")) == 8
    assert store.get(db, originals[0], "")["content"] == contents[0]
    assert age(db, AgeRules(), 2 * DAY).merged == 0


def test_a_digest_belongs_to_one_user(db: sqlite3.Connection) -> None:
    """Archived memories of several users are not merged into one digest, and each digest names its user."""
    for user in ("ana", "ben"):
        contents = [f"The garden of {user} needs water on day {n}." for n in range(8)]
        keep(db, *contents, now=0.0, importance=0.15, parent_id="talk", meta={"user_id": user})
    age(db, AgeRules(), DAY)
    age(db, AgeRules(), 2 * DAY)
    hits, _ = search(db, Query("garden"), 2_000.0, "pc2")
    digests = {hit["meta"]["user_id"]: hit["content"] for hit in hits if hit["kind"] == "summary"}

    assert set(digests) == {"ana", "ben"}
    assert "ben" not in digests["ana"]


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(min_size=1, max_size=60), st.sampled_from(["auto", "text", "similarity"]))
def test_any_text_can_be_kept_and_asked(db: sqlite3.Connection, text: str, mode: str) -> None:
    """No content and no question is an error of SQL or of the index."""
    text = text.encode("utf-8", "replace").decode()
    keep(db, text, tags=[text])
    found(db, text, mode=mode, meta={text: 1})
    if terms(text):
        assert text in found(db, text, limit=1_000)
