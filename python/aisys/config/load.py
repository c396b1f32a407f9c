"""Reading a configuration folder into a `Fleet`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from aisys.config.checks import Draft, check_all, did_you_mean
from aisys.config.fleet import AgentEntry, Fleet, MachineConfig
from aisys.config.layers import (
    find_config_dir,
    from_overrides,
    from_variables,
    merge,
    merge_all,
    only,
    strip,
)
from aisys.config.origins import (
    LAYER_BASE,
    LAYER_ENV,
    LAYER_FLEET,
    LAYER_MACHINE,
    Node,
    dotted,
)
from aisys.config.settings import AgentInput, FleetSettings, SharedPlace
from aisys.config.strict_yaml import read_file
from aisys.config.validate import (
    SECTIONS,
    check_agents,
    check_machines,
    check_name,
    check_settings,
)
from aisys.errors import ConfigError, Problem

KNOWN_ENVS = ("dev", "staging", "prod")
_ENV_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_FLEET_WIDE = (("name",), ("port_offset",), ("security", "curve"))


def load_fleet(
    config_dir: Path | None = None,
    *,
    env: str | None = None,
    overrides: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
) -> Fleet:
    """Read, merge and check the configuration.

    The layers, lowest first: `base.yaml`, `fleet.yaml`, `<env>.yaml`, `machines/<machine>.yaml`,
    `AISYS_*` variables, `overrides`. In `Config.for_agent` an agent's own section lies over the
    settings of the fleet.

    Args:
        config_dir: the folder; by default `AISYS_CONFIG_DIR`, `./config`, or an installed fleet's.
        env: the environment; by default `AISYS_ENV`, or dev.
        overrides: values by dotted path, from the command line (see `parse_override`).
        environ: the environment variables; the process's own by default.

    Raises:
        ConfigError: with everything that is wrong, each with file, line, column and remedy.
    """
    variables = os.environ if environ is None else environ
    folder = find_config_dir(config_dir, variables, Path.cwd())
    chosen = env or variables.get("AISYS_ENV") or "dev"
    reader = _Reader(folder)
    base = reader.read("base.yaml", LAYER_BASE, required=False)
    fleet = reader.read("fleet.yaml", LAYER_FLEET)
    files = merge_all((base, fleet, _read_env(reader, chosen, "" if env else "$AISYS_ENV")))
    machine_layers = _read_machines(reader, files)
    if reader.broken:
        raise ConfigError(reader.problems)
    builder = _Assembly(reader.problems, files, machine_layers, variables, overrides)
    return builder.fleet(chosen, folder)


class _Reader:
    """Reads the files of a folder and keeps what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.broken = False

    def read(self, name: str, layer: str, *, required: bool = True) -> Node | None:
        path = self.folder / name
        if not required and not path.exists():
            return None
        parsed = read_file(path, layer)
        self.problems += parsed.problems
        self.broken = self.broken or parsed.root is None
        return parsed.root


def _read_env(reader: _Reader, env: str, where: str) -> Node | None:
    """The environment's overlay. dev, staging and prod exist always, others by having a file."""
    files = {
        path.stem
        for path in reader.folder.glob("*.yaml")
        if path.stem not in ("base", "fleet") and _ENV_NAME.match(path.stem)
    }
    known = sorted(files | set(KNOWN_ENVS))
    if env not in known:
        remedy = did_you_mean(env, known, f"Use one of: {', '.join(known)}")
        reader.problems.append(Problem(where, "", f"no environment is named {env!r}", remedy))
        reader.broken = True
        return None
    return reader.read(f"{env}.yaml", LAYER_ENV, required=False)


def _read_machines(reader: _Reader, files: Node) -> dict[str, Node]:
    """The overlays of the machines, each checked to touch its own machine only."""
    layers: dict[str, Node] = {}
    machines = files.find(("machines",))
    known = list(machines.children()) if machines is not None else []
    for path in sorted((reader.folder / "machines").glob("*.yaml")):
        layer = reader.read(f"machines/{path.name}", LAYER_MACHINE)
        if layer is None:
            continue
        name = path.stem
        layers[name] = layer
        if known and name not in known:
            remedy = did_you_mean(name, known, f"Name it after one of: {', '.join(known)}")
            where = layer.origin.where
            reader.problems.append(Problem(where, "", f"no machine is named {name}", remedy))
        reader.problems += _stray(name, layer, files)
    return layers


