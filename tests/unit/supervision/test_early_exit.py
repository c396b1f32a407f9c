"""A host that ends before the supervisor has read that it began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from aisys.supervision import Death, Launched, RestartLimits, StartFailed, Supervisor, make_pair


class _HastyLauncher:
    """Tells of a host's end before the answer to its launch can be read, as packets in one read do."""

    def __init__(self) -> None:
        self.on_exit: Callable[[str, int, int], None] = lambda _host, _pid, _status: None
        self.on_lost: Callable[[], None] = lambda: None
        self._pid = 4_000_000

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def launch(self, host: str, log_path: Path) -> Launched:
        self._pid += 1
        mine, its = make_pair()
        its.close()
        self.on_exit(host, self._pid, 3 << 8)
        return Launched(self._pid, mine)

    async def close(self) -> None:
        await asyncio.sleep(0)


async def test_its_death_is_not_overlooked(tmp_path: Path) -> None:
    """Each end counts, the host is tried again within its limits, and the start fails with the exit code."""
    deaths: list[Death] = []
    supervisor = Supervisor(
        waves=[{"m/hasty": ["hasty"]}],
        launcher=_HastyLauncher(),
        log_dir=tmp_path,
        restart_limits=RestartLimits(max_restarts=2, backoff_s=0.001, backoff_max_s=0.002),
        on_death=deaths.append,
    )
    with pytest.raises(StartFailed, match="exit code 3"):
        await supervisor.start()
    await supervisor.stop()

    assert len(deaths) == 3
