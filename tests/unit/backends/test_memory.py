"""The memory backend: its bound."""

from __future__ import annotations

import pytest

from aisys.backends import BackendError, MemoryBackend
from aisys.errors import Refused


async def test_the_least_recently_used_goes_first() -> None:
    """A read keeps a key; what was not touched goes, and is counted."""
    backend = MemoryBackend(max_bytes=3 * 1300)
    for key in ("a", "b", "c"):
        await backend.set(key, b"x" * 1000)
    await backend.get("a")
    await backend.set("d", b"x" * 1000)
    assert [await backend.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert backend.evicted == 1


async def test_expired_keys_go_before_live_ones() -> None:
    """What nobody can read any more makes room first."""

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        def time(self) -> float:
            return self.now

        async def sleep(self, seconds: float) -> None:
            self.now += seconds

    clock = Clock()
    backend = MemoryBackend(max_bytes=3 * 1300, clock=clock)
    await backend.set("old", b"x" * 1000)
    await backend.set("b", b"x" * 1000, ttl_s=5)
    await backend.set("c", b"x" * 1000)
    clock.now = 10
    await backend.set("d", b"x" * 1000)
    assert await backend.mget(["old", "b", "c", "d"]) == [
        b"x" * 1000,
        None,
        b"x" * 1000,
        b"x" * 1000,
    ]
    assert backend.evicted == 0


async def test_what_can_never_fit_is_refused() -> None:
    """A value, a set of values or a list above the bound changes nothing."""
    backend = MemoryBackend(max_bytes=2000)
    await backend.set("a", b"1")
    for call in (
        backend.set("big", b"x" * 3000),
        backend.mset({"b": b"x" * 1000, "c": b"x" * 1000}),
        backend.append("l", [b"x" * 1000, b"y" * 1000]),
        backend.compare_and_set("a", b"1", b"x" * 3000),
    ):
        with pytest.raises(Refused) as caught:
            await call
        assert caught.value.reason == "too_large"
    assert [key async for key in backend.scan()] == ["a"]
    assert await backend.get("a") == b"1"


async def test_the_accounts_balance() -> None:
    """When everything is deleted nothing is charged any more."""
    backend = MemoryBackend()
    for number in range(200):
        await backend.append("l", [b"x" * number], max_items=7)
        await backend.set(f"k{number % 9}", b"x" * number, ttl_s=100)
        await backend.incr("n")
    await backend.delete("l", "n", *[f"k{number}" for number in range(9)])
    assert backend.used_bytes == 0
    assert len(backend._expiries) < 200


def test_a_bound_too_small_to_hold_anything_is_refused() -> None:
    """The mistake is named when the store is made."""
    with pytest.raises(BackendError, match="max_bytes"):
        MemoryBackend(max_bytes=10)
