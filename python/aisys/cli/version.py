"""`aisys version`."""

from __future__ import annotations

from aisys.build import build_info
from aisys.cli.run import show


def version() -> None:
    """Print the version and the facts of the build."""
    info = build_info()
    show(f"aisys {info.version} ({info.profile}, opt-level {info.opt_level}, {info.target})")
    show(f"Python {info.python}, JSON tier {info.json_tier}")
