"""A real fleet for a test: its own folders, its own ports, real processes, and no trace afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from aisys.config import PortRegistry, load_fleet
from support.waiting import eventually_sync

AISYS = Path(sys.executable).parent / "aisys"
ROOT = Path(__file__).resolve().parents[2]
EPHEMERAL_FROM = 32_768
"""From here on the kernel gives ports to outgoing connections: a fleet must not want to listen there."""


@cache
def _ports() -> frozenset[int]:
    """The ports that the reference fleet listens on, without an offset."""
    fleet = load_fleet(ROOT / "config")
    entries = PortRegistry(fleet).listing()
    offset = fleet.settings.port_offset
    return frozenset(entry.port - offset for entry in entries if entry.status == "built")


@cache
def _offsets() -> tuple[int, ...]:
    """Offsets whose fleets share no port with each other."""
    taken: set[int] = set()
    found = []
    for offset in range(101, EPHEMERAL_FROM - max(_ports())):
        wanted = {port + offset for port in _ports()}
        if taken.isdisjoint(wanted):
            taken |= wanted
            found.append(offset)
    return tuple(found)


@contextmanager
def reserved_offset() -> Iterator[int]:
    """A PORT_OFFSET for one fleet: nobody listens on its ports, and no other test takes it meanwhile."""
    for offset in random.sample(_offsets(), len(_offsets())):
        path = Path(tempfile.gettempdir()) / f"aisys-test-offset-{offset}.lock"
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if all(_is_free(port + offset) for port in _ports()):
                yield offset
                return
    raise RuntimeError("no free range of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Fleet:
    """One fleet, driven through its command line as a person would."""

    def __init__(
        self,
        home: Path,
        offset: int,
        *,
        config: Path | None = None,
        env: str | None = None,
        program: Path = AISYS,
        folder: Path = ROOT,
    ) -> None:
        self.home = home
        self.program = program
        self.folder = folder
        self.offset = offset
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AISYS_")},
            "AISYS_DATA_DIR": str(home / "data"),
            "AISYS_RUNTIME_DIR": str(home / "run"),
            "PORT_OFFSET": str(self.offset),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        if config is not None:
            self.environment["AISYS_CONFIG_DIR"] = str(config)
        if env is not None:
            self.environment["AISYS_ENV"] = env
        self.data = home / "data" / f"assistant-{self.offset}"
        self.processes: list[subprocess.Popen[str]] = []

    def run(
        self, *arguments: str, timeout_s: float = 60.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one `aisys` command to its end."""
        return subprocess.run(
            [str(self.program), *arguments],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def must(self, *arguments: str, timeout_s: float = 60.0, **environment: str) -> str:
        """The output of a command that has to succeed."""
        done = self.run(*arguments, timeout_s=timeout_s, **environment)
        assert done.returncode == 0, (
            f"aisys {' '.join(arguments)}: {done.stdout}{done.stderr}{self.logs()}"
        )
        return done.stdout

    def up(self, *arguments: str, **environment: str) -> str:
        """Start it in the background."""
        return self.must("up", "--detach", *arguments, **environment)

    def down(self) -> str:
        """Stop it."""
        return self.must("down")

    def spawn(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command that goes on, such as `up` in the foreground."""
        process = subprocess.Popen(
            [str(self.program), *arguments],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def status(self) -> dict[str, Any]:
        """`aisys status --json`."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def ask(self, question: str, *arguments: str, timeout_s: float = 40.0) -> str:
        """The assistant's answer."""
        return self.must("ask", question, *arguments, timeout_s=timeout_s).strip()

    def call(self, target: str, *arguments: str) -> Any:
        """The result of a call."""
        return json.loads(self.must("call", target, *arguments, "--json"))

    def errors(self) -> list[dict[str, Any]]:
        """`aisys errors --json`."""
        found: list[dict[str, Any]] = json.loads(self.must("errors", "--json"))
        return found

    def processes_now(self) -> dict[str, int]:
        """Name to pid of every process, as status says; `machine:name` for those that each machine has."""
        found = {}
        for machine in self.status()["machines"]:
            for process in machine["processes"]:
                name = process["name"]
                if process["pid"]:
                    found[name if "/" in name else f"{machine['name']}:{name}"] = process["pid"]
        return found

    def pid(self, name: str) -> int:
        """The pid of one process."""
        return self.processes_now()[name]

    def machine_is(self, machine: str, state: str) -> bool:
        """Whether status shows the machine in a state."""
        return any(
            entry["name"] == machine and entry["state"] == state
            for entry in self.status()["machines"]
        )

    def logs(self) -> str:
        """The end of every log, for the message of a failure."""
        parts = []
        for path in sorted((self.data / "logs").rglob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            parts.append(f"\n--- {path.relative_to(self.data)}\n" + "\n".join(lines))
        return "".join(parts)

    def living(self) -> list[int]:
        """Every process that was started with this fleet's folders."""
        found = []
        marker = f"AISYS_DATA_DIR={self.home / 'data'}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def end(self) -> None:
        """Stop it by all means."""
        for pid in self.living():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self.processes:
            process.communicate(timeout=10)
        eventually_sync(lambda: not self.living())


@contextmanager
def new_fleet(**options: Any) -> Iterator[Fleet]:
    """A fleet that is not started yet; what was started is gone at the end."""
    # Short on purpose: the path of a unix socket may have 104 bytes.
    home = Path(tempfile.mkdtemp(prefix="aisys-"))
    with reserved_offset() as offset:
        fleet = Fleet(home, offset, **options)
        try:
            yield fleet
        finally:
            fleet.end()
            shutil.rmtree(home, ignore_errors=True)
