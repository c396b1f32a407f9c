"""The task store: what is promised about an accepted task."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aisys.backends import BackendError
from aisys.errors import DeadlineExceeded, Refused
from aisys.tasks import Claim, StaleClaim, TaskConflict, TaskStore


class Clock:
    """Time that the test owns; wall and monotonic apart."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.tick = 50.0

    def monotonic(self) -> float:
        return self.tick

    def time(self) -> float:
        return self.wall

    async def sleep(self, seconds: float) -> None:
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.tick += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[TaskStore]:
    store = TaskStore(tmp_path / "tasks.db", durability="process", clock=clock)
    await store.open()
    yield store
    await store.close()


async def _one(store: TaskStore, name: str = "A.m", lease_s: float = 30.0) -> Claim:
    (claim,) = await store.claim([name], lease_s=lease_s)
    return claim


async def test_a_task_runs_and_its_result_stays(store: TaskStore) -> None:
    """Submit, claim, complete; the result can be asked for."""
    receipt = await store.submit("A.m", {"x": [1, "ä"]}, id="one")
    assert (receipt.id, receipt.duplicate, receipt.state) == ("one", False, "ready")
    assert receipt.durability == "process"
    claim = await _one(store)
    assert (claim.id, claim.payload, claim.attempt) == ("one", {"x": [1, "ä"]}, 1)
    await store.complete(claim, {"y": 2})
    info = await store.get("one")
    assert info is not None
    assert (info.state, info.result, info.payload) == ("done", {"y": 2}, None)
    assert await store.claim(["A.m"]) == []


async def test_the_default_is_durable_on_disk(tmp_path: Path) -> None:
    """The receipt says so."""
    store = TaskStore(tmp_path / "tasks.db")
    await store.open()
    assert (await store.submit("A.m", {})).durability == "disk"
    await store.close()


async def test_the_same_id_gives_the_same_receipt(store: TaskStore, clock: Clock) -> None:
    """Before, while and after it runs, until the retention is over."""
    await store.submit("A.m", {"a": 1, "b": 2}, id="one")
    assert (await store.submit("A.m", {"b": 2, "a": 1}, id="one")).duplicate
    claim = await _one(store)
    assert (await store.submit("A.m", {"a": 1, "b": 2}, id="one")).state == "running"
    await store.complete(claim)
    assert (await store.submit("A.m", {"a": 1, "b": 2}, id="one")).state == "done"
    assert await store.claim(["A.m"]) == []
    clock.pass_(90_000)
    await store.claim(["A.m"])
    assert not (await store.submit("A.m", {"a": 1, "b": 2}, id="one")).duplicate


@pytest.mark.parametrize(("name", "payload"), [("A.m", {"x": 2}), ("B.m", {"x": 1})])
async def test_another_task_under_the_same_id_is_refused(
    store: TaskStore, name: str, payload: dict[str, int]
) -> None:
    """Other payload or other name: a conflict, also after it has finished."""
    await store.submit("A.m", {"x": 1}, id="one")
    with pytest.raises(TaskConflict):
        await store.submit(name, payload, id="one")
    await store.complete(await _one(store))
    with pytest.raises(TaskConflict):
        await store.submit(name, payload, id="one")


async def test_the_most_urgent_first_then_the_oldest(store: TaskStore) -> None:
    """Over several names, in one claim or in many."""
    for number, (name, priority) in enumerate(
        [("A.m", 100), ("B.m", 5), ("A.m", 5), ("B.m", 100), ("A.m", 0), ("C.m", 0)]
    ):
        await store.submit(name, {}, id=str(number), priority=priority)
    claims = await store.claim(["A.m", "B.m"], limit=2)
    claims += [await _one(store, "B.m")]
    claims += await store.claim(["B.m", "A.m"], limit=10)
    assert [claim.id for claim in claims] == ["4", "1", "3", "2", "0"]


