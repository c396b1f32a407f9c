"""`aisys-agent --name X`: one agent as a process of its own, for systemd, Kubernetes and a debugger."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from aisys.cli.run import EXIT_USAGE, parse_overrides, say
from aisys.errors import ConfigError, Problem


def main(arguments: list[str] | None = None) -> None:
    """The console script; leaves with 0 done, 1 failed, 2 usage or configuration error."""
    parser = argparse.ArgumentParser(
        prog="aisys-agent", description="Runs one agent of a fleet in the foreground."
    )
    parser.add_argument("--name", required=True, help="the agent, as the fleet file names it")
    parser.add_argument("--config", type=Path, help="configuration folder")
    parser.add_argument("--env", help="dev, staging, prod, or one of your own")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting"
    )
    parser.add_argument("--check", action="store_true", help="validate and leave")
    given = parser.parse_args(arguments)
    try:
        code = _run(given)
    except ConfigError as error:
        for problem in error.problems:
            say(f"aisys-agent: {problem}")
        code = EXIT_USAGE
    sys.exit(code)


def _run(given: argparse.Namespace) -> int:
    from aisys.runtime.agents import check_agent
    from aisys.runtime.host_process import run
    from aisys.runtime.options import Options
    from aisys.runtime.places import make_missing_keys
    from aisys.runtime.preflight import check_agent_port

    options = Options(given.config, given.env, parse_overrides(given.set))
    os.environ.update(options.to_environment())
    fleet = options.load()
    entry = fleet.agents.get(given.name)
    if entry is None:
        raise ConfigError(
            [Problem("--name", given.name, "is not an agent of the fleet", "See `aisys status`.")]
        )
    problems = check_agent(fleet, entry)
    if not problems and not given.check:
        problems = check_agent_port(fleet, entry)
    if problems:
        raise ConfigError(problems)
    if given.check:
        say(f"{entry.name} is valid")
        return 0
    make_missing_keys(fleet, entry.machine)
    return run(fleet, f"{entry.machine}/{entry.name}", None, [entry.name])


if __name__ == "__main__":
    main()
