"""aisys runs a fleet of AI agents on one to a few machines as one system.

The names below are the public surface. They are loaded when they are first used: `import aisys` itself loads nothing
but this file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisys import errors as errors
    from aisys import json as json
    from aisys.agent import Agent as Agent
    from aisys.agent import Event as Event
    from aisys.agent import every as every
    from aisys.agent import method as method
    from aisys.agent import subscribe as subscribe
    from aisys.agent import task as task
    from aisys.build import build_info as build_info
    from aisys.errors import AgentError as AgentError
    from aisys.errors import AisysError as AisysError
    from aisys.errors import Refused as Refused

__all__ = [
    "Agent",
    "AgentError",
    "AisysError",
    "Event",
    "Refused",
    "build_info",
    "errors",
    "every",
    "json",
    "method",
    "subscribe",
    "task",
]

# Public name -> the module that is its home; None where the name is the module itself.
_HOMES: dict[str, str | None] = {
    "Agent": "aisys.agent",
    "AgentError": "aisys.errors",
    "AisysError": "aisys.errors",
    "Event": "aisys.agent",
    "Refused": "aisys.errors",
    "build_info": "aisys.build",
    "errors": None,
    "every": "aisys.agent",
    "json": None,
    "method": "aisys.agent",
    "subscribe": "aisys.agent",
    "task": "aisys.agent",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'aisys' has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        value: Any = importlib.import_module(f"aisys.{name}")
    else:
        value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
