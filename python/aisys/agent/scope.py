"""What running code inherits: the deadline of its call, and the agent it runs for."""

from __future__ import annotations

import math
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aisys.agent.context import AgentContext


class CallScope:
    """The surroundings of one call, or of an agent's background work.

    Attributes:
        deadline: monotonic seconds by which the work must have ended; infinite for background work,
            whose calls each get the default of the method they call.
        context: the agent that is at work.
    """

    __slots__ = ("context", "deadline")

    def __init__(self, deadline: float, context: AgentContext | None) -> None:
        self.deadline = deadline
        self.context = context


NO_SCOPE = CallScope(math.inf, None)

scope: ContextVar[CallScope] = ContextVar("aisys_scope", default=NO_SCOPE)
current_scope = scope.get


def remaining_s(now: float) -> float:
    """Seconds until the deadline of the running call; infinite outside of one."""
    return current_scope().deadline - now
