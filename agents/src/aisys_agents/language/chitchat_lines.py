"""What the assistant says in small talk, by rules; courtesies and reflections, never facts."""

from __future__ import annotations

import re

__all__ = ["ABOUT", "COURTESIES", "FEELINGS", "JOKES", "REFLECTIONS"]

# kind -> (English, Tagalog); the turn's number picks one, so replies vary and tests can tell which.
COURTESIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "greeting": (
        ("Hello! What can I do for you?", "Hi! How can I help?", "Hello! Good to hear from you."),
        ("Kumusta! Ano ang maitutulong ko?", "Hello po! Ano ang kailangan mo?", "Uy, kumusta!"),
    ),
    "greeting_morning": (("Good morning!",), ("Magandang umaga!",)),
    "greeting_noon": (("Good day!",), ("Magandang tanghali!",)),
    "greeting_afternoon": (("Good afternoon!",), ("Magandang hapon!",)),
    "greeting_evening": (("Good evening!",), ("Magandang gabi!",)),
    "greeting_day": (("Good day!",), ("Magandang araw!",)),
    "farewell": (
        ("Goodbye! Take care.", "See you later!"),
        ("Paalam! Ingat ka.", "Hanggang sa muli!"),
    ),
    "thanks": (
        ("You are welcome!", "Glad to help."),
        ("Walang anuman!", "Masaya akong makatulong."),
    ),
    "how_are_you": (
        ("I am running well, thank you. And you?", "All my parts are up. How about you?"),
        ("Mabuti naman, salamat. Ikaw, kumusta ka?", "Maayos ang takbo ko. Ikaw?"),
    ),
}

JOKES: tuple[tuple[str, ...], tuple[str, ...]] = (
    (
        "Why do programmers mix up Halloween and Christmas? Because OCT 31 equals DEC 25.",
        "I told my computer I needed a break, and it froze.",
        "There are 10 kinds of people: those who understand binary and those who do not.",
        "Why was the equals sign so humble? It knew it was not less than or greater than anyone else.",
    ),
    (
        "Bakit malungkot ang kalendaryo? Kasi bilang na ang mga araw niya.",
        "Ano ang sabi ng zero sa eight? Ang ganda ng sinturon mo!",
    ),
)

ABOUT: tuple[str, str] = (
    (
        "I am {name}, an assistant made of many small agents. I can remember and recall what you tell me, remind you, "
        "calculate, and convert units and dates, in English and Tagalog. {model}"
    ),
    (
        "Ako si {name}, isang katulong na binubuo ng maraming maliliit na agent. Kaya kong tandaan ang sinasabi mo, "
        "magpaalala, magkwenta, at mag-convert ng sukat at petsa, sa Ingles at Tagalog. {model}"
    ),
)

# How somebody feels, and a courteous answer that claims nothing.
FEELINGS: tuple[tuple[re.Pattern[str], str, str, str], ...] = (
    (
        re.compile(r"\b(?:sad|lonely|down|depressed|cry|heartbroken|malungkot|lungkot|umiiyak)\b"),
        "sadness",
        "I am sorry to hear that. Do you want to tell me what happened?",
        "Nalulungkot akong marinig iyan. Gusto mo bang ikwento ang nangyari?",
    ),
    (
        re.compile(r"\b(?:tired|exhausted|sleepy|worn out|pagod|antok)\b"),
        "tiredness",
        "That sounds tiring. Can you take a short rest?",
        "Nakakapagod nga. Makakapagpahinga ka ba sandali?",
    ),
    (
        re.compile(
            r"\b(?:angry|annoy(?:ed|ing)|mad|frustrat(?:ed|ing)|galit|inis|nakakainis|naiinis)\b"
        ),
        "anger",
        "That is annoying. What bothers you most about it?",
        "Nakakainis nga. Ano ang pinakaikinaiinis mo?",
    ),
    (
        re.compile(r"\b(?:happy|glad|great day|excited|masaya|saya|tuwa|natutuwa)\b"),
        "joy",
        "That is good to hear! What made it so?",
        "Ang sarap pakinggan niyan! Ano ang dahilan?",
    ),
    (
        re.compile(r"\b(?:bored|boring|nothing to do|naiinip|inip|walang magawa)\b"),
        "boredom",
        "Shall I tell you a joke?",
        "Gusto mo ba ng biro?",
    ),
)

# ELIZA's manner: what follows the cue goes back with the person swapped.
REFLECTIONS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"\bi (?:feel|am feeling) (.+)", re.IGNORECASE), ("What makes you feel {0}?",)),
    (re.compile(r"\bi(?:'m| am) (.+)", re.IGNORECASE), ("How long have you been {0}?",)),
    (
        re.compile(r"\bi (?:want|need) (.+)", re.IGNORECASE),
        ("What would it mean to you to get {0}?",),
    ),
    (re.compile(r"\bi (?:love|like|enjoy) (.+)", re.IGNORECASE), ("What do you like about {0}?",)),
    (re.compile(r"\bi (?:hate|dislike) (.+)", re.IGNORECASE), ("What bothers you about {0}?",)),
    (re.compile(r"\bmy (\w+) (.+)", re.IGNORECASE), ("Tell me more about your {0}.",)),
    (re.compile(r"\bbecause (.+)", re.IGNORECASE), ("Is that the only reason?",)),
    (re.compile(r"\bgusto ko(?:ng)? (.+)", re.IGNORECASE), ("Bakit mo gusto ang {0}?",)),
    (re.compile(r"\bang (\w+) ko\b", re.IGNORECASE), ("Kwentuhan mo pa ako tungkol sa {0} mo.",)),
)
