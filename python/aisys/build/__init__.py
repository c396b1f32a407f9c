"""Facts of the build: version, profile, and which JSON tier is in use."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from aisys import _native

__all__ = ["BuildInfo", "build_info"]


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What this installation is.

    Attributes:
        version: the version of aisys.
        profile: the cargo profile family of the extension, `release` or `debug`.
        opt_level: the compiler's optimisation level.
        target: the target triple.
        python: the version of the interpreter.
    """

    version: str
    profile: str
    opt_level: str
    target: str
    python: str


def build_info() -> BuildInfo:
    """The facts of the running build."""
    facts = _native.build_facts()
    return BuildInfo(
        version=facts["version"],
        profile=facts["profile"],
        opt_level=facts["opt_level"],
        target=facts["target"],
        python=platform.python_version(),
    )
