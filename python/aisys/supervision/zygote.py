"""The zygote: a warm, single-threaded process from which hosts are forked.

It imports what every host needs, freezes it, and then only forks and reaps. Nothing is opened before a fork: no loop,
no ZeroMQ context, no database, no thread. That is what makes hosts start in milliseconds and share their memory.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from aisys import json
from aisys.errors import AisysError, ConfigError, Problem
from aisys.supervision import os_process

MAX_PROBLEM_CHARS = 16_000

HostMain = Callable[[str, socket.socket], int]
"""Runs one host in the forked child: (host id, its end of the channel to the supervisor) -> exit code."""


class Zygote:
    """Answers `spawn` packets by forking, and tells of every child that ended."""

    def __init__(self, control: socket.socket, host_main: HostMain) -> None:
        self._control = control
        self._host_main = host_main
        self._hosts: dict[int, str] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until the supervisor closes the control channel."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_write)
        while True:
            watched: list[Any] = [self._control, self._wake_read]
            readable, _, _ = select.select(watched, [], [])
            if self._wake_read in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                self._reap()
            if self._control in readable and not self._serve_packet():
                break
        for pid in self._hosts:
            os_process.signal_group(pid, signal.SIGKILL)

    def _serve_packet(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 65536, 4)
        if not data:
            return False
        packet = json.loads(data)
        self._spawn(packet["host"], packet["ticket"], channel_fd=fds[0], log_fd=fds[1])
        return True

    def _spawn(self, host: str, ticket: int, *, channel_fd: int, log_fd: int) -> None:
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_host(host, zygote_pid, channel_fd, log_fd)
        os.close(channel_fd)
        os.close(log_fd)
        self._hosts[pid] = host
        self._tell({"op": "spawned", "ticket": ticket, "pid": pid})

    def _become_host(self, host: str, zygote_pid: int, channel_fd: int, log_fd: int) -> None:
        code = 70
        try:
            os_process.die_with_parent(zygote_pid)
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self._control.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (log_fd, 1), (log_fd, 2)):
                os.dup2(source, target)
            os.close(null)
            os.close(log_fd)
            faulthandler.enable()
            gc.enable()
            code = self._host_main(host, socket.socket(fileno=channel_fd))
        except BaseException:  # noqa: BLE001 - the last frame of a process: whatever happened goes to its log
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            # Not sys.exit: the stack below belongs to the zygote and must not be unwound in a child.
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            host = self._hosts.pop(pid, None)
            if host is None:
                continue
            os_process.signal_group(pid, signal.SIGKILL)
            self._end_adopted()
            self._tell({"op": "exited", "host": host, "pid": pid, "status": status})

    def _end_adopted(self) -> None:
        """Kill what a dead host left behind: its orphans became children of this process."""
        for child in os_process.children(os.getpid()):
            if child not in self._hosts:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def _tell(self, packet: dict[str, Any]) -> None:
        # A supervisor that is gone shows as an end of file at the next select.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.send(json.dumps(packet))


def load(name: str) -> Any:
    """Import `package.module:attribute`; the names come from the command line of this program only."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def check_single_threaded(machine: str) -> None:
    """Make sure that a fork copies the whole process.

    Raises:
        ConfigError: an import started a thread. A host would lack it, and a lock that it held would stay locked there.
    """
    started = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if started:
        raise ConfigError(
            [
                Problem(
                    where=f"the agents of {machine}",
                    setting=", ".join(sorted(thread.name for thread in started)),
                    what="importing them starts a thread, which would be missing in every host",
                    remedy="Start it in `on_start`.",
                )
            ]
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the zygote; started by the supervisor, never by hand."""
    parser = argparse.ArgumentParser(prog="aisys-zygote")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument(
        "--warm",
        required=True,
        help="module:function(machine) that imports and returns the host main",
    )
    parser.add_argument("--machine", required=True)
    options = parser.parse_args(arguments)
    os_process.die_with_parent(options.parent)
    os_process.adopt_orphans()
    os_process.set_process_name(f"zygote-{options.machine}")
    control = socket.socket(fileno=options.control_fd)
    began = time.monotonic()
    try:
        host_main: HostMain = load(options.warm)(options.machine)
        check_single_threaded(options.machine)
    except AisysError as error:
        control.send(json.dumps({"op": "refused", "problem": str(error)[:MAX_PROBLEM_CHARS]}))
        return 2
    gc.collect()
    gc.disable()
    gc.freeze()
    control.send(json.dumps({"op": "warm", "ms": round((time.monotonic() - began) * 1000)}))
    Zygote(control, host_main).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
