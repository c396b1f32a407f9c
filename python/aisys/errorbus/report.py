"""One error as the bus carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, get_args

from aisys.errorbus.errors import ErrorBusError

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the worst down."""
RANK: Final[dict[str, int]] = {severity: rank for rank, severity in enumerate(SEVERITIES)}

MAX_MESSAGE: Final = 4_096
MAX_TRACEBACK: Final = 16_384
MAX_FIELD: Final = 512
MAX_CONTEXT: Final = 32
MAX_CONTEXT_TEXT: Final = 1_024


@dataclass(frozen=True, slots=True)
class Report:
    """One error, or several of the same kind folded into one.

    Attributes:
        id: unique, and what `Reporter.report` returned.
        at: when it happened, seconds since the epoch by the clock of its machine.
        severity: how bad it is.
        category: what part is at fault: `internal`, `dependency`, `input`, `resource`, ...
        message: one line for people.
        impact: what no longer works for the user, or "".
        agent: the agent that reported it, or "".
        method: the method it happened in, or "".
        machine: the machine of that agent.
        host: the process of that agent.
        env: `dev`, `staging` or `prod`.
        error_type: the class name of the exception, or "" for a message.
        traceback: the formatted traceback, or "".
        fingerprint: the same for errors of the same kind.
        trace_id: the trace of the call it happened in, in hexadecimal, or "".
        context: what else the reporter knew.
        source: what numbers its reports: `machine/host`.
        epoch: grows when the source starts again.
        seq: grows by one with each report of one epoch.
        count: how many errors this report stands for.
    """

    id: str
    at: float
    severity: Severity
    category: str
    message: str
    impact: str = ""
    agent: str = ""
    method: str = ""
    machine: str = ""
    host: str = ""
    env: str = ""
    error_type: str = ""
    traceback: str = ""
    fingerprint: str = ""
    trace_id: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    epoch: int = 0
    seq: int = 0
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """The report that `to_dict` gave, checked: it may come from another machine.

        Fields that this version does not know are left out.

        Raises:
            ErrorBusError: a field is missing or is not what it must be.
        """
        values: dict[str, Any] = {}
        for name, check in _CHECKS.items():
            if name not in data:
                if name in _REQUIRED:
                    raise ErrorBusError(f"a report without {name!r}")
                continue
            value = data[name]
            if not check(value):
                raise ErrorBusError(f"a report whose {name!r} is {value!r:.80}")
            values[name] = value
        return cls(**values)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of `text`: its beginning and its end, which tell most."""
    if len(text) <= limit:
        return text
    half = (limit - 24) // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} left out ...\n{text[-half:]}"


def _text(limit: int) -> Any:
    return lambda value: isinstance(value, str) and len(value) <= limit


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


_SPECIAL: Final[dict[str, Any]] = {
    "at": _number,
    "severity": lambda value: isinstance(value, str) and value in RANK,
    "message": _text(MAX_MESSAGE + 64),
    "traceback": _text(MAX_TRACEBACK + 64),
    "context": lambda value: isinstance(value, dict) and len(value) <= MAX_CONTEXT + 1,
    "epoch": _whole,
    "seq": _whole,
    "count": _whole,
}
_CHECKS: Final = {item.name: _SPECIAL.get(item.name, _text(MAX_FIELD)) for item in fields(Report)}
_REQUIRED: Final = frozenset(
    {"id", "at", "severity", "category", "message", "source", "epoch", "seq"}
)
