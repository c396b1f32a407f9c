"""What an agent class declares, read once from its body."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aisys.agent.markers import (
    EVERY_MARK,
    METHOD_MARK,
    SUBSCRIBE_MARK,
    EveryOptions,
    MethodOptions,
)
from aisys.agent.names import find_class
from aisys.agent.schema import ArgumentSchema, Parameter, ResultSchema
from aisys.agent.tasks import TaskMethod, TaskOptions

if TYPE_CHECKING:
    from aisys.agent.base import Agent

RESERVED = frozenset({"ping", "health", "describe", "submit_task", "with_options"})
_STREAMS = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
)


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One callable method.

    Attributes:
        qualname: `Agent.method`.
        returns: the annotation of the result, or of one item when `streamed`.
        streamed: whether the reply is a stream of items.
    """

    name: str
    qualname: str
    doc: str
    arguments: ArgumentSchema
    result: ResultSchema
    streamed: bool
    timeout_s: float
    priority: int
    idempotent: bool

    @property
    def params(self) -> tuple[Parameter, ...]:
        """The parameters in the order of the signature."""
        return self.arguments.parameters

    @property
    def returns(self) -> Any:
        """The annotation of the result, or of one item of the stream."""
        return self.result.annotation


@dataclass(frozen=True, slots=True)
class SubscriptionSpec:
    """One topic that a method handles."""

    attribute: str
    topic: str
    annotation: Any


@dataclass(frozen=True, slots=True)
class TimerSpec:
    """One method that runs again and again."""

    attribute: str
    period_s: float
    jitter: float


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One method that a worker executes from the queue."""

    name: str
    qualname: str
    options: TaskOptions


@dataclass(frozen=True, slots=True)
class Injection:
    """One attribute that is given a proxy of another agent.

    Attributes:
        optional: annotated `X | None`: it is None where the fleet has no such agent.
    """

    attribute: str
    agent: str
    cls: type[Agent]
    optional: bool


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """Everything an agent class declares."""

    name: str
    doc: str
    methods: Mapping[str, MethodSpec]
    subscriptions: tuple[SubscriptionSpec, ...]
    timers: tuple[TimerSpec, ...]
    tasks: Mapping[str, TaskSpec]
    injected: tuple[Injection, ...]

    @staticmethod
    def of(agent_class: type[Agent]) -> AgentSpec:
        """The specification of a class; read once and kept.

        Raises:
            TypeError: the class declares something that cannot work.
        """
        known: AgentSpec | None = agent_class.__dict__.get("__aisys_spec__")
        if known is None:
            known = _read(agent_class)
            agent_class.__aisys_spec__ = known
        return known

    def warm(self) -> None:
        """Build every validator now instead of at the first call."""
        for method in self.methods.values():
            _ = (method.arguments.check, method.result.check)

    def to_dict(self) -> dict[str, Any]:
        """The declaration as JSON-like values, with JSON Schema for arguments and results."""
        return {
            "name": self.name,
            "doc": self.doc,
            "methods": {name: _method_dict(method) for name, method in self.methods.items()},
            "subscriptions": [item.topic for item in self.subscriptions],
            "timers": {item.attribute: item.period_s for item in self.timers},
            "tasks": {
                name: {"priority": item.options.priority, "retries": item.options.retries}
                for name, item in self.tasks.items()
            },
            "needs": [item.agent for item in self.injected],
        }


def _method_dict(method: MethodSpec) -> dict[str, Any]:
    return {
        "doc": method.doc,
        "streamed": method.streamed,
        "timeout_s": method.timeout_s,
        "priority": method.priority,
        "idempotent": method.idempotent,
        "arguments": _json_schema(method.arguments),
        "result": _json_schema(method.result),
    }


def _json_schema(schema: ArgumentSchema | ResultSchema) -> dict[str, Any]:
    try:
        return schema.adapter.json_schema()
    except ValueError:
        # Arrays and other arbitrary types have no JSON Schema: they travel as attachments.
        return {}


def _read(cls: type[Agent]) -> AgentSpec:
    name = cls.agent_name or cls.__name__
    methods: dict[str, MethodSpec] = {}
    subscriptions: list[SubscriptionSpec] = []
    timers: list[TimerSpec] = []
    tasks: dict[str, TaskSpec] = {}
    for attribute, member in _members(cls):
        qualname = f"{name}.{attribute}"
        if attribute in RESERVED and _marked(member):
            raise TypeError(f"{qualname}: every agent has this method already: choose another name")
        if isinstance(member, TaskMethod):
            options = member.options
            tasks[attribute] = TaskSpec(attribute, qualname, options)
            marked = MethodOptions(timeout_s=options.timeout_s, priority=options.priority)
            methods[attribute] = method_spec(qualname, member.function, marked)
            continue
        if (marked_method := getattr(member, METHOD_MARK, None)) is not None:
            methods[attribute] = method_spec(qualname, member, marked_method)
        for topic in getattr(member, SUBSCRIBE_MARK, ()):
            annotation = _event_annotation(qualname, member)
            subscriptions.append(SubscriptionSpec(attribute, topic, annotation))
        every: EveryOptions | None = getattr(member, EVERY_MARK, None)
        if every is not None:
            _need_coroutine(qualname, member, "@every")
            timers.append(TimerSpec(attribute, every.period_s, every.jitter))
    return AgentSpec(
        name,
        inspect.getdoc(cls) or "",
        types.MappingProxyType(methods),
        tuple(subscriptions),
        tuple(timers),
        types.MappingProxyType(tasks),
        tuple(_injections(cls)),
    )


def _marked(member: Any) -> bool:
    return isinstance(member, TaskMethod) or hasattr(member, METHOD_MARK)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Functions of the class, each name once, in order of definition, bases first."""
    names = dict.fromkeys(
        name
        for base in reversed(cls.__mro__)
        for name in base.__dict__
        if not name.startswith("__")
    )
    for name in names:
        member = inspect.getattr_static(cls, name)
        if isinstance(member, TaskMethod) or inspect.isfunction(member):
            yield name, member


