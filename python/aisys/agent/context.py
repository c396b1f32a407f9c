"""What the runtime gives an agent."""

from __future__ import annotations

import contextvars
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aisys.agent.health import Health
from aisys.agent.ports import ErrorReporter, Publisher, TaskQueue
from aisys.agent.scope import CallScope, scope
from aisys.backends import State
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.ids import new_id

if TYPE_CHECKING:
    from aisys.agent.caller import Caller
    from aisys.logs import Logger
    from aisys.metrics import Registry


@dataclass(slots=True, kw_only=True)
class AgentContext:
    """The surroundings of one agent instance.

    Attributes:
        name: the agent's name in the fleet.
        settings: the agent's section of the configuration, checked against its `Config`.
        state: its key-value data.
        publisher: publish and subscribe.
        tasks: the task queue of its host; None where there is none.
    """

    name: str
    machine: str
    host: str
    caller: Caller
    errors: ErrorReporter
    log: Logger
    metrics: Registry
    state: State
    publisher: Publisher
    tasks: TaskQueue | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    clock: Clock = SYSTEM_CLOCK
    random: random.Random = field(default_factory=random.Random)
    instance_id: str = field(default_factory=lambda: new_id("inst"))
    health: Health = field(init=False)
    background: contextvars.Context = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(self.clock)
        # Background work starts from an empty context: it must not inherit the deadline or the
        # trace of whatever call happened to start it.
        self.background = contextvars.Context()
        self.background.run(scope.set, CallScope(math.inf, self))
