"""One machine: its supervisor process, which starts the hosts and answers for them."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from aisys import json, logs
from aisys.config import Fleet, control_socket
from aisys.errorbus import Collector
from aisys.errors import AisysError, ConfigError
from aisys.metrics import Format, negotiate
from aisys.runtime.internal_agents import MachineAgent, MachineControl
from aisys.runtime.log_rotation import rotate_logs
from aisys.runtime.metrics_http import MetricsServer
from aisys.runtime.node import Node
from aisys.runtime.options import Options
from aisys.runtime.places import (
    Places,
    failure_note,
    load_keys,
    machine_agent_name,
    supervisor_host,
)
from aisys.runtime.preflight import check_machine
from aisys.runtime.processes import ProcessRecord
from aisys.supervision import (
    CONFIGURATION_EXIT_CODE,
    Channel,
    Death,
    HostState,
    LaunchError,
    RestartLimits,
    StartFailed,
    Supervisor,
    SupervisorLimits,
    WarmUpRefused,
    ZygoteLauncher,
    os_process,
)

WARM = "aisys.runtime.host_process:warm"
HOUSEKEEPING_S = 1.0
MAX_PROBLEM_CHARS = 16_000


class MachineProcess:
    """The life of a supervisor process.

    Args:
        options: where the configuration is.
        fleet: the configuration.
        machine: the machine to run.
        notify: the channel to the top process, if there is one.
    """

    def __init__(
        self, options: Options, fleet: Fleet, machine: str, notify: socket.socket | None
    ) -> None:
        self._fleet = fleet
        self._machine = machine
        self._settings = fleet.settings_for(machine)
        self._notify_socket = notify
        self._notify: Channel | None = None
        self._stop = asyncio.Event()
        self._failure = ""
        self._began = time.monotonic()
        self._ready_ms: int | None = None
        self._places = Places.of(fleet)
        self._record = ProcessRecord(self._places.run(machine) / "processes.json")
        self._failure_note = failure_note(self._places, machine)
        self._log = logs.get_logger("aisys.supervisor")
        self._background: list[asyncio.Task[None]] = []
        self._metrics_server: MetricsServer | None = None
        self._launcher = ZygoteLauncher(
            machine, WARM, options.to_environment(), self._places.logs(machine) / "zygote.log"
        )
        restart = self._settings.restart
        self._supervisor = Supervisor(
            waves=[
                {host: fleet.hosts[host].agents for host in wave}
                for wave in fleet.start_order(machine)
            ],
            launcher=self._launcher,
            log_dir=self._places.logs(machine),
            limits=SupervisorLimits(
                ready_timeout_s=self._settings.ready_timeout_s,
                stop_grace_s=self._settings.stop_grace_s,
            ),
            restart_limits=RestartLimits(
                restart.max_restarts, restart.window_s, restart.backoff_s, restart.backoff_max_s
            ),
            rules={plan.id: plan.restart for plan in fleet.machine_hosts(machine)},
            on_death=self._host_died,
            on_failed=self._host_failed,
        )
        self._node = Node(fleet, supervisor_host(machine), load_keys(fleet, machine), self._places)
        self._reporter = self._node.reporter()
        self._collector = Collector(self._places.errors_file(machine))

    async def run(self) -> int:
        """Run until told to stop, or until a host has failed for good; gives the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self._notify_socket is not None:
            self._notify = Channel(self._notify_socket, lambda _packet: None, self._stop.set)
        self._failure_note.unlink(missing_ok=True)
        if self._record.exists():
            self._reporter.report(
                f"the earlier supervisor of {self._machine} ended without stopping: it was killed or crashed",
                severity="high",
                category="process",
            )
        left = self._record.end_leftovers()
        if left:
            self._log.warning("ended what an earlier run left behind", processes=left)
        code = 0
        try:
            await self._start()
            await self._stop.wait()
        except (WarmUpRefused, ConfigError) as error:
            code = self._give_up(str(error), CONFIGURATION_EXIT_CODE)
        except (StartFailed, LaunchError, OSError) as error:
            code = self._give_up(str(error), 1)
        finally:
            await self._end()
        return code or (1 if self._failure else 0)

    async def _start(self) -> None:
        # The zygote warms up in a process of its own while this one opens its links.
        starting = asyncio.create_task(self._supervisor.start())
        try:
            await self._open()
        except BaseException:
            starting.cancel()
            raise
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            return
        await starting
        self._ready_ms = round((time.monotonic() - self._began) * 1000)
        await self._write_record()
        self._tell({"op": "ready", "summary": self._summary()})
        self._log.info("ready", ms=self._ready_ms)

    async def _open(self) -> None:
        node = self._node
        runner = node.add_internal(MachineAgent, machine_agent_name(self._machine))
        await runner.start()
        agent = runner.agent
        if isinstance(agent, MachineAgent):
            agent.attach(
                MachineControl(
                    describe=self._describe,
                    stop=self._stop.set,
                    restart=self._restart,
                    collector=self._collector,
                    caller=node.caller,
                    hosts=self._running_hosts,
                    metrics=node.metrics,
                    spans=node.spans,
                )
            )
        control_port = self._fleet.machines[self._machine].control_port
        await node.listen(control_socket(self._fleet, self._machine), [control_port])
        await node.start_forwarding()
        self._background.append(asyncio.create_task(self._keep_house()))
        if self._settings.metrics.enabled:
            await self._serve_metrics()

    async def _serve_metrics(self) -> None:
        async def metrics(accept: str | None) -> tuple[int, str, bytes]:
            chosen = negotiate(accept)
            text = await self._node.caller.call(
                machine_agent_name(self._machine),
                "expose_metrics",
                {"openmetrics": chosen is Format.OPENMETRICS},
            )
            return 200, chosen.value, bytes(text)

        async def ready(_accept: str | None) -> tuple[int, str, bytes]:
            ready = self._supervisor.ready
            return (200, "text/plain", b"ready\n") if ready else (503, "text/plain", b"not ready\n")

        server = MetricsServer({"/metrics": metrics, "/readyz": ready})
        machine = self._fleet.machines[self._machine]
        await server.start(machine.address, machine.metrics_port)
        self._metrics_server = server

    async def _end(self) -> None:
        await self._supervisor.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._metrics_server is not None:
            await self._metrics_server.close()
        for runner in self._node.runners.values():
            await runner.stop(1.0)
        await self._node.close()
        await self._collector.close()
        control_socket(self._fleet, self._machine).unlink(missing_ok=True)
        self._record.remove()

    # -- hosts -------------------------------------------------------------------------------------------------------

    def _host_died(self, death: Death) -> None:
        self._log.error(
            "host died",
            died=death.host,
            pid=death.pid,
            signal=death.signal,
            exit_code=death.exit_code,
        )
        self._reporter.report(
            str(death) + (f" ({death.problem})" if death.problem else ""),
            severity="high",
            category="process",
            impact="calls to its agents wait or are refused until it is back",
            context={
                "host": death.host,
                "agents": list(self._fleet.hosts[death.host].agents),
                "signal": death.signal,
                "exit_code": death.exit_code,
                "restart_in_s": death.restart_in_s,
                "restarts": death.restarts,
                "log_tail": death.log_tail[-20:],
            },
        )

    def _host_failed(self, host: str, problem: str) -> None:
        """A host is not started again: the machine ends with it if one of its agents is required."""
        agents = self._fleet.hosts[host].agents if host else ()
        needed = not host or any(self._fleet.agents[name].required for name in agents)
        impact = "the machine is stopped" if needed else f"{', '.join(agents)} cannot be called"
        self._log.error("host failed", problem=problem)
        self._reporter.report(problem, severity="critical", category="process", impact=impact)
        if self._ready_ms is not None and needed:
            self._failure = problem
            self._failure_note.write_text(f"{problem}\n")
            self._tell({"op": "problem", "problem": f"{self._machine} failed: {problem}"})
            self._stop.set()

    async def _restart(self, host: str) -> int:
        began = time.monotonic()
        await self._supervisor.restart(host)
        return round((time.monotonic() - began) * 1000)

    def _running_hosts(self) -> list[str]:
        return [
            slot.host for slot in self._supervisor.slots.values() if slot.state is HostState.READY
        ]

    async def _keep_house(self) -> None:
        """Every second: the process record; every minute: logs that have grown too large."""
        rounds = 0
        recorded: Mapping[str, int] = {}
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            present = self._processes()
            if present != recorded:
                await self._write_record()
                recorded = present
            rounds += 1
            if rounds % 60 == 0:
                await asyncio.to_thread(rotate_logs, self._places.logs(self._machine))

    # -- what others see ---------------------------------------------------------------------------------------------

    def _processes(self) -> dict[str, int]:
        found = {"supervisor": os.getpid()}
        if self._launcher.pid is not None:
            found["zygote"] = self._launcher.pid
        found.update(
            {
                slot.host: slot.pid
                for slot in self._supervisor.slots.values()
                if slot.pid is not None
            }
        )
        return found

    async def _write_record(self) -> None:
        # It syncs the file to the disk, which must not hold the event loop up.
        await asyncio.to_thread(self._record.write, self._processes())

    def _describe(self) -> dict[str, Any]:
        """The status of the machine: processes with pid and parent, agents with state and health."""
        slots = self._supervisor.slots
        state = (
            "ready"
            if self._supervisor.ready
            else "starting"
            if self._ready_ms is None
            else "degraded"
        )
        processes: list[dict[str, Any]] = [
            self._process("supervisor", os.getpid(), os.getppid(), "ready"),
            self._process("zygote", self._launcher.pid, os.getpid(), "ready"),
        ]
        agents: dict[str, Any] = {}
        for slot in slots.values():
            silent = self._supervisor.is_silent(slot)
            described = slot.describe() | ({"state": "silent"} if silent else {})
            processes.append(
                self._process(slot.host, slot.pid, self._launcher.pid, described["state"])
                | {
                    "agents": list(slot.agents),
                    "restarts": slot.restarts,
                    "ready_ms": slot.ready_ms,
                    "lag_ms": slot.lag_ms,
                    "problem": slot.problem,
                }
            )
            for name in slot.agents:
                ready = slot.state is HostState.READY and not silent
                live = slot.report.get(name) if ready else None
                agents[name] = live or {
                    "state": described["state"],
                    "healthy": False,
                    "reasons": ["its event loop gives no sign of life"]
                    if silent
                    else [slot.problem],
                }
        return {
            "machine": self._machine,
            "state": state,
            "ready": self._supervisor.ready,
            "ready_ms": self._ready_ms,
            "metrics": self._metrics_url(),
            "processes": processes,
            "agents": agents,
        }

    @staticmethod
    def _process(name: str, pid: int | None, parent: int | None, state: str) -> dict[str, Any]:
        return {
            "name": name,
            "pid": pid,
            "parent": parent,
            "state": state,
            "agents": [],
            "restarts": 0,
            "memory_bytes": os_process.resident_memory_bytes(pid) if pid else None,
        }

    def _metrics_url(self) -> str:
        machine = self._fleet.machines[self._machine]
        return (
            f"http://{machine.address}:{machine.metrics_port}/metrics"
            if self._settings.metrics.enabled
            else ""
        )

    def _summary(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "ready_ms": self._ready_ms,
            "metrics": self._metrics_url(),
            "hosts": [
                {
                    "host": slot.host,
                    "pid": slot.pid,
                    "ready_ms": slot.ready_ms,
                    "agents": list(slot.agents),
                }
                for slot in self._supervisor.slots.values()
            ],
        }

    def _give_up(self, problem: str, code: int) -> int:
        self._log.error("cannot start", problem=problem)
        self._tell({"op": "problem", "problem": problem[:MAX_PROBLEM_CHARS]})
        return code

    def _tell(self, packet: dict[str, Any]) -> None:
        if self._notify is not None:
            self._notify.send(packet)


