"""A service that does what the target asks for, and pairs of endpoints over either transport."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aisys.messaging import Address, Endpoint, Incoming, Limits
from aisys.messaging.keys import KeyRing
from aisys.metrics import Registry

SERVER = Path(__file__).with_name("messaging_server.py")
FAST = Limits(reconnect_s=0.01, reconnect_max_s=0.1, connect_timeout_s=1.0)


class Desk:
    """Answers by target: `echo`, `fail`, `never`, `count`, `big`, `stall`; keeps what it saw."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.seen: list[Incoming] = []
        self.cancelled: list[Incoming] = []
        self.sent_items = 0
        self.stopped_because: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on_requests(self, requests: list[Incoming]) -> None:
        self.batches.append(len(requests))
        for request in requests:
            self.seen.append(request)
            self._answer(request)

    def _answer(self, request: Incoming) -> None:
        if request.target == "never":
            return
        if request.target == "fail":
            try:
                raise LookupError(request.body.decode())  # noqa: TRY301 - for the sake of its traceback
            except LookupError as error:
                request.fail(error)
        elif request.target == "raise":
            raise RuntimeError("a bug in the service")
        elif request.target == "big":
            request.reply(bytes(int(request.body)))
        elif request.target == "twice":
            request.reply(b"first")
            request.reply(b"second")
        elif request.target in ("count", "break"):
            task = asyncio.get_running_loop().create_task(self._count(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            request.reply(request.body, request.attachments)

    async def _count(self, request: Incoming) -> None:
        try:
            for number in range(int(request.body)):
                await request.send_item(str(number).encode())
                self.sent_items += 1
        except Exception as error:
            self.stopped_because = error
            return
        if request.target == "break":
            request.fail(ValueError("in the middle"))
        else:
            request.end()

    def on_cancel(self, request: Incoming) -> None:
        self.cancelled.append(request)


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def value(registry: Registry, name: str, **labels: str) -> float:
    """The value of a metric in a registry's exposition, 0 if it is not there."""
    wanted = ",".join(f'{key}="{label}"' for key, label in labels.items())
    prefix = f"{name}{{{wanted}}} " if labels else f"{name} "
    for line in registry.render().decode().splitlines():
        if line.startswith(prefix):
            return float(line.removeprefix(prefix))
    return 0.0


@dataclass
class Pair:
    """A server, a client, and the address of the one for the other."""

    transport: str
    folder: Path
    address: Address
    limits: Limits
    server: Endpoint
    client: Endpoint
    desk: Desk
    server_metrics: Registry
    client_metrics: Registry
    extra: list[Endpoint] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return Path(self.address.unix_path or "")

    async def start(self) -> None:
        if self.transport == "unix":
            await self.server.listen_unix(self.path)
        else:
            await self.server.listen_tcp([self.address.tcp or ""])

    def endpoint(self, host: str, *, metrics: Registry | None = None, **limits: Any) -> Endpoint:
        """Another endpoint on the client's side."""
        made = _endpoint(
            self.transport,
            self.folder,
            host,
            "near",
            Desk(),
            metrics or Registry(),
            replace(self.limits, **limits),
        )
        self.extra.append(made)
        return made

    def adopt(self, endpoint: Endpoint) -> Endpoint:
        """Close `endpoint` with the pair, however the test ends."""
        self.extra.append(endpoint)
        return endpoint

    async def restart_server(self) -> None:
        """The server's process dies and a new one takes its place."""
        await self.server.close(grace_s=0)
        self.server_metrics = Registry()
        self.desk = Desk()
        self.server = _endpoint(
            self.transport,
            self.folder,
            "far",
            _server_machine(self.transport),
            self.desk,
            self.server_metrics,
            self.limits,
        )
        await self.start()

    async def close(self) -> None:
        for endpoint in (*self.extra, self.client, self.server):
            await endpoint.close(grace_s=0)


def _server_machine(transport: str) -> str:
    return "near" if transport == "unix" else "distant"


def _endpoint(
    transport: str,
    folder: Path,
    host: str,
    machine: str,
    desk: Desk,
    metrics: Registry,
    limits: Limits,
) -> Endpoint:
    keys = KeyRing.load(folder / "keys", machine) if transport == "tcp" else None
    return Endpoint(
        host=host, machine=machine, service=desk, keys=keys, limits=limits, metrics=metrics
    )


def make_keys(folder: Path) -> None:
    """Keys of both machines in one folder."""
    for machine in ("near", "distant"):
        KeyRing.create(folder / "keys", machine)


def make_pair(
    transport: str, folder: Path, *, limits: Limits = FAST, server_limits: Limits | None = None
) -> Pair:
    """A pair that is not listening yet."""
    folder.chmod(0o700)
    if transport == "tcp" and not (folder / "keys").exists():
        make_keys(folder)
    machine = _server_machine(transport)
    address = Address(
        "far",
        machine,
        unix_path=str(folder / "far.sock") if transport == "unix" else None,
        tcp=f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else None,
    )
    desk, server_metrics, client_metrics = Desk(), Registry(), Registry()
    return Pair(
        transport,
        folder,
        address,
        limits,
        _endpoint(transport, folder, "far", machine, desk, server_metrics, server_limits or limits),
        _endpoint(transport, folder, "close", "near", Desk(), client_metrics, limits),
        desk,
        server_metrics,
        client_metrics,
    )


@contextlib.asynccontextmanager
async def pair_of(transport: str, folder: Path, **options: Any) -> AsyncIterator[Pair]:
    """A pair that listens, closed in the end."""
    pair = make_pair(transport, folder, **options)
    try:
        await pair.start()
        yield pair
    finally:
        await pair.close()


@contextlib.contextmanager
def server_process(pair: Pair) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start the server of a pair in a process of its own, as often as asked; all are gone in the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        place = str(pair.path) if pair.transport == "unix" else str(pair.address.tcp)
        process = subprocess.Popen(
            [sys.executable, str(SERVER), place, str(pair.folder / "keys")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    try:
        yield start
    finally:
        for process in running:
            # A stopped process does not die before it is continued.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
