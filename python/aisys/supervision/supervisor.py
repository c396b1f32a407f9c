"""Keeps the hosts of one machine running: start in order, restart within limits, stop without a trace.

The semantics are those of Erlang/OTP `one_for_one`; a host is permanent unless a rule says otherwise. It counts as
started when it says it is ready; it counts as dead when its process ended, or when its event loop has been silent for
too long. A host that dies more often than its limits allow has failed, and is not started again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import AisysError
from aisys.supervision import os_process
from aisys.supervision.channel import Channel
from aisys.supervision.host_slot import HostSlot, HostState, RestartRule
from aisys.supervision.launcher import Launcher, LaunchError
from aisys.supervision.policy import RestartLimits, RestartPolicy

CONFIGURATION_EXIT_CODE = 2
"""A host that ends with this code was misconfigured: starting it again would change nothing."""


SILENT_AFTER_S = 3.0
"""Signs of life come once a second."""


_UP = (HostState.READY, HostState.STOPPED)
"""What a host is when nothing is amiss: a transient one that did its work has stopped by itself."""


class StartFailed(AisysError):
    """A host did not become ready and will not be tried again."""

    code = "start_failed"


@dataclass(frozen=True, slots=True)
class SupervisorLimits:
    """The times a supervisor keeps, in seconds.

    Attributes:
        ready_timeout_s: from launch to ready; longer counts as a crash.
        liveness_s: silence of a ready host's event loop before it is aborted.
        abort_grace_s: from SIGABRT, which dumps the stacks, to SIGKILL.
        stop_grace_s: from SIGTERM to SIGKILL.
    """

    ready_timeout_s: float = 30.0
    liveness_s: float = 10.0
    abort_grace_s: float = 5.0
    stop_grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Death:
    """How a host ended, as its death certificate states it."""

    host: str
    pid: int
    exit_code: int | None
    signal: str | None
    problem: str
    restart_in_s: float | None
    restarts: int
    log_tail: list[str]

    def __str__(self) -> str:
        how = (
            f"was killed by {self.signal}"
            if self.signal
            else f"ended with exit code {self.exit_code}"
        )
        then = (
            f"starts again in {self.restart_in_s:.2f} s"
            if self.restart_in_s is not None
            else "not started again"
        )
        return f"host {self.host} (pid {self.pid}) {how}; {then}"


class Supervisor:
    """Supervises the hosts of one machine.

    Args:
        waves: host ids with their agents, in start order; the hosts of one wave start together, and the next wave
            when all of them are ready.
        launcher: what starts processes.
        log_dir: where the hosts' output goes, a file each.
        limits: the times to keep.
        restart_limits: restart intensity and back-off.
        rules: which hosts are not started again always, by host id.
        on_death: told of every unexpected end.
        on_failed: told with (host, problem) when a host has failed for good; the host is "" when all have.
    """

    def __init__(
        self,
        *,
        waves: Sequence[Mapping[str, Sequence[str]]],
        launcher: Launcher,
        log_dir: Path,
        limits: SupervisorLimits | None = None,
        restart_limits: RestartLimits | None = None,
        rules: Mapping[str, RestartRule] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_death: Callable[[Death], None] = lambda _death: None,
        on_failed: Callable[[str, str], None] = lambda _host, _problem: None,
    ) -> None:
        self._launcher = launcher
        self._limits = limits or SupervisorLimits()
        self._clock = clock
        self._on_death = on_death
        self._on_failed = on_failed
        self._stopping = False
        self._waves: list[list[HostSlot]] = [
            [
                HostSlot(
                    host=host,
                    agents=tuple(agents),
                    policy=RestartPolicy(restart_limits or RestartLimits(), clock=clock),
                    log_path=log_dir / f"{host.partition('/')[2] or host}.log",
                    restart=(rules or {}).get(host, "permanent"),
                )
                for host, agents in wave.items()
            ]
            for wave in waves
        ]
        self.slots: dict[str, HostSlot] = {slot.host: slot for wave in self._waves for slot in wave}
        self._changed = asyncio.Event()
        self._launcher_up = asyncio.Event()
        self._early_exits: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        launcher.on_exit = self._host_exited
        launcher.on_lost = self._launcher_lost

    async def start(self) -> None:
        """Start every host, wave after wave.

        Raises:
            StartFailed: a host failed for good before it was ready.
            LaunchError: the launcher could not be started.
        """
        await self._launcher.start()
        self._launcher_up.set()
        self._watch = asyncio.create_task(self._watch_hosts())
        for wave in self._waves:
            await asyncio.gather(*(self._launch(slot) for slot in wave))
            while not all(slot.state in _UP for slot in wave):
                failed = [slot for slot in self.slots.values() if slot.state is HostState.FAILED]
                if failed:
                    raise StartFailed("; ".join(f"{slot.host}: {slot.problem}" for slot in failed))
                await self._wait_change()

    async def stop(self) -> None:
        """Stop every host in reverse order: SIGTERM, grace, then SIGKILL to its whole process group."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for wave in reversed(self._waves):
            await asyncio.gather(*(self._stop_slot(slot) for slot in wave))
        if self._watch is not None:
            self._watch.cancel()
        await self._launcher.close()

    async def restart(self, host: str) -> None:
        """Drain and stop one host, start it again, and return when it is ready.

        Raises:
            KeyError: there is no such host.
            StartFailed: it did not become ready.
        """
        slot = self.slots[host]
        await self._stop_slot(slot)
        slot.state = HostState.RESTARTING
        await self._launch(slot)
        while slot.state is not HostState.READY:
            if slot.state is HostState.FAILED:
                raise StartFailed(f"{host}: {slot.problem}")
            await self._wait_change()

    def describe(self) -> list[dict[str, Any]]:
        """Every host as `aisys status --json` shows it."""
        return [slot.describe() for slot in self.slots.values()]

    def is_silent(self, slot: HostSlot) -> bool:
        """Whether a ready host has missed its signs of life, and will be aborted if it misses more."""
        silent_s = self._clock.monotonic() - slot.last_tick_at
        return slot.state is HostState.READY and silent_s > SILENT_AFTER_S

    @property
    def ready(self) -> bool:
        """Whether every host is ready."""
        return all(slot.state in _UP for slot in self.slots.values())

    async def _launch(self, slot: HostSlot) -> None:
        slot.state = HostState.STARTING
        slot.started_at = slot.last_tick_at = self._clock.monotonic()
        slot.ready_ms, slot.abort_sent_at, slot.report = None, None, {}
        slot.policy.started()
        try:
            launched = await self._launcher.launch(slot.host, slot.log_path)
        except LaunchError as error:
            self._fail(slot, str(error))
            return
        slot.pid = launched.pid
        slot.pid_started = os_process.start_time(launched.pid)
        slot.channel = Channel(
            launched.socket, lambda packet: self._heard(slot, packet), lambda: None
        )
        self._changed.set()
        status = self._early_exits.pop(launched.pid, None)
        if status is not None:
            self._host_exited(slot.host, launched.pid, status)

    def _heard(self, slot: HostSlot, packet: dict[str, Any]) -> None:
        slot.last_tick_at = self._clock.monotonic()
        match packet.get("op"):
            case "ready":
                slot.report = packet["agents"]
                if slot.state is HostState.STARTING:
                    slot.state = HostState.READY
                    slot.ready_ms = round((slot.last_tick_at - slot.started_at) * 1000)
                    slot.problem = ""
            case "tick":
                slot.report = packet["agents"]
                slot.lag_ms = packet["lag_ms"]
            case "problem":
                slot.problem = packet["problem"]
        self._changed.set()

    def _host_exited(self, host: str, pid: int, status: int) -> None:
        slot = self.slots[host]
        if slot.pid != pid:
            if slot.state is HostState.STARTING:
                # It ended before the answer to its launch was read: `_launch` deals with it.
                self._early_exits[pid] = status
            return
        slot.pid = None
        if slot.channel is not None:
            slot.channel.close()
            slot.channel = None
        exit_code, signal_name = os_process.describe_status(status)
        if slot.state is HostState.STOPPING:
            slot.state = HostState.STOPPED
            self._changed.set()
            return
        if slot.restart != "permanent" and exit_code == 0:
            # It did what it was there for.
            slot.state = HostState.STOPPED
            self._changed.set()
            return
        misconfigured = exit_code == CONFIGURATION_EXIT_CODE
        final = misconfigured or self._stopping or slot.restart == "temporary"
        delay_s = None if final else slot.policy.next_delay_s()
        death = Death(
            host=host,
            pid=pid,
            exit_code=exit_code,
            signal=signal_name,
            problem=slot.problem,
            restart_in_s=delay_s,
            restarts=slot.restarts,
            log_tail=slot.log_tail(),
        )
        self._on_death(death)
        if delay_s is None:
            self._fail(slot, slot.problem or f"{death}; its output is in {slot.log_path}")
            return
        slot.state = HostState.RESTARTING
        slot.restarts += 1
        self._spawn(self._relaunch(slot, delay_s))
        self._changed.set()

    async def _relaunch(self, slot: HostSlot, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        await self._launcher_up.wait()
        if not self._stopping and slot.state is HostState.RESTARTING:
            await self._launch(slot)

    def _fail(self, slot: HostSlot, problem: str) -> None:
        slot.state = HostState.FAILED
        slot.problem = problem
        self._changed.set()
        if not self._stopping:
            self._on_failed(slot.host, f"{slot.host}: {problem}")

    def _launcher_lost(self) -> None:
        if not self._stopping:
            self._launcher_up.clear()
            self._spawn(self._replace_launcher())

    async def _replace_launcher(self) -> None:
        """The launcher died and its hosts with it: start both again, the hosts within their limits."""
        try:
            await self._launcher.start()
        except LaunchError as error:
            self._on_failed("", f"the zygote died and could not be started again: {error}")
            return
        for slot in self.slots.values():
            if slot.pid is not None:
                slot.problem = "the zygote died"
                self._host_exited(slot.host, slot.pid, signal.SIGKILL)
        self._launcher_up.set()

    async def _stop_slot(self, slot: HostSlot) -> None:
        pid = slot.pid
        if pid is None:
            if slot.state is not HostState.FAILED:
                slot.state = HostState.STOPPED
            return
        slot.state = HostState.STOPPING
        os_process.signal_group(pid, signal.SIGTERM)
        limit = self._clock.monotonic() + self._limits.stop_grace_s
        while slot.pid == pid and self._clock.monotonic() < limit:
            await self._wait_change()
        if slot.pid == pid:
            os_process.signal_group(pid, signal.SIGKILL)
            # Its end is told by the zygote; without a zygote the process table tells.
            while slot.pid == pid and os_process.is_running(pid, slot.pid_started):
                await self._wait_change()
            slot.state = HostState.STOPPED

    async def _watch_hosts(self) -> None:
        """End hosts that never got ready or whose event loop has gone silent."""
        limits = self._limits
        while True:
            await self._clock.sleep(0.5)
            now = self._clock.monotonic()
            for slot in self.slots.values():
                if slot.pid is None:
                    continue
                if (
                    slot.state is HostState.STARTING
                    and now - slot.started_at > limits.ready_timeout_s
                ):
                    slot.problem = f"not ready after {limits.ready_timeout_s:g} s"
                    os_process.signal_group(slot.pid, signal.SIGKILL)
                elif slot.state is HostState.READY and now - slot.last_tick_at > limits.liveness_s:
                    self._abort(slot, now)

    def _abort(self, slot: HostSlot, now: float) -> None:
        if slot.pid is None:
            return
        if slot.abort_sent_at is None:
            slot.problem = f"its event loop was silent for {now - slot.last_tick_at:.0f} s"
            slot.abort_sent_at = now
            os_process.signal_group(slot.pid, signal.SIGABRT)
        elif now - slot.abort_sent_at > self._limits.abort_grace_s:
            os_process.signal_group(slot.pid, signal.SIGKILL)

    async def _wait_change(self) -> None:
        """Return when some host changed, or after a short while, for callers that watch a time limit."""
        self._changed.clear()
        try:
            async with asyncio.timeout(0.1):
                await self._changed.wait()
        except TimeoutError:
            return

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
