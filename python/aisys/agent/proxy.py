"""Typed proxies: what an agent holds instead of another agent.

To a type checker the attribute is the other agent's class. At run time it is a `Proxy` whose
attributes are callables that go through the `Caller`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Generator
from typing import Any

from aisys.agent.builtin import BUILTIN_SPECS
from aisys.agent.caller import DEFAULT_OPTIONS, Caller, CallOptions
from aisys.agent.markers import check_priority, check_timeout
from aisys.agent.spec import AgentSpec, MethodSpec
from aisys.agent.suggest import did_you_mean
from aisys.agent.tasks import BoundTask


class Stream(AsyncIterator[Any]):
    """A streamed reply: iterate over it; awaiting it first gives itself."""

    __slots__ = ("_items",)

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._items)

    def __await__(self) -> Generator[Any, None, Stream]:
        return self._itself().__await__()

    async def _itself(self) -> Stream:
        return self

    async def aclose(self) -> None:
        """Cancel what is left of the stream."""
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


class BoundCall:
    """One method of one agent, ready to be called from here."""

    __slots__ = ("_agent", "_caller", "_name", "_options", "_spec")

    def __init__(
        self,
        caller: Caller,
        agent: str,
        name: str,
        spec: MethodSpec | None,
        options: CallOptions,
    ) -> None:
        self._caller = caller
        self._agent = agent
        self._name = name
        self._spec = spec
        self._options = options

    def __repr__(self) -> str:
        return f"<call {self._agent}.{self._name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any] | Stream:
        """Start the call: await the result, or iterate over it if it is streamed."""
        local = self._caller.find_local(self._agent)
        if local is not None:
            method = local.methods.get(self._name)
            if method is not None and not method.spec.streamed:
                return method.call(kwargs, self._options.timeout_s, args)
        spec = self._spec
        if spec is not None and spec.streamed:
            return self.stream(*args, **kwargs)
        return self._caller.call(
            self._agent, self._name, kwargs, args=args, options=self._options, spec=spec
        )

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        """Call a method as a stream, also where its declaration is not known here."""
        return Stream(
            self._caller.stream(
                self._agent, self._name, kwargs, args=args, options=self._options, spec=self._spec
            )
        )


class Proxy:
    """An agent that lives anywhere in the fleet, as another agent sees it.

    Args:
        caller: the router.
        agent: the other agent's name.
        spec: its declaration; without one every attribute is taken for a method.
        options: time limit and priority of the calls.
    """

    def __init__(
        self,
        caller: Caller,
        agent: str,
        spec: AgentSpec | None = None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._caller = caller
        self._agent = agent
        self._spec = spec
        self._options = options

    def __repr__(self) -> str:
        return f"<proxy of {self._agent}>"

    def __getattr__(self, name: str) -> BoundCall | BoundTask[Any, Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        bound = self._bind(name)
        # Kept in the instance: the next access does not come here.
        self.__dict__[name] = bound
        return bound

    def with_options(self, *, timeout_s: float | None = None, priority: int | None = None) -> Proxy:
        """The same agent, called with another time limit or priority."""
        if timeout_s is not None:
            check_timeout(timeout_s)
        if priority is not None:
            check_priority(priority)
        return Proxy(self._caller, self._agent, self._spec, CallOptions(timeout_s, priority))

    def _bind(self, name: str) -> BoundCall | BoundTask[Any, Any]:
        spec = self._spec
        method = BUILTIN_SPECS.get(name)
        if spec is not None:
            method = spec.methods.get(name) or method
            if method is None:
                hint = did_you_mean(name, spec.methods)
                raise AttributeError(f"{self._agent} has no method {name!r}{hint}")
        call = BoundCall(self._caller, self._agent, name, method, self._options)
        if spec is not None and name in spec.tasks:
            return BoundTask(self._agent, name, spec.tasks[name].options, call, caller=self._caller)
        return call
