"""The decorators of an agent's class body.

They leave the function as it is and write beside it what was declared, so that type checkers go on
seeing the author's own signature at every call site. `AgentSpec` reads the marks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, overload

METHOD_MARK = "__aisys_method__"
SUBSCRIBE_MARK = "__aisys_subscribe__"
EVERY_MARK = "__aisys_every__"

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """What `@method` was told."""

    timeout_s: float = DEFAULT_TIMEOUT_S
    priority: int = DEFAULT_PRIORITY
    idempotent: bool = False

    def __post_init__(self) -> None:
        check_timeout(self.timeout_s)
        check_priority(self.priority)


@dataclass(frozen=True, slots=True)
class EveryOptions:
    """What `@every` was told."""

    period_s: float
    jitter: float


def check_timeout(timeout_s: float) -> None:
    """Refuse what is no usable time limit.

    Raises:
        ValueError: not a positive, finite number.
    """
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout_s must be positive and finite, not {timeout_s!r}")


def check_priority(priority: int) -> None:
    """Refuse what is no priority.

    Raises:
        ValueError: not in 0..255.
    """
    if not 0 <= priority <= 255:
        raise ValueError(f"priority must be 0 (first) to 255 (last), not {priority!r}")


_Method = TypeVar(
    "_Method", bound=Callable[..., Coroutine[Any, Any, Any]] | Callable[..., AsyncIterator[Any]]
)
_Handler = TypeVar("_Handler", bound=Callable[[Any, Any], Awaitable[object]])
_Timer = TypeVar("_Timer", bound=Callable[[Any], Awaitable[object]])


@overload
def method(function: _Method, /) -> _Method: ...
@overload
def method(
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    priority: int = DEFAULT_PRIORITY,
    idempotent: bool = False,
) -> Callable[[_Method], _Method]: ...
def method(
    function: Callable[..., Any] | None = None,
    /,
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    priority: int = DEFAULT_PRIORITY,
    idempotent: bool = False,
) -> Any:
    """Make an `async def` of an agent callable from anywhere as `Agent.method`.

    Args:
        function: the method, when the decorator is used without arguments.
        timeout_s: the deadline of a call whose caller gives none.
        priority: 0 is served first, 255 last.
        idempotent: whether a call may be made again when its outcome is unknown.
    """
    options = MethodOptions(timeout_s, priority, idempotent)

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(function, METHOD_MARK, options)
        return function

    return mark if function is None else mark(function)


def subscribe(topic: str) -> Callable[[_Handler], _Handler]:
    """Deliver the events of a topic to an `async def` that takes one argument.

    The argument's annotation says how the event arrives: `dict`, a pydantic model, a dataclass, or
    `Event`. One method may carry the decorator several times.

    Args:
        topic: a dotted name; `*` stands for one word, `**` for any number of words.
    """

    def mark(function: _Handler) -> _Handler:
        topics: tuple[str, ...] = getattr(function, SUBSCRIBE_MARK, ())
        setattr(function, SUBSCRIBE_MARK, (topic, *topics))
        return function

    return mark


def every(
    *, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0, jitter: float = 0.1
) -> Callable[[_Timer], _Timer]:
    """Run an `async def` without arguments again and again while the agent is up.

    Runs never overlap: the next period begins when the run has ended. A run that raises is reported
    on the error bus and the timer goes on.

    Args:
        seconds: added to the period.
        minutes: added to the period.
        hours: added to the period.
        jitter: each wait is up to this share of the period longer, so that a fleet does not beat in
            step.

    Raises:
        ValueError: the period is not positive.
    """
    period_s = seconds + 60.0 * minutes + 3600.0 * hours
    if period_s <= 0:
        raise ValueError("every() needs a positive period, for example every(minutes=10)")
    options = EveryOptions(period_s, jitter)

    def mark(function: _Timer) -> _Timer:
        setattr(function, EVERY_MARK, options)
        return function

    return mark
