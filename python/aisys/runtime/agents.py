"""Finds the classes of agents by entry point, and checks their settings before anything starts."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel

from aisys.agent import Agent
from aisys.config import AgentEntry, Fleet, Secret, check_agent_settings
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
                    remedy="Install its distribution (`pip install aisys-agents`), or mark it `status: planned`.",
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


SHARED_SECTIONS = ("llm",)
"""Sections of the fleet's settings that an agent gets when its Config has a field of that name."""


def agent_settings(
    fleet: Fleet, entry: AgentEntry, config_class: type[BaseModel]
) -> dict[str, Any]:
    """The settings of an agent, with the fleet's own sections where its Config asks for them and it sets none itself.

    Secrets in them stay references: the agent resolves them when it needs them.
    """
    settings = dict(entry.settings)
    shared = fleet.settings_for(entry.machine)
    for name in SHARED_SECTIONS:
        if name in config_class.model_fields and name not in settings:
            section = {key: _reference(value) for key, value in getattr(shared, name)}
            settings[name] = {key: value for key, value in section.items() if value is not None}
    return settings


def _reference(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, Secret) else value


def check_agents(fleet: Fleet, machine: str) -> list[Problem]:
    """Problems of the built agents of a machine: class not found, or settings that their Config refuses."""
    return [
        problem
        for entry in fleet.machine_agents(machine)
        if entry.built
        for problem in check_agent(fleet, entry)
    ]


def check_agent(fleet: Fleet, entry: AgentEntry) -> list[Problem]:
    """As `check_agents`, for one agent."""
    try:
        config_class = agent_class(entry.name).Config
    except ConfigError as error:
        where = str(fleet.origin(f"agents.{entry.name}"))
        return [
            Problem(where, problem.setting, f"{problem.where}: {problem.what}", problem.remedy)
            for problem in error.problems
        ]
    return check_agent_settings(fleet, entry.name, config_class)[1]
