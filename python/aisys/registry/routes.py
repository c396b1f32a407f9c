"""Where calls go. The data path reads this table and never waits for the registry that fills it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aisys.messaging import Address


@dataclass(frozen=True, slots=True)
class Route:
    """Where one agent is.

    Attributes:
        instance_id: the running instance; empty when the route comes from the configuration.
        epoch: grows with every new instance; a route of an older epoch never replaces a newer one.
        alive: whether the registry has heard from it.
    """

    agent: str
    host: str
    machine: str
    address: Address
    instance_id: str = ""
    epoch: int = 0
    alive: bool = True


class RouteTable:
    """Routes from the configuration, overlaid by what the registry pushes.

    When the registry is gone, the last pushed routes stay; what was never pushed is routed by the
    configuration.

    Args:
        static: the configured routes by agent.
    """

    def __init__(self, static: Mapping[str, Route] | None = None) -> None:
        self._static = dict(static or {})
        self._pushed: dict[str, Route] = {}
        self._routes = dict(self._static)

    def lookup(self, agent: str) -> Route | None:
        """The route to an agent, or None."""
        return self._routes.get(agent)

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def update(self, changes: Iterable[Route]) -> list[Route]:
        """Take pushed routes over and return those that were news; older epochs are ignored."""
        news = []
        for route in changes:
            known = self._pushed.get(route.agent)
            if known is not None and (route.epoch < known.epoch or route == known):
                continue
            self._pushed[route.agent] = route
            self._routes[route.agent] = route
            news.append(route)
        return news

    def forget(self, agent: str, epoch: int) -> bool:
        """Drop a pushed route unless a newer one replaced it; the configured one holds again."""
        known = self._pushed.get(agent)
        if known is None or known.epoch > epoch:
            return False
        del self._pushed[agent]
        static = self._static.get(agent)
        if static is None:
            del self._routes[agent]
        else:
            self._routes[agent] = static
        return True
