"""Words, ranking, similarity and sentences without a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisys_agents.text.bm25 import Bm25, relevance
from aisys_agents.text.sentences import best_sentences, digest, split_sentences, text_rank
from aisys_agents.text.similarity import (
    cosine,
    hashed_vector,
    near_counts,
    pack_vector,
    trigram_tokens,
    unpack_vector,
)
from aisys_agents.text.words import estimate_tokens, fold, stem, terms, words


def test_fold_drops_case_and_accents() -> None:
    """Folding makes spellings that people mix comparable."""
    assert fold("Peñafrancia CAFÉ don’t") == "penafrancia cafe don't"


def test_words_keep_numbers_and_apostrophes() -> None:
    """Numbers are words; an apostrophe does not split one."""
    assert words("Dr. Cruz's no: 555-0199") == ["dr", "cruz's", "no", "555", "0199"]


@pytest.mark.parametrize(
    ("forms", "root"),
    [
        (["dentist", "dentists", "dentist's"], "dentist"),
        (["like", "likes", "liked", "liking"], "lik"),
        (["run", "running", "runs"], "run"),
        (["city", "cities"], "city"),
        (["box", "boxes"], "box"),
        (["class", "classes"], "class"),
        (["bus"], "bus"),
    ],
)
def test_forms_of_a_word_share_a_stem(forms: list[str], root: str) -> None:
    """The forms of one word come together."""
    assert {stem(form) for form in forms} == {root}


def test_terms_leave_out_stop_words_of_both_languages() -> None:
    """Neither "who is my" nor "sino ang ... ko" takes part in ranking."""
    assert terms("Who is my dentist?") == terms("Sino ang dentist ko?") == ["dentist"]


def test_estimate_tokens_is_zero_for_nothing_and_at_least_the_words() -> None:
    """The estimate never undercounts words."""
    assert estimate_tokens("") == 0
    assert estimate_tokens("a b c d") == 4
    assert estimate_tokens("x" * 400) == 100


def test_bm25_is_meaningful_for_a_single_text() -> None:
    """One text that has all that was asked scores 1, one that has nothing 0."""
    assert Bm25([["dentist", "cruz"]]).scores(["dentist"]) == [pytest.approx(1.0)]
    assert Bm25([["dentist", "cruz"]]).scores(["plumber"]) == [0.0]


def test_bm25_prefers_the_rarer_term() -> None:
    """A text with the telling term beats one with the common term."""
    texts = [["cat", "house"], ["cat", "garden"], ["cat", "zebra"]]
    scores = Bm25(texts).scores(["cat", "zebra"])
    assert max(range(3), key=scores.__getitem__) == 2


def test_bm25_of_nothing_is_empty() -> None:
    """An empty collection has no scores and an empty query scores nothing."""
    assert Bm25([]).scores(["a"]) == []
    assert Bm25([["a"]]).scores([]) == [0.0]


@given(
    st.lists(st.sampled_from("abcdef"), max_size=20),
    st.lists(st.sampled_from("abcdef"), max_size=5),
)
def test_relevance_stays_between_nothing_and_all(text: list[str], query: list[str]) -> None:
    """Relevance is a share, whatever the text."""
    counts = {term: float(text.count(term)) for term in text}
    assert 0.0 <= relevance(query, counts, len(text), 5.0, dict.fromkeys(query, 1.0)) <= 1.0


def test_vectors_of_like_texts_are_nearer() -> None:
    """A misspelling is nearer than another word."""
    right = hashed_vector("my dentist")
    assert cosine(right, hashed_vector("my dentsit")) > 3 * cosine(
        right, hashed_vector("grocery list")
    )


@given(st.text(max_size=200))
def test_vectors_survive_packing_and_have_length_one(text: str) -> None:
    """What is kept on disk is the vector that was computed."""
    vector = hashed_vector(text)
    assert unpack_vector(pack_vector(vector)) == pytest.approx(vector, rel=1e-6)
    assert cosine(vector, vector) == pytest.approx(1.0 if vector else 0.0)


def test_damaged_vector_is_refused() -> None:
    """Bytes that cannot be a vector are an error, not a wrong vector."""
    with pytest.raises(ValueError, match="multiple of 8"):
        unpack_vector(b"123")


def test_trigram_tokens_are_distinct_words() -> None:
    """The full-text index gets each trigram once."""
    tokens = trigram_tokens("banana banana")
    assert len(tokens) == len(set(tokens))
    assert all(token.isalnum() for token in tokens)


def test_near_spelling_counts_as_a_fraction_but_never_for_numbers() -> None:
    """A typing error is forgiven in a word, not in a number."""
    found = near_counts(["dentsit", "55501", "cruz"], {"dentist": 2, "55502": 1, "cruz": 1})
    assert found["cruz"] == 1
    assert 0.78 <= found["dentsit"] < 1.0
    assert "55501" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My dentist is Dr. Cruz. Call 555 0199!", ["My dentist is Dr. Cruz.", "Call 555 0199!"]),
        ("Pi is 3.14 today. Yes.", ["Pi is 3.14 today.", "Yes."]),
        ("one\ntwo", ["one", "two"]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        ("", []),
        ("   ", []),
    ],
)
def test_split_sentences(text: str, expected: list[str]) -> None:
    """Sentences end at stops, not at abbreviations or decimals."""
    assert split_sentences(text) == expected


@given(st.text(alphabet="ab.!? \n\"'", max_size=80))
def test_splitting_loses_nothing_but_blanks(text: str) -> None:
    """Every letter of the text is in one of its sentences."""
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_text_rank_favours_the_central_sentence() -> None:
    """The sentence that shares most with the others weighs most."""
    sentences = [
        "The garden needs water and new soil.",
        "Water the garden every morning.",
        "The train was late.",
        "New soil came for the garden.",
    ]
    ranks = text_rank(sentences)
    assert ranks[2] == min(ranks)
    assert sum(ranks) == pytest.approx(1.0, abs=0.2)
    assert text_rank([]) == []


def test_digest_quotes_in_order_and_keeps_the_budget() -> None:
    """A digest is made of the text's own sentences and no longer than asked."""
    sentences = [
        "Water the garden.",
        "The garden is dry.",
        "Trains run late.",
        "Water helps a dry garden.",
    ]
    chosen = digest(sentences, max_sentences=2)
    assert chosen == [sentence for sentence in sentences if sentence in chosen]
    assert len(chosen) == 2
    assert digest(sentences, max_tokens=0) == []


def test_best_sentences_answer_the_question() -> None:
    """The sentence with the asked terms comes first, sentences without any not at all."""
    found = best_sentences(
        "Who is my dentist?", ["It rained.", "My dentist is Dr. Cruz.", "My plumber is Ben."]
    )
    assert [sentence for sentence, _ in found] == ["My dentist is Dr. Cruz."]
