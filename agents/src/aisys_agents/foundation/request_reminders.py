"""Reminders in words: set, listed, cancelled and put off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aisys.errors import CallError
from aisys_agents.foundation.request_flow import OpenQuestion, Outcome, Turn
from aisys_agents.text.cues import plain
from aisys_agents.text.words import terms

if TYPE_CHECKING:
    from aisys_agents.foundation.request_flow import RequestFlow

__all__ = ["Reminders"]

MAX_LISTED = 20
SNOOZE_S = 600
MAX_SNOOZE_S = 366 * 86400
_ALL = re.compile(r"\b(?:all|every|everything|lahat)\b")
_NOISE = frozenset(
    terms(
        "cancel delete remove erase clear drop forget stop reminding remind reminder reminders alarm alarms timer "
        "timers please kanselahin burahin alisin paalala paalalahanan huwag mo na ko ang sa ng tungkol my me the a "
        "to about for that one of an i-cancel akong"
    )
)


class Reminders:
    """Does with reminders what a person asks for.

    Args:
        flow: the way that the request is on.
    """

    def __init__(self, flow: RequestFlow) -> None:
        self._flow = flow

    async def set(self, turn: Turn) -> Outcome:
        """Set a timer, alarm or reminder."""
        time, duration, content = (
            turn.entity("time"),
            turn.entity("duration"),
            turn.entity("content"),
        )
        if time is not None:
            at = time["at"]
        elif duration is not None:
            at = turn.request.accepted_at + float(duration["value"])
        else:
            return Outcome(turn.say("ask_time"), status="needs_clarification")
        what = content["value"] if content is not None else ""
        try:
            set_ = await self._flow.guard(
                "ProactiveAgent",
                self._flow.peers.proactive.schedule_reminder(
                    what,
                    at,
                    user_id=turn.request.user_id,
                    repeat=time.get("repeat") if time is not None else None,  # type: ignore[arg-type]
                    # The same request served again after a crash is the same reminder.
                    reminder_id=f"rem_{turn.request.request_id}",
                ),
            )
        except CallError as error:
            if getattr(error, "code", "") != "bad_time":
                raise
            return Outcome(turn.say("reminder_past"), status="bad_time", agent="ProactiveAgent")
        if set_["repeat"] and what:
            text = turn.say(
                "reminder_repeat", repeat=set_["repeat"], when=set_["when"], content=what
            )
        elif what:
            text = turn.say("reminder_set", when=set_["when"], content=what)
        else:
            text = turn.say("reminder_set_bare", when=set_["when"])
        if time is not None and time.get("note"):
            text += " " + turn.say("assumed", assumed=time["note"])
        data = {"reminder_id": set_["reminder_id"], "at": set_["at"], "repeat": set_["repeat"]}
        return Outcome(text, agent="ProactiveAgent", data=data)

    async def list_waiting(self, turn: Turn) -> Outcome:
        """Say what waits."""
        items = await self._waiting(turn)
        if not items:
            return Outcome(turn.say("no_reminders"), agent="ProactiveAgent", data={"items": []})
        listed = _listed(items)
        tagalog = turn.language in {"tl", "mixed"}
        noun = "paalala" if tagalog else "reminder" if len(items) == 1 else "reminders"
        text = turn.say("reminders", count=f"{len(items)} {noun}", items=listed)
        return Outcome(text, agent="ProactiveAgent", data={"items": items[:20]})

    async def cancel(self, turn: Turn) -> Outcome:
        """Cancel the reminder that is meant; asks when several may be, and before cancelling all."""
        items = await self._waiting(turn)
        if not items:
            return Outcome(turn.say("no_reminders"), status="not_found", agent="ProactiveAgent")
        wanted = [term for term in terms(turn.text) if term not in _NOISE]
        if _ALL.search(plain(turn.text)) and len(items) > 1:
            return await self._ask_about_all(turn, items)
        chosen = items if len(items) == 1 and (not wanted or _ALL.search(plain(turn.text))) else []
        if wanted and not chosen:
            shared = [len({*terms(item["text"])} & {*wanted}) for item in items]
            best = max(shared)
            chosen = [i for i, n in zip(items, shared, strict=True) if best and n == best]
            if not chosen:
                text = turn.say("reminder_unknown", choices=_listed(items))
                return Outcome(text, status="not_found", agent="ProactiveAgent")
        if len(chosen) != 1:
            question = OpenQuestion("missing", turn.text, turn.intent, self._flow.lapse())
            self._flow.ask_back(turn, question)
            text = turn.say("reminder_which", choices=_listed(chosen or items))
            return Outcome(text, status="needs_clarification", agent="ProactiveAgent")
        return await self._cancelled(turn, chosen)

    async def cancel_all(self, turn: Turn, payload: dict[str, Any]) -> Outcome:
        """Cancel the reminders that the person has said yes to."""
        return await self._cancelled(turn, payload["items"])

    async def snooze(self, turn: Turn) -> Outcome:
        """Put off the reminder that was announced last, ten minutes unless a time is named."""
        time, duration = turn.entity("time"), turn.entity("duration")
        wait_s: float = SNOOZE_S
        if duration is not None:
            wait_s = float(duration["value"])
        elif time is not None:
            wait_s = time["at"] - turn.request.accepted_at
        if not 1 <= wait_s <= MAX_SNOOZE_S:
            return Outcome(turn.say("reminder_past"), status="bad_time", agent="ProactiveAgent")
        try:
            put_off = await self._flow.guard(
                "ProactiveAgent",
                self._flow.peers.proactive.snooze_last(turn.request.user_id, snooze_s=int(wait_s)),
            )
        except CallError as error:
            if getattr(error, "code", "") != "nothing_to_snooze":
                raise
            text = turn.say("nothing_to_snooze")
            return Outcome(text, status="not_found", agent="ProactiveAgent")
        text = turn.say("snoozed", when=put_off["when"], content=put_off["text"] or "timer")
        data = {"reminder_id": put_off["reminder_id"], "at": put_off["at"]}
        return Outcome(text, agent="ProactiveAgent", data=data)

    async def _waiting(self, turn: Turn) -> list[dict[str, Any]]:
        found = await self._flow.guard(
            "ProactiveAgent", self._flow.peers.proactive.list_suggestions(turn.request.user_id)
        )
        return [item for item in found["items"] if item.get("kind") == "reminder"]

    async def _ask_about_all(self, turn: Turn, items: list[dict[str, Any]]) -> Outcome:
        kept = [{"id": item["id"], "text": item["text"], "when": item["when"]} for item in items]
        asked = await self._flow.guard(
            "IntentionValidatorAgent",
            self._flow.peers.validator.confirm_action(
                "delete all reminders",
                f"({_listed(items)})",
                user_id=turn.request.user_id,
                language=turn.language,
            ),
        )
        if not asked["needs_confirmation"] or asked["confirm_id"] is None:
            return await self._cancelled(turn, kept)
        question = OpenQuestion(
            "confirm",
            turn.text,
            "cancel_reminder",
            self._flow.lapse(),
            asked["confirm_id"],
            {"items": kept},
        )
        self._flow.ask_back(turn, question)
        return Outcome(asked["prompt"] or "", status="needs_confirmation", agent="ProactiveAgent")

    async def _cancelled(self, turn: Turn, items: list[dict[str, Any]]) -> Outcome:
        for item in items:
            await self._flow.guard(
                "ProactiveAgent",
                self._flow.peers.proactive.answer_suggestion(item["id"], "dismissed"),
            )
        text = turn.say("reminder_cancelled", content=_listed(items))
        ids = [item["id"] for item in items]
        return Outcome(text, agent="ProactiveAgent", data={"cancelled": ids})


def _listed(items: list[dict[str, Any]]) -> str:
    listed = "; ".join(f"{item['text'] or 'timer'} ({item['when']})" for item in items[:MAX_LISTED])
    more = len(items) - MAX_LISTED
    return f"{listed}; and {more} more" if more > 0 else listed