async def test_tokens_grow_over_claims_and_restarts(tmp_path: Path, clock: Clock) -> None:
    """Each claim of the store has a higher one than all before."""
    tokens = []
    for _ in range(3):
        store = TaskStore(tmp_path / "tasks.db", durability="process", clock=clock)
        await store.open()
        await store.submit("A.m", {})
        await store.submit("A.m", {})
        tokens += [claim.token for claim in await store.claim(["A.m"], limit=2)]
        await store.close()
    assert tokens == sorted(set(tokens))


async def test_a_lost_lease_fences_its_holder(store: TaskStore, clock: Clock) -> None:
    """After the lease every word of the old claimant is refused, the new one's are taken."""
    await store.submit("A.m", {}, id="one")
    old = await _one(store, lease_s=10)
    clock.pass_(11)
    for word in (store.complete(old), store.fail(old, "x"), store.heartbeat(old)):
        with pytest.raises(StaleClaim):
            await word
    new = await _one(store)
    assert new.token > old.token
    assert new.attempt == 2
    for word in (
        store.complete(old, "late"),
        store.fail(old, "x"),
        store.heartbeat(old),
        store.hand_back(old),
    ):
        with pytest.raises(StaleClaim):
            await word
    await store.complete(new, "right")
    with pytest.raises(StaleClaim):
        await store.complete(new, "twice")
    info = await store.get("one")
    assert info is not None
    assert info.result == "right"


async def test_a_heartbeat_holds_a_task_longer_than_its_lease(
    store: TaskStore, clock: Clock
) -> None:
    """The length of the lease does not limit that of the task."""
    await store.submit("A.m", {})
    claim = await _one(store, lease_s=10)
    for _ in range(20):
        clock.pass_(9)
        assert await store.heartbeat(claim)
        assert await store.claim(["A.m"]) == []
    await store.complete(claim)


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0])
async def test_a_wall_clock_that_is_set_ends_no_lease(
    store: TaskStore, clock: Clock, jump_s: float
) -> None:
    """Leases follow monotonic time."""
    await store.submit("A.m", {})
    claim = await _one(store)
    clock.wall += jump_s
    assert await store.claim(["A.m"]) == []
    await store.complete(claim)


async def test_a_new_owner_frees_what_the_former_had_claimed(tmp_path: Path, clock: Clock) -> None:
    """Monotonic time of another process means nothing: its leases end with it."""
    store = TaskStore(tmp_path / "tasks.db", durability="process", clock=clock)
    await store.open()
    await store.submit("A.m", {}, id="one")
    old = await _one(store, lease_s=1e9)
    await store.close()
    clock.tick = 3.0  # after a reboot
    store = TaskStore(tmp_path / "tasks.db", durability="process", clock=clock)
    await store.open()
    with pytest.raises(StaleClaim):
        await store.complete(old)
    assert (await _one(store)).attempt == 2
    await store.close()


async def test_there_is_one_owner(store: TaskStore) -> None:
    """A second one is refused and told who has it."""
    import os

    with pytest.raises(BackendError, match=str(os.getpid())):
        await TaskStore(store.path).open()


async def test_failures_are_tried_again_later_and_then_buried(
    store: TaskStore, clock: Clock
) -> None:
    """As often as asked, with waits within their limits; the reason stays."""
    await store.submit("A.m", {"x": 1}, id="one", max_attempts=4)
    for attempt in range(1, 4):
        assert await store.fail(await _one(store), f"boom {attempt}") == "delayed"
        wait_s = await store.next_due_s()
        assert wait_s is not None
        assert 0 <= wait_s <= 2.0 ** (attempt - 1)
        clock.pass_(wait_s)
    assert await store.fail(await _one(store), "boom 4") == "dead"
    (dead,) = await store.list(state="dead")
    assert (dead.id, dead.payload, dead.attempts) == ("one", {"x": 1}, 4)
    assert dead.reason == "attempts exhausted: boom 4"
    assert await store.claim(["A.m"]) == []


