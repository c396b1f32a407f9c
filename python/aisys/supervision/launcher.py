"""The supervisor's side of the zygote: asks for hosts and hears of their ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aisys import json
from aisys.errors import AisysError
from aisys.supervision.channel import Channel, make_pair


class LaunchError(AisysError):
    """The zygote could not be started, or died."""

    code = "launch_failed"


class WarmUpRefused(LaunchError):
    """The zygote found the configuration unusable; trying again would change nothing."""

    code = "warm_up_refused"


@dataclass(slots=True)
class Launched:
    """A host that was just forked.

    Attributes:
        pid: its process.
        socket: the supervisor's end of its channel.
    """

    pid: int
    socket: socket.socket


class Launcher(Protocol):
    """What starts host processes; the supervisor knows no more about it."""

    on_exit: Callable[[str, int, int], None]
    """Called with (host, pid, wait status) when a host process ended."""
    on_lost: Callable[[], None]
    """Called when the launcher itself died; its hosts die with it."""

    async def start(self) -> None:
        """Get ready to launch."""

    async def launch(self, host: str, log_path: Path) -> Launched:
        """Start a host, its output going to `log_path`."""
        ...

    async def close(self) -> None:
        """End the launcher; hosts that still run end with it."""


class ZygoteLauncher:
    """Launches hosts by forking them from a warm zygote.

    Args:
        machine: the machine the hosts belong to.
        warm: `module:function` that the zygote calls with the machine's name to import everything; it
            returns the function that runs a host.
        environment: environment variables for the zygote and all hosts.
        log_path: where the zygote's own output goes.
        start_timeout_s: how long warming up may take.

    Attributes:
        on_exit: called with (host, pid, wait status) when a host process ended.
        on_lost: called when the zygote itself died; its hosts die with it.
        warm_ms: how long warming up took, in milliseconds.
    """

    def __init__(
        self,
        machine: str,
        warm: str,
        environment: dict[str, str],
        log_path: Path,
        start_timeout_s: float = 30.0,
    ) -> None:
        self.on_exit: Callable[[str, int, int], None] = lambda _host, _pid, _status: None
        self.on_lost: Callable[[], None] = lambda: None
        self.warm_ms = 0
        self._machine = machine
        self._warm = warm
        self._environment = environment
        self._log_path = log_path
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._tickets: dict[int, asyncio.Future[int]] = {}
        self._next_ticket = 0
        self._ready = asyncio.Event()
        self._closing = False
        self._refusal = ""

    @property
    def pid(self) -> int | None:
        """The zygote's process."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the zygote and wait until it is warm.

        Raises:
            WarmUpRefused: it found the configuration unusable.
            LaunchError: it did not get warm in time, or ended.
        """
        mine = self._exec()
        self._ready.clear()
        self._channel = Channel(mine, self._on_packet, self._on_channel_closed)
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise LaunchError(
                f"the zygote was not warm after {self._start_timeout_s} s: see {self._log_path}"
            ) from error
        if self._refusal:
            raise WarmUpRefused(self._refusal)
        if self._process is None or self._process.poll() is not None:
            raise LaunchError(f"the zygote ended: see {self._log_path}")

    def _exec(self) -> socket.socket:
        """Start the process and return this side's end of its control channel."""
        mine, its = make_pair()
        # From the main thread and with no code between fork and exec: the kernel's parent-death signal follows the
        # creating thread, and uvloop's own spawn would run Python in the child.
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-m",
                    "aisys.supervision.zygote",
                    "--control-fd",
                    str(its.fileno()),
                    "--parent",
                    str(os.getpid()),
                    "--warm",
                    self._warm,
                    "--machine",
                    self._machine,
                ],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
            )
        its.close()
        return mine

    async def launch(self, host: str, log_path: Path) -> Launched:
        """Fork a host.

        Raises:
            LaunchError: the zygote is gone.
        """
        if self._channel is None or self._process is None or self._process.poll() is not None:
            raise LaunchError("the zygote is not running")
        self._next_ticket += 1
        ticket = self._next_ticket
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._tickets[ticket] = future
        mine, its = make_pair()
        log_fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            packet = json.dumps({"op": "spawn", "host": host, "ticket": ticket})
            socket.send_fds(self._channel.sock, [packet], [its.fileno(), log_fd])
            async with asyncio.timeout(10.0):
                pid = await future
        except (OSError, TimeoutError) as error:
            mine.close()
            raise LaunchError(f"the zygote did not start {host}: {error!r}") from error
        finally:
            self._tickets.pop(ticket, None)
            its.close()
            os.close(log_fd)
        return Launched(pid, mine)

    async def close(self) -> None:
        """End the zygote, and with it every host that still runs."""
        self._closing = True
        if self._channel is not None:
            self._channel.close()
        process = self._process
        if process is None:
            return
        for _ in range(200):
            if process.poll() is not None:
                return
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _on_packet(self, packet: dict[str, Any]) -> None:
        match packet["op"]:
            case "warm":
                self.warm_ms = packet["ms"]
                self._ready.set()
            case "refused":
                self._refusal = packet["problem"]
                self._ready.set()
            case "spawned":
                future = self._tickets.get(packet["ticket"])
                if future is not None and not future.done():
                    future.set_result(packet["pid"])
            case "exited":
                self.on_exit(packet["host"], packet["pid"], packet["status"])

    def _on_channel_closed(self) -> None:
        self._ready.set()
        for future in self._tickets.values():
            if not future.done():
                future.set_exception(LaunchError("the zygote ended"))
        if self._process is not None:
            # It closes the channel by ending, so this does not wait.
            self._process.wait()
        if not self._closing:
            self.on_lost()
