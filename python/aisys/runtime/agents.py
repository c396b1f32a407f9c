"""Finds the classes of agents by entry point, and checks their settings before anything starts."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pydantic import ValidationError

from aisys.agent import Agent
from aisys.config import Fleet
from aisys.errors import ConfigError, Problem

GROUP = "aisys.agents"


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def agent_class(name: str) -> type[Agent]:
    """The class of an agent.

    Raises:
        ConfigError: no installed distribution provides it, or its module does not import.
    """
    point = _entry_points().get(name)
    if point is None:
        raise ConfigError(
            [
                Problem(
                    where=f"entry points {GROUP}",
                    setting=name,
                    what="no installed distribution provides this agent",
                    remedy="Install it (the reference fleet: `pip install aisys-agents`), or mark it `status: planned`.",
                )
            ]
        )
    try:
        found = point.load()
    except Exception as error:
        raise ConfigError(
            [Problem(point.value, name, f"cannot be imported: {type(error).__name__}: {error}", "")]
        ) from error
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise ConfigError([Problem(point.value, name, "is not a subclass of aisys.Agent", "")])
    return found


def check_agents(fleet: Fleet, machine: str) -> list[Problem]:
    """Problems of the built agents of a machine: class not found, or settings that their Config refuses."""
    problems: list[Problem] = []
    for entry in fleet.machine_agents(machine):
        if not entry.built:
            continue
        try:
            agent_class(entry.name).Config.model_validate(dict(entry.settings))
        except ConfigError as error:
            problems.extend(
                Problem(str(fleet.origin(f"agents.{entry.name}")), problem.setting, problem.what, problem.remedy)
                for problem in error.problems
            )
        except ValidationError as error:
            for detail in error.errors():
                path = [str(part) for part in detail["loc"]]
                problems.append(
                    Problem(
                        where=str(fleet.agent_settings_origin(entry.name, path)),
                        setting=".".join(("agents", entry.name, "settings", *path)),
                        what=detail["msg"],
                        remedy=f"Known settings: {', '.join(agent_class(entry.name).Config.model_fields) or 'none'}.",
                    )
                )
    return problems
