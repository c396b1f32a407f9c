"""`aisys config`: the merged configuration, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from aisys.cli.run import say, show, show_json
from aisys.config import Fleet
from aisys.errors import ConfigError, Problem
from aisys.runtime.agents import check_agents
from aisys.runtime.options import Options
from aisys.runtime.places import check_keys, is_simulated


def check(options: Options) -> int:
    """Validate the configuration as a whole, agents' own settings included."""
    fleet = options.load()
    problems = [problem for machine in fleet.machines for problem in check_agents(fleet, machine)]
    if is_simulated(fleet) and fleet.env == "prod":
        problems += [
            problem for machine in fleet.machines for problem in check_keys(fleet, machine)
        ]
    if problems:
        raise ConfigError(problems)
    say(
        f"fleet {fleet.name} ({fleet.env}) is valid: {len(fleet.machines)} machines, "
        f"{len(fleet.built())} of {len(fleet.agents)} agents built, read from {fleet.config_dir}"
    )
    return 0


def show_config(options: Options, *, agent: str | None, origin: bool, as_json: bool) -> int:
    """Print every value that some layer sets, or those of one agent."""
    fleet = options.load()
    if agent is not None and agent not in fleet.agents:
        raise ConfigError(
            [
                Problem(
                    "aisys config show",
                    agent,
                    "is not an agent of the fleet",
                    "See `aisys status`.",
                )
            ]
        )
    rows = _rows(fleet, f"agents.{agent}." if agent else "")
    if as_json:
        show_json(
            [{"path": path, "value": value, "origin": place} for path, value, place in rows]
            if origin
            else {path: value for path, value, _ in rows}
        )
        return 0
    width = max((len(path) for path, _, _ in rows), default=0)
    for path, value, place in rows:
        show(f"{path:<{width}}  {value}" + (f"    # {place}" if origin else ""))
    return 0


def _rows(fleet: Fleet, prefix: str) -> list[tuple[str, Any, str]]:
    return [
        (path, fleet.value(path), str(place))
        for path, place in sorted(fleet.origins().items())
        if path.startswith(prefix)
    ]
