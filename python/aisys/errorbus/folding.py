"""Turns a flood of the same error into a number."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from aisys.errorbus.report import Report
from aisys.ids import new_id

MAX_FINGERPRINTS: Final = 1_024


@dataclass(slots=True)
class _Window:
    started: float
    passed: int
    folded: Report | None = None


class Folder:
    """Lets the first `limit` reports of a fingerprint pass in each window; counts the rest.

    The count goes out as one report when the window ends. Not thread-safe.
    """

    def __init__(self, *, limit: int = 20, window_s: float = 10.0) -> None:
        self._limit = limit
        self._window_s = window_s
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._ended: list[Report] = []
        self._counting = 0

    def offer(self, report: Report, now: float) -> Report | None:
        """The report if it passes, or None if it was counted into another one.

        Args:
            report: what happened.
            now: monotonic seconds.
        """
        window = self._windows.get(report.fingerprint)
        if window is not None and now - window.started >= self._window_s:
            self._end(report.fingerprint)
            window = None
        if window is None:
            if len(self._windows) >= MAX_FINGERPRINTS:
                self._end(next(iter(self._windows)))
            self._windows[report.fingerprint] = _Window(now, 1)
            return report
        if window.passed < self._limit:
            window.passed += 1
            return report
        if window.folded is None:
            window.folded = replace(report, id=new_id("err"))
            self._counting += 1
        else:
            # The latest message, all of the counts.
            window.folded = replace(
                report, id=window.folded.id, count=window.folded.count + report.count
            )
        return None

    def folded_id(self, fingerprint: str) -> str:
        """The id of the report that this fingerprint is counted into, or ""."""
        window = self._windows.get(fingerprint)
        return "" if window is None or window.folded is None else window.folded.id

    def take_ended(self, now: float, *, everything: bool = False) -> list[Report]:
        """The counts whose window is over, each once; with `everything` the running ones too."""
        while self._windows:
            name, window = next(iter(self._windows.items()))
            if not everything and now - window.started < self._window_s:
                break
            self._end(name)
        ended, self._ended = self._ended, []
        self._counting -= len(ended)
        return ended

    def is_counting(self) -> bool:
        """Whether some count is still to go out."""
        return self._counting > 0

    def _end(self, name: str) -> None:
        window = self._windows.pop(name)
        if window.folded is not None:
            self._ended.append(window.folded)
