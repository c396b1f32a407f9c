"""Intents and entities on sentences that no example or pattern was written from."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aisys.testing import LocalFleet
from aisys_agents.language.classifier import LinearClassifier
from aisys_agents.language.entities import (
    content_to_keep,
    content_to_remind,
    find_entities,
    topic_of,
)
from aisys_agents.language.intents import INTENTS
from aisys_agents.language.nlu_agent import NLUAgent, UnknownEntityKind

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=ZoneInfo("Asia/Manila"))

HELD_OUT = {
    "greeting": ["hey there", "good afternoon everyone", "magandang tanghali po", "hi aisys"],
    "farewell": ["bye bye", "see you tomorrow", "paalam muna", "hanggang sa muli"],
    "thanks": ["thanks so much", "salamat talaga", "thank you for everything"],
    "how_are_you": ["how are you feeling", "kamusta ka ngayon", "how is it going"],
    "joke": ["give me a joke", "can you tell a funny joke", "magbiro ka naman"],
    "about_self": ["what's your name", "what are you able to do", "tao ka ba o robot"],
    "small_talk": ["I am tired and lonely", "malungkot na malungkot ako", "I feel happy today"],
    "remember": [
        "Remember that my dentist is Dr. Cruz, 555 0199",
        "please note that the gate code is 7781",
        "tandaan mo na sa Lunes ang exam ko",
        "keep in mind I don't eat pork",
        "tandaan mo na the landlord is Mr. Tan",
        "Can you remember that my car is a blue Vios?",
    ],
    "recall": [
        "Who is my dentist?",
        "what's my gate code",
        "sino ang dentista ko?",
        "where did I leave my umbrella",
        "do you remember who my landlord is",
        "saan ko iniwan ang payong ko",
        "when's our anniversary",
        "ano ang gate code ko",
    ],
    "forget": ["forget my gate code", "please erase the note about my landlord"],
    "reminder": [
        "remind me to stretch in 10 seconds",
        "set a timer for 90 seconds",
        "wake me at 5:30",
        "paalalahanan mo ako bukas ng alas otso na magbayad",
        "pa-remind naman to call mom bukas",
        "remember to feed the cat at six",
    ],
    "list_reminders": ["show me my reminders", "which reminders are pending"],
    "calculate": ["What is 15% of 2,340?", "2+2", "ilan ang 12 plus 30", "square root of 2"],
    "convert_units": [
        "How many kilometres is a marathon of 26.2 miles?",
        "convert 70 kg to lbs",
        "ilang metro ang 6 feet",
    ],
    "date_question": [
        "What date is 45 days after 2026-11-22?",
        "what day is tomorrow",
        "anong oras na po",
        "how long until christmas",
    ],
    "question": [
        "what is the tallest mountain in the world",
        "bakit asul ang langit",
        "why do cats purr",
        "paano gumagana ang internet",
    ],
    "write": ["write me a haiku about winter", "sumulat ka ng tula para sa nanay ko"],
    "code": ["write a python script to rename files", "gumawa ka ng sql query"],
    "translate": ["translate hello into French", "isalin mo sa Tagalog ang good evening"],
    "web_search": ["look up the weather in Cebu", "i-search mo sa google ang balita"],
    "command": ["turn on the fan", "patayin mo ang ilaw", "delete the file notes.txt"],
    "confirm": ["yes, go ahead", "oo sige", "opo"],
    "deny": ["no, don't", "hindi po", "huwag"],
    "stop": ["stop it", "tumigil ka na", "cancel"],
    "unknown": ["asdf qwer zxcv", "blorp"],
}


async def test_held_out_accuracy() -> None:
    """At least 95 of 100 unseen sentences in English, Tagalog and both are understood."""
    wrong: list[str] = []
    total = 0
    async with LocalFleet(NLUAgent) as fleet:
        nlu = fleet.proxy(NLUAgent)
        for intent, sentences in HELD_OUT.items():
            for sentence in sentences:
                total += 1
                found = await nlu.analyze_text(sentence)
                if found["intent"] != intent:
                    wrong.append(f"{sentence!r}: {found['intent']}, not {intent}")

    assert len(wrong) <= total * 0.05, "\n".join(wrong)


def test_classifier_alone() -> None:
    """Without any pattern the classifier is right on four of five unseen sentences."""
    classifier = LinearClassifier({intent.name: intent.examples for intent in INTENTS})
    cases = [
        (text, name) for name, texts in HELD_OUT.items() if name != "unknown" for text in texts
    ]

    right = sum(classifier.scores(text)[0][0] == name for text, name in cases)

    assert right >= 0.8 * len(cases)


async def test_taught_examples_survive() -> None:
    """A taught intent takes effect at once and is there after a restart."""
    async with LocalFleet(NLUAgent, state="file") as fleet:
        nlu = fleet.proxy(NLUAgent)
        taught = await nlu.add_examples("water_plants", ["water the plants", "diligan ang halaman"])
        await fleet.restart(NLUAgent)
        found = await nlu.analyze_text("Water the plants")
        near = await nlu.analyze_text("diligan mo ang mga halaman")
        listed = await nlu.list_intents()

    assert taught["version"] == 2
    assert (found["intent"], found["confidence"], found["agent"]) == (
        "water_plants",
        1.0,
        "ModelOrchestrator",
    )
    assert near["intent"] == "water_plants"
    assert any(entry["intent"] == "water_plants" for entry in listed["intents"])


async def test_unknown_kind_of_entity() -> None:
    """Asking for a kind that does not exist is an error with the known ones."""
    async with LocalFleet(NLUAgent) as fleet:
        with pytest.raises(UnknownEntityKind, match="duration"):
            await fleet.proxy(NLUAgent).extract_entities("x", kinds=["nonsense"])


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("my dentist is Dr. Cruz, 555 0199", "name", "Dr. Cruz"),
        ("my dentist is Dr. Cruz, 555 0199", "phone", "555 0199"),
        ("tell Ana Reyes that I am late", "name", "Ana Reyes"),
        ("I parked in SM Megamall", "place", "SM Megamall"),
        ("open report_2026.pdf", "file", "report_2026.pdf"),
        ("write to ana@example.com", "email", "ana@example.com"),
        ("see https://example.com/a?b=1", "url", "https://example.com/a?b=1"),
        ("what is 3 * 4", "expression", "3 * 4"),
        ("wait for 2 hours and 30 minutes", "duration", 9000.0),
        ("buy twenty-four eggs", "number", 24),
        ("tomorrow at 7 pm", "time", "2026-11-23T19:00:00+08:00"),
    ],
)
def test_entity(text: str, kind: str, value: object) -> None:
    """Each kind of entity is found with its value."""
    assert value in [entity["value"] for entity in find_entities(text, NOW, [kind])]


@pytest.mark.parametrize(
    ("text", "content", "topic"),
    [
        (
            "Remember that my dentist is Dr. Cruz, 555 0199",
            "my dentist is Dr. Cruz, 555 0199",
            "dentist",
        ),
        ("please note: the gate code is 7781", "the gate code is 7781", "gate code"),
        (
            "Tandaan mo na ang dentista ko ay si Dr. Cruz",
            "ang dentista ko ay si Dr. Cruz",
            "dentista",
        ),
        ("pakitandaan na my wifi is mango", "my wifi is mango", "wifi"),
        ("remember", "", ""),
    ],
)
def test_content_to_keep(text: str, content: str, topic: str) -> None:
    """What is to be remembered is kept word for word, under its topic."""
    assert content_to_keep(text) == content
    assert topic_of(content) == topic


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("remind me to stretch in 10 seconds", "stretch"),
        ("remind me at 5pm to water the plants", "water the plants"),
        ("set a timer for 5 minutes", ""),
        ("wake me up at 7", ""),
        ("in 10 minutes remind me to check the oven", "check the oven"),
        ("remind me every day at 8 am to take my medicine", "take my medicine"),
        (
            "paalalahanan mo ako bukas ng alas otso na magbayad ng kuryente",
            "magbayad ng kuryente",
        ),
        ("ipaalala mo sa akin na bumili ng gatas mamayang alas-sais", "bumili ng gatas"),
        ("don't forget to call Dr. Cruz on Friday", "call Dr. Cruz"),
    ],
)
def test_content_to_remind(text: str, content: str) -> None:
    """A reminder says what to do, without the request and the time."""
    assert content_to_remind(text, NOW) == content


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("tell me about my dentist", "recall"),
        ("dentist?", "recall"),
        ("my dentist?", "recall"),
        ("forget my dentist", "forget"),
        ("kalimutan mo ang dentista ko", "forget"),
        ("am I allergic to anything", "recall"),
        ("my name is Ana", "remember"),
        ("what is my name?", "recall"),
        ("what do you know about me?", "list_memories"),
        ("list everything you remember", "list_memories"),
        ("cancel the reminder about mom", "cancel_reminder"),
        ("kanselahin ang paalala sa gamot", "cancel_reminder"),
        ("snooze 3 minutes", "snooze"),
    ],
)
async def test_what_is_told_asked_and_forgotten(text: str, intent: str) -> None:
    """Questions about the speaker never become commands; forgetting needs its own word."""
    async with LocalFleet(NLUAgent) as fleet:
        found = await fleet.call("NLUAgent.analyze_text", text=text)

    assert found["intent"] == intent
