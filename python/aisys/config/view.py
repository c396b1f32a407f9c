"""An agent's view of the configuration: one map, read with types, and where each value was set."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, TypeVar, overload

from aisys.config.fleet import Fleet
from aisys.config.layers import merge
from aisys.config.load import load_fleet
from aisys.config.origins import Node, Origin, dotted, kind_of, split_path
from aisys.config.paths import data_dir
from aisys.config.secrets import Secret, resolve_secret
from aisys.config.settings import FleetSettings
from aisys.config.shape import masked
from aisys.config.validate import SECTIONS
from aisys.errors import ConfigError, Problem

_T = TypeVar("_T")
_MISSING: Any = object()


class Config:
    """The settings of one agent: those of the fleet on its machine, with the agent's own on top.

    A value of another type than the getter's is a `ConfigError` that names the file and line. A
    setting that is not there is the default, or without a default a `ConfigError` too.
    """

    def __init__(self, fleet: Fleet, agent: str) -> None:
        entry = fleet.agents.get(agent)
        if entry is None:
            raise ConfigError([_no_agent(fleet, agent)])
        self.fleet = fleet
        self.agent = entry
        whole = fleet.machine_trees.get(entry.machine, fleet.tree)
        shared = {key: node for key, node in whole.children().items() if key not in SECTIONS}
        own = fleet.tree.find(("agents", agent, "settings"))
        base = Node(shared, whole.origin)
        self._tree = merge(base, own) if own is not None else base
        self._own = own
        self._defaults = fleet.settings_for(entry.machine)

    @classmethod
    def for_agent(cls, agent: str | Path, *, fleet: Fleet | None = None) -> Config:
        """The view of an agent, by its name or by the file of its class.

        Args:
            agent: `KnowledgeBase`, or `__file__` of `knowledge_base.py`.
            fleet: the configuration; loaded from its usual place by default.

        Raises:
            ConfigError: the configuration is not valid, or has no such agent.
        """
        fleet = fleet or load_fleet()
        text = os.fspath(agent)
        if text not in fleet.agents and text.endswith(".py"):
            stem = Path(text).stem.replace("_", "").lower()
            text = next((name for name in fleet.agents if name.lower() == stem), Path(text).stem)
        return cls(fleet, text)

    @property
    def settings(self) -> FleetSettings:
        """The settings of the fleet as they hold on the agent's machine."""
        return self._defaults

    @property
    def own(self) -> dict[str, Any]:
        """The agent's own settings, for its `Config` class to check."""
        return dict(self.agent.settings)

    def get_str(self, path: str, default: str = _MISSING) -> str:
        """A text. A secret's reference is given as it is written: see `get_secret`."""
        value = self._value(path, default)
        return self._typed(path, value, str, "a text")

    def get_int(self, path: str, default: int = _MISSING) -> int:
        """A whole number."""
        value = self._value(path, default)
        if isinstance(value, bool):
            raise self._wrong(path, value, "a whole number")
        return self._typed(path, value, int, "a whole number")

    def get_float(self, path: str, default: float = _MISSING) -> float:
        """A number."""
        value = self._value(path, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(path, value, "a number")
        return float(value)

    def get_bool(self, path: str, default: bool = _MISSING) -> bool:
        """True or false."""
        return self._typed(path, self._value(path, default), bool, "true or false")

    def get_list(self, path: str, default: list[Any] = _MISSING) -> list[Any]:
        """A list, a copy."""
        return list(self._typed(path, self._value(path, default), list, "a list"))

    def get_dict(self, path: str, default: dict[str, Any] = _MISSING) -> dict[str, Any]:
        """A map, a copy."""
        return dict(self._typed(path, self._value(path, default), dict, "a map"))

    @overload
    def get(self, path: str) -> Any: ...
    @overload
    def get(self, path: str, default: _T) -> Any | _T: ...
    def get(self, path: str, default: Any = None) -> Any:
        """A value of any type."""
        return self._value(path, default)

    def get_secret(self, path: str) -> str:
        """The value of a secret, looked up now.

        Raises:
            ConfigError: it is not set, or its reference leads nowhere.
        """
        value = self._value(path, _MISSING)
        text = value.get_secret_value() if isinstance(value, Secret) else value
        text = self._typed(path, text, str, "a secret reference")
        where = self.origin(path).where
        return resolve_secret(text, data_dir=data_dir(self.fleet), where=where)

    def origin(self, path: str) -> Origin:
        """What set a value.

        Raises:
            KeyError: there is no such setting.
        """
        node = self._tree.find(split_path(path))
        if node is not None:
            return node.key
        return self.fleet.origin(path, machine=self.agent.machine)

    def as_dict(self) -> dict[str, Any]:
        """Everything that is set, as plain values to be shown: secrets are masked."""
        own = self._own.children() if self._own is not None else {}
        prefix = ("agents", self.agent.name, "settings")
        return {
            key: masked(node, (*prefix, key) if key in own else (key,))
            for key, node in self._tree.children().items()
        }

    def _value(self, path: str, default: Any) -> Any:
        parts = split_path(path)
        node = self._tree.find(parts)
        if node is not None and node.value is not None:
            return node.plain()
        value: Any = self._defaults
        for part in parts:
            value = getattr(value, part, None) if part in type(value).model_fields else None
            if value is None or not hasattr(type(value), "model_fields"):
                break
        if value is not None and value is not self._defaults:
            return value.model_dump() if hasattr(value, "model_dump") else value
        if default is _MISSING:
            raise ConfigError([self._unset(path)])
        return default

    def _typed(self, path: str, value: Any, kind: type[_T], what: str) -> _T:
        if isinstance(value, kind):
            return value
        raise self._wrong(path, value, what)

    def _wrong(self, path: str, value: object, wanted: str) -> ConfigError:
        node = self._tree.nearest(split_path(path))
        what = f"must be {wanted}, not {kind_of(value)}"
        setting = f"agents.{self.agent.name}.settings.{path}" if self._is_own(path) else path
        return ConfigError([Problem(node.origin.where, setting, what, "Correct the value")])

    def _unset(self, path: str) -> Problem:
        origin = self.fleet.agent_settings_origin(self.agent.name)
        known = [dotted(found) for found, _ in self._tree.leaves()]
        close = difflib.get_close_matches(path, known, n=1)
        setting = f"agents.{self.agent.name}.settings.{path}"
        remedy = f"Did you mean {close[0]}?" if close else f"Set {path} for {self.agent.name}"
        return Problem(origin.where, setting, "is not set and has no default", remedy)

    def _is_own(self, path: str) -> bool:
        return self._own is not None and self._own.find(split_path(path)) is not None


def _no_agent(fleet: Fleet, name: str) -> Problem:
    close = difflib.get_close_matches(name, fleet.agents, n=1)
    where = fleet.tree.nearest(("agents",)).key.where
    remedy = f"Did you mean {close[0]}?" if close else "Add its entry to fleet.yaml"
    return Problem(where, "agents", f"no agent is named {name}", remedy)
