"""Whole-word patterns that decide an intent at once, in English, Tagalog and both."""

from __future__ import annotations

import re
from datetime import datetime

from aisys_agents.text.arithmetic import find_expression, is_only_expression
from aisys_agents.text.cues import is_farewell, is_greeting, is_thanks, plain
from aisys_agents.text.date_answers import answer_date
from aisys_agents.text.unit_words import looks_like_conversion

__all__ = ["is_about_a_thing", "is_deliberate", "is_question", "match_intent"]

_POLITE = (
    r"^(?:(?:ok(?:ay)?|hey|hi|hello|so|and|now|please|paki|pls|po|aisys|assistant|can you|could you|"
    r"would you|will you|i want you to|i need you to|puwede bang?|pwede bang?|puwede mo bang?|"
    r"pwede mo bang?)[\s,]+)*"
)
_QUESTION = (
    r"(?:who|what|when|where|which|whose|how|do|does|did|is|are|am|was|were|have|has|had|can|sino|ano|kailan|saan|"
    r"nasaan|alin|may|mayroon|meron)"
)


_CANCEL = r"cancel|delete|remove|erase|clear|drop|forget|kanselahin|burahin|alisin|i-?cancel"
_DELIBERATE: dict[str, re.Pattern[str]] = {
    "forget": re.compile(r"\b(?:forget|delete|erase|remove|kalimutan|burahin|limutin)\b"),
    "cancel_reminder": re.compile(rf"\b(?:{_CANCEL})\b.*\b(?:remind\w*|alarms?|timers?|paalala)\b"),
    "list_memories": re.compile(r"\b(?:know|remember|told|alam|natatandaan|naaalala)\b"),
    "snooze": re.compile(r"\b(?:i-?)?snooze\b"),
}


def _start(body: str) -> re.Pattern[str]:
    return re.compile(_POLITE + rf"(?:{body})")


def _any(body: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{body})")


