"""What can go wrong with the fleet's address book."""

from __future__ import annotations

from typing import ClassVar

from aisys.errors import AgentError

__all__ = ["AgentNotRegistered"]


class AgentNotRegistered(AgentError):
    """Nobody of this name has registered, or has since this registry started.

    Attributes:
        agent: the name asked for.
    """

    code: ClassVar[str] = "agent_not_registered"
    fields: ClassVar[tuple[str, ...]] = ("agent",)

    def __init__(self, agent: str) -> None:
        super().__init__(f"no agent {agent!r} is registered")
        self.agent = agent
