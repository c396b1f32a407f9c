"""The whole built fleet in one process, and a person who talks to it."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

from aisys import Agent
from aisys.testing import LocalFleet

_PYPROJECT = Path(__file__).resolve().parents[2] / "agents" / "pyproject.toml"


def agent_classes(*without: str) -> list[type[Agent]]:
    """Every agent that the distribution offers, except those named."""
    points = tomllib.loads(_PYPROJECT.read_text())["project"]["entry-points"]["aisys.agents"]
    classes = []
    for name, target in points.items():
        module, _, attribute = target.partition(":")
        if name not in without:
            classes.append(getattr(importlib.import_module(module), attribute))
    return classes


def whole_fleet(*without: str, **options: Any) -> LocalFleet:
    """All built agents in one process; those left out are known and missing, as when their machine is away."""
    planned = ("SystemDigitalTwin", "StreamingTTSAgent", "STTService", *without)
    return LocalFleet(*agent_classes(*without), planned=planned, **options)


class Person:
    """Asks and waits for the answer, as `aisys ask` does."""

    def __init__(self, fleet: LocalFleet, user_id: str = "ana") -> None:
        self._fleet = fleet
        self._user_id = user_id

    async def ask(self, text: str, **options: Any) -> dict[str, Any]:
        """The result of a request, with `text`, `state`, `data` and `error`."""
        accepted = await self._fleet.call(
            "RequestCoordinator.submit_request",
            kind="text",
            data=text,
            user_id=self._user_id,
            **options,
        )
        result: dict[str, Any] = await self._fleet.call(
            "RequestCoordinator.get_result", request_id=accepted["request_id"], wait_s=30
        )
        return result

    async def says(self, text: str) -> str:
        """Only the words of the answer."""
        return str((await self.ask(text))["text"])
