"""Start parts in order, stop them in reverse, each within its time, whatever the others do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from aisys.clock import SYSTEM_CLOCK, Clock

DEFAULT_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class StepError:
    """What went wrong while one part stopped."""

    step: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.step}: {type(self.error).__name__}: {self.error}"


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    start: Callable[[], Awaitable[object]] | None
    stop: Callable[[], Awaitable[object]] | None
    limit_s: float


class Lifecycle:
    """Parts that start in the order in which they were added and stop in reverse.

    Args:
        clock: measures how long steps took.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._steps: list[_Step] = []
        self._started: list[_Step] = []
        self._stopping: asyncio.Task[list[StepError]] | None = None
        self.durations_s: dict[str, float] = {}

    @property
    def started(self) -> list[str]:
        """The parts that have started and not stopped, in order."""
        return [step.name for step in self._started]

    def add(
        self,
        name: str,
        *,
        start: Callable[[], Awaitable[object]] | None = None,
        stop: Callable[[], Awaitable[object]] | None = None,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> Self:
        """Add a part.

        Args:
            name: for messages.
            start: makes the part run; None when there is nothing to do.
            stop: ends it; called only if it has started.
            limit_s: how long `start` and `stop` may each take.
        """
        self._steps.append(_Step(name, start, stop, limit_s))
        return self

    async def start(self) -> None:
        """Start all parts in order; when one fails, stop the started ones and raise its error.

        Raises:
            TimeoutError: a part took longer than its limit.
        """
        for step in self._steps:
            if step in self._started:
                continue
            began = self._clock.monotonic()
            try:
                if step.start is not None:
                    await _limited(step, step.start, "start")
            except BaseException as error:
                for failure in await self.stop():
                    error.add_note(f"while stopping after that: {failure}")
                raise
            self.durations_s[step.name] = self._clock.monotonic() - began
            self._started.append(step)

    async def stop(self) -> list[StepError]:
        """Stop what has started, in reverse; every part gets its turn, and what fails is returned.

        Calling it again while it runs waits for the same end. A cancelled caller does not keep
        parts from being stopped.
        """
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.get_running_loop().create_task(self._stop_all())
        return await asyncio.shield(self._stopping)

    async def _stop_all(self) -> list[StepError]:
        errors: list[StepError] = []
        while self._started:
            step = self._started.pop()
            if step.stop is None:
                continue
            try:
                await _limited(step, step.stop, "stop")
            except Exception as error:  # noqa: BLE001 - collected; the others must be stopped too
                errors.append(StepError(step.name, error))
            except asyncio.CancelledError as error:
                errors.append(StepError(step.name, error))
        return errors


async def _limited(step: _Step, action: Callable[[], Awaitable[object]], verb: str) -> None:
    limit = asyncio.timeout(step.limit_s)
    try:
        async with limit:
            await action()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(f"{step.name} did not {verb} within {step.limit_s} s") from error
