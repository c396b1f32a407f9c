"""The agents that every fleet has without naming them: one for each host, one for each machine.

They are agents like any other, so that processes of a fleet talk to each other in one way only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from aisys.agent import Agent, Caller, CallOptions, method
from aisys.errorbus import Collector, Severity
from aisys.errors import CallError
from aisys.metrics import Registry, merge
from aisys.runtime.places import host_agent_name
from aisys.tracing import SpanStore

_QUICK = CallOptions(timeout_s=1.0, priority=5)


class HostAgent(Agent):
    """What a host tells about itself: its metrics and the spans it keeps."""

    _registry: Registry
    _spans: SpanStore

    def attach(self, registry: Registry, spans: SpanStore) -> None:
        """Give it what it tells about."""
        self._registry = registry
        self._spans = spans

    @method(timeout_s=2.0, priority=10)
    async def expose_metrics(self, openmetrics: bool = False) -> bytes:
        """The host's metrics as Prometheus text, or as OpenMetrics."""
        return self._registry.render({"host": self.host}, openmetrics=openmetrics)

    @method(timeout_s=2.0, priority=10)
    async def find_spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace, by its id in hexadecimal."""
        return [span.to_dict() for span in self._spans.find(bytes.fromhex(trace_id))]


class Restarted(TypedDict):
    """What a restart took."""

    ms: int


@dataclass(slots=True)
class MachineControl:
    """What the machine agent tells and does, given by the machine's runtime.

    Attributes:
        describe: the status of the machine as JSON-like values.
        stop: begins an orderly stop.
        restart: restarts a host and returns the milliseconds it took.
        collector: keeps error reports.
        caller: calls hosts of this machine.
        hosts: the hosts that run now.
        metrics: the supervisor's own.
        spans: the supervisor's own.
    """

    describe: Callable[[], dict[str, Any]]
    stop: Callable[[], None]
    restart: Callable[[str], Awaitable[int]]
    collector: Collector
    caller: Caller
    hosts: Callable[[], list[str]]
    metrics: Registry
    spans: SpanStore


class MachineAgent(Agent):
    """A machine's supervisor as others call it."""

    _control: MachineControl

    def attach(self, control: MachineControl) -> None:
        """Give it what it tells and does."""
        self._control = control

    @method(timeout_s=3.0, priority=5)
    async def status(self) -> dict[str, Any]:
        """Processes and agents of this machine, and how they do."""
        return self._control.describe()

    @method(timeout_s=3.0, priority=5)
    async def stop(self) -> bool:
        """Begin an orderly stop of the machine."""
        self._control.stop()
        return True

    @method(timeout_s=60.0)
    async def restart_host(self, host: str) -> Restarted:
        """Drain a host, start it again, and return when it is ready."""
        return {"ms": await self._control.restart(host)}

    @method(timeout_s=10.0, priority=50, idempotent=True)
    async def ingest_errors(self, reports: list[dict[str, Any]]) -> int:
        """Keep error reports of any machine; gives the number that was new."""
        return await self._control.collector.ingest(reports)

    @method(timeout_s=5.0)
    async def list_errors(
        self,
        agent: str | None = None,
        machine: str | None = None,
        severity: Severity | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The latest error reports that fit, newest first."""
        found = await self._control.collector.list(
            agent=agent, machine=machine, severity=severity, since=since, limit=limit
        )
        return [asdict(report) for report in found]

    @method(timeout_s=5.0)
    async def expose_metrics(self, openmetrics: bool = False) -> bytes:
        """The metrics of all hosts of this machine as one Prometheus text, or as OpenMetrics."""
        texts = await self._ask_hosts("expose_metrics", openmetrics=openmetrics)
        own = self._control.metrics.render({"host": self.host}, openmetrics=openmetrics)
        return merge([own, *texts])

    @method(timeout_s=5.0)
    async def find_spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace that the hosts of this machine keep."""
        own = [span.to_dict() for span in self._control.spans.find(bytes.fromhex(trace_id))]
        for spans in await self._ask_hosts("find_spans", trace_id=trace_id):
            own.extend(spans)
        return own

    async def _ask_hosts(self, name: str, **arguments: Any) -> list[Any]:
        """Ask every host the same; one that does not answer in time is left out and counted."""

        async def ask(host: str) -> Any:
            try:
                return await self._control.caller.call(
                    host_agent_name(host), name, dict(arguments), options=_QUICK
                )
            except CallError as error:
                self.log.warning("host did not answer", host=host, method=name, problem=str(error))
                return None

        replies = await asyncio.gather(*(ask(host) for host in self._control.hosts()))
        return [reply for reply in replies if reply is not None]
