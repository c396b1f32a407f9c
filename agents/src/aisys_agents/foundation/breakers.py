"""A circuit breaker for each agent that the coordinator depends on."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import ClassVar, TypeVar

from typing_extensions import TypedDict

from aisys import AgentError
from aisys.clock import Clock
from aisys.errors import ArgumentError, CallError
from aisys_agents.memory.breaker import CircuitBreaker

__all__ = ["AgentResting", "BreakerInfo", "Breakers"]

_T = TypeVar("_T")


class AgentResting(AgentError):
    """The agent failed several times in a row and is not asked for a while.

    Attributes:
        agent: which one.
    """

    code: ClassVar[str] = "agent_resting"
    fields: ClassVar[tuple[str, ...]] = ("agent",)

    def __init__(self, message: str, *, agent: str) -> None:
        super().__init__(message)
        self.agent = agent


class BreakerInfo(TypedDict):
    """The state of one breaker and why it is so."""

    agent: str
    state: str
    failures: int
    last_error: str | None
    last_ok: float | None


class Breakers:
    """Guards calls by agent: after some failures in a row the agent is left alone for a while.

    Args:
        clock: monotonic time.
        failures: so many in a row open a breaker.
        rest_s: how long it then stays open, in seconds.
    """

    def __init__(self, clock: Clock, *, failures: int = 3, rest_s: float = 30.0) -> None:
        self._clock = clock
        self._failures = failures
        self._rest_s = rest_s
        self._breakers: dict[str, CircuitBreaker] = {}
        self._errors: dict[str, str] = {}

    async def guard(self, agent: str, call: Awaitable[_T]) -> _T:
        """The result of a call to an agent, counting whether it came.

        An error that the agent raises on purpose counts as an answer.

        Args:
            agent: whose breaker it is.
            call: the call, not yet awaited; it is dropped when the breaker is open.

        Raises:
            AgentResting: the breaker is open; the call was not made.
        """
        breaker = self._breakers.get(agent)
        if breaker is None:
            breaker = CircuitBreaker(self._clock, failures=self._failures, open_s=self._rest_s)
            self._breakers[agent] = breaker
        if not breaker.allows():
            _drop(call)
            reason = self._errors.get(agent, "it failed")
            raise AgentResting(f"{agent} rests after failures: {reason}", agent=agent)
        try:
            result = await call
        except (AgentError, ArgumentError):
            breaker.succeeded()
            raise
        except CallError as error:
            breaker.failed()
            self._errors[agent] = str(error) or type(error).__name__
            raise
        breaker.succeeded()
        return result

    def infos(self) -> list[BreakerInfo]:
        """Every breaker, those that are not closed first."""
        found = [
            BreakerInfo(
                agent=agent,
                state=breaker.state,
                failures=breaker.failures,
                last_error=self._errors.get(agent) if breaker.failures else None,
                last_ok=breaker.last_ok,
            )
            for agent, breaker in self._breakers.items()
        ]
        return sorted(found, key=lambda info: (info["state"] == "closed", info["agent"]))


def _drop(call: Awaitable[object]) -> None:
    """Let go of a call that will not be made, without a warning that nobody awaited it."""
    for name in ("close", "cancel"):
        end = getattr(call, name, None)
        if end is not None:
            end()
            return
