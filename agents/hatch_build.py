# ruff: noqa: INP001 - a build script, not part of a package
"""Brings the repository's `config/` folder into what is built.

The folder lies outside this distribution, where people look for it. A static `force-include`
cannot name it for both builds: in a checkout it is `../config`, in an unpacked sdist `config`.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConfigFolderHook(BuildHookInterface[Any]):
    """Adds the fleet's configuration to the wheel as `aisys_agents/_config`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the folder to include.

        Args:
            version: "standard" or "editable"; an editable install reads the checkout's folder
                instead of a copy.
            build_data: what the builder is about to do; changed in place.

        Raises:
            FileNotFoundError: there is no fleet file to include.
        """
        if version == "editable":
            return
        root = Path(self.root)
        for folder in (root / "config", root.parent / "config"):
            if (folder / "fleet.yaml").is_file():
                target = "config" if self.target_name == "sdist" else "aisys_agents/_config"
                build_data["force_include"][str(folder)] = target
                return
        raise FileNotFoundError(
            f"no config/fleet.yaml in {root} or above it: build from a checkout or an sdist"
        )
