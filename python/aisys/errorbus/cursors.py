"""How far each destination has come, kept beside the spool's file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from aisys.errorbus.errors import ErrorBusError
from aisys.errorbus.journal import Position

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_START: Final[Position] = (0, 0)


class Cursors:
    """A small file for each destination. One that is lost costs repeated sends, never a report."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, Position] = {}
        self._registered: set[str] = set()

    def load(self) -> None:
        """Read what earlier processes left."""
        for path in self._folder.glob("cursor-*"):
            name = path.name.removeprefix("cursor-")
            epoch, _, seq = path.read_text("ascii", errors="replace").strip().partition(" ")
            if epoch.isdecimal() and seq.isdecimal() and name not in self._stored:
                self._stored[name] = (int(epoch), int(seq))

    def register(self, name: str) -> None:
        """From now on reports wait for `name`.

        Raises:
            ErrorBusError: the name cannot be a file name.
        """
        if not _NAME.fullmatch(name):
            raise ErrorBusError(f"destination {name!r}: use letters, digits, '_', '.' and '-'")
        self._registered.add(name)

    def get(self, name: str) -> Position:
        """What `name` acknowledged last."""
        return self._stored.get(name, _START)

    def advance(self, name: str, position: Position) -> None:
        """`name` has everything up to `position`."""
        if position <= self.get(name):
            return
        self._stored[name] = position
        path = self._folder / f"cursor-{name}"
        fresh = self._folder / f"new-{name}"
        fresh.write_text(f"{position[0]} {position[1]}\n", "ascii")
        fresh.replace(path)

    def done(self) -> Position | None:
        """What every registered destination has; None when there is none."""
        return min((self.get(name) for name in self._registered), default=None)

    def newest(self) -> Position:
        """The newest position that any destination ever acknowledged."""
        return max(self._stored.values(), default=_START)
