"""The top of a fleet on one computer: one supervisor process for each of its machines.

It starts the supervisors, says when all are ready, and stops them. When one of them ends by itself the others are
stopped too, so that a fleet on one computer never runs by halves.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aisys import json
from aisys.runtime.options import Options
from aisys.supervision import Channel, make_pair, os_process

STOP_TIMEOUT_S = 20.0
SWIFT_STOP_TIMEOUT_S = 1.5


@dataclass(slots=True)
class _Supervisor:
    machine: str
    process: subprocess.Popen[bytes]
    channel: Channel | None = None
    summary: dict[str, Any] | None = None
    problem: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class FleetProcess:
    """Runs the supervisors of some machines of a fleet as child processes.

    Attributes:
        options: where the configuration is.
        machines: the machines to run here.
        on_ready: called once with {machine: summary} when every machine is ready.
        on_problem: called with every problem, in words for the user.
    """

    options: Options
    machines: Sequence[str]
    on_ready: Callable[[dict[str, Any]], None]
    on_problem: Callable[[str], None]
    _supervisors: list[_Supervisor] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _stop_asked: bool = False
    _announced: bool = False

    async def run(self) -> int:
        """Run until SIGINT, SIGTERM or the end of a supervisor; gives the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        began = time.monotonic()
        for machine in self.machines:
            self._start(machine)
        while not self._stop_asked:
            self._changed.clear()
            if self._is_over():
                break
            if not self._announced and all(
                supervisor.summary is not None for supervisor in self._supervisors
            ):
                self._announced = True
                machines = {
                    supervisor.machine: supervisor.summary for supervisor in self._supervisors
                }
                self.on_ready(
                    {"ready_ms": round((time.monotonic() - began) * 1000), "machines": machines}
                )
            await self._changed.wait()
        return await self._finish()

    def stop(self) -> None:
        """Ask for an orderly stop."""
        self._stop_asked = True
        self._changed.set()

    def _is_over(self) -> bool:
        """Whether the fleet has to end: all machines have, or one did in a way that the others must not outlive."""
        ended = [supervisor for supervisor in self._supervisors if supervisor.ended.is_set()]
        codes = [supervisor.process.wait() for supervisor in ended]
        if len(ended) == len(self._supervisors):
            return True
        # A machine that gave up leaves the others running, once they run; one that was killed does not, because
        # nobody knows by whom and no process must be left behind.
        return any(code < 0 or (code > 0 and not self._announced) for code in codes)

    def _start(self, machine: str) -> None:
        mine, its = make_pair()
        # A session of its own: Ctrl-C must reach this process only, which then stops the others in order.
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable,
                "-m",
                "aisys.runtime.machine_process",
                "--machine",
                machine,
                "--notify-fd",
                str(its.fileno()),
                "--parent",
                str(os.getpid()),
            ],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.options.to_environment()},
            start_new_session=True,
        )
        its.close()
        supervisor = _Supervisor(machine, process)
        supervisor.channel = Channel(
            mine, lambda packet: self._heard(supervisor, packet), lambda: self._ended(supervisor)
        )
        self._supervisors.append(supervisor)

    def _heard(self, supervisor: _Supervisor, packet: dict[str, Any]) -> None:
        match packet["op"]:
            case "ready":
                supervisor.summary = packet["summary"]
            case "problem":
                supervisor.problem = packet["problem"]
                self.on_problem(packet["problem"])
        self._changed.set()

    def _ended(self, supervisor: _Supervisor) -> None:
        supervisor.ended.set()
        self._changed.set()

    async def _finish(self) -> int:
        """Stop what still runs, at once if a supervisor died, and say how it went."""
        died = [supervisor for supervisor in self._supervisors if supervisor.ended.is_set()]
        for supervisor in self._supervisors:
            if supervisor not in died:
                supervisor.process.send_signal(signal.SIGTERM)
        limit_s = SWIFT_STOP_TIMEOUT_S if died and not self._stop_asked else STOP_TIMEOUT_S
        try:
            async with asyncio.timeout(limit_s):
                for supervisor in self._supervisors:
                    await supervisor.ended.wait()
        except TimeoutError:
            for supervisor in self._supervisors:
                supervisor.process.kill()
        codes = [supervisor.process.wait() for supervisor in self._supervisors]
        if self._stop_asked:
            return 0 if all(code in (0, -signal.SIGTERM) for code in codes) else 1
        for supervisor in died:
            code = supervisor.process.returncode
            if not supervisor.problem and code != 0:
                how = (
                    f"was killed by {signal.Signals(-code).name}"
                    if code < 0
                    else f"ended with exit code {code}"
                )
                self.on_problem(
                    f"the supervisor of {supervisor.machine} {how}; the fleet has been stopped"
                )
        if any(code == 2 for code in codes):
            return 2
        return 1 if any(supervisor.process.returncode != 0 for supervisor in died) else 0


def run_detached(
    options: Options, machines: Sequence[str], log_path: str, timeout_s: float
) -> dict[str, Any]:
    """Start a fleet in the background and return what its top process said first: `ready`, or `problem` lines.

    Raises:
        TimeoutError: it said neither in time; it is stopped.
    """
    mine, its = make_pair()
    with open(log_path, "ab") as log:  # noqa: PTH123 - a path string from the caller, opened for a child process
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable,
                "-m",
                "aisys.runtime.fleet_process",
                "--notify-fd",
                str(its.fileno()),
                *machines,
            ],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **options.to_environment()},
            start_new_session=True,
        )
    its.close()
    problems: list[str] = []
    mine.settimeout(timeout_s)
    try:
        while data := mine.recv(65536):
            packet = json.loads(data)
            if packet["op"] == "ready":
                return {"pid": process.pid, **packet["summary"]}
            problems.append(packet["problem"])
    except (TimeoutError, KeyboardInterrupt):
        process.terminate()
        process.wait()
        raise
    finally:
        mine.close()
    return {
        "problems": problems or [f"it ended at once: see {log_path}"],
        "exit_code": process.wait(),
    }


def main(arguments: list[str] | None = None) -> int:
    """The top process of a fleet in the background; started by `aisys up --detach`."""
    parser = argparse.ArgumentParser(prog="aisys-fleet")
    parser.add_argument("--notify-fd", type=int, required=True)
    parser.add_argument("machines", nargs="+")
    options = parser.parse_args(arguments)
    os_process.set_process_name("aisys-fleet")
    notify = socket.socket(fileno=options.notify_fd)

    def tell(packet: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            notify.send(json.dumps(packet))

    def problem(text: str) -> None:
        sys.stderr.write(f"aisys: {text}\n")
        tell({"op": "problem", "problem": text})

    def ready(summary: dict[str, Any]) -> None:
        tell({"op": "ready", "summary": summary})
        notify.close()

    fleet = FleetProcess(
        Options.from_environment(),
        options.machines,
        on_ready=ready,
        on_problem=problem,
    )
    return asyncio.run(fleet.run())


if __name__ == "__main__":
    sys.exit(main())
