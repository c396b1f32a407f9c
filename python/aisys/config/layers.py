"""The layers of a configuration: how they are found, read and laid over one another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aisys.config.origins import (
    LAYER_OVERRIDE,
    LAYER_VARIABLE,
    KeyPath,
    Node,
    Origin,
    Scalar,
    node_of,
    split_path,
)
from aisys.config.secrets import PREFIX
from aisys.config.shape import is_secret, is_text, setting_paths
from aisys.config.strict_yaml import ScalarError, parse_scalar, parse_text
from aisys.errors import ConfigError, Problem

VARIABLE_PREFIX = "AISYS_"
NOT_SETTINGS = frozenset(
    ("AISYS_ENV", "AISYS_CONFIG_DIR", "AISYS_DATA_DIR", "AISYS_RUNTIME_DIR", "AISYS_MACHINE")
)
_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*\Z")


def merge(lower: Node, upper: Node) -> Node:
    """Lay one tree over another: maps merge, all else replaces, null stays as a mark of removal.

    Layers are folded from the lowest up. Grouping does not matter as long as no layer replaces a
    map by something else (null included) that a later one makes a map again.
    """
    if not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    entries = dict(lower.value)
    for key, child in upper.value.items():
        below = entries.get(key)
        entries[key] = child if below is None else merge(below, child)
    return Node(entries, lower.origin, lower.key)


def merge_all(layers: Iterable[Node | None]) -> Node:
    """Fold layers, the lowest first."""
    result = Node({}, Origin("base"))
    for layer in layers:
        if layer is not None:
            result = merge(result, layer)
    return result


def strip(node: Node) -> Node:
    """The tree without the entries that were removed by null."""
    if not isinstance(node.value, dict):
        return node
    entries = {key: strip(child) for key, child in node.value.items() if child.value is not None}
    return Node(entries, node.origin, node.key)


def only(node: Node, keys: Iterable[str], *, other: bool = False) -> Node:
    """A map with some of its top-level entries, or with all others."""
    if not isinstance(node.value, dict):
        return node
    wanted = frozenset(keys)
    entries = {key: child for key, child in node.value.items() if (key in wanted) != other}
    return Node(entries, node.origin, node.key)


def nested(path: Sequence[str], leaf: Node) -> Node:
    """A tree with one value at a path."""
    for key in reversed(path):
        leaf = Node({key: leaf}, leaf.origin)
    return leaf


def from_variables(environ: Mapping[str, str], tree: Node) -> tuple[Node | None, list[Problem]]:
    """The layer that `AISYS_*` variables and `PORT_OFFSET` set.

    `__` nests, letter case does not matter: `AISYS_AGENTS__NLUAGENT__PORT`. A setting of the fleet
    may be written with single underscores: `AISYS_LLM_URL`. Variables that resemble no setting
    belong to somebody else.
    """
    layer: Node | None = None
    problems: list[Problem] = []
    names = sorted(name for name in environ if name.startswith(VARIABLE_PREFIX))
    if "PORT_OFFSET" in environ:
        if environ.get("AISYS_PORT_OFFSET", environ["PORT_OFFSET"]) != environ["PORT_OFFSET"]:
            what = "differs from $AISYS_PORT_OFFSET"
            problems.append(Problem("$PORT_OFFSET", "port_offset", what, "Unset one of the two"))
        names.insert(0, "PORT_OFFSET")
    for name in names:
        if name in NOT_SETTINGS:
            continue
        try:
            entry = _variable(name, environ[name], tree)
        except ConfigError as error:
            problems += error.problems
        else:
            if entry is not None:
                layer = entry if layer is None else merge(layer, entry)
    return layer, problems


def _variable(name: str, text: str, tree: Node) -> Node | None:
    short = name.removeprefix(VARIABLE_PREFIX)
    origin = Origin(LAYER_VARIABLE, name=name)
    known = setting_paths()
    if "__" in short:
        path = _match(short.split("__"), name, tree)
    elif short in known:
        path = known[short]
    elif short.endswith("_FILE") and is_secret(known.get(short[:-5], ())):
        reference = PREFIX + name.removesuffix("_FILE")
        return nested(known[short[:-5]], Node(reference, origin))
    else:
        close = difflib.get_close_matches(short, known, n=1, cutoff=0.85)
        if not close:
            return None
        remedy = f"Did you mean {VARIABLE_PREFIX}{close[0]}? Unset it if it is not meant for aisys"
        raise ConfigError([Problem(f"${name}", "", "is not a setting", remedy)])
    return nested(path, node_of(_value(text, path, f"${name}"), origin))


def _match(parts: Sequence[str], name: str, tree: Node) -> KeyPath:
    """The path that upper-case parts mean, following the keys that exist."""
    path: list[str] = []
    node: Node | None = tree
    for part in parts:
        if not part:
            raise ConfigError([Problem(f"${name}", "", "has an empty part", "Write A__B")])
        keys = list(node.children()) if node is not None else []
        hits = [key for key in keys if key.lower() == part.lower()]
        if len(path) == 1 and path[0] in ("agents", "machines") and not hits:
            kind = path[0][:-1]
            close = difflib.get_close_matches(part.lower(), [key.lower() for key in keys], n=1)
            names = [key for key in keys if key.lower() in close]
            remedy = f"Did you mean {names[0].upper()}?" if names else f"Name a known {kind}"
            raise ConfigError([Problem(f"${name}", "", f"no {kind} is named {part}", remedy)])
        key = hits[0] if hits else part.lower()
        path.append(key)
        node = node.children().get(key) if node is not None else None
    return tuple(path)


def _value(text: str, path: KeyPath, where: str) -> object:
    """A value as the environment or the command line writes it."""
    setting = ".".join(path)
    if text[:1] in ("[", "{") and not is_text(path):
        parsed = parse_text(f"value: {text}\n", where, LAYER_VARIABLE)
        if parsed.problems or parsed.root is None:
            what = parsed.problems[0].what if parsed.problems else "is not YAML"
            raise ConfigError([Problem(where, setting, what, "Write [a, b] or {a: 1}")])
        return parsed.root.children()["value"].plain()
    try:
        value: Scalar = parse_scalar(text)
    except ScalarError as error:
        if is_text(path):
            return text
        raise ConfigError([Problem(where, setting, error.what, error.remedy)]) from None
    return text if is_text(path) and value is not None else value


def parse_override(text: str) -> tuple[str, object]:
    """Read `a.b=value` from a command line; the value is read as YAML.

    Raises:
        ConfigError: it is not of that form.
    """
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not _PATH.match(path):
        what = "is not of the form name.of.setting=value"
        raise ConfigError([Problem("--set", text[:60], what, "Write --set call_timeout_s=5")])
    return path, _value(value.strip(), split_path(path), "--set")


def from_overrides(overrides: Mapping[str, object]) -> tuple[Node | None, list[Problem]]:
    """The layer that the command line sets, from dotted paths to values."""
    layer: Node | None = None
    problems: list[Problem] = []
    for path, value in overrides.items():
        origin = Origin(LAYER_OVERRIDE, name=path)
        if not path or not all(split_path(path)):
            problems.append(Problem(origin.where, path, "has an empty part", "Write a.b"))
            continue
        try:
            entry = nested(split_path(path), node_of(value, origin))
        except TypeError as error:
            problems.append(Problem(origin.where, path, str(error), "Use texts, numbers, lists"))
            continue
        layer = entry if layer is None else merge(layer, entry)
    return layer, problems


def find_config_dir(config_dir: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The folder that is named, that of `AISYS_CONFIG_DIR`, `./config`, or an installed fleet's.

    Raises:
        ConfigError: there is none, or the folder that was named holds no `fleet.yaml`.
    """
    named = config_dir or (
        Path(environ["AISYS_CONFIG_DIR"]) if environ.get("AISYS_CONFIG_DIR") else None
    )
    if named is not None:
        found = (cwd / named.expanduser()).resolve()
        if not (found / "fleet.yaml").is_file():
            where = str(named) if config_dir else "$AISYS_CONFIG_DIR"
            what = f"there is no fleet.yaml in {found}"
            raise ConfigError([Problem(where, "", what, "Name the folder that holds fleet.yaml")])
        return found
    if (cwd / "config" / "fleet.yaml").is_file():
        return (cwd / "config").resolve()
    return _installed_fleet()


def _installed_fleet() -> Path:
    from importlib.metadata import entry_points

    found = sorted(entry_points(group="aisys.fleets"), key=lambda point: point.name)
    if not found:
        what = "no configuration: ./config/fleet.yaml does not exist and no fleet is installed"
        remedy = "Change to the project's folder, or set AISYS_CONFIG_DIR"
        raise ConfigError([Problem("", "", what, remedy)])
    point = found[0]
    folder = Path(point.load()()).resolve()
    if not (folder / "fleet.yaml").is_file():
        where = f"entry point aisys.fleets {point.name}"
        what = f"there is no fleet.yaml in {folder}"
        raise ConfigError([Problem(where, "", what, "Reinstall the package that provides it")])
    return folder
