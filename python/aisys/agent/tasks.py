"""`@task`: methods that are stored first and executed at least once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from aisys.agent.scope import current_scope

if TYPE_CHECKING:
    from aisys.agent.caller import Caller

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_RETRIES = 5
DEFAULT_TASK_PRIORITY = 100
DEFAULT_TASK_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How a task is stored and executed.

    Attributes:
        priority: 0 is executed first, 255 last.
        retries: how many further attempts a failing task gets before it is dead-lettered.
        timeout_s: the time limit of one attempt.
        delay_s: how long a task waits before its first attempt.
        task_id: an id of the caller's choice; the same id twice is one task.
    """

    priority: int = DEFAULT_TASK_PRIORITY
    retries: int = DEFAULT_RETRIES
    timeout_s: float = DEFAULT_TASK_TIMEOUT_S
    delay_s: float = 0.0
    task_id: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.priority <= 255:
            raise ValueError(f"priority must be 0 (first) to 255 (last), not {self.priority!r}")
        if self.retries < 0 or self.delay_s < 0 or not 0 < self.timeout_s < float("inf"):
            raise ValueError("retries and delay_s must not be negative, timeout_s must be positive")


class BoundTask(Generic[P, R]):
    """A task method of one agent: a call runs it here and now, `send` stores it."""

    __slots__ = ("_caller", "_name", "_options", "_owner", "_run")

    def __init__(
        self,
        owner: str,
        name: str,
        options: TaskOptions,
        run: Callable[P, Awaitable[R]] | None,
        caller: Caller | None = None,
    ) -> None:
        self._caller = caller
        self._owner = owner
        self._name = name
        self._options = options
        self._run = run

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run the method at once, outside the queue."""
        if self._run is None:
            raise TypeError(
                f"{self._owner}.{self._name} needs an instance to run; use .send(...) to enqueue it"
            )
        return self._run(*args, **kwargs)

    async def send(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Store the task and return its id.

        Raises:
            ArgumentError: the arguments do not fit the signature.
            Refused: the queue is full, or the agent cannot be reached.
        """
        caller = self._caller
        if caller is None:
            context = current_scope().context
            if context is None:
                raise RuntimeError(
                    f"{self._owner}.{self._name}.send() works inside an agent or on a proxy; "
                    "elsewhere use Caller.enqueue"
                )
            caller = context.caller
        return await caller.enqueue(self._owner, self._name, args, kwargs, options=self._options)

    def with_options(
        self,
        *,
        priority: int | None = None,
        retries: int | None = None,
        delay_s: float | None = None,
        task_id: str | None = None,
    ) -> BoundTask[P, R]:
        """The same task with other options for the next `send`."""
        changes: dict[str, Any] = {
            key: value
            for key, value in (
                ("priority", priority),
                ("retries", retries),
                ("delay_s", delay_s),
                ("task_id", task_id),
            )
            if value is not None
        }
        options = replace(self._options, **changes)
        return BoundTask(self._owner, self._name, options, self._run, self._caller)


class TaskMethod(Generic[P, R]):
    """What `@task` leaves in the class: the function and how to store calls of it."""

    def __init__(
        self, function: Callable[Concatenate[Any, P], Awaitable[R]], options: TaskOptions
    ) -> None:
        self.function = function
        self.options = options
        self.__doc__ = function.__doc__
        self._name = getattr(function, "__name__", "task")

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> BoundTask[P, R]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> BoundTask[P, R]: ...
    def __get__(self, instance: object | None, owner: type) -> BoundTask[P, R]:
        name = getattr(owner, "agent_name", "") or owner.__name__
        run = None if instance is None else functools.partial(self.function, instance)
        return BoundTask(name, self._name, self.options, run)


@overload
def task(function: Callable[Concatenate[Any, P], Awaitable[R]], /) -> TaskMethod[P, R]: ...
@overload
def task(
    *,
    priority: int = DEFAULT_TASK_PRIORITY,
    retries: int = DEFAULT_RETRIES,
    timeout_s: float = DEFAULT_TASK_TIMEOUT_S,
) -> Callable[[Callable[Concatenate[Any, P], Awaitable[R]]], TaskMethod[P, R]]: ...
def task(
    function: Callable[..., Awaitable[Any]] | None = None,
    /,
    *,
    priority: int = DEFAULT_TASK_PRIORITY,
    retries: int = DEFAULT_RETRIES,
    timeout_s: float = DEFAULT_TASK_TIMEOUT_S,
) -> Any:
    """Make an `async def` a task: `send` stores a call, a worker executes it at least once.

    Args:
        function: the method, when the decorator is used without arguments.
        priority: 0 is executed first, 255 last.
        retries: further attempts of a failing task before it is dead-lettered.
        timeout_s: the time limit of one attempt.

    Raises:
        TypeError: the function is no `async def`.
    """
    options = TaskOptions(priority, retries, timeout_s)

    def mark(function: Callable[..., Awaitable[Any]]) -> TaskMethod[Any, Any]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"@task needs an async def, which {function!r} is not")
        return TaskMethod(function, options)

    return mark if function is None else mark(function)
