"""What `self.errors` is: the one call that hands an error to the bus."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from aisys.errorbus.drafts import Draft, capture, reporting, safe_context
from aisys.errorbus.fingerprint import fingerprint, own_place, shape
from aisys.errorbus.report import MAX_FIELD, MAX_MESSAGE, RANK, Report, Severity, cut
from aisys.errorbus.spool import Spool
from aisys.ids import new_id

OWN_PACKAGES: Final = frozenset({"aisys", "aisys_agents"})


class Reporter:
    """Reports the errors of one agent, or of a host when `agent` is "".

    Args:
        spool: where the reports of this process go.
        agent: the agent's name.
        own_packages: top-level packages whose frames say where an error comes from.
        trace_id: asked at each report for the id of the current trace, in hexadecimal.

    Attributes:
        failed: reports that could not be made; `report` never raises, so this is where they show.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        agent: str = "",
        own_packages: frozenset[str] = OWN_PACKAGES,
        trace_id: Callable[[], str] | None = None,
    ) -> None:
        self._spool = spool
        self._agent = agent
        self._own_packages = own_packages
        self._trace_id = trace_id
        self.failed = 0

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
        """Hand an error to the bus.

        Never raises, never waits for a disk or a network, and never calls itself: a report made
        while one is being made by the same thread is counted in `failed`.

        Args:
            error: the exception, or a message.
            severity: `critical`, `high`, `medium`, `low` or `info`.
            category: what part is at fault.
            impact: what no longer works for the user.
            context: what else may help; small values, secrets are redacted.
            method: the method it happened in.

        Returns:
            The report's id, or that of the one it is counted into; "" if none could be made.
        """
        if getattr(reporting, "busy", False):
            self.failed += 1
            return ""
        reporting.busy = True
        try:
            draft = self._draft(error, severity, category, impact or "", context, method or "")
            return self._spool.offer(draft)
        except Exception:  # noqa: BLE001 - it never raises, whatever it was given
            self.failed += 1
            return ""
        finally:
            reporting.busy = False

    def _draft(
        self,
        error: BaseException | str,
        severity: Severity,
        category: str,
        impact: str,
        context: Mapping[str, Any] | None,
        method: str,
    ) -> Draft:
        spool = self._spool
        if isinstance(error, BaseException):
            error_type, trace = type(error).__qualname__, capture(error)
            message = _message_of(error)
            kind, place = error_type, own_place(error.__traceback__, self._own_packages)
        else:
            error_type, trace, message = "", None, str(error)
            caller = sys._getframe(2)  # the one who called report()
            kind, place = shape(message), own_place(None, self._own_packages, caller)
        report = Report(
            id=new_id("err"),
            at=spool.clock.time(),
            severity=severity if severity in RANK else "high",
            category=str(category)[:MAX_FIELD],
            message=cut(message, 4 * MAX_MESSAGE),
            impact=str(impact),
            agent=self._agent,
            method=str(method)[:MAX_FIELD],
            machine=spool.machine,
            host=spool.host,
            env=spool.env,
            error_type=error_type[:MAX_FIELD],
            fingerprint=fingerprint(kind, self._agent, method, place),
            trace_id=self._trace_id() if self._trace_id is not None else "",
            context=safe_context(context),
            source=spool.source,
        )
        return Draft(report, trace)


def _message_of(error: BaseException) -> str:
    try:
        return str(error) or type(error).__qualname__
    except Exception:  # noqa: BLE001 - still an error to report
        return f"{type(error).__qualname__} (its text could not be made)"
