"""An error bus that keeps what it is given, for tests to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aisys.errorbus import Severity
from aisys.ids import new_id


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One report.

    Attributes:
        error: the exception, or None when only a message was given.
    """

    id: str
    agent: str
    message: str
    error: BaseException | None
    severity: Severity
    category: str
    impact: str | None
    context: dict[str, Any]
    method: str | None


class ErrorLog:
    """The reports of one fleet; `for_agent` gives an agent its face of it."""

    def __init__(self) -> None:
        self.reports: list[LoggedError] = []

    def for_agent(self, agent: str) -> AgentErrorLog:
        """Where one agent reports."""
        return AgentErrorLog(agent, self)


class AgentErrorLog:
    """What is `self.errors` in a test.

    Args:
        agent: whose reports these are.
        log: where they are kept.
    """

    def __init__(self, agent: str, log: ErrorLog) -> None:
        self._agent = agent
        self._log = log

    def report(
        self,
        error: BaseException | str,
        *,
        severity: Severity = "high",
        category: str = "internal",
        impact: str | None = None,
        context: Mapping[str, Any] | None = None,
        method: str | None = None,
    ) -> str:
        """Keep a report and return its id."""
        exception = error if isinstance(error, BaseException) else None
        message = str(error) if exception is None else f"{type(exception).__name__}: {exception}"
        report = LoggedError(
            new_id("err"),
            self._agent,
            message,
            exception,
            severity,
            category,
            impact,
            dict(context or {}),
            method,
        )
        self._log.reports.append(report)
        return report.id
