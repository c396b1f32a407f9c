"""What the assistant says, in English and Tagalog; Taglish speakers are answered in Tagalog where it exists."""

from __future__ import annotations

__all__ = ["phrase"]

_PHRASES: dict[str, tuple[str, str]] = {
    "ask_content": ("What should I remember?", "Ano ang dapat kong tandaan?"),
    "ask_time": (
        "When should I remind you? For example: in 10 minutes, or tomorrow at 7 pm.",
        "Kailan kita paaalalahanan? Halimbawa: sa loob ng 10 minuto, o bukas ng alas siyete ng gabi.",
    ),
    "ask_nothing": (
        "I did not catch that. What can I do for you?",
        "Hindi ko narinig. Ano ang maitutulong ko?",
    ),
    "confirm_low": ("Shall I {action}?", "Gagawin ko ba ito: {action}?"),
    "confirm_medium": (
        "Are you sure you want me to {action}? Say yes or no.",
        "Sigurado ka bang gagawin ko ito: {action}? Oo o hindi.",
    ),
    "confirm_high": (
        "This cannot be undone: {action}. Are you sure? Say yes or no.",
        "Hindi na ito mababawi: {action}. Sigurado ka ba? Oo o hindi.",
    ),
    "remembered": (
        "I will remember: {content} (stored on {where}).",
        "Tatandaan ko: {content} (nakaimbak sa {where}).",
    ),
    "remembered_again": (
        "I will remember: {content} (stored on {where}; it replaces what I had before).",
        "Tatandaan ko: {content} (nakaimbak sa {where}; pinalitan nito ang dati).",
    ),
    "buffered": (
        "I will remember: {content} (buffered here until {machine} is back).",
        "Tatandaan ko: {content} (nakatabi muna rito hanggang bumalik ang {machine}).",
    ),
    "not_remembered": (
        "I could not store that: {reason}. Please tell me again later.",
        "Hindi ko ito naitabi: {reason}. Pakiulit na lang mamaya.",
    ),
    "recalled": (
        'You told me: "{content}" (stored on {where}).',
        'Sabi mo sa akin: "{content}" (nakaimbak sa {where}).',
    ),
    "recalled_more": (
        'Also: "{content}" (stored on {where}).',
        'Pati: "{content}" (nakaimbak sa {where}).',
    ),
    "not_found": (
        "I have nothing about that in my memory.",
        "Wala akong natatandaan tungkol diyan.",
    ),
    "not_reached": ("I could not reach {names}.", "Hindi ko maabot ang {names}."),
    "forgotten": ('I forgot: "{content}".', 'Kinalimutan ko na: "{content}".'),
    "forget_which": (
        "I know several things like that. Which one: {choices}?",
        "Marami akong alam na ganyan. Alin: {choices}?",
    ),
    "reminder_set": (
        "I will remind you {when}: {content}.",
        "Paaalalahanan kita {when}: {content}.",
    ),
    "reminder_set_bare": ("Set. I will tell you {when}.", "Sige. Sasabihan kita {when}."),
    "reminder_repeat": (
        "I will remind you {repeat}, first {when}: {content}.",
        "Paaalalahanan kita ({repeat}), una {when}: {content}.",
    ),
    "assumed": ("I took {assumed}.", "Ipinalagay kong {assumed}."),
    "reminder_past": ("That time has passed.", "Lumipas na ang oras na iyon."),
    "reminder_cancelled": ("Cancelled: {content}.", "Kinansela ko na: {content}."),
    "reminder_which": ("Which one: {choices}?", "Alin: {choices}?"),
    "reminder_unknown": (
        "I have no such reminder. You have: {choices}.",
        "Wala akong ganyang paalala. Mayroon kang: {choices}.",
    ),
    "snoozed": (
        "I will remind you again {when}: {content}.",
        "Paaalalahanan kita uli {when}: {content}.",
    ),
    "nothing_to_snooze": ("There is no reminder to snooze.", "Walang paalalang maipagpapaliban."),
    "known_facts": ("You told me {count}: {items}.", "Sinabi mo sa akin ({count}): {items}."),
    "nothing_known": ("You have not told me anything yet.", "Wala ka pang sinasabi sa akin."),
    "reminder_due": ("Reminder: {content}", "Paalala: {content}"),
    "timer_due": ("Time is up.", "Tapos na ang oras."),
    "reminder_late": (
        "Reminder (late, it was for {when}): {content}",
        "Paalala (huli na, para sana {when}): {content}",
    ),
    "no_reminders": ("You have no reminders.", "Wala kang paalala."),
    "reminders": ("You have {count}: {items}.", "Mayroon kang {count}: {items}."),
    "needs_model": (
        (
            "That needs a language model, and none is configured. Set AISYS_LLM_URL to an OpenAI-compatible endpoint. "
            "I can remember and recall facts, set reminders, calculate, and convert units and dates without one."
        ),
        (
            "Kailangan nito ng language model, at wala pang nakatakda. Itakda ang AISYS_LLM_URL. Kaya kong magtanda, "
            "magpaalala, magkwenta, at mag-convert ng sukat at petsa kahit wala nito."
        ),
    ),
    "model_failed": (
        "That needs a language model, and the configured one could not answer: {reason}.",
        "Kailangan nito ng language model, at hindi nakasagot ang nakatakda: {reason}.",
    ),
    "not_built": (
        "I understood that as {intent}, which is the job of {agent}. That agent is not part of this fleet yet.",
        "Naintindihan ko ito bilang {intent}, na trabaho ng {agent}. Wala pa ang agent na iyon sa fleet na ito.",
    ),
    "unknown": (
        "I did not understand that. Could you put it in other words?",
        "Hindi ko naintindihan. Pwede mo bang sabihin sa ibang paraan?",
    ),
    "nothing_open": ("There is nothing that I asked you.", "Wala akong itinanong sa iyo."),
    "stopped": ("Stopped.", "Itinigil ko na."),
    "nothing_to_stop": ("There was nothing to stop.", "Walang dapat itigil."),
    "unavailable": (
        "I could not do that: {agent} did not answer ({reason}).",
        "Hindi ko ito nagawa: hindi sumagot ang {agent} ({reason}).",
    ),
    "thinking": ("Let me think about that.", "Sandali, pag-iisipan ko."),
    "unsupported_kind": (
        "I cannot understand {kind} yet: {agent} is not part of this fleet.",
        "Hindi ko pa naiintindihan ang {kind}: wala pa ang {agent} sa fleet na ito.",
    ),
}


def phrase(name: str, language: str = "en", /, **values: object) -> str:
    """A phrase in a language, with its blanks filled.

    Args:
        name: which phrase.
        language: `tl` and `mixed` give Tagalog, everything else English.
        values: what goes into the blanks.

    Raises:
        KeyError: there is no such phrase, or a blank is left.
    """
    english, tagalog = _PHRASES[name]
    return (tagalog if language in {"tl", "mixed"} else english).format(**values)
