"""From merged trees to checked models, with every problem placed where its value was written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from aisys.config.origins import Node, dotted, kind_of
from aisys.config.secrets import Secret
from aisys.config.settings import AgentInput, FleetSettings, MachineInput
from aisys.config.shape import keys_at, types_at
from aisys.errors import Problem

if TYPE_CHECKING:
    from aisys.config.fleet import Fleet

_Model = TypeVar("_Model", bound=BaseModel)

SECTIONS = ("name", "machines", "agents")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_HIDE = re.compile(r"key|token|secret|password|passwd|credential", re.IGNORECASE)
_NAME_REMEDY = "Use up to 64 letters, digits, _ and -, starting with a letter"
_RANGE = "Choose a value within the range"
_REMEDIES = {
    "bool_type": "Write true or false",
    "int_type": "Write a whole number without quotes",
    "float_type": "Write a number without quotes",
    "string_type": "Write a text; quote it if it looks like a number",
    "list_type": "Write a list: [a, b]",
    "dict_type": "Write a map: {key: value}",
    "model_type": "Write a map: {key: value}",
    "string_pattern_mismatch": _NAME_REMEDY,
    "path_type": "Write a path",
    "greater_than": _RANGE,
    "greater_than_equal": _RANGE,
    "less_than": _RANGE,
    "less_than_equal": _RANGE,
}


def check_settings(tree: Node) -> tuple[FleetSettings, list[Problem]]:
    """Check the settings of the fleet: everything but name, machines and agents.

    What is wrong is left out of the settings, so that rules between settings can be checked still.
    """
    entries = {key: child for key, child in tree.children().items() if key not in SECTIONS}
    settings, problems = check_model(FleetSettings, Node(entries, tree.origin, tree.key), ())
    if settings is None:
        # One by one, and not by the names in the problems: those are written for people.
        good = {key: child.plain() for key, child in entries.items() if _fits(key, child)}
        settings = FleetSettings.model_validate(good)
    return settings, problems


def _fits(key: str, node: Node) -> bool:
    try:
        FleetSettings.model_validate({key: node.plain()})
    except ValidationError:
        return False
    return True


def check_name(tree: Node) -> tuple[str, list[Problem]]:
    """Check the name of the fleet."""
    node = tree.find(("name",))
    if node is None:
        problem = Problem(tree.origin.where, "name", "is missing", "Add `name: my-fleet`")
        return "", [problem]
    if not isinstance(node.value, str) or not _NAME.match(node.value):
        what = "is not a name"
        return "", [Problem(node.origin.where, "name", what, _NAME_REMEDY)]
    return node.value, []


def check_section(
    tree: Node, section: str, model: type[_Model]
) -> tuple[dict[str, _Model], list[Problem]]:
    """Check a map of named entries, each by itself so that one bad entry does not hide another."""
    found: dict[str, _Model] = {}
    problems: list[Problem] = []
    node = tree.find((section,))
    if node is None:
        return found, problems
    if not isinstance(node.value, dict):
        what = f"must be a map of names, not {kind_of(node.value)}"
        problems.append(Problem(node.origin.where, section, what, "Write `Name: {...}` entries"))
        return found, problems
    for name, child in node.value.items():
        path = (section, name)
        if not _NAME.match(name):
            problems.append(Problem(child.key.where, dotted(path), "is not a name", _NAME_REMEDY))
            continue
        value, wrong = check_model(model, child, path)
        problems += wrong
        if value is not None:
            found[name] = value
    return found, problems


def check_agents(tree: Node) -> tuple[dict[str, AgentInput], list[Problem]]:
    """Check every agent's entry."""
    return check_section(tree, "agents", AgentInput)


def check_machines(tree: Node) -> tuple[dict[str, MachineInput], list[Problem]]:
    """Check every machine's entry."""
    return check_section(tree, "machines", MachineInput)


def check_agent_settings(
    fleet: Fleet, agent: str, model: type[_Model]
) -> tuple[_Model | None, list[Problem]]:
    """Check an agent's own settings against its Config class.

    Args:
        fleet: the configuration.
        agent: the name of the agent.
        model: its Config class.

    Returns:
        The Config, or None with what is wrong, each with its file and line.
    """
    path = ("agents", agent, "settings")
    entry = fleet.tree.nearest(path[:2])
    node = fleet.tree.find(path) or Node({}, entry.origin, entry.key)
    return check_model(model, node, path)


def check_model(
    model: type[_Model], node: Node, prefix: Sequence[str]
) -> tuple[_Model | None, list[Problem]]:
    """Validate a tree as a model and place what is wrong."""
    try:
        return model.model_validate(node.plain()), []
    except ValidationError as error:
        problems = [
            _problem(item, node, prefix, model)
            for item in error.errors(include_url=False, include_context=True, include_input=False)
        ]
    return None, list(dict.fromkeys(problems))


def _problem(
    item: Mapping[str, Any], tree: Node, prefix: Sequence[str], model: type[BaseModel]
) -> Problem:
    loc: list[str] = [str(part) for part in item["loc"]]
    kind: str = item["type"]
    path, node = _existing(loc, tree)
    full = dotted((*prefix, *path))
    if model is AgentInput and loc[:1] == ["place"]:
        what = "must be `own` or `{shared: NAME}`"
        where = tree.nearest(("place",)).origin.where
        return Problem(where, dotted((*prefix, "place")), what, "A NAME starts with a letter")
    if kind == "extra_forbidden":
        remedy = _other_key(path, keys_at(path[:-1], model))
        return Problem(node.key.where, full, "is not a setting", remedy)
    if kind == "missing":
        setting = dotted((*prefix, *loc))
        return Problem(node.key.where, setting, "is missing", f"Add `{loc[-1]}: ...` here")
    remedy = _REMEDIES.get(kind, "Correct the value")
    if kind == "literal_error":
        remedy = _closest(node.value, item.get("ctx", {}).get("expected", ""))
    return Problem(node.origin.where, full, _what(item, node, path, model), remedy)


def _existing(loc: Sequence[str], tree: Node) -> tuple[list[str], Node]:
    """The part of a pydantic location that is in the tree; the rest names branches of unions."""
    path: list[str] = []
    node = tree
    for part in loc:
        child = node.children().get(part)
        if child is None:
            break
        path.append(part)
        node = child
    return path, node


def _what(item: Mapping[str, Any], node: Node, path: Sequence[str], model: type[BaseModel]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    message = re.sub(r"^(String )?should ", "must ", message)
    value = node.value
    hidden = Secret in types_at(path, model) or any(_HIDE.search(part) for part in path)
    if hidden or isinstance(value, (dict, list)) or value is None:
        return message
    text = repr(value) if isinstance(value, str) else str(value).lower()
    return f"{message}, not {text if len(text) <= 60 else text[:57] + '...'}"


def _closest(value: object, expected: str) -> str:
    options = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(str(value), options, n=1)
    return f"Did you mean {close[0]}?" if close else f"Use one of: {', '.join(options)}"


def _other_key(path: Sequence[str], known: Sequence[str]) -> str:
    close = difflib.get_close_matches(path[-1] if path else "", known, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Remove it, or use one of: {', '.join(sorted(known))}" if known else "Remove it"
