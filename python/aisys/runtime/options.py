"""What the command line decided, carried unchanged into every process of the fleet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisys import json

if TYPE_CHECKING:
    from aisys.config import Fleet

_OVERRIDES_VARIABLE = "_AISYS_OVERRIDES"


@dataclass(frozen=True, slots=True)
class Options:
    """Where the configuration is and what overrides it.

    Attributes:
        config_dir: the configuration folder, or None to look for it as `load_fleet` does.
        env: the environment, or None for `AISYS_ENV` and then `dev`.
        overrides: dotted setting to value, from `--set`.
    """

    config_dir: Path | None = None
    env: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Options:
        """The options that a parent process put into the environment by `to_environment`."""
        directory = os.environ.get("AISYS_CONFIG_DIR")
        return cls(
            config_dir=Path(directory) if directory else None,
            env=os.environ.get("AISYS_ENV"),
            overrides=json.loads(os.environ.get(_OVERRIDES_VARIABLE, "{}")),
        )

    def to_environment(self) -> dict[str, str]:
        """Environment variables that give a child process the same options."""
        variables = {_OVERRIDES_VARIABLE: json.dumps_str(dict(self.overrides))}
        if self.config_dir is not None:
            variables["AISYS_CONFIG_DIR"] = str(self.config_dir.resolve())
        if self.env is not None:
            variables["AISYS_ENV"] = self.env
        return variables

    def load(self) -> Fleet:
        """The validated configuration.

        Raises:
            ConfigError: with every problem that was found.
        """
        from aisys.config import load_fleet

        return load_fleet(self.config_dir, env=self.env, overrides=self.overrides)
