"""Greetings, thanks, farewells, yes and no, and the language of a text."""

from __future__ import annotations

import pytest

from aisys_agents.text.cues import (
    guess_language,
    is_farewell,
    is_greeting,
    is_thanks,
    read_yes_no,
    swap_person,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Who is my dentist?", "en"),
        ("Sino ang dentista ko?", "tl"),
        ("Magandang umaga po", "tl"),
        ("hello there", "en"),
        ("pa-remind naman ako to call mom tomorrow", "mixed"),
        ("Tandaan mo na the wifi password is hunter2", "mixed"),
        ("kumusta ka", "tl"),
        ("", "en"),
        ("2 + 2", "en"),
        ("Ano ang 15% ng 2,340?", "tl"),
    ],
)
def test_language(text: str, language: str) -> None:
    """The language is English, Tagalog or mixed."""
    assert language == guess_language(text)


@pytest.mark.parametrize(
    "text", ["hello", "Hi there!", "Good morning", "Magandang umaga po!", "kumusta ka", "hey aisys"]
)
def test_greeting(text: str) -> None:
    """Greetings in both languages."""
    assert is_greeting(text)


@pytest.mark.parametrize(
    "text", ["hello, what is 2+2?", "hit the road", "remind me to say hello", "this"]
)
def test_not_a_greeting(text: str) -> None:
    """A greeting with a question in it is the question; parts of words are nothing."""
    assert not is_greeting(text)


@pytest.mark.parametrize(("text", "thanks", "farewell"), [
    ("salamat po", True, False), ("thank you so much", True, False), ("bye", False, True),
    ("paalam na", False, True), ("see you later", False, True), ("what is a bye?", False, False),
])  # fmt: skip
def test_thanks_and_farewell(text: str, thanks: bool, farewell: bool) -> None:
    """Thanks and farewells are told apart."""
    assert (thanks, farewell) == (is_thanks(text), is_farewell(text))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("yes", "yes"),
        ("Yeah, go ahead", "yes"),
        ("oo", "yes"),
        ("sige po", "yes"),
        ("opo, ituloy mo", "yes"),
        ("no problem", "yes"),
        ("no", "no"),
        ("hindi", "no"),
        ("huwag na", "no"),
        ("not sure", "no"),
        ("hindi pwede", "no"),
        ("don't do it", "no"),
        ("yes no", "unclear"),
        ("maybe", "unclear"),
        ("know", "unclear"),
        ("", "unclear"),
    ],
)
def test_yes_no(text: str, meaning: str) -> None:
    """A reply that holds both is never a yes."""
    assert meaning == read_yes_no(text)


def test_swap_person() -> None:
    """The first person becomes the second."""
    assert swap_person("my dentist told me") == "your dentist told you"
