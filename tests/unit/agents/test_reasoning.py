"""Answers, digests, error patterns, the context window and the cache, without agents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisys.testing import VirtualClock
from aisys_agents.context.answers import evidence_for, quoted
from aisys_agents.context.digests import digest_turns
from aisys_agents.context.error_patterns import BadPattern, PatternBook, PatternNotFound, signature
from aisys_agents.context.importance import importance_of
from aisys_agents.context.window import Item, Window
from aisys_agents.memory.entry_cache import EntryCache, Policy
from aisys_agents.memory.facts import replaces
from aisys_agents.memory.models import Hit, Turn


def hit(content: str, *, kind: str = "fact", **meta: object) -> Hit:
    return Hit(
        memory_id=f"mem_{content}",
        content=content,
        kind=kind,
        tier="long",
        importance=0.5,
        tags=[],
        parent_id=None,
        meta=dict(meta),
        created_at=1.0,
        updated_at=1.0,
        accessed_at=1.0,
        accesses=0,
        expires_at=None,
        revision=1,
        stored="pc2",
        score=0.5,
        found_by=["text"],
    )


HOUSEHOLD = [
    hit("My dentist is Dr. Cruz, 555 0199"),
    hit("My plumber is Ben"),
    hit("My favourite colour is green"),
    hit("Ana's birthday is on March 14"),
    hit("The car is parked on level 3. It is red."),
]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who is my dentist?", "My dentist is Dr. Cruz, 555 0199."),
        ("What is the phone number of my dentist?", "My dentist is Dr. Cruz, 555 0199."),
        ("Do you remember what my favorite colour is?", "My favourite colour is green."),
        ("When is Ana's birthday?", "Ana's birthday is on March 14."),
        ("Where did I park the car?", "The car is parked on level 3."),
        ("Sino ang dentist ko?", "My dentist is Dr. Cruz, 555 0199."),
        ("Who is my plumber's brother?", None),
        ("What is the capital of France?", None),
        ("Who?", None),
    ],
)
def test_an_answer_is_quoted_or_there_is_none(question: str, answer: str | None) -> None:
    """The sentence that answers, word for word; nothing for what is not known."""
    assert quoted(evidence_for(question, HOUSEHOLD)) == answer


def test_questions_and_what_the_assistant_said_are_no_evidence() -> None:
    """Only what a user stated in conversation may be quoted, and not what another user said."""
    hits = [
        hit("Who is my dentist?", kind="turn", role="user", user_id="ana"),
        hit("Your dentist is Dr. Who.", kind="turn", role="assistant", user_id="ana"),
        hit("My dentist is Dr. Lim.", kind="turn", role="user", user_id="ben"),
        hit("dentist talk", kind="session"),
    ]
    assert evidence_for("Who is my dentist?", hits, user_id="ana") == []
    (own,) = evidence_for("Who is my dentist?", hits, user_id="ben")
    assert own["text"] == "My dentist is Dr. Lim."


def test_evidence_says_where_it_is() -> None:
    """Memory, text, score and place of storage are given, best first."""
    evidence = evidence_for("dentist", HOUSEHOLD)
    assert evidence[0]["memory_id"] == "mem_My dentist is Dr. Cruz, 555 0199"
    assert evidence[0]["stored"] == "pc2"
    assert evidence[0]["score"] > 0.98


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("My dentist is Dr. Reyes", "My dentist is Dr. Cruz", True),
        ("my phone number is 555 0100", "My phone number is 555 0199", True),
        ("My favourite colour is red", "my favourite colour is blue", True),
        ("Ang pangalan ng aso ko ay Bantay", "Ang pangalan ng aso ko ay Puti", True),
        ("My son is six", "My son is allergic to nuts", False),
        ("My dentist is Dr. Cruz", "My plumber is Ben", False),
        ("buy milk", "buy eggs", False),
    ],
)
def test_only_what_can_have_one_value_is_replaced(new: str, old: str, expected: bool) -> None:
    """In doubt nothing is replaced."""
    assert replaces(new, old) is expected


def turn(text: str, role: str = "user") -> Turn:
    return Turn(turn_id="t", session_id="s", role=role, text=text, at=1.0, meta={})


def test_a_digest_quotes_decisions_troubles_and_topics() -> None:
    """All of it stands in the conversation."""
    digest = digest_turns(
        [
            turn("The garden is dry. The pump failed this morning."),
            turn("Is the garden pump old?", "assistant"),
            turn("We decided to buy a new pump for the garden."),
        ]
    )
    assert digest["decisions"] == ["We decided to buy a new pump for the garden."]
    assert [trouble["text"] for trouble in digest["errors"]] == ["The pump failed this morning."]
    assert digest["topics"][:2] == ["garden", "pump"]
    assert "?" not in digest["summary"]


def test_a_digest_of_nothing_is_empty() -> None:
    """No turns, no summary."""
    assert digest_turns([]) == {"summary": "", "decisions": [], "errors": [], "topics": []}


def test_a_taught_cure_is_found_by_pattern_and_by_words() -> None:
    """The pattern decides; without a match nearly the same words do."""
    book = PatternBook()
    taught, _ = book.teach("network", r"connection refused .*:\d+", "start the server")
    assert book.match("dial: connection refused 10.0.0.1:80") is taught
    assert book.nearest("network connection refused") is taught
    assert book.match("disk full") is None
    assert book.nearest("disk full") is None


@pytest.mark.parametrize("pattern", ["(", "(a+)+b", ".*", "(x*)*"])
def test_patterns_that_cannot_be_used_are_refused(pattern: str) -> None:
    """No syntax errors, nothing that matches everything, nothing that takes for ever."""
    with pytest.raises(BadPattern):
        PatternBook().teach("k", pattern, None)


def test_errors_that_differ_in_numbers_are_one_pattern() -> None:
    """A learned pattern counts its like, and can be given a cure later."""
    book = PatternBook()
    first, _ = book.saw("io", "cannot open '/tmp/a' after 3 tries")
    again, _ = book.saw("io", "cannot open '/var/b' after 12 tries")
    assert first is again
    assert first is not None
    assert (first.seen, first.solution) == (2, None)


def test_success_rate_comes_from_what_was_said() -> None:
    """Nobody tried it: none; else the share."""
    book = PatternBook()
    taught, _ = book.teach("k", "boom", "duck")
    assert taught.success_rate is None
    book.outcome(taught.pattern_id, worked=True)
    assert book.outcome(taught.pattern_id, worked=False).success_rate == 0.5
    with pytest.raises(PatternNotFound):
        book.outcome("no", worked=True)


def test_the_book_is_bounded_and_keeps_cures() -> None:
    """Learned patterns go before taught ones."""
    book = PatternBook(limit=3)
    taught, _ = book.teach("k", "boom", "duck")
    for word in ("alpha", "beta", "gamma", "delta"):
        book.saw("k", f"{word} failed")
    assert len(book) == 3
    assert taught.pattern_id in book


@given(st.text(max_size=300))
def test_a_signature_matches_its_own_message(message: str) -> None:
    """What is learned from a message is found again by it."""
    book = PatternBook()
    pattern, _ = book.saw("k", message)
    assert pattern is None or book.match(message) is pattern
    signature(message)


def test_importance_follows_cue_words_in_both_languages() -> None:
    """What the speaker marks as important is; small talk is not."""
    assert importance_of("Remember that the meeting is tomorrow") > 0.7
    assert importance_of("Tandaan mo, kailangan ko ng gamot bukas") > 0.7
    assert importance_of("Could you please help me with this?") > importance_of("It is warm.")
    assert importance_of("ok thanks") == 0.1
    assert importance_of("...") == 0.0


@given(st.text(max_size=200))
def test_importance_is_a_share(text: str) -> None:
    """Between 0 and 1 for any text."""
    assert 0.0 <= importance_of(text) <= 1.0


def test_a_window_drops_the_least_important_but_never_the_newest() -> None:
    """At five items in slow talk the weakest of the older ones goes."""
    window = Window(smallest=3, largest=6)
    for number, importance in enumerate((0.9, 0.2, 0.5)):
        assert window.add(Item(f"i{number}", None, importance, number * 100.0)) is None
    dropped = window.add(Item("new", None, 0.01, 300.0))
    assert dropped is not None
    assert dropped.text == "i1"
    assert [item.text for item in window.ranked()] == ["i0", "i2", "new"]


def test_a_window_grows_while_talk_is_dense() -> None:
    """One item a second gets the largest window."""
    window = Window(smallest=3, largest=6)
    for number in range(6):
        assert window.add(Item(f"i{number}", None, 0.5, float(number))) is None
    assert window.size == 6


def test_the_same_words_again_are_one_item() -> None:
    """Repeating refreshes."""
    window = Window()
    window.add(Item("x", "ana", 0.5, 1.0))
    window.add(Item("x", "ana", 0.7, 9.0))
    assert [(item.at, item.importance) for item in window.items] == [(9.0, 0.7)]


async def test_entries_expire_by_the_clock() -> None:
    """After its life an entry is a miss."""
    clock = VirtualClock()
    cache = EntryCache(clock, max_bytes=10_000)
    cache.put("k", "a", 1, 10, 5.0)
    clock.tick(4.9)
    assert cache.get("k", "a") == (True, 1, pytest.approx(4.9))
    clock.tick(0.2)
    assert cache.get("k", "a")[0] is False
    assert cache.bytes == 0


async def test_the_least_recently_used_goes_first() -> None:
    """The number of a kind is bounded by its policy."""
    cache = EntryCache(VirtualClock(), max_bytes=10_000, policies={"k": Policy(max_size=2)})
    cache.put("k", "a", 1, 10, None)
    cache.put("k", "b", 2, 10, None)
    cache.get("k", "a")
    cache.put("k", "c", 3, 10, None)
    assert [cache.get("k", key)[0] for key in "abc"] == [True, False, True]


async def test_bytes_are_bounded_and_low_priority_goes_first() -> None:
    """Dear kinds stay when room is short; what is larger than a quarter is not taken."""
    policies = {"low": Policy(priority="low"), "high": Policy(priority="high")}
    cache = EntryCache(VirtualClock(), max_bytes=100, policies=policies)
    for key in "abcd":
        cache.put("low", key, 1, 20, None)
    for key in "wxyz":
        cache.put("high", key, 1, 20, None)
    assert cache.bytes <= 100
    assert all(cache.get("high", key)[0] for key in "wxyz")
    assert cache.put("high", "big", 1, 26, None) is None
    assert cache.shed("low") == 1
    assert cache.shed("high") == 4
    assert cache.bytes == 0
