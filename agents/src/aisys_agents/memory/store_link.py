"""The way to the store on the other machine: short time limits, a breaker, one kind of failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aisys.clock import Clock
from aisys.errors import AgentError, Indefinite, Refused
from aisys_agents.memory.breaker import CircuitBreaker
from aisys_agents.memory.errors import StoreAway, StoreFailed
from aisys_agents.memory.memory_orchestrator_service import MemoryOrchestratorService

__all__ = ["StoreLink"]

T = TypeVar("T")

_DOUBTFUL = 0.25
# Refusals that say something about the call, not about the store.
_NOT_AWAY = frozenset({"bad_argument", "unauthorised", "too_large", "unknown_method"})


class StoreLink:
    """Asks the store, or says at once that it is away.

    Args:
        store: a proxy of it.
        breaker: counts its failures.
        clock: monotonic time.
        timeout_s: how long it may take to answer.
    """

    def __init__(
        self,
        store: MemoryOrchestratorService,
        breaker: CircuitBreaker,
        clock: Clock,
        *,
        timeout_s: float,
    ) -> None:
        self.breaker = breaker
        self._store = store
        self._clock = clock
        self._timeout_s = timeout_s

    async def ask(self, question: Callable[[MemoryOrchestratorService], Awaitable[T]]) -> T:
        """Ask the store, unless the breaker is open.

        Raises:
            StoreAway: it did not answer, or is not asked at present.
        """
        if not self.breaker.allows():
            raise _away("it has not answered lately")
        # When it did not answer the last time, whoever asks now should not wait as long again.
        doubtful = self.breaker.failures > 0
        return await self._ask(question, self._timeout_s * (_DOUBTFUL if doubtful else 1.0))

    async def probe(self, question: Callable[[MemoryOrchestratorService], Awaitable[T]]) -> T:
        """Ask the store whatever the breaker says; an answer closes it.

        Raises:
            StoreAway: it did not answer.
        """
        return await self._ask(question, self._timeout_s)

    async def _ask(
        self, question: Callable[[MemoryOrchestratorService], Awaitable[T]], timeout_s: float
    ) -> T:
        asked_at = self._clock.monotonic()
        try:
            answer = await question(self._store.with_options(timeout_s=timeout_s))
        except (Refused, Indefinite, StoreFailed) as error:
            if isinstance(error, Refused) and error.reason in _NOT_AWAY:
                raise
            self.breaker.failed()
            raise _away(str(error)) from error
        except AgentError:
            self.breaker.succeeded()
            raise
        except asyncio.CancelledError:
            # The caller's own deadline was shorter: that it waited in vain counts all the same.
            if self._clock.monotonic() - asked_at >= timeout_s / 2:
                self.breaker.failed()
            raise
        self.breaker.succeeded()
        return answer


def _away(why: str) -> StoreAway:
    return StoreAway(
        f"the memory store cannot be reached: {why}",
        unreached=MemoryOrchestratorService.__name__,
    )
