"""Two hosts in one process, joined by a unix socket: one with agents, one that calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aisys.agent import Agent, AgentContext, AgentRunner, AgentTable, Caller, Dispatcher
from aisys.backends import MemoryBackend, State
from aisys.logs import get_logger
from aisys.messaging import Address, Endpoint
from aisys.metrics import Registry
from aisys.registry import Route, RouteTable
from aisys.testing import ErrorLog
from aisys.tracing import SpanStore


@dataclass
class Pair:
    """A serving host and a calling host."""

    caller: Caller
    dispatcher: Dispatcher
    table: AgentTable
    metrics: Registry
    errors: ErrorLog
    spans: SpanStore
    runners: dict[str, AgentRunner]
    client: Endpoint
    address: Address

    def agent(self, name: str) -> Any:
        return self.runners[name].agent


PairMaker = Callable[..., Any]


@pytest.fixture
def pair(tmp_path: Path) -> PairMaker:
    """Makes hosts, joined by a socket; keyword arguments go to the Dispatcher."""

    @asynccontextmanager
    async def make(*classes: type[Agent], **limits: Any) -> AsyncIterator[Pair]:
        metrics, spans, errors = Registry(), SpanStore(), ErrorLog()
        table = AgentTable(metrics=metrics, spans=spans)
        dispatcher = Dispatcher(table, metrics=metrics, **limits)
        server = Endpoint(host="m/server", machine="m", service=dispatcher)
        path = tmp_path / "server.sock"
        await server.listen_unix(path)
        address = Address(host="m/server", machine="m", unix_path=str(path), tcp=None)
        routes = RouteTable(
            {cls.__name__: Route(cls.__name__, "m/server", "m", address) for cls in classes}
        )
        client_table = AgentTable(metrics=Registry())
        idle = Dispatcher(client_table)
        client = Endpoint(host="m/client", machine="m", service=idle)
        caller = Caller(client_table, routes=routes, remote=client)
        serving = Caller(table, routes=routes, remote=server)
        runners = {}
        for cls in classes:
            context = AgentContext(
                name=cls.__name__,
                machine="m",
                host="m/server",
                caller=serving,
                errors=errors.for_agent(cls.__name__),
                log=get_logger(cls.__name__),
                metrics=metrics,
                state=State(MemoryBackend(), cls.__name__),
                publisher=server,
            )
            runners[cls.__name__] = AgentRunner(cls, context, table)
        for runner in runners.values():
            await runner.start()
        for runner in runners.values():
            await runner.ready()
        try:
            yield Pair(caller, dispatcher, table, metrics, errors, spans, runners, client, address)
        finally:
            for runner in runners.values():
                await runner.drain(0.2)
                await runner.stop()
            await dispatcher.close()
            await idle.close()
            await client.close()
            await server.close()
            table.wheel.close()
            client_table.wheel.close()

    return make
