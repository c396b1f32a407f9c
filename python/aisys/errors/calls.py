"""How a call can end other than by its result.

The four outcomes (reply, refused, handler error, indefinite) are kept apart because only the caller can decide
what to do about each: a refused call was definitely not executed, an indefinite one may have been.
"""

from __future__ import annotations

from typing import ClassVar

from aisys.errors.base import AisysError


class CallError(AisysError):
    """A call that did not end in a reply."""

    code: ClassVar[str] = "call_failed"


class Refused(CallError):
    """The call was definitely not executed.

    Attributes:
        reason: one of `unknown_agent`, `unknown_method`, `not_ready`, `unauthorised`, `overloaded`, `expired`,
            `bad_argument`, `bad_frame`, `too_large`, `unreachable`, `full`, `shutting_down`.
    """

    code: ClassVar[str] = "refused"
    fields: ClassVar[tuple[str, ...]] = ("reason",)

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ArgumentError(Refused):
    """An argument does not fit the method's signature.

    Attributes:
        method: `Agent.method`.
        problems: one `field: what is wrong` each.
    """

    code: ClassVar[str] = "bad_argument"
    fields: ClassVar[tuple[str, ...]] = ("reason", "method", "problems")

    def __init__(self, message: str, *, method: str, problems: list[str]) -> None:
        super().__init__(message, reason="bad_argument")
        self.method = method
        self.problems = problems


class Unreachable(Refused):
    """No connection to the agent's host could be made before the deadline; nothing was sent."""

    code: ClassVar[str] = "unreachable"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="unreachable")


class Indefinite(CallError):
    """The call was sent and its outcome is unknown: it may or may not have been executed."""

    code: ClassVar[str] = "indefinite"


class DeadlineExceeded(Indefinite):
    """The deadline passed while the call was being executed or its reply was on the way.

    Attributes:
        timeout_s: the time the call was given, in seconds.
    """

    code: ClassVar[str] = "deadline_exceeded"
    fields: ClassVar[tuple[str, ...]] = ("timeout_s",)

    def __init__(self, message: str, *, timeout_s: float | None = None) -> None:
        super().__init__(message)
        self.timeout_s = timeout_s


class AgentError(CallError):
    """The base of errors that agents raise on purpose; subclass it with a `code` of your own."""

    code: ClassVar[str] = "agent_error"


class RemoteError(CallError):
    """A handler raised an exception whose class this process does not know.

    Attributes:
        type_name: the class name on the other side.
    """

    code: ClassVar[str] = "remote_error"
    fields: ClassVar[tuple[str, ...]] = ("type_name",)

    def __init__(self, message: str, *, type_name: str) -> None:
        super().__init__(message)
        self.type_name = type_name


class ResultError(CallError):
    """A handler returned something that its annotation does not allow.

    Attributes:
        method: `Agent.method`.
        problems: one `field: what is wrong` each.
    """

    code: ClassVar[str] = "bad_result"
    fields: ClassVar[tuple[str, ...]] = ("method", "problems")

    def __init__(self, message: str, *, method: str, problems: list[str]) -> None:
        super().__init__(message)
        self.method = method
        self.problems = problems