# In this order: the first that matches decides.
_RULES: tuple[tuple[str, float, tuple[re.Pattern[str], ...]], ...] = (
    (
        "cancel_reminder",
        0.96,
        (
            _start(rf"(?:{_CANCEL})\b.*\b(?:reminders?|alarms?|timers?|paalala)\b"),
            _start(r"(?:don'?t|do not|stop) remind(?:ing)? me\b"),
            _start(r"huwag mo na akong paalalahanan\b"),
        ),
    ),
    ("snooze", 0.96, (_start(r"(?:i-?)?snooze\b"),)),
    (
        "list_memories",
        0.96,
        (
            _any(r"what (?:(?:all )?do you (?:know|remember) about (?:me|us)\b|(?:things )?do you remember[?.! ]*$"
                 r"|have i told you(?: so far)?[?.! ]*$)"),
            _start(r"(?:list|show|tell me|give me)\b.*\b(?:everything|all|what)\b.*\byou (?:remember|know)"
                   r"(?: about (?:me|us))?[?.! ]*$"),
            _any(r"ano(?:-ano)? (?:ba )?(?:ang )?(?:lahat ng )?(?:alam|natatandaan|naaalala) mo(?: (?:tungkol )?sa "
                 r"(?:akin|amin))?[?.! ]*$"),
        ),
    ),
    (
        "list_reminders",
        0.95,
        (
            _start(r"(?:list|show|read|what|which|do i have|ano|ilista|ipakita|may)\b.*"
                   r"\b(?:reminders?|alarms?|timers?|paalala)\b(?!\s+(?:me|mo))"),
        ),
    ),
    (
        "reminder",
        0.97,
        (
            _any(r"remind (?:me|us)\b|(?:i-?|pa-?|mag-?|paki-?)remind\b|wake me\b|wake me up\b"),
            _any(r"paalalahanan mo|ipaalala mo|pakipaalala|gisingin mo|paalala mo (?:sa )?ako"),
            _any(r"(?:set|start|create|make|add|mag-?set)\b.{0,20}\b(?:timer|alarm|reminder)\b"),
            _any(r"(?:timer|alarm) (?:for|at|ng|para)\b"),
            _start(r"(?:remember|don'?t forget|do not forget) to\b"),
        ),
    ),
    (
        "forget",
        0.95,
        (
            _start(r"(?:forget|erase|delete|remove)\b.*\b(?:my|our|about|what i|memory|note|that|tungkol)\b"
                   r"(?!.*\bfile\b)"),
            _start(r"(?:kalimutan|burahin) mo\b.*\b(?:tungkol|ko|namin|iyon|alaala)\b"),
        ),
    ),
    (
        "recall",
        0.95,
        (
            _any(r"do you (?:still )?(?:remember|recall|know) (?:who|what|when|where|which|my|our|the|if|that)\b"),
            _any(r"(?:naaalala|natatandaan|alam) mo (?:pa )?ba\b"),
            _any(r"what (?:did|have) (?:i|we) (?:tell|told|say|said|ask|asked|mention)"),
            _any(r"what do you (?:know|remember) about\b"),
            _start(r"tell me (?:again )?(?:(?:everything|something|all|more|what you know) )?"
                   r"(?:about|of) (?:my|our)\b"),
            _start(r"tell me (?:again )?(?:who|what|when|where|which) (?:my|our)\b"),
            _any(r"(?:sabihin|ikwento) mo\b.*\btungkol sa\b.*\b(?:ko|namin|akin|amin)\b"),
            _start(r"(?:what|how) about (?:my|our)\b|(?:my|our) [\w' -]{2,40}\?\s*$"),
            _any(r"(?:ano|sino|kailan|saan) (?:nga|ba) (?:ulit|uli)\b"),
        ),
    ),
    (
        "remember",
        0.97,
        (
            _start(r"(?:remember|memori[sz]e|note|take note|keep in mind|bear in mind|make a note|"
                   r"save (?:this|that)|write (?:this|that) down|for your information|fyi|don'?t forget)\b"
                   r"(?!\s+to\b)(?!\s*\?)(?!\s+(?:when|who|what|where)\b.*\?)"),
            _start(r"(?:my|our) (?:[\w'-]+ ){0,3}(?:name|nickname|birthday|address|blood type|e-?mail|phone|"
                   r"(?:phone|mobile|plate|account) number|password|pin|favou?rite [\w ]{2,30}) (?:is|are|=) "
                   r"(?!what\b|who\b)[^?]+$"),
            _start(r"(?:ang )?(?:pangalan|palayaw|kaarawan|tirahan) ko (?:ay )?(?!ba\b)[^?]+$"),
            _any(r"(?:tandaan|alalahanin|itala|isaulo) mo\b|pakitandaan\b|paki-?note\b|tandaan na\b"),
        ),
    ),
    ("stop", 0.95, (re.compile(r"^(?:please )?(?:stop(?: it| that| talking| now)?|cancel(?: that| it)?|"
                               r"be quiet|shut up|quiet|silence|hinto|tigil|tumigil ka(?: na)?|"
                               r"tama na|tahimik)(?: please| po)?[.!]*$"),)),
    ("joke", 0.93, (_any(r"(?:jokes?|biro|patawanin|magbiro|nakakatawa)\b"),)),
    (
        "how_are_you",
        0.95,
        (
            _any(r"how(?:'s| is| are)? (?:are )?(?:you|ya|it going|things|life)(?: doing| feeling)?\b"
                 r"(?!\s+(?:able|made|work|going to|different))"),
            _any(r"what's up\b|wassup\b|(?:kumusta|kamusta|musta) (?:ka|na|kayo|naman|po)\b"),
        ),
    ),
    (
        "about_self",
        0.95,
        (
            _any(r"who (?:are|made|built|created) you\b|what(?:'s| is) your name\b|sino ka(?: ba)?\b"),
            _any(r"what (?:can|are) you (?:do|able)|how can you help|what do you understand\b"),
            _any(r"(?:anong?|ano ang) (?:ang )?(?:pangalan|kaya) mo|are you (?:a|an|human|real|alive)\b"),
            _any(r"(?:robot|tao) ka(?: ba)?\b"),
            re.compile(r"^(?:help|tulong)[.!?]*$"),
        ),
    ),
    (
        "translate",
        0.93,
        (
            _start(r"(?:translate|isalin|i-?translate)\b"),
            _any(r"how (?:do|would) (?:you|i|we) say .+ in [a-z]+"),
            _any(r"ano sa (?:tagalog|ingles|filipino|english|espanyol)\b"),
        ),
    ),
    (
        "code",
        0.93,
        (
            _any(r"(?:write|generate|debug|fix|refactor|gumawa|i-?debug|ayusin)\b.*\b(?:python|javascript|java|"
                 r"bash|sql|rust|html|css|code|function|script|program|regex)\b"),
            re.compile(r"```"),
        ),
    ),
    (
        "write",
        0.93,
        (
            _any(r"(?:write|compose|draft|make|tell me|sumulat|gumawa|gawan|ikwento)\b.*\b(?:poem|haiku|story|"
                 r"song|essay|speech|letter|email|e-mail|article|tula|kwento|kanta|sulat|talumpati)\b"),
            _start(r"(?:summari[sz]e|rewrite|proofread|ibuod)\b"),
        ),
    ),
    (
        "web_search",
        0.92,
        (
            _any(r"(?:search|look up|google|browse|i-?search|i-?google|hanapin)\b.*"
                 r"\b(?:web|internet|online|google|for|news|balita|price|presyo)\b"),
            _any(r"(?:weather|forecast) (?:in|for|today|tomorrow|this|like)\b|lagay ng panahon\b"),
            _any(r"(?:what|how)(?:'s| is) the (?:weather|forecast|news)\b|(?:latest|today's) (?:news|headlines)\b"),
        ),
    ),
    (
        "command",
        0.9,
        (
            _start(r"(?:open|close|launch|start|quit|play|pause|mute|unmute|shut ?down|reboot|restart|run|kill|"
                   r"turn (?:on|off|up|down)|switch (?:on|off)|increase|decrease|lower|raise|delete|move|copy)\s+"
                   r"(?:the|my|a|an|up|down|some|it|this|that|[\w.-]+\.\w+|music|volume|lights?|computer|browser)\b"),
            _start(r"(?:buksan|isara|patayin|paandarin|lakasan|hinaan|burahin|i-?open|i-?close|i-?play) (?:mo|nga)\b"
                   r"|magpatugtog\b"),
        ),
    ),
)  # fmt: skip