def main(arguments: list[str] | None = None) -> int:
    """The supervisor of one machine; started by the top process of a fleet."""
    parser = argparse.ArgumentParser(prog="aisys-machine")
    parser.add_argument("--machine", required=True)
    parser.add_argument("--notify-fd", type=int)
    parser.add_argument("--parent", type=int, required=True)
    given = parser.parse_args(arguments)
    os_process.die_with_parent(given.parent)
    os_process.set_process_name(f"aisys-{given.machine}")
    notify = socket.socket(fileno=given.notify_fd) if given.notify_fd is not None else None
    try:
        return _run(Options.from_environment(), given.machine, notify)
    except AisysError as error:
        if notify is not None:
            notify.send(json.dumps({"op": "problem", "problem": str(error)[:MAX_PROBLEM_CHARS]}))
        sys.stderr.write(f"aisys: {error}\n")
        return CONFIGURATION_EXIT_CODE if isinstance(error, ConfigError) else 1


def _run(options: Options, machine: str, notify: socket.socket | None) -> int:
    import uvloop

    fleet = options.load()
    settings = fleet.settings_for(machine)
    problems = check_machine(fleet, machine)
    if problems:
        raise ConfigError(problems)
    _log_to(Places.of(fleet), machine)
    logs.configure(
        settings.logs.level, json=settings.logs.json_lines, machine=machine, host="supervisor"
    )

    async def run() -> int:
        return await MachineProcess(options, fleet, machine, notify).run()

    return uvloop.run(run())


def _log_to(places: Places, machine: str) -> None:
    """Send what this process writes to its log file: the terminal belongs to the top process."""
    log = os.open(
        places.logs(machine) / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    sys.exit(main())
