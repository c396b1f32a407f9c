"""Cues in English, Tagalog and Taglish: greetings, thanks, farewells, yes and no, language."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

__all__ = [
    "Language",
    "Yes",
    "greeting_of",
    "guess_language",
    "is_farewell",
    "is_greeting",
    "is_thanks",
    "plain",
    "read_yes_no",
    "swap_person",
    "words",
]

Language = Literal["en", "tl", "mixed"]
Yes = Literal["yes", "no", "unclear"]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*", re.UNICODE)


def plain(text: str) -> str:
    """Lower case, composed Unicode, straight quotes and single spaces."""
    composed = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    return " ".join(composed.lower().split())


def words(text: str) -> list[str]:
    """The words of a text in lower case; hyphens inside a word stay (`mag-aral`)."""
    return _WORD.findall(plain(text))


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGALOG = _set(
    """
    ako ikaw siya kami tayo kayo sila ko mo niya namin natin ninyo nila akin iyo kanya
    amin atin ang ng mga sa si ni kay sina nina ay na pa ba po opo ho din rin daw raw
    lang lamang naman nga pala kasi muna yata sana kaya man hindi oo wala may mayroon
    meron ito iyan iyon yan yun ito'y dito diyan doon ano sino saan kailan bakit paano
    magkano ilan ilang alin anong sinong at o pero ngunit dahil para kung kapag pag
    habang bago pagkatapos magandang maganda umaga tanghali hapon gabi araw bukas
    kahapon ngayon mamaya kanina linggo buwan taon salamat kumusta kamusta musta paalam
    ingat sige tama mali gusto ayaw kailangan pwede puwede dapat tandaan alalahanin
    paalala paalalahanan ipaalala sabihin buksan isara hanapin gawin isalin isulat bata
    nanay tatay ate kuya lolo lola kaibigan bahay trabaho pagkain tubig pera gamot isa
    dalawa tatlo apat lima anim pito walo siyam sampu minuto oras segundo alas mahal
    mabuti masaya malungkot galit pagod gutom uhaw maraming marami konti tulungan tulong
    nasaan nasa galing mula hanggang ni'yo niyo n'yo yung 'yung doktor dentista biro
    pangalan kaarawan magluto uminom kumain matulog tawagan bilhin bumili
    """
)
_ENGLISH = _set(
    """
    the a an is are was were am be been do does did have has had will would can could
    should may might must i you he she it we they me him her us them my your his its our
    their this that these those what who whom whose where when why how which and or but
    if because of in on at to from with for by about not no yes please thanks thank
    hello hi good morning afternoon evening night tell remember remind set make give get
    go open close find search show call play stop write explain translate convert many
    much long far old day days week date time tomorrow today yesterday minutes hours
    seconds am pm there here so too very just like want need know think say said
    """
)
_AMBIGUOUS = _set(
    """
    at may o am in on so to a no do it araw
    """
)
# An English verb in Tagalog grammar (`mag-email`, `i-remind`, `nag-text`) is Taglish.
_TAGLISH = re.compile(r"\b(?:mag|nag|pag|i|in|ma|na|paki|ipa|ipag|naka|pinag)-[a-z]{3,}\b")


# A capital within a sentence: the name of somebody or something, in no language.
_NAME = re.compile(r"(?<=[^\W_][\s,]) *([A-Z][a-z]+)")


def guess_language(text: str) -> Language:
    """Which language a text is in; English when nothing tells."""
    names = set() if text.isupper() else {match[1].lower() for match in _NAME.finditer(text)}
    # `what's` is English by its first part.
    found = [word if word in _TAGALOG else word.partition("'")[0] for word in words(text)]
    tagalog = sum(
        1 for word in found if word in _TAGALOG and word not in _AMBIGUOUS and word not in names
    )
    english = sum(1 for word in found if word in _ENGLISH and word not in _AMBIGUOUS)
    if _TAGLISH.search(plain(text)):
        tagalog += 1
    if tagalog and english and min(tagalog, english) * 4 >= max(tagalog, english):
        return "mixed"
    return "tl" if tagalog > english else "en"


_GREETINGS = (
    (re.compile(r"\b(?:good morning|magandang umaga(?: po)?)\b"), "morning"),
    (re.compile(r"\b(?:good (?:noon|midday)|magandang tanghali(?: po)?)\b"), "noon"),
    (re.compile(r"\b(?:good afternoon|magandang hapon(?: po)?)\b"), "afternoon"),
    (re.compile(r"\b(?:good evening|magandang gabi(?: po)?)\b"), "evening"),
    (re.compile(r"\b(?:magandang araw(?: po)?|good day)\b"), "day"),
    (re.compile(r"^(?:hi+|hey+|hello+|helo|yo|greetings|howdy|hoy|uy|oy|mabuhay|sup)\b"), "hello"),
    (
        re.compile(r"^(?:kumusta|kamusta|musta)(?:\s+(?:po|ka|na|naman|kayo|ka na|po kayo))*$"),
        "hello",
    ),
)
_THANKS = re.compile(
    r"\b(?:thanks?|thank you|thank u|thx|ty|much appreciated|salamat(?: po)?|maraming salamat|"
    r"tenkyu|nice one)\b"
)
_FAREWELL = re.compile(
    r"\b(?:good ?bye|bye(?:-| )?bye|bye|see (?:you|ya)(?: later| tomorrow| soon)?|"
    r"talk to you later|farewell|"
    r"good night|goodnight|paalam(?: na)?|babay|ba-bye|hanggang sa muli|"
    r"ingat(?: ka| po| kayo)?|sige na|"
    r"alis na ako|aalis na ako|matutulog na ako)\b"
)


def greeting_of(text: str) -> str | None:
    """The greeting: `morning`, `noon`, `afternoon`, `evening`, `day`, `hello`; or None."""
    lowered = plain(text).strip(" .!?,")
    return next((kind for pattern, kind in _GREETINGS if pattern.search(lowered)), None)


_FILLER = _set(
    """
    there aisys assistant friend everyone all sir mam maam ma'am po ho again you to my
    dear buddy pre pare bes sa lahat iyo inyo na naman ulit ka kayo how are doing today
    kumusta kamusta and ate kuya
    """
)


def is_greeting(text: str) -> bool:
    """Whether a text is a greeting and nothing more (`hello there`, not `hello, what is 2+2`)."""
    if greeting_of(text) is None:
        return False
    rest = plain(text).strip(" .!?,")
    for pattern, _ in _GREETINGS:
        rest = pattern.sub(" ", rest)
    return all(word in _FILLER for word in words(rest))


def is_thanks(text: str) -> bool:
    """Whether a text gives thanks and is short enough to do nothing else."""
    return _THANKS.search(plain(text)) is not None and len(words(text)) <= 8 and "?" not in text


def is_farewell(text: str) -> bool:
    """Whether a text takes leave and is short enough to do nothing else."""
    return _FAREWELL.search(plain(text)) is not None and len(words(text)) <= 8 and "?" not in text


_YES = re.compile(
    r"\b(?:yes|yeah|yep|yup|ya|sure|ok|okay|k|fine|right|correct|go ahead|do it|"
    r"confirm(?:ed)?|approved?|"
    r"of course|please do|absolutely|definitely|affirmative|oo|opo|oho|sige|tama|ituloy|tuloy|"
    r"gawin mo(?: na)?|"
    r"pwede|puwede|payag|g|push)\b"
)
_NO = re.compile(
    r"\b(?:no|nope|nah|not|don't|do not|dont|cancel|stop|never|negative|wrong|refuse|abort|wait|"
    r"hold on|"
    r"hindi|di|'?wag|huwag|ayaw|ayoko|hinto|tigil|mali|teka|saglit|kanselahin|pass)\b"
)
_NEGATED = re.compile(
    r"\b(?:not|hindi|di|huwag|wag|don't|do not)\s+(?:\w+\s+)?"
    r"(?:sure|ok|okay|right|correct|pwede|puwede|tama|do it|ituloy|gawin)"
)
_NO_THAT_IS_YES = re.compile(
    r"\b(?:no problem|why not|not a problem|no worries|walang problema|bakit hindi)\b"
)


def read_yes_no(text: str) -> Yes:
    """Whether a reply means yes or no, in English or Tagalog; one with both is never yes."""
    lowered = plain(text)
    if _NO_THAT_IS_YES.search(lowered):
        return "yes" if not _NO.search(_NO_THAT_IS_YES.sub(" ", lowered)) else "unclear"
    yes, no = _YES.search(lowered) is not None, _NO.search(lowered) is not None
    if yes and no:
        # "no, go ahead" cannot be told from "no"; "hindi pwede" and "not sure" are no.
        return "no" if _NEGATED.search(lowered) else "unclear"
    if yes:
        return "yes"
    return "no" if no else "unclear"


_SWAP = {
    "my": "your", "mine": "yours", "i": "you", "me": "you", "myself": "yourself", "am": "are",
    "i'm": "you're", "i've": "you've", "i'll": "you'll", "i'd": "you'd", "our": "your", "we": "you",
    "us": "you", "your": "my", "you": "I", "yours": "mine", "you're": "I'm", "yourself": "myself",
    "ko": "mo", "akin": "iyo", "ako": "ikaw", "aking": "iyong", "namin": "ninyo",
}  # fmt: skip


def swap_person(text: str, *, only_first: bool = False) -> str:
    """`my dentist` becomes `your dentist`, as in a reflective reply; other words stay as they are.

    Args:
        text: what the person said.
        only_first: leave the second person alone.
    """

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        lowered = word.lower().replace("’", "'")
        if only_first and lowered.startswith("you"):
            return word
        return _SWAP.get(lowered, word)

    return _WORD.sub(swap, text)
