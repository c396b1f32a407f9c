"""Delivers the final answer: wording, voice and language for the person in front of it."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, Refused, method, subscribe
from aisys.errors import CallError
from aisys.ids import new_id
from aisys_agents.text.cues import guess_language

__all__ = [
    "Delivered",
    "ProfileSet",
    "Responder",
    "Spoken",
    "Stopped",
    "Utterances",
    "VoiceProfile",
]

LISTENER_S = 300.0
MAX_HISTORY = 500

Factor = Annotated[float, Field(ge=0.25, le=4.0)]


class Delivered(TypedDict):
    """What was said and how; `notes` tells what could not be done, such as speaking."""

    utterance_id: str
    spoken: bool
    text: str
    language: str
    notes: list[str]


class Stopped(TypedDict):
    """Whether something was being delivered."""

    stopped: bool


class VoiceProfile(TypedDict, total=False):
    """A person's voice preferences; what is missing takes the voice's own default."""

    voice: str
    speed: float
    pitch: float
    energy: float


class ProfileSet(TypedDict):
    """The whole profile as it is now."""

    profile: VoiceProfile


class Spoken(TypedDict):
    """One utterance of the past."""

    utterance_id: str
    text: str
    language: str
    user_id: str | None
    spoken: bool
    channels: list[str]
    at: float


class Utterances(TypedDict):
    """Utterances, newest first."""

    utterances: list[Spoken]


class Responder(Agent):
    """Sends answers out; without a voice they go to the screen, and the reply says so.

    Voice profiles survive a restart. Who is in front of it lapses after five minutes.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            voice: whether to try speech at all.
            voice_timeout_s: how long the voice may take to accept a text.
        """

        voice: bool = True
        voice_timeout_s: float = Field(default=5.0, gt=0)

    async def on_start(self) -> None:
        """Read the voice profiles."""
        self._history: deque[Spoken] = deque(maxlen=MAX_HISTORY)
        self._listeners: OrderedDict[str, float] = OrderedDict()
        self._emotion: str | None = None
        self._current: str | None = None

    @method(timeout_s=30)
    async def respond(
        self,
        text: Annotated[str, Field(min_length=1, max_length=100_000)],
        user_id: str | None = None,
        language: str | None = None,
        emotion: str | None = None,
        original_language: str | None = None,
        channels: list[str] | None = None,
        request_id: str | None = None,
    ) -> Delivered:
        """Adapt a reply and send it out.

        Args:
            text: the reply.
            user_id: for whom; whoever is in front of it when left out.
            language: the language of the text, if known.
            emotion: the mood to speak in.
            original_language: the language the person used, when the text was translated.
            channels: `screen` and `voice`; both by default.
            request_id: the request that this answers, for whoever waits for it.
        """
        wanted = channels or ["screen", "voice"]
        utterance_id = new_id("utt")
        listener = user_id or self._listener()
        tongue = language or original_language or guess_language(text)
        notes: list[str] = []
        spoken = False
        if "voice" in wanted and self.config.voice:
            self._current = utterance_id
            spoken = await self._speak(text, listener, emotion or self._emotion, tongue, notes)
            self._current = None
        record = Spoken(
            utterance_id=utterance_id,
            text=text,
            language=tongue,
            user_id=listener,
            spoken=spoken,
            channels=["screen", *(["voice"] if spoken else [])],
            at=self.clock.time(),
        )
        self._history.append(record)
        channel = "voice" if spoken else "screen"
        await self.publish(
            "response.delivered", {**record, "channel": channel, "request_id": request_id}
        )
        return Delivered(
            utterance_id=utterance_id, spoken=spoken, text=text, language=tongue, notes=notes
        )

    @method(timeout_s=10, priority=10)
    async def stop_response(self, utterance_id: str | None = None) -> Stopped:
        """Cut off what is being delivered."""
        current = self._current
        if current is None or utterance_id not in {None, current}:
            return Stopped(stopped=False)
        if self.has_peer("StreamingTTSAgent"):
            await self.call("StreamingTTSAgent.stop_speaking")
        self._current = None
        return Stopped(stopped=True)

    @method(timeout_s=5)
    async def set_voice_profile(
        self,
        user_id: Annotated[str, Field(min_length=1, max_length=200)],
        voice: str | None = None,
        speed: Factor | None = None,
        pitch: Factor | None = None,
        energy: Factor | None = None,
    ) -> ProfileSet:
        """Set what is given of a person's voice preferences; it is kept."""
        profile: VoiceProfile = await self.state.get(f"voice/{user_id}", default={})
        if voice is not None:
            profile["voice"] = voice
        if speed is not None:
            profile["speed"] = speed
        if pitch is not None:
            profile["pitch"] = pitch
        if energy is not None:
            profile["energy"] = energy
        await self.state.set(f"voice/{user_id}", dict(profile))
        return ProfileSet(profile=profile)

    @method(timeout_s=5, idempotent=True)
    async def get_history(
        self, limit: Annotated[int, Field(ge=1, le=MAX_HISTORY)] = 20
    ) -> Utterances:
        """What was said lately and to whom, newest first."""
        return Utterances(utterances=list(reversed(self._history))[:limit])

    @subscribe("vision.face")
    @subscribe("voice.speaker")
    async def on_listener(self, event: dict[str, Any]) -> None:
        """Somebody was seen or heard: answers without an addressee are for them."""
        name = event.get("user_id") or event.get("name")
        if name:
            self._listeners.pop(str(name), None)
            self._listeners[str(name)] = self.clock.monotonic()
            while len(self._listeners) > 100:
                self._listeners.popitem(last=False)

    @subscribe("speech.interrupt")
    async def on_interrupt(self, event: dict[str, Any]) -> None:  # noqa: ARG002 - any interruption
        """The person speaks: be quiet."""
        await self.stop_response()

    @subscribe("emotion.state")
    async def on_emotion(self, event: dict[str, Any]) -> None:
        """Keep the mood to speak in."""
        self._emotion = str(event.get("emotion") or "") or None

    @subscribe("identity.changed")
    async def on_identity(self, event: dict[str, Any]) -> None:
        """Another persona: forget the mood of the last one."""
        self._emotion = str(event.get("emotion") or "") or None

    def _listener(self) -> str | None:
        now = self.clock.monotonic()
        for name, seen_at in reversed(self._listeners.items()):
            if now - seen_at <= LISTENER_S:
                return name
        return None

    async def _speak(
        self, text: str, listener: str | None, emotion: str | None, language: str, notes: list[str]
    ) -> bool:
        """Hand the text to the voice; False, with a note, when there is none."""
        if not self.has_peer("StreamingTTSAgent"):
            notes.append("shown on screen: no voice is part of this fleet")
            return False
        profile = await self.state.get(f"voice/{listener}", default={}) if listener else {}
        voice = self.peer("StreamingTTSAgent").with_options(timeout_s=self.config.voice_timeout_s)
        try:
            await voice.speak(text=text, language=language, emotion=emotion, settings=profile)
        except Refused as error:
            notes.append(f"shown on screen: the voice is not available ({error.reason})")
            return False
        except CallError as error:
            notes.append(f"shown on screen: the voice failed ({error})")
            return False
        return True