async def test_a_failure_that_nothing_can_mend_is_buried_at_once(store: TaskStore) -> None:
    """No second attempt."""
    await store.submit("A.m", {}, id="one")
    assert await store.fail(await _one(store), "bad input", retryable=False) == "dead"


async def test_a_retry_goes_behind_those_that_wait(store: TaskStore, clock: Clock) -> None:
    """Of its own priority."""
    await store.submit("A.m", {}, id="first")
    claim = await _one(store)
    await store.submit("A.m", {}, id="second")
    await store.fail(claim, "x")
    clock.pass_(10)
    assert [claim.id for claim in await store.claim(["A.m"], limit=9)] == ["second", "first"]


async def test_a_task_that_loses_its_worker_three_times_is_poison(
    store: TaskStore, clock: Clock
) -> None:
    """It may be what kills them: dead letter, whatever attempts are left."""
    await store.submit("A.m", {}, id="one", max_attempts=99)
    for _ in range(3):
        await _one(store, lease_s=1)
        clock.pass_(2)
    assert await store.claim(["A.m"]) == []
    (dead,) = await store.list(state="dead")
    assert dead.reason.startswith("poison")


async def test_dead_letters_can_be_tried_again_or_thrown_away(store: TaskStore) -> None:
    """By hand; both only for dead letters."""
    await store.submit("A.m", {"x": 1}, id="one")
    assert not await store.requeue("one")
    assert not await store.discard("one")
    await store.fail(await _one(store), "x", retryable=False)
    assert await store.requeue("one")
    claim = await _one(store)
    assert (claim.payload, claim.attempt) == ({"x": 1}, 1)
    await store.fail(claim, "x", retryable=False)
    assert await store.discard("one")
    assert await store.get("one") is None
    assert not await store.discard("one")


async def test_a_task_given_back_was_not_attempted(store: TaskStore) -> None:
    """Same place in the order, same number of attempts."""
    await store.submit("A.m", {}, id="one")
    await store.submit("A.m", {}, id="two")
    await store.hand_back(await _one(store))
    claim = await _one(store)
    assert (claim.id, claim.attempt) == ("one", 1)


async def test_delayed_tasks_wait_for_the_wall_clock(store: TaskStore, clock: Clock) -> None:
    """Never early; due in the order of priority like all others."""
    await store.submit("A.m", {}, id="delay", delay_s=10, priority=1)
    eta = datetime.fromtimestamp(clock.wall + 20, UTC)
    await store.submit("A.m", {}, id="eta", eta=eta, priority=0)
    await store.submit("A.m", {}, id="past", eta=clock.wall - 5)
    assert [claim.id for claim in await store.claim(["A.m"], limit=9)] == ["past"]
    clock.pass_(9.99)
    assert await store.claim(["A.m"]) == []
    clock.pass_(10.02)
    assert [claim.id for claim in await store.claim(["A.m"], limit=9)] == ["eta", "delay"]


async def test_an_eta_without_a_time_zone_is_refused(store: TaskStore) -> None:
    """Nobody knows when that is."""
    with pytest.raises(Refused, match="time zone"):
        await store.submit("A.m", {}, eta=datetime(2030, 1, 1))  # noqa: DTZ001


async def test_a_full_store_refuses_and_takes_again(tmp_path: Path, clock: Clock) -> None:
    """By number and by bytes; finished tasks do not count, dead letters do."""
    store = TaskStore(
        tmp_path / "t.db", durability="process", max_tasks=3, max_bytes=500, clock=clock
    )
    await store.open()
    results = await asyncio.gather(
        *[store.submit("A.m", {"n": n}) for n in range(5)], return_exceptions=True
    )
    full = [error for error in results if isinstance(error, Refused)]
    assert [error.reason for error in full] == ["full", "full"]
    claim = await _one(store)
    await store.complete(claim)
    await store.fail(await _one(store), "x", retryable=False)
    with pytest.raises(Refused, match="bytes"):
        await store.submit("A.m", {"big": "x" * 600})
    await store.submit("A.m", {})
    with pytest.raises(Refused, match="full"):
        await store.submit("A.m", {})
    await store.close()


