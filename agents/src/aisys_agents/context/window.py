"""A sliding window of what matters now: larger while talk is dense, without the least important."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Item", "Window"]

_DENSE_S = 10.0
_HALF_LIFE_S = 600.0


@dataclass(slots=True)
class Item:
    """Something in mind. Times are seconds since the epoch."""

    text: str
    speaker: str | None
    importance: float
    at: float
    meta: dict[str, Any] = field(default_factory=dict)

    def weight(self, now: float) -> float:
        """Its importance, halved every ten minutes, for deciding what has to go."""
        return float(self.importance * 0.5 ** (max(0.0, now - self.at) / _HALF_LIFE_S))


class Window:
    """At most as many items as the pace of the talk allows.

    Args:
        smallest: the size when talk is slow.
        largest: the size when an item comes every few seconds.
    """

    def __init__(self, *, smallest: int = 5, largest: int = 20) -> None:
        self._smallest = smallest
        self._largest = largest
        self._arrivals: deque[float] = deque(maxlen=largest)
        self.items: list[Item] = []

    @property
    def size(self) -> int:
        """How many items it may hold at the present pace."""
        if len(self._arrivals) < 2:
            return self._smallest
        gap = (self._arrivals[-1] - self._arrivals[0]) / (len(self._arrivals) - 1)
        pace = max(0.0, min(1.0, _DENSE_S / gap)) if gap > 0 else 1.0
        return self._smallest + round((self._largest - self._smallest) * pace)

    def add(self, item: Item) -> Item | None:
        """Take an item in; gives the one that had to go for it, if any.

        The same words of the same speaker again only become as fresh as they are.
        """
        self._arrivals.append(item.at)
        for known in self.items:
            if known.text == item.text and known.speaker == item.speaker:
                known.at = item.at
                known.importance = max(known.importance, item.importance)
                return None
        self.items.append(item)
        dropped: Item | None = None
        while len(self.items) > self.size:
            # What was just said stays, however unimportant: the next answer is about it.
            dropped = min(self.items[:-1], key=lambda known: known.weight(item.at))
            self.items.remove(dropped)
        return dropped

    def ranked(self) -> list[Item]:
        """The items by importance, then recency."""
        return sorted(self.items, key=lambda item: (-item.importance, -item.at))

    def prune(self, min_importance: float) -> int:
        """Drop what matters less than that; how many."""
        before = len(self.items)
        self.items = [item for item in self.items if item.importance >= min_importance]
        return before - len(self.items)

    def clear(self) -> int:
        """Drop everything; how many."""
        count = len(self.items)
        self.items = []
        self._arrivals.clear()
        return count
