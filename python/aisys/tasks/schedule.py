"""Durable timers: reminders and the like."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aisys.ids import new_id
from aisys.tasks.model import Receipt, TaskInfo
from aisys.tasks.store import TaskStore


class Schedule:
    """Runs one handler at given times, over restarts; a time that passed meanwhile fires at once.

    Args:
        store: an open store.
        name: the name of the task that fires, which a runner has a handler for.
        priority: of these tasks; 0 is the most urgent.
    """

    def __init__(self, store: TaskStore, name: str, *, priority: int = 50) -> None:
        self._store = store
        self._name = name
        self._priority = priority

    async def at(
        self, when: datetime | float, payload: Mapping[str, Any], *, timer_id: str | None = None
    ) -> Receipt:
        """Fire at `when`: an aware datetime, or seconds since the epoch."""
        return await self._store.submit(
            self._name,
            payload,
            id=timer_id or new_id("timer"),
            priority=self._priority,
            eta=when,
        )

    async def after(
        self, delay_s: float, payload: Mapping[str, Any], *, timer_id: str | None = None
    ) -> Receipt:
        """Fire after `delay_s` seconds."""
        return await self.at(self._store.clock.time() + delay_s, payload, timer_id=timer_id)

    async def cancel(self, timer_id: str) -> bool:
        """Whether the timer will not fire."""
        return await self._store.cancel(timer_id) == "cancelled"

    async def pending(self, *, limit: int = 100) -> list[TaskInfo]:
        """The timers that are still to fire, the next one first."""
        return await self._store.list(state="delayed", name=self._name, limit=limit)
