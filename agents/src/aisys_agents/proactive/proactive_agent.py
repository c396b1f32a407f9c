"""Speaks first when it should: reminders, and suggestions at a moment and rate the person accepts."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from aisys import Agent, Event, method, subscribe
from aisys.errors import CallError
from aisys.ids import new_id
from aisys_agents.language.phrases import phrase
from aisys_agents.proactive.models import (
    Announcement,
    Announcements,
    BadTime,
    NoSuchSuggestion,
    NothingToSnooze,
    Observation,
    PreferencesSet,
    Scheduled,
    Snoozed,
    SuggestionAnswered,
    TooManyReminders,
    Waiting,
)
from aisys_agents.proactive.reminders import Reminder, ReminderBook, Repeat
from aisys_agents.proactive.suggestions import (
    LEVELS,
    Preferences,
    Suggestion,
    acceptance,
    default_preferences,
    held_back,
    relevant,
    suggest,
)
from aisys_agents.text.cues import guess_language
from aisys_agents.text.dates import parse_when
from aisys_agents.text.now import local_now, moment_at

__all__ = ["ProactiveAgent"]

MAX_REMINDERS = 10_000
MAX_SUGGESTIONS = 200
LATE_AFTER_S = 60.0
LONGEST_NAP_S = 30.0
RETRY_S = 2.0
SNOOZE_S = 600


class ProactiveAgent(Agent):
    """Keeps reminders durably and announces each when it is due, late ones at the next start.

    A reminder is announced at least once: it is marked only when RequestCoordinator has accepted it. Until somebody
    answers it, or takes it with `take_announcements`, it counts as unseen.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            timezone: IANA name of the zone that times are meant in; the computer's own when empty.
        """

        timezone: str = ""

    async def on_start(self) -> None:
        """Read reminders, preferences and what was accepted before."""
        self._book = ReminderBook(self.state)
        await self._book.load()
        self._suggestions: dict[str, Suggestion] = {}
        self._said: deque[float] = deque(maxlen=1000)
        self._accepted: dict[str, dict[str, int]] = await self.state.get("accepted", default={})
        self._somebody_there: bool | None = None
        self._changed = asyncio.Event()

    async def on_ready(self) -> None:
        """Begin to watch the clock."""
        self.spawn(self._watch(), name="watch")

    @method(timeout_s=10)
    async def schedule_reminder(
        self,
        text: Annotated[str, Field(max_length=4000)],
        at: float | str,
        user_id: str | None = None,
        repeat: Repeat | None = None,
        reminder_id: str | None = None,
    ) -> Scheduled:
        """Set a timer, alarm or reminder; it is durable when this returns.

        Args:
            text: what to say; empty for a bare timer.
            at: seconds since the epoch, or words such as `in 10 seconds`, `bukas ng alas siyete`.
            user_id: for whom.
            repeat: how often to say it again.
            reminder_id: an id of the caller's own: the same id twice is one reminder.

        Raises:
            BadTime: the time cannot be read or has passed.
            TooManyReminders: too many wait already.
        """
        now = self._now()
        moment, said_repeat, assumed = self._moment(at, now)
        known = self._book.get(reminder_id) if reminder_id else None
        if known is None and len(self._book) >= MAX_REMINDERS:
            raise TooManyReminders(f"{MAX_REMINDERS} reminders are the most that are kept")
        if moment < now.timestamp() - 1.0 and known is None:
            raise BadTime(f"that time has passed: {moment_at(moment, now)}")
        entry = known or Reminder(
            id=reminder_id or new_id("rem"),
            text=text.strip(),
            at=moment,
            first_at=moment,
            user_id=user_id,
            repeat=repeat or said_repeat,
            language=guess_language(text),
            state="waiting",
            created_at=now.timestamp(),
            announced_at=None,
        )
        if known is None:
            await self._book.put(entry)
            self._changed.set()
        return Scheduled(
            reminder_id=entry["id"],
            at=entry["at"],
            when=moment_at(entry["at"], now),
            repeat=entry["repeat"],
            assumed=assumed,
        )

    @method(timeout_s=10)
    async def observe_context(self, context: dict[str, Any]) -> Observation:
        """Look for an opening to say something useful; says why it stayed quiet.

        Args:
            context: the situation: see `suggestions.suggest`, and `user_id`.
        """
        now = self._now()
        user_id = context.get("user_id")
        offers = suggest(context)
        if not offers:
            return Observation(suggestions=[], held_back="nothing to suggest")
        wanted = await self._preferences(user_id)
        hour_ago = now.timestamp() - 3600
        said = sum(1 for at in self._said if at > hour_ago)
        reason = held_back(now, wanted, said, self._somebody_there)
        if reason is not None:
            return Observation(suggestions=[], held_back=reason)
        made: list[Suggestion] = []
        for kind, text, relevance in offers:
            share = acceptance(self._accepted.get(kind, {}))
            if relevant(share, relevance, wanted["level"]) and said < wanted["max_per_hour"]:
                said += 1
                made.append(await self._offer(kind, text, relevance, user_id))
        return Observation(
            suggestions=made,
            held_back=None if made else "not relevant enough, or declined too often",
        )

    @method(timeout_s=5, idempotent=True)
    async def list_suggestions(
        self, user_id: str | None = None, include_reminders: bool = True
    ) -> Waiting:
        """What waits: suggestions by relevance, then reminders by time."""
        items: list[dict[str, Any]] = sorted(
            (
                dict(entry)
                for entry in self._suggestions.values()
                if user_id is None or entry["user_id"] in {None, user_id}
            ),
            key=lambda entry: -float(entry["relevance"]),
        )
        if include_reminders:
            now = self._now()
            items += [
                {**entry, "kind": "reminder", "when": moment_at(entry["at"], now)}
                for entry in self._book.waiting(user_id)
            ]
        return Waiting(items=items)

    @method(timeout_s=10)
    async def answer_suggestion(
        self,
        id: str,  # noqa: A002 - the name that the fleet's other agents use
        answer: Literal["accepted", "dismissed", "snoozed"],
        snooze_s: Annotated[int, Field(ge=1, le=366 * 86400)] | None = None,
    ) -> SuggestionAnswered:
        """Accept, dismiss or snooze a suggestion or a reminder; teaches how often a kind is welcome.

        Accepting an announced reminder marks it as seen; dismissing one that waits cancels it.

        Raises:
            NoSuchSuggestion: nothing has this id.
        """
        reminder = self._book.get(id)
        suggestion = self._suggestions.get(id)
        if reminder is None and suggestion is None:
            raise NoSuchSuggestion(f"no suggestion or reminder {id!r}")
        kind = suggestion["kind"] if suggestion is not None else "reminder"
        if answer != "snoozed":
            counts = self._accepted.setdefault(kind, {})
            counts[answer] = counts.get(answer, 0) + 1
            await self.state.set("accepted", self._accepted)
        if reminder is not None:
            await self._answer_reminder(reminder, answer, snooze_s)
        elif suggestion is not None:
            del self._suggestions[id]
            if answer == "snoozed":
                at = self.clock.time() + (snooze_s or SNOOZE_S)
                await self.schedule_reminder(suggestion["text"], at, suggestion["user_id"])
        return SuggestionAnswered(state=answer)

    @method(timeout_s=10)
    async def take_announcements(self, user_id: str) -> Announcements:
        """The announced reminders of a person that nobody has seen yet; they count as seen from now on."""
        now = self.clock.time()
        items: list[Announcement] = []
        for entry in self._book.unseen(user_id):
            at = entry.get("announced_for", entry["at"])
            await self._book.see(entry)
            items.append(
                Announcement(
                    id=entry["id"],
                    text=self._wording(entry, at, now),
                    at=at,
                    late=now - at > LATE_AFTER_S,
                )
            )
        return Announcements(items=items)

    @method(timeout_s=10)
    async def snooze_last(
        self,
        user_id: str,
        snooze_s: Annotated[int, Field(ge=1, le=366 * 86400)] = SNOOZE_S,
    ) -> Snoozed:
        """Put off the reminder of a person that was announced last.

        Raises:
            NothingToSnooze: none was announced within the last day.
        """
        announced = self._book.announced(user_id)
        if not announced:
            raise NothingToSnooze("no reminder was announced lately")
        entry = announced[-1]
        await self._answer_reminder(entry, "snoozed", snooze_s)
        at = self.clock.time() + snooze_s
        return Snoozed(
            reminder_id=entry["id"], text=entry["text"], at=at, when=moment_at(at, self._now())
        )

    @method(timeout_s=5)
    async def set_preferences(
        self,
        user_id: str,
        quiet_hours: dict[str, str] | None = None,
        max_per_hour: Annotated[int, Field(ge=0, le=60)] | None = None,
        level: Literal["off", "low", "normal", "high"] | None = None,
    ) -> PreferencesSet:
        """Set quiet hours (`from` and `to` as HH:MM), the rate and the level; reminders are not held back.

        Raises:
            BadTime: the quiet hours are no times of day.
        """
        wanted = await self._preferences(user_id)
        if quiet_hours is not None:
            wanted["quiet_hours"] = _checked_hours(quiet_hours)
        if max_per_hour is not None:
            wanted["max_per_hour"] = max_per_hour
        if level is not None and level in LEVELS:
            wanted["level"] = level
        wanted["updated_at"] = self.clock.time()
        await self.state.set(f"preferences/{user_id}", dict(wanted))
        return PreferencesSet(preferences=wanted)

    @subscribe("presence.changed")
    async def on_presence(self, event: dict[str, Any]) -> None:
        """Somebody came or left."""
        self._somebody_there = bool(event.get("present", event.get("state") == "present"))

    @subscribe("context.cue")
    @subscribe("mood.changed")
    @subscribe("goal.progress")
    @subscribe("learning.advice")
    @subscribe("health.forecast")
    async def on_situation(self, event: Event) -> None:
        """An opening, perhaps."""
        data = dict(event.data) if isinstance(event.data, dict) else {}
        data.setdefault("kind", event.topic.split(".", maxsplit=1)[0])
        await self.observe_context(data)

    def _now(self) -> datetime:
        return local_now(self.clock.time(), self.config.timezone)

    def _moment(self, at: float | str, now: datetime) -> tuple[float, str | None, str]:
        """The time in seconds, the repetition that the words name, and what was assumed."""
        if not isinstance(at, str):
            return float(at), None, ""
        found = parse_when(at, now)
        if found is not None:
            return found.at.timestamp(), found.repeat, found.assumed
        try:
            moment = datetime.fromisoformat(at.strip())
        except ValueError:
            raise BadTime(f"I cannot read {at!r} as a time") from None
        return (
            (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)).timestamp(),
            None,
            "",
        )

    async def _preferences(self, user_id: Any) -> Preferences:
        stored: Preferences | None = await self.state.get(f"preferences/{user_id}", default=None)
        return stored or default_preferences()

    async def _offer(
        self, kind: str, text: str, relevance: float, user_id: str | None
    ) -> Suggestion:
        at = self.clock.time()
        entry = Suggestion(
            id=new_id("sug"),
            kind=kind,
            text=text,
            priority=max(1, 10 - round(9 * relevance)),
            user_id=user_id,
            relevance=relevance,
            at=at,
            state="open",
        )
        self._said.append(at)
        self._suggestions[entry["id"]] = entry
        while len(self._suggestions) > MAX_SUGGESTIONS:
            del self._suggestions[next(iter(self._suggestions))]
        await self.publish("proactive.suggestion", entry)
        return entry

    async def _answer_reminder(self, entry: Reminder, answer: str, snooze_s: int | None) -> None:
        if answer == "snoozed":
            at = self.clock.time() + (snooze_s or SNOOZE_S)
            waiting: Reminder = {**entry, "at": at, "state": "waiting", "announced_at": None}
            await self._book.put({**waiting, "seen": True})
            self._changed.set()
        elif answer == "dismissed":
            await self._book.remove(entry["id"])
            self._changed.set()
        elif entry["announced_at"] is not None:
            await self._book.see(entry)

    async def _watch(self) -> None:
        """Announce each reminder when it is due."""
        while True:
            self._changed.clear()
            nap = await self._announce_due()
            if self._changed.is_set():
                continue
            waits = {
                asyncio.ensure_future(self.clock.sleep(nap)),
                asyncio.ensure_future(self._changed.wait()),
            }
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _announce_due(self) -> float:
        """Announce what is due and return how long there is nothing to do, in seconds."""
        for entry in self._book.waiting():
            now = self.clock.time()
            if entry["at"] > now:
                # The wall clock may be set while we wait, so it is looked at again before long.
                return min(max(entry["at"] - now, 0.001), LONGEST_NAP_S)
            if not await self._announce(entry, now):
                return RETRY_S
        await self._book.drop_old(self.clock.time())
        return LONGEST_NAP_S

    async def _announce(self, entry: Reminder, now: float) -> bool:
        text = self._wording(entry, entry["at"], now)
        try:
            await (
                self.peer("RequestCoordinator")
                .with_options(timeout_s=10)
                .submit_request(
                    kind="text",
                    data=text,
                    user_id=entry["user_id"],
                    urgency="high",
                    context={
                        "say": text,
                        "reminder_id": entry["id"],
                        "language": entry["language"],
                    },
                )
            )
        except CallError as error:
            self.health.set("announce", False, str(error))
            self.log.warning("reminder waits", reminder=entry["id"], reason=str(error))
            return False
        self.health.set("announce", True)
        # Before it is published: whoever sees it may answer at once.
        await self._book.announce(entry, self._now())
        await self.publish(
            "proactive.suggestion",
            {
                "id": entry["id"],
                "kind": "reminder",
                "text": text,
                "priority": 1,
                "user_id": entry["user_id"],
                "announced": True,
            },
        )
        return True

    def _wording(self, entry: Reminder, at: float, now: float) -> str:
        language, content = entry["language"], entry["text"]
        if now - at > LATE_AFTER_S:
            when = moment_at(at, self._now()).removeprefix("at ")
            return phrase("reminder_late", language, when=when, content=content or "timer")
        if not content:
            return phrase("timer_due", language)
        return phrase("reminder_due", language, content=content)


def _checked_hours(hours: dict[str, str]) -> dict[str, str]:
    out = {}
    for name in ("from", "to"):
        text = hours.get(name, "")
        try:
            out[name] = f"{datetime.strptime(text, '%H:%M'):%H:%M}"  # noqa: DTZ007 - a time of day
        except ValueError:
            raise BadTime(f"quiet_hours.{name} must be HH:MM, not {text!r}") from None
    return out
