"""Words and terms: what ranking and similarity count.

A *word* is folded (lower case, no accents). A *term* is a word that carries meaning: stop words of
English and Tagalog are left out and common English endings taken off, so that "dentists" finds
"dentist".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["STOP_WORDS", "estimate_tokens", "fold", "stem", "terms", "words"]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

_ENGLISH = """
a about am an and any are aren't as at be been being but by can can't could couldn't did didn't
do does doesn't doing don't each for from had has have having he he'd he'll he's her hers him
his how i i'd i'll i'm i've if in into is isn't it it's its just let let's me my of on or our
ours over please shall she she'd she'll she's should so some such tell than that that's the
their theirs them then there there's these they they'd they'll they're they've this those to too
under until up us very was wasn't we we'd we'll we're we've were weren't what what's when when's
where where's which while who who's whom whose why will with won't would you you'd you'll you're
you've your yours
"""

_TAGALOG = """
ako aking akin alin ang ano anong at ating atin ay ba bakit dahil daw din dito diyan doon ikaw
ilan inyo inyong ito iyan iyo iyon iyong ka kailan kami kanila kanilang kanino kaniya kanya
kanyang kapag kay kayo ko kong kung lang magkano mga mo mong na naman namin nang natin ng nga ni
nila ninyo niya nito niyan niyon nyo o opo paano pala para pero po rin raw sa saan si sila sina
sino siya tayo yan yung
"""

STOP_WORDS: frozenset[str] = frozenset(f"{_ENGLISH} {_TAGALOG}".split())
"""Words that carry no meaning of their own, in English and Tagalog."""

_VOWEL = re.compile(r"[aeiouy]")
_CHARACTERS_PER_TOKEN = 4.0


def fold(text: str) -> str:
    """The text in lower case, without accents and with plain apostrophes."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return bare.replace("’", "'")


def words(text: str) -> list[str]:
    """The folded words of a text in order, with numbers, without punctuation."""
    return _WORD.findall(fold(text))


def _without_suffix(word: str) -> str:
    for suffix in ("ing", "ed"):
        rest = word[: -len(suffix)]
        if word.endswith(suffix) and len(rest) >= 3 and _VOWEL.search(rest):
            doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
            return rest[:-1] if doubled else rest
    return word


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A folded word without its common English ending; other words come back almost unchanged.

    It only has to bring the forms of one word together, not to give a word of the language.
    """
    word = word.removesuffix("'s").replace("'", "")
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    word = _without_suffix(word)
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def terms(text: str) -> list[str]:
    """The terms of a text in order: folded, without stop words, without endings."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def estimate_tokens(text: str) -> int:
    """About how many tokens a model would count: a quarter of the letters, at least the words."""
    if not text:
        return 0
    return max(len(text.split()), round(len(text) / _CHARACTERS_PER_TOKEN))