def method_spec(qualname: str, function: Callable[..., Any], options: MethodOptions) -> MethodSpec:
    """Read one method; its first parameter is the agent.

    Raises:
        TypeError: not an `async def`, or with parameters that cannot travel by name.
    """
    hints = _hints(qualname, function)
    parameters = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"{qualname}: parameter {parameter} cannot travel: give every parameter a name"
            )
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        annotation = hints.get(parameter.name, Any)
        parameters.append(Parameter(parameter.name, annotation, required, default))
    returns = hints.get("return", Any)
    streamed = typing.get_origin(returns) in _STREAMS or inspect.isasyncgenfunction(function)
    if not streamed:
        _need_coroutine(qualname, function, "@method")
    elif typing.get_origin(returns) in _STREAMS:
        returns = typing.get_args(returns)[0]
    return MethodSpec(
        qualname.rpartition(".")[2],
        qualname,
        inspect.getdoc(function) or "",
        ArgumentSchema(qualname, parameters),
        ResultSchema(qualname, returns),
        streamed,
        options.timeout_s,
        options.priority,
        options.idempotent,
    )


def _need_coroutine(qualname: str, function: Callable[..., Any], decorator: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{qualname}: {decorator} needs an async def")


def _event_annotation(qualname: str, function: Callable[..., Any]) -> Any:
    _need_coroutine(qualname, function, "@subscribe")
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise TypeError(f"{qualname}: @subscribe needs exactly one argument beside self")
    return _hints(qualname, function).get(parameters[1], dict[str, Any])


def _hints(qualname: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, localns=_local_names(function), include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{qualname}: annotation {error.name!r} is not known at run time: import it outside of "
            "TYPE_CHECKING, at module level"
        ) from error


def _local_names(function: Callable[..., Any]) -> dict[str, Any]:
    """Names that a closure can see: agents and models defined inside of a function keep working."""
    closure = function.__closure__ or ()
    names: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, closure, strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return names


def _injections(cls: type[Agent]) -> Iterator[Injection]:
    seen: set[str] = set()
    for base in cls.__mro__:
        module = sys.modules.get(base.__module__)
        for attribute, annotation in inspect.get_annotations(base).items():
            if attribute in seen or attribute.startswith("__"):
                continue
            seen.add(attribute)
            resolved = _resolve(annotation, vars(module) if module else {}, vars(base))
            agent, optional = _agent_of(resolved)
            if agent is not None:
                yield Injection(attribute, agent.agent_name or agent.__name__, agent, optional)


class _AgentNames(dict[str, Any]):
    """Local names of an annotation: those of the class body, then every agent there is."""

    def __init__(self, own: Mapping[str, Any], module: Mapping[str, Any]) -> None:
        super().__init__(own)
        self._module = module

    def __missing__(self, name: str) -> Any:
        if name in self._module or name in vars(typing):
            raise KeyError(name)
        found = find_class(name)
        if found is None:
            raise KeyError(name)
        return found


def _resolve(annotation: Any, module: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        # The author's own source text, evaluated as typing.get_type_hints would, but one annotation
        # at a time.
        return eval(annotation, dict(module), _AgentNames(own, module))  # noqa: S307
    except (NameError, AttributeError, TypeError):
        return (
            None  # a name that only type checkers know: no agent, or find_class would have found it
        )


@functools.cache
def _agent_base() -> type[Agent]:
    from aisys.agent.base import Agent

    return Agent


def _agent_of(annotation: Any) -> tuple[type[Agent] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, _agent_base()):
        return annotation, False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arguments = typing.get_args(annotation)
        agents = [argument for argument in arguments if _agent_of(argument)[0] is not None]
        if len(agents) == 1 and type(None) in arguments and len(arguments) == 2:
            return agents[0], True
    return None, False
