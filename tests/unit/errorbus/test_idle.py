"""An error bus without errors costs nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from aisys.errorbus import Forwarder, Reporter, Spool
from support.waiting import eventually


async def test_forwarders_do_not_wake_each_other(tmp_path: Path) -> None:
    """After the last report went out, the spool's thread and both forwarders rest: no CPU time passes."""
    spool = Spool(tmp_path / "spool", machine="m", host="m/h")
    got: list[str] = []

    async def send(reports: list[dict[str, Any]]) -> None:
        got.extend(report["message"] for report in reports)

    forwarders = [Forwarder(spool, send, destination=name) for name in ("a", "b")]
    for forwarder in forwarders:
        await forwarder.start()
    Reporter(spool).report("something")
    await eventually(lambda: len(got) == 2)
    await spool.flush()
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.5
    used = time.process_time()
    await eventually(lambda: loop.time() > until, interval_s=0.05)
    used = time.process_time() - used
    for forwarder in forwarders:
        await forwarder.stop()
    await spool.close()

    assert got == ["something", "something"]
    assert used < 0.1, f"{used:.2f} s of CPU in half a second of rest"
