"""The latest change of every agent, numbered, so that a host can ask for what it has not seen."""

from __future__ import annotations

from collections import OrderedDict

from typing_extensions import TypedDict

from aisys.registry import Lease

__all__ = ["ChangeLog", "RouteChange"]

_MAX_AGENTS = 10_000


class RouteChange(TypedDict):
    """Where an agent is now, and in which state: up, suspect, unknown, down or gone."""

    agent: str
    host: str
    machine: str
    port: int
    instance_id: str
    epoch: int
    state: str
    phase: str
    version: int


class ChangeLog:
    """One entry per agent, oldest change first.

    Args:
        first_version: greater than any number given before; a reader whose number is lower than
            that has last read from an earlier registry, and gets everything.
    """

    def __init__(self, first_version: int) -> None:
        self.version = first_version
        self._changes: OrderedDict[str, RouteChange] = OrderedDict()

    def note(self, lease: Lease, *, port: int, phase: str) -> RouteChange:
        """Enter what an agent's lease has become."""
        self.version += 1
        change = RouteChange(
            agent=lease.agent,
            host=lease.host,
            machine=lease.machine,
            port=port,
            instance_id=lease.instance_id,
            epoch=lease.epoch,
            state=lease.state.value,
            phase=phase,
            version=self.version,
        )
        self._changes[lease.agent] = change
        self._changes.move_to_end(lease.agent)
        while len(self._changes) > _MAX_AGENTS:
            self._changes.popitem(last=False)
        return change

    def since(self, version: int) -> list[RouteChange]:
        """What has changed after this number, oldest first."""
        news: list[RouteChange] = []
        for change in reversed(self._changes.values()):
            if change["version"] <= version:
                break
            news.append(change)
        return news[::-1]
