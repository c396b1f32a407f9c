"""aisys runs a fleet of AI agents on one to a few machines as one system.

The names below are the public surface. They are loaded when they are first used: `import aisys`
itself loads nothing but this file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisys import errors as errors
    from aisys import json as json
    from aisys.agent import Agent as Agent
    from aisys.agent import CallOptions as CallOptions
    from aisys.agent import Event as Event
    from aisys.agent import every as every
    from aisys.agent import method as method
    from aisys.agent import subscribe as subscribe
    from aisys.agent import task as task
    from aisys.build import build_info as build_info
    from aisys.config import Config as Config
    from aisys.config import get_port as get_port
    from aisys.config import load_fleet as load_fleet
    from aisys.errors import AgentError as AgentError
    from aisys.errors import AisysError as AisysError
    from aisys.errors import ArgumentError as ArgumentError
    from aisys.errors import CallError as CallError
    from aisys.errors import DeadlineExceeded as DeadlineExceeded
    from aisys.errors import Indefinite as Indefinite
    from aisys.errors import Refused as Refused
    from aisys.errors import RemoteError as RemoteError
    from aisys.errors import ResultError as ResultError
    from aisys.errors import Unreachable as Unreachable

__all__ = [
    "Agent",
    "AgentError",
    "AisysError",
    "ArgumentError",
    "CallError",
    "CallOptions",
    "Config",
    "DeadlineExceeded",
    "Event",
    "Indefinite",
    "Refused",
    "RemoteError",
    "ResultError",
    "Unreachable",
    "build_info",
    "errors",
    "every",
    "get_port",
    "json",
    "load_fleet",
    "method",
    "subscribe",
    "task",
]

# Public name -> the module that is its home; None where the name is the module itself.
_HOMES: dict[str, str | None] = {
    "Agent": "aisys.agent",
    "AgentError": "aisys.errors",
    "AisysError": "aisys.errors",
    "ArgumentError": "aisys.errors",
    "CallError": "aisys.errors",
    "CallOptions": "aisys.agent",
    "Config": "aisys.config",
    "DeadlineExceeded": "aisys.errors",
    "Event": "aisys.agent",
    "Indefinite": "aisys.errors",
    "Refused": "aisys.errors",
    "RemoteError": "aisys.errors",
    "ResultError": "aisys.errors",
    "Unreachable": "aisys.errors",
    "build_info": "aisys.build",
    "errors": None,
    "every": "aisys.agent",
    "get_port": "aisys.config",
    "json": None,
    "load_fleet": "aisys.config",
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
