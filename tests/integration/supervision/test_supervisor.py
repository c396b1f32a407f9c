"""The supervisor with a real zygote and real processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aisys.supervision import (
    Death,
    HostState,
    RestartLimits,
    StartFailed,
    Supervisor,
    SupervisorLimits,
    WarmUpRefused,
    ZygoteLauncher,
)
from aisys.supervision.os_process import is_running
from support.waiting import eventually

TESTS = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def supervised(
    tmp_path: Path, *names: str, warm: str = "warm", **options: Any
) -> AsyncIterator[tuple[Supervisor, list[Death]]]:
    deaths: list[Death] = []
    path = os.pathsep.join([str(TESTS), *(entry for entry in sys.path if entry)])
    supervisor = Supervisor(
        waves=[{f"m/{name}": [name]} for name in names],
        launcher=ZygoteLauncher(
            "m", f"support.toy_hosts:{warm}", {"PYTHONPATH": path}, tmp_path / "zygote.log"
        ),
        log_dir=tmp_path,
        on_death=deaths.append,
        **options,
    )
    try:
        yield supervisor, deaths
    finally:
        await supervisor.stop()


def _pid(supervisor: Supervisor, host: str) -> int:
    pid = supervisor.slots[host].pid
    assert pid is not None
    return pid


def _state_is(supervisor: Supervisor, host: str, state: HostState) -> Callable[[], bool]:
    return lambda: supervisor.slots[host].state is state


async def test_starts_in_order_and_stops_without_a_trace(tmp_path: Path) -> None:
    """Every host is ready after start and gone after stop."""
    async with supervised(tmp_path, "one", "two") as (supervisor, deaths):
        await supervisor.start()
        pids = [_pid(supervisor, "m/one"), _pid(supervisor, "m/two")]
        assert supervisor.ready

    assert not any(is_running(pid) for pid in pids)
    assert deaths == []


async def test_a_killed_host_comes_back_with_a_death_certificate(tmp_path: Path) -> None:
    """SIGKILL is named with the host's last log lines, and the host is ready again."""
    async with supervised(tmp_path, "one") as (supervisor, deaths):
        await supervisor.start()
        first = _pid(supervisor, "m/one")
        os.kill(first, signal.SIGKILL)
        await eventually(
            lambda: supervisor.slots["m/one"].pid not in (None, first) and supervisor.ready
        )

    assert [(death.signal, death.pid) for death in deaths] == [("SIGKILL", first)]
    assert deaths[0].log_tail == ["one starts"]


async def test_a_crash_loop_ends_in_failure(tmp_path: Path) -> None:
    """A host that ends at once is started six times, and then the start fails."""
    limits = RestartLimits(backoff_s=0.01, backoff_max_s=0.05)
    async with supervised(tmp_path, "crash", restart_limits=limits) as (supervisor, deaths):
        with pytest.raises(StartFailed, match="exit code 3"):
            await supervisor.start()

    assert len(deaths) == 6


async def test_a_misconfigured_host_is_not_restarted(tmp_path: Path) -> None:
    """Exit code 2 is final, and the reason the host gave is the error."""
    async with supervised(tmp_path, "misconfigured") as (supervisor, deaths):
        with pytest.raises(StartFailed, match="setting x is wrong"):
            await supervisor.start()

    assert len(deaths) == 1


async def test_a_host_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace period the process group gets SIGKILL."""
    async with supervised(tmp_path, "stubborn", limits=SupervisorLimits(stop_grace_s=0.3)) as (
        supervisor,
        _,
    ):
        await supervisor.start()
        pid = _pid(supervisor, "m/stubborn")

    assert not is_running(pid)


async def test_a_silent_host_is_aborted_and_started_again(tmp_path: Path) -> None:
    """A host without a sign of life is ended by SIGABRT, which leaves its stacks in the log."""
    async with supervised(tmp_path, "silent", limits=SupervisorLimits(liveness_s=0.6)) as (
        supervisor,
        deaths,
    ):
        await supervisor.start()
        await eventually(lambda: deaths, timeout_s=10)

        assert deaths[0].signal == "SIGABRT"
        assert any("Fatal Python error: Aborted" in line for line in deaths[0].log_tail)


async def test_grandchildren_end_with_their_host(tmp_path: Path) -> None:
    """A grandchild in a session of its own is killed when its host dies."""
    async with supervised(tmp_path, "parent") as (supervisor, _):
        await supervisor.start()
        log = supervisor.slots["m/parent"].log_path
        line = next(line for line in log.read_text().splitlines() if line.startswith("grandchild"))
        grandchild = int(line.split()[1])
        assert is_running(grandchild)
        os.kill(_pid(supervisor, "m/parent"), signal.SIGKILL)
        await eventually(lambda: not is_running(grandchild))


async def test_a_host_that_never_gets_ready_is_a_crash(tmp_path: Path) -> None:
    """The ready time-out is enforced and named."""
    limits = SupervisorLimits(ready_timeout_s=0.3)
    restarts = RestartLimits(max_restarts=0)
    async with supervised(tmp_path, "slow", limits=limits, restart_limits=restarts) as (
        supervisor,
        _,
    ):
        with pytest.raises(StartFailed, match=r"not ready after 0\.3 s"):
            await supervisor.start()


async def test_a_dead_zygote_is_replaced(tmp_path: Path) -> None:
    """When the zygote is killed its hosts die with it, and all come back."""
    async with supervised(tmp_path, "one", "two") as (supervisor, deaths):
        await supervisor.start()
        before = {_pid(supervisor, "m/one"), _pid(supervisor, "m/two")}
        launcher = supervisor._launcher
        assert isinstance(launcher, ZygoteLauncher)
        assert launcher.pid is not None
        os.kill(launcher.pid, signal.SIGKILL)
        await eventually(lambda: len(deaths) == 2)
        await eventually(lambda: supervisor.ready)

        assert before.isdisjoint({_pid(supervisor, "m/one"), _pid(supervisor, "m/two")})
        assert not any(is_running(pid) for pid in before)


async def test_a_thread_before_the_fork_is_refused(tmp_path: Path) -> None:
    """A thread that an import starts would be missing in every host: it is named, and nothing is forked."""
    async with supervised(tmp_path, "one", warm="warm_with_a_thread") as (supervisor, deaths):
        with pytest.raises(WarmUpRefused, match=r"prefetcher: .*on_start"):
            await supervisor.start()

    assert deaths == []
    assert supervisor.slots["m/one"].pid is None


async def test_a_transient_host_that_is_done_stays_stopped(tmp_path: Path) -> None:
    """Exit code 0 of a transient host is no death; it is not started again and nothing is amiss."""
    async with supervised(tmp_path, "done", "one", rules={"m/done": "transient"}) as (
        supervisor,
        deaths,
    ):
        await supervisor.start()

        assert supervisor.slots["m/done"].state is HostState.STOPPED
        assert supervisor.ready
    assert deaths == []


async def test_a_temporary_host_is_never_started_again(tmp_path: Path) -> None:
    """A temporary host that crashes has failed at its first death."""
    async with supervised(tmp_path, "crash", rules={"m/crash": "temporary"}) as (
        supervisor,
        deaths,
    ):
        with pytest.raises(StartFailed, match="exit code 3"):
            await supervisor.start()

    assert len(deaths) == 1
