"""Agents of this process, and calls into them: a direct await, otherwise like any call."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aisys import logs, tracing
from aisys.agent.driving import advance, close_stream, drive
from aisys.agent.scope import CallScope, current_scope, scope
from aisys.agent.spec import AgentSpec, MethodSpec
from aisys.agent.suggest import did_you_mean
from aisys.agent.wheel import DeadlineWheel
from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import AisysError, DeadlineExceeded, Refused

if TYPE_CHECKING:
    from aisys.agent.context import AgentContext
    from aisys.metrics import Registry

REPORTED_MARK = "__aisys_reported__"


class CallCounts:
    """The metric families of calls; one method resolves its children once."""

    __slots__ = ("calls", "seconds")

    def __init__(self, metrics: Registry) -> None:
        labels = ("agent", "method")
        self.calls = metrics.counter(
            "aisys_calls_total", "Calls served, by outcome.", (*labels, "outcome")
        )
        self.seconds = metrics.histogram(
            "aisys_call_seconds", "Time from the start of a handler to its result.", labels
        )


class AgentTable:
    """The agents of this host, and what all calls into them share.

    Args:
        clock: the base of deadlines.
        metrics: where calls are counted; None counts nothing.
        spans: where spans of sampled calls go.
    """

    def __init__(
        self,
        *,
        metrics: Registry | None = None,
        clock: Clock = SYSTEM_CLOCK,
        spans: tracing.SpanStore = tracing.DEFAULT_SPANS,
    ) -> None:
        logs.set_context(_log_fields)
        self.clock = clock
        # The system's clock without the Python frame around it: it is read twice in each call.
        self.monotonic = time.monotonic if clock is SYSTEM_CLOCK else clock.monotonic
        self.spans = spans
        self.wheel = DeadlineWheel(clock)
        self._agents: dict[str, LocalAgent] = {}
        self._placed: set[str] = set()
        self.counts = CallCounts(metrics) if metrics is not None else None

    def __contains__(self, name: object) -> bool:
        return name in self._agents

    def __iter__(self) -> Iterator[LocalAgent]:
        return iter(self._agents.values())

    def names(self) -> list[str]:
        """The agents of this host."""
        return list(self._agents)

    def get(self, name: str) -> LocalAgent | None:
        """An agent of this host, or None."""
        return self._agents.get(name)

    def place(self, name: str) -> None:
        """Say that an agent belongs to this host, whether or not it runs now."""
        self._placed.add(name)

    def absent(self, name: str) -> bool:
        """Whether an agent belongs to this host and does not run: calls must not go looking for it."""
        return name in self._placed and name not in self._agents

    def add(self, agent: LocalAgent) -> None:
        """Let an agent be called.

        Raises:
            ValueError: there is one of this name.
        """
        if agent.name in self._agents:
            raise ValueError(f"this host has an agent {agent.name!r} already")
        self._agents[agent.name] = agent

    def remove(self, name: str) -> None:
        """Let an agent be called no more."""
        self._agents.pop(name, None)

    def find(self, target: str) -> LocalMethod:
        """The method `Agent.method` of this host.

        Raises:
            Refused: there is no such agent or no such method here.
        """
        name, _, method = target.rpartition(".")
        agent = self._agents.get(name)
        if agent is None:
            if name in self._placed:
                raise not_running(target)
            hint = did_you_mean(name, self._agents)
            raise Refused(
                f"{target}: this host has no agent {name!r}{hint}", reason="unknown_agent"
            )
        return agent.method(method)


def _log_fields() -> dict[str, Any]:
    trace = tracing.current()
    return {} if trace is None else {"trace_id": trace.trace_id.hex()}


class LocalAgent:
    """One agent instance of this host.

    Attributes:
        accepting: whether calls are let in; built-in methods always are.
    """

    def __init__(
        self, spec: AgentSpec, instance: object, context: AgentContext, table: AgentTable
    ) -> None:
        self.name = context.name
        self.spec = spec
        self.context = context
        self.table = table
        self.accepting = False
        self.running = 0
        self.methods = {
            name: LocalMethod(self, method, _bound(instance, name))
            for name, method in spec.methods.items()
        }

    def add_builtin(self, spec: MethodSpec, function: Callable[..., Awaitable[Any]]) -> None:
        """Add a method that every agent has; it answers also while the agent takes no work."""
        self.methods[spec.name] = LocalMethod(self, spec, function, always=True)

    def method(self, name: str) -> LocalMethod:
        """A method by name.

        Raises:
            Refused: there is none.
        """
        try:
            return self.methods[name]
        except KeyError:
            hint = did_you_mean(name, self.methods)
            raise Refused(
                f"{self.name} has no method {name!r}{hint}", reason="unknown_method"
            ) from None


def _bound(instance: object, name: str) -> Callable[..., Any]:
    bound: Callable[..., Any] = getattr(instance, name)
    return bound


class LocalMethod:
    """One method of one agent of this host, ready to be called."""

    def __init__(
        self,
        agent: LocalAgent,
        spec: MethodSpec,
        function: Callable[..., Any],
        *,
        always: bool = False,
    ) -> None:
        self.agent = agent
        self.spec = spec
        self.function = function
        self.always = always
        self.context = agent.context
        self._monotonic = agent.table.monotonic
        self._wheel = agent.table.wheel
        counts = agent.table.counts
        self._inc_ok: Callable[[], None] | None = None
        self._observe: Callable[[float], None] | None = None
        if counts is not None:
            self._inc_ok = counts.calls.labels(agent.name, spec.name, "ok").inc
            self._observe = counts.seconds.labels(agent.name, spec.name).observe

    @functools.cached_property
    def _check(self) -> Callable[[Any], dict[str, Any]]:
        check: Callable[[Any], dict[str, Any]] = self.spec.arguments.check
        return check

    @functools.cached_property
    def _check_plainly(self) -> Callable[[Any], Any]:
        check: Callable[[Any], Any] = self.spec.result.check
        return check

    @functools.cached_property
    def _validate(self) -> Callable[[Any], dict[str, Any]]:
        return self.spec.arguments.validate

    @functools.cached_property
    def _check_result(self) -> Callable[[Any], Any]:
        return self.spec.result.validate

    def call(
        self,
        arguments: dict[str, Any],
        timeout_s: float | None = None,
        args: tuple[Any, ...] = (),
    ) -> Coroutine[Any, Any, Any]:
        """Call the method; await what is returned.

        Args:
            arguments: by name, unchecked.
            timeout_s: the time limit; without one the method's own. A shorter one of the running
                call holds.
            args: the first arguments by position.

        Raises:
            ArgumentError: the arguments do not fit.
            Refused: the agent takes no work, or the deadline has passed already.
            DeadlineExceeded: it took too long.
            ResultError: it returned what its annotation does not allow.
        """
        trace = tracing.current()
        if trace is not None and trace.sampled:
            return self._call_traced(arguments, timeout_s, args)
        return self._call(arguments, timeout_s, args)

    async def _call_traced(
        self, arguments: dict[str, Any], timeout_s: float | None, args: tuple[Any, ...]
    ) -> Any:
        context = self.context
        with tracing.start_span(
            self.spec.qualname,
            store=self.agent.table.spans,
            agent=self.agent.name,
            machine=context.machine,
            host=context.host,
        ) as span:
            try:
                return await self._call(arguments, timeout_s, args)
            except BaseException as error:
                if span.span is not None:
                    span.span.outcome = outcome_of(error)
                raise

    async def _call(
        self, arguments: dict[str, Any], timeout_s: float | None, args: tuple[Any, ...]
    ) -> Any:
        began = self._monotonic()
        try:
            if args:
                arguments = self.spec.arguments.bind(args, arguments)
            inner, guarded = self.admit(began, timeout_s)
            try:
                checked = self._check(arguments)
            except ValidationError:
                checked = self._validate(arguments)  # once more, for the error that names it all
            token = scope.set(inner)
            self.agent.running += 1
            try:
                coroutine = self.function(**checked)
                if guarded:
                    result = await coroutine
                else:
                    result = await drive(coroutine, self._wheel, inner.deadline, self.spec.qualname)
            finally:
                self.agent.running -= 1
                scope.reset(token)
            try:
                result = self._check_plainly(result)
            except ValidationError:
                result = self._check_result(result)
        except BaseException as error:
            self.failed(error, began)
            raise
        self.succeeded(began)
        return result

    async def stream(
        self, arguments: dict[str, Any], timeout_s: float | None = None
    ) -> AsyncIterator[Any]:
        """Call a streamed method and yield its checked items; the deadline is for all of it."""
        began = self._monotonic()
        try:
            inner, _ = self.admit(began, timeout_s)
            iterator = await self.open_stream(self._validate(arguments), inner)
            try:
                async for item in self._items(iterator, inner):
                    yield item
            finally:
                await close_stream(iterator)
        except GeneratorExit:
            self.count("cancelled")
            raise
        except BaseException as error:
            self.failed(error, began)
            raise
        self.succeeded(began)

    async def open_stream(self, checked: dict[str, Any], inner: CallScope) -> AsyncIterator[Any]:
        """Start a streamed method: a generator, or a coroutine that returns an iterator."""
        token = scope.set(inner)
        try:
            made = self.function(**checked)
            if hasattr(made, "__aiter__"):
                return aiter(made)
            return aiter(await drive(made, self._wheel, inner.deadline, self.spec.qualname))
        finally:
            scope.reset(token)

    async def _items(self, iterator: AsyncIterator[Any], inner: CallScope) -> AsyncIterator[Any]:
        while True:
            token = scope.set(inner)
            try:
                item = await drive(
                    advance(iterator), self._wheel, inner.deadline, self.spec.qualname
                )
            except StopAsyncIteration:
                return
            finally:
                scope.reset(token)
            yield self._check_result(item)

    def admit(self, now: float, timeout_s: float | None) -> tuple[CallScope, bool]:
        """Let a call in: its scope, and whether somebody further out enforces its deadline.

        Raises:
            Refused: the agent takes no work, or the deadline has passed already.
        """
        outer = current_scope()
        deadline = now + (self.spec.timeout_s if timeout_s is None else timeout_s)
        guarded = outer.deadline <= deadline
        if guarded:
            deadline = outer.deadline
        if deadline <= now:
            raise Refused(f"{self.spec.qualname}: the deadline has passed", reason="expired")
        if not self.agent.accepting:
            self.check_accepting()
        return CallScope(deadline, self.context), guarded

    def check_accepting(self) -> None:
        """Refuse when the agent takes no work.

        Raises:
            Refused: it is starting, draining or stopped.
        """
        if not (self.agent.accepting or self.always):
            phase = self.context.health.phase
            reason = "shutting_down" if phase in ("draining", "stopped") else "not_ready"
            raise Refused(f"{self.spec.qualname}: the agent is {phase}", reason=reason)

    def succeeded(self, began: float) -> None:
        """Count a call that ended in its result."""
        if self._inc_ok is not None:
            self._inc_ok()
        if self._observe is not None:
            self._observe(self._monotonic() - began)

    def count(self, outcome: str) -> None:
        """Count a call by an outcome other than `ok`."""
        counts = self.agent.table.counts
        if counts is not None:
            counts.calls.labels(self.agent.name, self.spec.name, outcome).inc()

    def failed(self, error: BaseException, began: float) -> None:
        """Count a call that raised, and report what nobody raised on purpose."""
        outcome = outcome_of(error)
        self.count(outcome)
        if outcome != "refused" and self._observe is not None:
            self._observe(self._monotonic() - began)
        report_once(self.context, error, method=self.spec.qualname)


def not_running(target: str) -> Refused:
    """What a call gets whose agent belongs to this host and has not started yet, or has stopped."""
    return Refused(f"{target}: the agent does not run now", reason="not_ready")


def outcome_of(error: BaseException) -> str:
    """The outcome label of a call that raised `error`."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    if isinstance(error, DeadlineExceeded):
        return "expired"
    if isinstance(error, Refused):
        return "expired" if error.reason == "expired" else "refused"
    return "error"


def report_once(context: AgentContext, error: BaseException, *, method: str | None = None) -> None:
    """Report an exception nobody raised on purpose, once and not at every caller above."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return
    if isinstance(error, AisysError) and error.code != "bad_result":
        return
    if getattr(error, REPORTED_MARK, False):
        return
    mark_reported(error)
    context.errors.report(error, method=method)


def mark_reported(error: BaseException) -> None:
    """Remember that an exception is on the error bus."""
    try:
        setattr(error, REPORTED_MARK, True)
    except AttributeError:
        return  # a class with slots: a second report of it is folded by its fingerprint
