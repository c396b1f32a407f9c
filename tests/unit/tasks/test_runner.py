"""The task runner: how tasks are run, held, retried and handed back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aisys.tasks import Claim, NonRetryable, Schedule, TaskRunner, TaskStore
from support.waiting import eventually


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[TaskStore]:
    store = TaskStore(tmp_path / "tasks.db", durability="process", backoff_s=0.01)
    await store.open()
    yield store
    await store.close()


async def test_tasks_run_with_their_handlers(store: TaskStore) -> None:
    """Each with its own, results recorded."""

    async def double(payload: dict[str, Any]) -> int:
        return int(payload["n"]) * 2

    async def shout(payload: dict[str, Any]) -> str:
        return str(payload["text"]).upper()

    runner = TaskRunner(store, {"A.double": double, "B.shout": shout})
    await runner.start()
    await store.submit("A.double", {"n": 21}, id="a")
    await store.submit("B.shout", {"text": "hi"}, id="b")
    await store.submit("C.other", {}, id="c")
    assert (await store.wait("a")).result == 42
    assert (await store.wait("b")).result == "HI"
    info = await store.get("c")
    assert info is not None
    assert info.state == "ready"
    await runner.stop()


async def test_no_more_run_at_a_time_than_allowed(store: TaskStore) -> None:
    """Two, though ten wait."""
    now, most = 0, 0

    async def handler(_: dict[str, Any]) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)  # work: long enough to overlap
        now -= 1

    for _ in range(10):
        await store.submit("A.m", {})
    runner = TaskRunner(store, {"A.m": handler}, concurrency=2)
    await runner.start()
    await eventually(lambda: runner.completed == 10)
    assert most == 2
    await runner.stop()


async def test_a_failing_handler_is_tried_again(store: TaskStore) -> None:
    """Until it succeeds; each failure is told."""
    told: list[tuple[str, str]] = []
    calls = 0

    async def handler(_: dict[str, Any]) -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ValueError(f"boom {calls}")
        return "at last"

    def on_error(claim: Claim | None, error: BaseException) -> None:
        assert claim is not None
        told.append((claim.id, str(error)))

    runner = TaskRunner(store, {"A.m": handler}, on_error=on_error)
    await runner.start()
    await store.submit("A.m", {}, id="one")
    info = await store.wait("one")
    assert (info.result, info.attempts) == ("at last", 3)
    assert told == [("one", "boom 1"), ("one", "boom 2")]
    assert (runner.failed, runner.completed) == (2, 1)
    await runner.stop()


async def test_what_no_retry_can_mend_is_a_dead_letter(store: TaskStore) -> None:
    """NonRetryable, a result that is not JSON: one attempt."""

    async def refuse(_: dict[str, Any]) -> None:
        raise NonRetryable("never")

    async def strange(_: dict[str, Any]) -> object:
        return object()

    runner = TaskRunner(store, {"A.refuse": refuse, "A.strange": strange})
    await runner.start()
    for name in ("A.refuse", "A.strange"):
        await store.submit(name, {}, id=name)
        info = await store.wait(name)
        assert (info.state, info.attempts) == ("dead", 1)
        assert info.reason.startswith("not retryable")
    await runner.stop()


async def test_a_handler_that_cancels_itself_has_failed(store: TaskStore) -> None:
    """A stray CancelledError neither stops the runner nor loops for ever."""

    async def handler(_: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    runner = TaskRunner(store, {"A.m": handler})
    await runner.start()
    await store.submit("A.m", {}, id="one", max_attempts=2)
    assert (await store.wait("one")).state == "dead"
    await runner.stop()


async def test_a_time_limit_ends_an_attempt(store: TaskStore) -> None:
    """It counts as a failure."""

    async def handler(_: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    runner = TaskRunner(store, {"A.m": handler}, time_limit_s=0.02)
    await runner.start()
    await store.submit("A.m", {}, id="one", max_attempts=1)
    assert "TimeoutError" in (await store.wait("one")).reason
    await runner.stop()


async def test_leases_are_renewed_while_a_task_runs(store: TaskStore) -> None:
    """A task ten times as long as its lease runs once."""
    runs = 0

    async def handler(_: dict[str, Any]) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(1.0)  # work: longer than the lease

    runner = TaskRunner(store, {"A.m": handler}, lease_s=0.15)
    other = TaskRunner(store, {"A.m": handler}, lease_s=0.15)
    await runner.start()
    await other.start()
    await store.submit("A.m", {}, id="one")
    assert (await store.wait("one")).attempts == 1
    assert runs == 1
    await runner.stop()
    await other.stop()


async def test_a_cancelled_task_is_stopped(store: TaskStore) -> None:
    """Its handler is cancelled, its end recorded."""
    started = asyncio.Event()
    ended = asyncio.Event()

    async def handler(_: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    runner = TaskRunner(store, {"A.m": handler}, lease_s=0.1)
    await runner.start()
    await store.submit("A.m", {}, id="one")
    await started.wait()
    assert await store.cancel("one") == "cancelling"
    assert (await store.wait("one")).state == "cancelled"
    assert ended.is_set()
    await runner.stop()


async def test_stop_lets_tasks_end_and_hands_back_the_rest(store: TaskStore) -> None:
    """What ends within the grace is done; the other is as if it had not been claimed."""
    release = asyncio.Event()

    async def quick(_: dict[str, Any]) -> str:
        await release.wait()
        return "ended"

    async def slow(_: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    runner = TaskRunner(store, {"A.quick": quick, "A.slow": slow})
    await runner.start()
    await store.submit("A.quick", {}, id="quick")
    await store.submit("A.slow", {}, id="slow")
    await eventually(lambda: runner.running == 2)
    stopping = asyncio.create_task(runner.stop(grace_s=0.2))
    release.set()
    await stopping
    done, back = await store.get("quick"), await store.get("slow")
    assert done is not None
    assert back is not None
    assert done.state == "done"
    assert (back.state, back.attempts) == ("ready", 0)
    await store.submit("A.quick", {}, id="later")
    assert runner.running == 0


async def test_handlers_may_come_and_go(store: TaskStore) -> None:
    """A task whose handler is gone waits; it runs when the handler is back."""

    async def handler(_: dict[str, Any]) -> str:
        return "ran"

    handlers = {"A.m": handler}
    runner = TaskRunner(store, handlers)
    await runner.start()
    del handlers["A.m"]
    await store.submit("A.m", {}, id="one")
    await store.claim([], limit=1)
    info = await store.get("one")
    assert info is not None
    assert info.state == "ready"
    handlers["A.m"] = handler
    assert (await store.wait("one")).result == "ran"
    await runner.stop()


async def test_a_reminder_fires_once_at_its_time(store: TaskStore) -> None:
    """Not early, and within a second; one that is cancelled does not fire."""
    fired: list[tuple[str, float]] = []

    async def remind(payload: dict[str, Any]) -> None:
        fired.append((payload["text"], time.time()))

    schedule = Schedule(store, "Calendar.remind")
    runner = TaskRunner(store, {"Calendar.remind": remind})
    await runner.start()
    due = time.time() + 0.3
    await schedule.at(due, {"text": "tea"}, timer_id="tea")
    await schedule.at(due, {"text": "tea"}, timer_id="tea")
    await schedule.after(3600, {"text": "bread"}, timer_id="bread")
    receipt = await schedule.after(0.2, {"text": "never"})
    assert [info.id for info in await schedule.pending()] == [receipt.id, "tea", "bread"]
    assert await schedule.cancel(receipt.id)
    assert not await schedule.cancel("unknown")
    await store.wait("tea")
    assert [text for text, _ in fired] == ["tea"]
    assert due <= fired[0][1] <= due + 1.0
    assert [info.id for info in await schedule.pending()] == ["bread"]
    await runner.stop()
