"""Agent classes by name: those imported, then those that distributions declare as entry points.

Agents that need each other cannot import each other at module level. They import under
`TYPE_CHECKING` and annotate; the name is resolved here when the agent is started.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from aisys.agent.suggest import did_you_mean
from aisys.errors import ConfigError, Problem

if TYPE_CHECKING:
    from aisys.agent.base import Agent

ENTRY_POINT_GROUP = "aisys.agents"

_imported: WeakValueDictionary[str, type[Agent]] = WeakValueDictionary()


def remember(cls: type[Agent]) -> None:
    """Record a class that was just defined; a later one of the same name takes its place."""
    _imported[cls.agent_name or cls.__name__] = cls


@functools.cache
def declared() -> dict[str, EntryPoint]:
    """The agents that installed distributions declare, by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def find_imported(name: str) -> type[Agent] | None:
    """The class of an agent if its module has been imported."""
    return _imported.get(name)


def find_class(name: str) -> type[Agent] | None:
    """The class of an agent, imported if need be; None when nothing installed has it.

    Raises:
        ImportError: its module cannot be imported.
    """
    point = declared().get(name)
    known = _imported.get(name)
    if known is not None or point is None:
        return known
    loaded: type[Agent] = point.load()
    return loaded


def load_class(name: str) -> type[Agent]:
    """The class of an agent.

    Raises:
        ConfigError: no installed distribution declares it.
        ImportError: its module cannot be imported.
    """
    cls = find_class(name)
    if cls is None:
        raise ConfigError(
            [
                Problem(
                    f"entry point group {ENTRY_POINT_GROUP}",
                    name,
                    f"no installed distribution has this agent{did_you_mean(name, declared())}",
                    "Declare it under [project.entry-points.'aisys.agents'] and install it.",
                )
            ]
        )
    return cls
