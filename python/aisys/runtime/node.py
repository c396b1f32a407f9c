"""One process of a fleet: its end of the links, its agents, and everything they need, wired together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aisys import logs
from aisys.agent import Agent, AgentContext, AgentRunner, Caller, Dispatcher
from aisys.backends import Backend, State, open_backend
from aisys.config import Fleet, resolve_secret
from aisys.errorbus import Forwarder, Reporter, Spool
from aisys.lifecycle import Lifecycle
from aisys.messaging import Endpoint, Limits
from aisys.messaging.keys import KeyRing
from aisys.metrics import Registry
from aisys.registry import RouteTable
from aisys.runtime.places import Places, machine_agent_name, other_hosts, static_routes
from aisys.tasks import TaskRunner, TaskStore
from aisys.tracing import SpanStore


def state_backend(fleet: Fleet, machine: str, agent: str, places: Places) -> Backend:
    """The store of one agent, of the kind that the configuration names."""
    settings = fleet.settings_for(machine).state
    if settings.backend == "redis":
        url = resolve_secret(settings.redis_url or "redis://127.0.0.1:6379/0")
        return open_backend(url, prefix=f"{fleet.name}:{agent}:")
    return open_backend(settings.backend, path=places.state(machine) / agent)