async def test_bad_submissions_are_refused(store: TaskStore) -> None:
    """Named by reason; nothing is stored."""
    for call, reason in (
        (store.submit("", {}), "bad_argument"),
        (store.submit("A.m", {}, id=""), "bad_argument"),
        (store.submit("A.m", {}, id="x" * 300), "bad_argument"),
        (store.submit("A.m", {}, priority=256), "bad_argument"),
        (store.submit("A.m", {}, max_attempts=0), "bad_argument"),
        (store.submit("A.m", {"x": "y" * 2_000_000}), "too_large"),
    ):
        with pytest.raises(Refused) as caught:
            await call
        assert caught.value.reason == reason
    with pytest.raises(TypeError):
        await store.submit("A.m", {"x": object()})
    assert await store.counts() == {}


async def test_a_waiting_task_can_be_cancelled(store: TaskStore) -> None:
    """It never starts; twice is the same; too late is said."""
    await store.submit("A.m", {}, id="one")
    assert await store.cancel("one") == "cancelled"
    assert await store.cancel("one") == "cancelled"
    assert await store.claim(["A.m"]) == []
    await store.submit("A.m", {}, id="two")
    await store.complete(await _one(store))
    assert await store.cancel("two") == "finished"
    assert await store.cancel("none") == "unknown"


async def test_a_running_task_is_asked_to_stop(store: TaskStore, clock: Clock) -> None:
    """Its worker hears at the next heartbeat; its end is one of done, dead and cancelled."""
    for end in ("fail", "hand_back", "complete", "lost"):
        await store.submit("A.m", {}, id=end)
        claim = await _one(store, lease_s=10)
        assert await store.cancel(end) == "cancelling"
        assert not await store.heartbeat(claim)
        if end == "fail":
            await store.fail(claim, "stopped")
        elif end == "hand_back":
            await store.hand_back(claim)
        elif end == "complete":
            await store.complete(claim)
        else:
            clock.pass_(11)
            assert await store.claim(["A.m"]) == []
        info = await store.get(end)
        assert info is not None
        assert info.state == ("done" if end == "complete" else "cancelled")


async def test_the_end_of_a_task_can_be_waited_for(store: TaskStore) -> None:
    """By several; an unknown one and one that does not end are named."""
    await store.submit("A.m", {}, id="one")
    waiting = [asyncio.create_task(store.wait("one")) for _ in range(3)]
    await asyncio.sleep(0)
    await store.complete(await _one(store), 5)
    assert [info.result for info in await asyncio.gather(*waiting)] == [5, 5, 5]
    with pytest.raises(Refused, match="no task"):
        await store.wait("none")
    await store.submit("A.m", {}, id="two")
    with pytest.raises(DeadlineExceeded):
        await store.wait("two", timeout_s=0.01)


async def test_a_damaged_payload_is_not_run(store: TaskStore) -> None:
    """It becomes a dead letter; the next task is not held up."""
    await store.submit("A.m", {"amount": 1}, id="one")
    raw = sqlite3.connect(store.path)
    raw.execute("UPDATE tasks SET payload = '{\"amount\":9}' WHERE id = 'one'")
    raw.commit()
    raw.close()
    assert await store.claim(["A.m"], limit=5) == []
    (dead,) = await store.list(state="dead")
    assert dead.reason.startswith("corrupt")


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    """Before open and after close."""
    store = TaskStore(tmp_path / "tasks.db")
    with pytest.raises(BackendError, match="open"):
        await store.submit("A.m", {})
    await store.open()
    await store.close()
    with pytest.raises(BackendError, match="closed"):
        await store.counts()
