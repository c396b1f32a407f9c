"""A real fleet for the benchmarks: started by the command, in folders and on ports of its own."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

ROOT = Path(__file__).resolve().parent.parent
COMMAND_S = 120.0
VARIABLES = ("AISYS_DATA_DIR", "AISYS_RUNTIME_DIR", "AISYS_CONFIG_DIR", "PORT_OFFSET")
# The highest port of the reference fleet is 26002 and there are 65535.
OFFSETS = range(1_000, 39_000, 100)


class LiveFleet:
    """The configured fleet of this repository, run by `aisys up --detach`.

    Raises:
        RuntimeError: the command is not installed beside the interpreter, or it failed.
    """

    def __init__(self) -> None:
        command = Path(sys.executable).parent / "aisys"
        if not command.is_file():
            raise RuntimeError(f"there is no {command}: run `make setup`, and use its interpreter")
        self._command = str(command)
        self._folder = tempfile.TemporaryDirectory(prefix="aisys-")
        self.folder = Path(self._folder.name)
        self.environment = {
            "AISYS_DATA_DIR": str(self.folder / "data"),
            "AISYS_RUNTIME_DIR": str(self.folder / "run"),
            "AISYS_CONFIG_DIR": str(ROOT / "config"),
        }
        self.environment["PORT_OFFSET"] = str(self._free_offset())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def up(self) -> tuple[float, dict[str, Any]]:
        """Start it; gives the seconds until the command returned, and what it said."""
        began = time.perf_counter()
        summary: dict[str, Any] = orjson.loads(self.run("up", "--detach", "--json"))
        return time.perf_counter() - began, summary

    def down(self) -> float:
        """Stop it; gives the seconds that took."""
        began = time.perf_counter()
        self.run("down")
        return time.perf_counter() - began

    def status(self) -> dict[str, Any]:
        """What `aisys status --json` says."""
        status: dict[str, Any] = orjson.loads(self.run("status", "--json", check=False))
        return status

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the fleet and return its output.

        Raises:
            RuntimeError: it failed, unless `check` is off.
        """
        done = subprocess.run(
            [self._command, *arguments],
            cwd=ROOT,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if check and done.returncode != 0:
            message = " ".join(done.stderr.split())[:600]
            raise RuntimeError(f"`aisys {' '.join(arguments)}`: {message}")
        return done.stdout

    @contextmanager
    def in_environment(self) -> Iterator[None]:
        """Let this process itself be a client of the fleet."""
        before = {name: os.environ.get(name) for name in VARIABLES}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def pids(self) -> list[int]:
        """Every process of this fleet: those whose environment names its folder."""
        mark = f"AISYS_RUNTIME_DIR={self.environment['AISYS_RUNTIME_DIR']}".encode()
        own = os.getpid()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == own:
                continue
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in variables:
                found.append(int(entry.name))
        return sorted(found)

    def kill(self) -> None:
        """End whatever is left of it."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _free_offset(self) -> int:
        """A port offset with which none of the fleet's ports is taken."""
        from aisys.config import load_fleet

        fleet = load_fleet(ROOT / "config", overrides={"port_offset": 0})
        ports = [entry.port for entry in fleet.agents.values()]
        for machine in fleet.machines.values():
            ports += [machine.control_port, machine.metrics_port]
        for offset in random.SystemRandom().sample(OFFSETS, len(OFFSETS)):
            if all(_is_free(port + offset) for port in ports):
                return offset
        raise RuntimeError("no port offset was found at which every port of the fleet is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pss_bytes(pid: int) -> int:
    """The memory of a process, what it shares divided among those that share it; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def anonymous_bytes(pid: int) -> int:
    """The resident memory of a process that is no file's, which is where leaks are; 0 if it is gone.

    Mapped files, such as a database that grows, are the page cache's.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def open_files(pid: int) -> int:
    """How many file descriptors a process holds; 0 if it is gone."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def end_on_terminate() -> None:
    """Take SIGTERM for Ctrl-C, so that whoever ends a benchmark ends its fleet too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


__all__ = ["LiveFleet", "anonymous_bytes", "end_on_terminate", "open_files", "pss_bytes"]