_RECALL_QUESTION = re.compile(
    _POLITE + rf"(?:(?:{_QUESTION})(?:'?s|'re)?\b)(?!.*\byou\b.*\bdo\b).*"
    r"\b(?:my|mine|our|ours|i|we|ko|kong|namin|naming|natin|nating|aking|akin|amin)\b"
)
_ADVICE = re.compile(
    r"\b(?:should|could|can|may|must) (?:i|we)\b|\bhow (?:do|can|to|would) (?:i|we)?\b|\bdapat\b|\bpaano\b"
)
_CALCULATE = re.compile(
    r"\b(?:calculate|compute|what|how much|how many|solve|evaluate|equals?|sum|ilan|magkano|ano|kwentahin|"
    r"i-?compute|divide|multiply|add|subtract|work out|"
    r"increase|decrease|reduce|percent|factorial|off)\b|^[\s\d.,()+\-*/^%x×÷=!√]+\??$"
)
_YES_ONLY = re.compile(
    r"^(?:yes|yeah|yep|yup|sure|ok(?:ay)?|oo|opo|oho|sige|tama|correct|right|go ahead|do it|confirm)"
    r"(?:[\s,]+(?:please|po|na|sige|go ahead|do it|ituloy(?: mo)?|of course|sure|yes|that's right|nga))*[.!]*$"
)
_NO_ONLY = re.compile(
    r"^(?:no|nope|nah|never mind|hindi|huwag|wag|ayaw(?: ko)?|ayoko|don't|do not)"
    r"(?:[\s,]+(?:thanks|thank you|please|po|na|don't|do it|muna|salamat|not now|way))*[.!]*$"
)


def match_intent(text: str, now: datetime) -> tuple[str, float] | None:
    """The intent that a pattern settles and how sure that is, or None when no pattern applies.

    Args:
        text: what was said.
        now: the present moment, with its time zone.
    """
    flat = plain(text)
    for intent, confidence, patterns in _RULES:
        if any(pattern.search(flat) for pattern in patterns):
            return intent, confidence
    return _exact(flat, now) or _social(flat) or _personal(flat)


def _exact(flat: str, now: datetime) -> tuple[str, float] | None:
    """What can be computed: units, dates, sums."""
    if looks_like_conversion(flat) and answer_date(flat, now) is None:
        return "convert_units", 0.95
    if answer_date(flat, now) is not None and not _RECALL_QUESTION.search(flat):
        return "date_question", 0.95
    if find_expression(flat) is not None and (
        is_only_expression(flat) or (_CALCULATE.search(flat) and not is_about_a_thing(flat))
    ):
        return "calculate", 0.95
    return None


def is_about_a_thing(text: str) -> bool:
    """Whether a `4x4` in a question about what is the speaker's is a thing rather than a product."""
    flat = plain(text)
    return _RECALL_QUESTION.search(flat) is not None and re.search(r"\b\d+x\d+\b", flat) is not None


def _social(flat: str) -> tuple[str, float] | None:
    """What only keeps up the conversation."""
    if _YES_ONLY.match(flat):
        return "confirm", 0.95
    if _NO_ONLY.match(flat):
        return "deny", 0.95
    if is_farewell(flat):
        return "farewell", 0.95
    if is_thanks(flat):
        return "thanks", 0.95
    return ("greeting", 0.97) if is_greeting(flat) else None


def _personal(flat: str) -> tuple[str, float] | None:
    """A question about what belongs to the speaker is a question to the memory."""
    if _RECALL_QUESTION.search(flat) and not _ADVICE.search(flat):
        return "recall", 0.88
    return None


_ASKING = re.compile(
    _POLITE
    + r"(?:who|what|when|where|which|whose|why|how|explain|define|describe|tell me (?:about|why|how|what)|"
    r"is|are|am|does|did|was|were|(?:do|have|has|had|can|could|will|would) (?:i|we|you|they|he|she|it|my|our)|"
    r"sino|ano|anong|kailan|saan|nasaan|alin|bakit|paano|ilan|magkano|ipaliwanag)\b"
)


def is_question(text: str) -> bool:
    """Whether a text asks for something, by its form."""
    flat = plain(text)
    return flat.rstrip().endswith("?") or _ASKING.match(flat) is not None


def is_deliberate(intent: str, text: str) -> bool:
    """Whether a text says in so many words what an intent destroys or changes; likeness is not enough for that."""
    verb = _DELIBERATE.get(intent)
    return verb is None or verb.search(plain(text)) is not None
