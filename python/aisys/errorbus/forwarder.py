"""Sends what the spool holds to one collector, at least once and in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errorbus.spool import Spool
from aisys.errors import Refused

_HOPELESS: Final = frozenset({"bad_argument", "too_large", "bad_frame"})

Send = Callable[[list[dict[str, Any]]], Awaitable[None]]


class Forwarder:
    """Stores and forwards: a batch is acknowledged in the spool only after `send` returned.

    After a failure it waits with full jitter, up to `backoff_max_s`, and sends the same batch
    again; after a restart of the process it goes on where the last acknowledged batch ended. A
    single report that the other side refuses for what it is (`bad_argument`, `too_large`) is
    skipped and counted: it would stop all others for ever.

    Args:
        spool: where the reports wait.
        send: sends a batch; raises if it is not known to have arrived.
        destination: names the collector: its position is kept under this name.
        batch: the most reports sent at once.
        backoff_s: the first limit of the wait after a failure.
        backoff_max_s: the last one.
        clock: where time comes from.

    Attributes:
        sent: reports acknowledged.
        failures: sends that failed.
        rejected: reports that the other side refused for what they are.
        last_error: why the last send failed, "" after a success.
    """

    def __init__(
        self,
        spool: Spool,
        send: Send,
        *,
        destination: str = "collector",
        batch: int = 100,
        backoff_s: float = 0.1,
        backoff_max_s: float = 1.5,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._spool = spool
        self._send = send
        self._destination = destination
        self._batch = batch
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._clock = clock
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        self.failures = 0
        self.rejected = 0
        self.last_error = ""

    async def start(self) -> None:
        """Begin to forward."""
        if self._task is not None:
            return
        self._loop = asyncio.get_running_loop()
        await self._spool.register(self._destination)
        self._spool.add_listener(self._on_written)
        self._task = asyncio.create_task(self._run(), name=f"errors->{self._destination}")

    async def stop(self) -> None:
        """Stop; what is not acknowledged stays in the spool."""
        self._spool.remove_listener(self._on_written)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _on_written(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        failures_in_a_row = 0
        while True:
            # Cleared before the look, so that a report written during it is not missed.
            self._wake.clear()
            try:
                reports = await self._spool.read(self._destination, limit=self._batch)
                if not reports:
                    await self._wake.wait()
                    continue
                await self._send_all(reports)
            except Exception as error:  # noqa: BLE001 - the reports are kept
                self.failures += 1
                self.last_error = str(error) or type(error).__name__
                limit = min(self._backoff_max_s, self._backoff_s * 2.0**failures_in_a_row)
                failures_in_a_row = min(failures_in_a_row + 1, 16)
                await self._clock.sleep(limit * (0.1 + 0.9 * random.random()))  # noqa: S311
            else:
                failures_in_a_row = 0
                self.last_error = ""

    async def _send_all(self, reports: list[dict[str, Any]]) -> None:
        try:
            await self._send(reports)
        except Refused as error:
            if error.reason not in _HOPELESS:
                raise
            if len(reports) > 1:
                # One of them is at fault: find it.
                for report in reports:
                    await self._send_all([report])
                return
            self.rejected += 1
            self.last_error = str(error)
        else:
            self.sent += len(reports)
        last = reports[-1]
        await self._spool.acknowledge(self._destination, last["epoch"], last["seq"])