def _stray(machine: str, layer: Node, files: Node) -> list[Problem]:
    """What a machine's file sets although it is not the machine's to set."""
    problems = []
    for path in _FLEET_WIDE:
        node = layer.find(path)
        if node is not None:
            what = "holds for the whole fleet"
            remedy = "Set it in base.yaml, fleet.yaml or the environment's file"
            problems.append(Problem(node.key.where, dotted(path), what, remedy))
    for section in ("machines", "agents"):
        node = layer.find((section,))
        for name, child in node.children().items() if node is not None else ():
            home = files.find(("agents", name, "machine")) if section == "agents" else None
            owner = home.value if home is not None else name if section == "machines" else None
            if owner != machine:
                what = f"does not belong to {machine}"
                remedy = f"Set it in machines/{owner}.yaml" if owner else "Add it to fleet.yaml"
                problems.append(Problem(child.key.where, f"{section}.{name}", what, remedy))
    return problems


class _Assembly:
    """Merges the layers, checks the result and builds the fleet."""

    def __init__(
        self,
        problems: list[Problem],
        files: Node,
        machine_layers: Mapping[str, Node],
        environ: Mapping[str, str],
        overrides: Mapping[str, object],
    ) -> None:
        entries = [only(layer, ("machines", "agents")) for layer in machine_layers.values()]
        merged = merge_all((files, *entries))
        variables, wrong = from_variables(environ, merged)
        options, wrong_options = from_overrides(overrides)
        self._problems = [*problems, *wrong, *wrong_options]
        self._tree = strip(merge_all((merged, variables, options)))
        self._machine_trees = {
            name: strip(
                merge_all((merge(merged, only(layer, SECTIONS, other=True)), variables, options))
            )
            for name, layer in machine_layers.items()
        }

    def fleet(self, env: str, folder: Path) -> Fleet:
        """The fleet.

        Raises:
            ConfigError: with everything that is wrong.
        """
        name, wrong = check_name(self._tree)
        settings, wrong_settings = check_settings(self._tree)
        machines, wrong_machines = check_machines(self._tree)
        agents, wrong_agents = check_agents(self._tree)
        self._problems += [*wrong, *wrong_settings, *wrong_machines, *wrong_agents]
        per_machine: dict[str, FleetSettings] = {}
        for machine, tree in self._machine_trees.items():
            per_machine[machine], wrong = check_settings(tree)
            self._problems += wrong
        draft = Draft(
            self._tree,
            env,
            machines,
            agents,
            settings,
            per_machine,
            self._machine_trees,
        )
        self._problems += check_all(draft)
        if self._problems:
            raise ConfigError(list(dict.fromkeys(self._problems)))
        return _build(draft, name, folder)


def _build(draft: Draft, name: str, folder: Path) -> Fleet:
    offset = draft.settings.port_offset
    machines = {
        key: MachineConfig(
            key, value.address, value.control_port + offset, value.metrics_port + offset
        )
        for key, value in draft.machines.items()
    }
    agents = {key: _entry(key, value, offset) for key, value in draft.agents.items()}
    return Fleet(
        name=name,
        env=draft.env,
        config_dir=folder,
        machines=machines,
        agents=agents,
        settings=draft.settings,
        tree=draft.tree,
        machine_trees=draft.machine_trees,
        machine_settings=draft.machine_settings,
    )


def _entry(name: str, given: AgentInput, offset: int) -> AgentEntry:
    shared = isinstance(given.place, SharedPlace)
    host = given.place.shared if isinstance(given.place, SharedPlace) else name
    return AgentEntry(
        name=name,
        machine=given.machine,
        port=given.port + offset,
        group=given.group,
        required=given.required,
        requires=tuple(given.requires),
        status=given.status,
        host=f"{given.machine}/{host}",
        settings=given.settings,
        restart=given.restart,
        priority=given.priority,
        shared=shared,
    )
