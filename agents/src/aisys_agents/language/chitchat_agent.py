"""Makes small talk and keeps the thread of a casual conversation."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, method, subscribe
from aisys.errors import CallError
from aisys_agents.foundation.model_manager_suite import ModelManagerSuite
from aisys_agents.language.chitchat_lines import ABOUT, COURTESIES, FEELINGS, JOKES, REFLECTIONS
from aisys_agents.language.nlu_agent import NLUAgent, Utterance
from aisys_agents.text.cues import greeting_of, guess_language, plain, swap_person
from aisys_agents.text.date_answers import answer_date
from aisys_agents.text.now import local_now

__all__ = ["ChatReply", "ChitchatAgent", "Cleared", "History", "HistoryTurn"]

MAX_USERS = 1_000
SYSTEM = (
    "You are a friendly assistant making small talk. Answer in one or two short sentences in the language of the "
    "user (English, Tagalog or Taglish). Do not state facts you are not sure of."
)


class ChatReply(TypedDict):
    """A turn of small talk; `backend` is `rules` or `endpoint`."""

    reply: str
    topic: str | None
    backend: str


class HistoryTurn(TypedDict):
    """One side of one turn."""

    role: str
    text: str
    at: float


class History(TypedDict):
    """The last turns, oldest first."""

    turns: list[HistoryTurn]


class Cleared(TypedDict):
    """How many turns were forgotten."""

    cleared: int


class ChitchatAgent(Agent):
    """Courtesies and reflections by rules; free talk through the model where there is one."""

    nlu: NLUAgent
    models: ModelManagerSuite

    class Config(Agent.Config):
        """Settings.

        Attributes:
            turns: how many turns are kept for each person.
            persona: the name it goes by until DynamicIdentityAgent says otherwise.
            timezone: IANA name of the zone; the computer's own when empty.
        """

        turns: int = Field(default=10, ge=1, le=100)
        persona: str = "Aisys"
        timezone: str = ""

    async def on_start(self) -> None:
        """Begin with no history; SessionMemoryAgent has the real record."""
        self._history: OrderedDict[str, deque[HistoryTurn]] = OrderedDict()
        self._persona = self.config.persona
        self._said = 0

    @method(timeout_s=60)
    async def chat(
        self, text: Utterance, user_id: str = "default", session_id: str | None = None
    ) -> ChatReply:
        """One conversational turn.

        Args:
            text: what was said.
            user_id: who said it.
            session_id: the conversation, which the model goes on with.
        """
        analysis = await self.nlu.analyze_text(text)
        language = guess_language(text)
        found = await self._by_rules(text, analysis["intent"], language)
        if found is None:
            found = await self._by_model(text, session_id or user_id)
        if found is None:
            found = self._reflect(text, language)
        self._keep(user_id, text, found["reply"])
        self._said += 1
        return found

    @method(timeout_s=5, idempotent=True)
    async def get_history(self, user_id: str = "default") -> History:
        """The last turns with a person."""
        return History(turns=list(self._history.get(user_id, ())))

    @method(timeout_s=5, idempotent=True)
    async def clear_history(self, user_id: str = "default") -> Cleared:
        """Forget the turns with a person."""
        return Cleared(cleared=len(self._history.pop(user_id, ())))

    @subscribe("identity.changed")
    async def on_identity(self, event: dict[str, Any]) -> None:
        """Another persona: go by its name."""
        self._persona = str(event.get("new") or self.config.persona)

    async def _by_rules(self, text: str, intent: str, language: str) -> ChatReply | None:
        tagalog = language in {"tl", "mixed"}
        if intent == "greeting":
            kind = greeting_of(text)
            name = f"greeting_{kind}" if f"greeting_{kind}" in COURTESIES else "greeting"
            return self._say(COURTESIES[name][tagalog], "greeting")
        if intent in COURTESIES:
            return self._say(COURTESIES[intent][tagalog], intent)
        if intent == "joke":
            return self._say(JOKES[tagalog], "joke")
        if intent == "about_self":
            model = await self._model_sentence(tagalog)
            reply = ABOUT[tagalog].format(name=self._persona, model=model).strip()
            return ChatReply(reply=reply, topic="self", backend="rules")
        if intent == "date_question":
            answer = answer_date(text, local_now(self.clock.time(), self.config.timezone))
            if answer is not None:
                return ChatReply(reply=answer.text, topic="date", backend="rules")
        return None

    async def _model_sentence(self, tagalog: bool) -> str:
        try:
            chosen = await self.models.select_model("generate")
        except CallError:
            return ""
        if chosen["backend"] == "none":
            return (
                "Wala akong language model sa ngayon."
                if tagalog
                else "I have no language model right now."
            )
        return ""

    def _say(self, lines: tuple[str, ...], topic: str) -> ChatReply:
        return ChatReply(reply=lines[self._said % len(lines)], topic=topic, backend="rules")

    async def _by_model(self, text: str, conversation: str) -> ChatReply | None:
        """The model's answer, or None without a working one: small talk goes on by rules."""
        try:
            done = await self.models.generate_text(
                text, system=SYSTEM, max_tokens=200, conversation_id=f"chat:{conversation}"
            )
        except (AgentError, CallError) as error:
            self.log.warning("small talk by rules", reason=str(error))
            return None
        if done["status"] != "ok" or not done["text"].strip():
            return None
        return ChatReply(reply=done["text"].strip(), topic=None, backend=done["backend"])

    def _reflect(self, text: str, language: str) -> ChatReply:
        flat = plain(text)
        tagalog = language in {"tl", "mixed"}
        for pattern, topic, english, filipino in FEELINGS:
            if pattern.search(flat):
                return ChatReply(
                    reply=filipino if tagalog else english, topic=topic, backend="rules"
                )
        for pattern, lines in REFLECTIONS:
            match = pattern.search(text.strip(" .!?"))
            if match is not None:
                rest = swap_person(match[1]).strip(" .!?,")
                line = lines[self._said % len(lines)]
                return ChatReply(reply=line.format(rest), topic=None, backend="rules")
        reply = "Naiintindihan ko. Ituloy mo lang." if tagalog else "I see. Please go on."
        return ChatReply(reply=reply, topic=None, backend="rules")

    def _keep(self, user_id: str, text: str, reply: str) -> None:
        turns = self._history.pop(user_id, None) or deque(maxlen=2 * self.config.turns)
        at = self.clock.time()
        turns.append(HistoryTurn(role="user", text=text, at=at))
        turns.append(HistoryTurn(role="assistant", text=reply, at=at))
        self._history[user_id] = turns
        while len(self._history) > MAX_USERS:
            self._history.popitem(last=False)
