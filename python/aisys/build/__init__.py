"""Facts of the build: version, profile, and which JSON tier is in use."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from dataclasses import dataclass

__all__ = ["BuildInfo", "build_info", "record_json_tier"]

_ABSENT = "absent"
_recorded: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What this installation is.

    Attributes:
        version: the version of aisys.
        profile: the cargo profile family of the extension, `release` or `debug`; `absent` without the extension.
        opt_level: the compiler's optimisation level; `absent` without the extension.
        target: the target triple; without the extension the machine.
        python: the version of the interpreter.
        json_tier: what `aisys.json` works with: `native`, `orjson` or `stdlib`.
    """

    version: str
    profile: str
    opt_level: str
    target: str
    python: str
    json_tier: str


def build_info() -> BuildInfo:
    """The facts of the running build.

    Raises:
        ImportError: the JSON tier that `AISYS_JSON` names does not work here.
        ValueError: `AISYS_JSON` names no JSON tier.
    """
    facts = _native_facts()
    return BuildInfo(
        version=facts["version"],
        profile=facts["profile"],
        opt_level=facts["opt_level"],
        target=facts["target"],
        python=platform.python_version(),
        json_tier=_json_tier(),
    )


def record_json_tier(name: str) -> None:
    """Say which tier was chosen: called by `aisys.json` when it is imported."""
    _recorded["json_tier"] = name


def _json_tier() -> str:
    if "json_tier" not in _recorded:
        # The tier is chosen when `aisys.json` is imported, so asking for it brings that about. This package needs
        # nothing of what stands above it before somebody asks.
        importlib.import_module("aisys.json")
    return _recorded["json_tier"]


def _native_facts() -> dict[str, str]:
    try:
        from aisys import _native
    except ImportError:
        return {
            "version": importlib.metadata.version("aisys"),
            "profile": _ABSENT,
            "opt_level": _ABSENT,
            "target": platform.machine(),
        }
    return _native.build_facts()
