"""The router: one face for calls, wherever the agent lives."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aisys import tracing
from aisys.agent.builtin import BUILTIN_SPECS
from aisys.agent.local import AgentTable, LocalAgent, mark_reported, not_running
from aisys.agent.names import find_imported
from aisys.agent.ports import RemoteCaller, Routes
from aisys.agent.scope import current_scope
from aisys.agent.spec import AgentSpec, MethodSpec
from aisys.agent.suggest import did_you_mean
from aisys.agent.tasks import TaskOptions
from aisys.agent.wire import decode_any, encode_any
from aisys.errors import ArgumentError, Refused

if TYPE_CHECKING:
    from aisys.agent.base import Agent

_DEFAULT_TIMEOUT_S = 30.0
_DEFAULT_PRIORITY = 100
_HOP_RESERVE_S = 0.005


class CallOptions(NamedTuple):
    """What a caller may choose for a call."""

    timeout_s: float | None = None
    priority: int | None = None


DEFAULT_OPTIONS = CallOptions()


class Caller:
    """Calls methods of agents: in this host by a direct await, elsewhere over a link.

    Args:
        table: the agents of this host.
        routes: where the others live; None where there are no others.
        remote: calls into other hosts; None where there are none.
        fleet: every agent of the configuration by name, with its status `built` or `planned`; None
            when unknown.
    """

    def __init__(
        self,
        table: AgentTable,
        *,
        routes: Routes | None = None,
        remote: RemoteCaller | None = None,
        fleet: Mapping[str, str] | None = None,
    ) -> None:
        self._table = table
        self._routes = routes
        self._remote = remote
        self._fleet = fleet
        self._monotonic = table.monotonic
        self.find_local = table.get

    def knows(self, agent: str) -> bool:
        """Whether the fleet has this agent, built and configured."""
        if agent in self._table:
            return True
        if self._fleet is not None:
            return self._fleet.get(agent) == "built"
        return self._routes is not None and self._routes.lookup(agent) is not None

    def call(
        self,
        agent: str,
        method: str,
        kwargs: dict[str, Any] | None = None,
        *,
        args: tuple[Any, ...] = (),
        options: CallOptions = DEFAULT_OPTIONS,
        spec: MethodSpec | None = None,
    ) -> Awaitable[Any]:
        """Start a call; await what is returned.

        Args:
            agent: the agent's name.
            method: the method's name.
            kwargs: the arguments by name.
            args: the first arguments by position; only where the method's signature is known.
            options: time limit and priority.
            spec: the method's declaration, when the caller has it.

        Raises:
            Refused: not executed: no such agent or method, bad arguments, overloaded, expired,
                unreachable.
            Indefinite: sent, and the outcome is unknown.
        """
        local = self._table.get(agent)
        if local is not None:
            found = local.methods.get(method)
            if found is not None and not found.spec.streamed:
                return found.call(kwargs or {}, options.timeout_s, args)
            return _refuse(local, method)
        return self._call_remote(agent, method, args, kwargs or {}, options, spec)

    def stream(
        self,
        agent: str,
        method: str,
        kwargs: dict[str, Any] | None = None,
        *,
        args: tuple[Any, ...] = (),
        options: CallOptions = DEFAULT_OPTIONS,
        spec: MethodSpec | None = None,
    ) -> AsyncIterator[Any]:
        """Call a method whose reply is streamed; closing the stream early cancels it."""
        local = self._table.get(agent)
        if local is not None:
            found = local.method(method)
            if not found.spec.streamed:
                raise _not_streamed(found.spec.qualname)
            bound = found.spec.arguments.bind(args, kwargs or {})
            return found.stream(bound, options.timeout_s)
        return self._stream_remote(agent, method, args, kwargs or {}, options, spec)

    async def enqueue(
        self,
        agent: str,
        task: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        options: TaskOptions | None = None,
    ) -> str:
        """Store a task of an agent in the queue of its host and return the task's id.

        Raises:
            ArgumentError: the arguments do not fit the signature.
            Refused: no such agent or task, the queue is full, or the agent cannot be reached.
        """
        spec = self._known_spec(agent, task, None)
        if spec is not None:
            bound = spec.arguments.bind(args, kwargs or {})
        elif args:
            raise _need_names(f"{agent}.{task}")
        else:
            bound = kwargs or {}
        chosen: dict[str, Any] = {}
        if options is not None:
            chosen = {
                "priority": options.priority,
                "retries": options.retries,
                "delay_s": options.delay_s,
                "task_id": options.task_id,
            }
        request = {"task": task, "arguments": bound, **chosen}
        task_id: str = await self.call(agent, "submit_task", request)
        return task_id

    async def _call_remote(
        self,
        agent: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        spec: MethodSpec | None,
    ) -> Any:
        target = f"{agent}.{method}"
        remote, address = self._route(agent, target)
        spec = self._known_spec(agent, method, spec)
        body, attachments = _encode(target, args, kwargs, spec)
        trace = tracing.current()
        try:
            reply = await remote.call(
                address,
                target,
                body,
                timeout_s=self._time_left(target, options, spec),
                attachments=attachments,
                priority=_priority(options, spec),
                trace=trace.to_bytes() if trace is not None else None,
                sampled=trace is not None and trace.sampled,
                idempotent=spec is not None and spec.idempotent,
            )
        except Exception as error:
            mark_reported(error)  # it is on the error bus of the host where it was raised
            raise
        if spec is None:
            return decode_any(reply.body, reply.attachments)
        return spec.result.decode(reply.body, reply.attachments)

    async def _stream_remote(
        self,
        agent: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        spec: MethodSpec | None,
    ) -> AsyncIterator[Any]:
        target = f"{agent}.{method}"
        remote, address = self._route(agent, target)
        spec = self._known_spec(agent, method, spec)
        body, attachments = _encode(target, args, kwargs, spec)
        trace = tracing.current()
        replies = remote.stream(
            address,
            target,
            body,
            timeout_s=self._time_left(target, options, spec),
            attachments=attachments,
            priority=_priority(options, spec),
            trace=trace.to_bytes() if trace is not None else None,
            sampled=trace is not None and trace.sampled,
        )
        try:
            async for reply in replies:
                if spec is None:
                    yield decode_any(reply.body, reply.attachments)
                else:
                    yield spec.result.decode(reply.body, reply.attachments)
        except Exception as error:
            mark_reported(error)
            raise
        finally:
            await replies.aclose()

    def _route(self, agent: str, target: str) -> tuple[RemoteCaller, Any]:
        if self._table.absent(agent):
            raise not_running(target)
        route = self._routes.lookup(agent) if self._routes is not None else None
        if route is None or self._remote is None:
            raise Refused(f"{target}: {self._why_unknown(agent)}", reason="unknown_agent")
        return self._remote, route.address

    def _why_unknown(self, agent: str) -> str:
        if self._fleet is not None and agent in self._fleet:
            return f"the agent {agent} is {self._fleet[agent]} and does not run in this fleet"
        known = [*self._table.names(), *(self._fleet or ())]
        return f"the fleet has no agent {agent!r}{did_you_mean(agent, known)}"

    def _time_left(self, target: str, options: CallOptions, spec: MethodSpec | None) -> float:
        timeout_s = options.timeout_s
        if timeout_s is None:
            timeout_s = spec.timeout_s if spec is not None else _DEFAULT_TIMEOUT_S
        left_s = current_scope().deadline - self._monotonic()
        if left_s < math.inf:
            # What is handed on is a little less, so that the far end gives up before this one does.
            timeout_s = min(timeout_s, left_s - min(_HOP_RESERVE_S, 0.1 * left_s))
        if timeout_s <= 0:
            raise Refused(f"{target}: the deadline has passed", reason="expired")
        return timeout_s

    def _known_spec(self, agent: str, method: str, spec: MethodSpec | None) -> MethodSpec | None:
        if spec is not None:
            return spec
        if method in BUILTIN_SPECS:
            return BUILTIN_SPECS[method]
        local = self._table.get(agent)
        if local is not None:
            return local.method(method).spec
        cls: type[Agent] | None = find_imported(agent)
        return AgentSpec.of(cls).methods.get(method) if cls is not None else None


async def _refuse(agent: LocalAgent, name: str) -> Any:
    """Fail when awaited, as a remote call would, and not already when the call is made."""
    method = agent.method(name)
    raise Refused(f"{method.spec.qualname} is streamed: iterate over it", reason="bad_argument")


def _encode(
    target: str, args: tuple[Any, ...], kwargs: dict[str, Any], spec: MethodSpec | None
) -> tuple[bytes, list[Any]]:
    if spec is None:
        if args:
            raise _need_names(target)
        return encode_any(kwargs)
    arguments = spec.arguments
    return arguments.encode(arguments.validate(arguments.bind(args, kwargs)))


def _priority(options: CallOptions, spec: MethodSpec | None) -> int:
    if options.priority is not None:
        return options.priority
    return spec.priority if spec is not None else _DEFAULT_PRIORITY


def _need_names(target: str) -> ArgumentError:
    problem = "arguments need names: the signature is not known here"
    return ArgumentError(f"{target}: {problem}", method=target, problems=[problem])


def _not_streamed(qualname: str) -> Refused:
    return Refused(f"{qualname} is not streamed: await it", reason="bad_argument")
