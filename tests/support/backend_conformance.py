"""What every backend must do. A test class derives from it and gives the fixture `backend`."""

from __future__ import annotations

import asyncio

import pytest

from aisys.backends import Backend, BackendError, WrongKind
from support.waiting import eventually

AWKWARD_KEYS = ["a", "ключ", "a b\n", "a\x00b", "*", "a[b]?", "\\", "%_", "{x}", "k" * 1024]


class BackendConformance:
    async def test_an_absent_key_is_none(self, backend: Backend) -> None:
        """Nothing was stored, so nothing comes back."""
        assert await backend.get("nothing") is None
        assert await backend.delete("nothing") == 0
        assert await backend.read_list("nothing") == []

    @pytest.mark.parametrize("value", [b"", b"\x00\xff\r\n", b"x" * 300_000])
    async def test_values_are_bytes_as_given(self, backend: Backend, value: bytes) -> None:
        """Any bytes come back unchanged."""
        await backend.set("key", value)
        assert await backend.get("key") == value

    async def test_awkward_keys_are_keys(self, backend: Backend) -> None:
        """Patterns, escapes and zero bytes in a key mean nothing but themselves."""
        for number, key in enumerate(AWKWARD_KEYS):
            await backend.set(key, str(number).encode())
        for number, key in enumerate(AWKWARD_KEYS):
            assert await backend.get(key) == str(number).encode()
            assert [found async for found in backend.scan(key) if found == key] == [key]
        assert sorted([key async for key in backend.scan()]) == sorted(AWKWARD_KEYS)
        assert await backend.delete(*AWKWARD_KEYS) == len(AWKWARD_KEYS)

    @pytest.mark.parametrize("key", ["", "\ud800", "k" * 1025, "ä" * 513])
    async def test_a_bad_key_is_refused_by_every_method(self, backend: Backend, key: str) -> None:
        """Empty, not text, or too long: no method takes it."""
        for call in (
            backend.get(key),
            backend.set(key, b""),
            backend.delete(key),
            backend.mget([key]),
            backend.mset({key: b""}),
            backend.incr(key),
            backend.compare_and_set(key, None, b""),
            backend.append(key, [b""]),
            backend.read_list(key),
        ):
            with pytest.raises(BackendError):
                await call

    async def test_many_values_at_once(self, backend: Backend) -> None:
        """Mset stores all, mget keeps the order and leaves gaps."""
        await backend.mset({"a": b"1", "b": b"2"})
        await backend.append("list", [b"x"])
        assert await backend.mget(["b", "none", "a", "list", "a"]) == [b"2", None, b"1", None, b"1"]
        await backend.mset({})
        assert await backend.mget([]) == []

    async def test_a_key_expires(self, backend: Backend) -> None:
        """After its time a key is gone for every method."""
        await backend.set("short", b"1", ttl_s=0.05)
        await backend.mset({"short2": b"1"}, ttl_s=0.05)
        await backend.set("long", b"1", ttl_s=1000)
        assert await backend.get("short") == b"1"

        async def gone() -> bool:
            return await backend.mget(["short", "short2"]) == [None, None]

        await eventually(gone)
        assert [key async for key in backend.scan()] == ["long"]
        assert await backend.delete("short") == 0
        assert await backend.incr("short") == 1
        assert await backend.compare_and_set("short2", None, b"x")

    async def test_set_clears_the_time_to_live_and_incr_keeps_it(self, backend: Backend) -> None:
        """A plain set is for ever; counting does not prolong."""
        await backend.set("kept", b"1", ttl_s=0.05)
        await backend.set("kept", b"2")
        await backend.set("counted", b"1", ttl_s=0.05)
        await backend.incr("counted")

        async def gone() -> bool:
            return await backend.get("counted") is None

        await eventually(gone)
        assert await backend.get("kept") == b"2"

    @pytest.mark.parametrize("ttl_s", [0, -1, float("nan")])
    async def test_a_time_to_live_is_above_zero(self, backend: Backend, ttl_s: float) -> None:
        """Zero does not mean for ever, and not at once either: it is refused."""
        for call in (
            backend.set("k", b"", ttl_s=ttl_s),
            backend.mset({"k": b""}, ttl_s=ttl_s),
            backend.compare_and_set("k", None, b"", ttl_s=ttl_s),
        ):
            with pytest.raises(BackendError):
                await call

    async def test_counters_do_not_lose_a_step(self, backend: Backend) -> None:
        """A hundred at once count to a hundred."""
        results = await asyncio.gather(*[backend.incr("n") for _ in range(100)])
        assert sorted(results) == list(range(1, 101))
        assert await backend.incr("n", -100) == 0
        assert await backend.get("n") == b"0"

    @pytest.mark.parametrize("value", [b"", b"x", b"1.5", b" 1", b"+1", b"01", b"9" * 30])
    async def test_only_integers_can_be_counted(self, backend: Backend, value: bytes) -> None:
        """Other values are refused and stay."""
        await backend.set("text", value)
        with pytest.raises(WrongKind):
            await backend.incr("text")
        assert await backend.get("text") == value

    async def test_counters_have_64_bits(self, backend: Backend) -> None:
        """One more than fits is refused and changes nothing."""
        assert await backend.incr("n", 2**63 - 1) == 2**63 - 1
        with pytest.raises(WrongKind):
            await backend.incr("n")
        assert await backend.get("n") == str(2**63 - 1).encode()
        with pytest.raises(WrongKind):
            await backend.incr("other", 2**63)

    async def test_compare_and_set(self, backend: Backend) -> None:
        """Only the expected value is replaced; None is absence."""
        assert not await backend.compare_and_set("k", b"", b"x")
        assert await backend.compare_and_set("k", None, b"1")
        assert not await backend.compare_and_set("k", None, b"2")
        assert not await backend.compare_and_set("k", b"other", None)
        assert await backend.compare_and_set("k", b"1", b"2")
        assert await backend.get("k") == b"2"
        assert await backend.compare_and_set("k", b"2", None)
        assert await backend.get("k") is None
        assert await backend.compare_and_set("k", None, None)
        assert await backend.compare_and_set("k", None, b"short", ttl_s=0.05)

        async def gone() -> bool:
            return await backend.get("k") is None

        await eventually(gone)

    async def test_only_one_of_many_wins(self, backend: Backend) -> None:
        """Compare-and-set is atomic."""
        won = await asyncio.gather(
            *[backend.compare_and_set("lock", None, str(n).encode()) for n in range(50)]
        )
        assert won.count(True) == 1
        assert await backend.get("lock") == str(won.index(True)).encode()

    async def test_scan_by_prefix(self, backend: Backend) -> None:
        """Each key once, also beyond one page."""
        await backend.mset({f"user/{number:04}": b"" for number in range(1200)})
        await backend.mset({"use": b"", "users": b"", "v": b""})
        found = [key async for key in backend.scan("user/")]
        assert sorted(found) == [f"user/{number:04}" for number in range(1200)]

    async def test_the_store_may_change_during_a_scan(self, backend: Backend) -> None:
        """What exists all the time comes; a deletion in between does no harm."""
        await backend.mset({f"k{number}": b"" for number in range(700)})
        seen = set()
        async for key in backend.scan("k"):
            seen.add(key)
            await backend.delete("k699")
            await backend.set("other", b"")
        assert seen >= {f"k{number}" for number in range(699)}

    async def test_lists_grow_at_their_end(self, backend: Backend) -> None:
        """Append returns the length; read_list slices as Python does."""
        assert await backend.append("l", []) == 0
        assert await backend.append("l", [b"0", b"1"]) == 2
        assert await backend.append("l", [b"2", b"3", b""]) == 5
        items = [b"0", b"1", b"2", b"3", b""]
        for start in range(-7, 8):
            for stop in (None, *range(-7, 8)):
                assert await backend.read_list("l", start, stop) == items[start:stop]
        assert await backend.append("l", []) == 5

    async def test_lists_keep_only_the_newest_if_asked(self, backend: Backend) -> None:
        """max_items drops from the front, also more than was there."""
        assert await backend.append("l", [b"0", b"1", b"2"], max_items=2) == 2
        assert await backend.read_list("l") == [b"1", b"2"]
        assert await backend.append("l", [b"3"], max_items=2) == 2
        assert await backend.read_list("l") == [b"2", b"3"]
        assert await backend.append("l", [b"4", b"5", b"6"], max_items=1) == 1
        assert await backend.append("l", [b"7"]) == 2
        assert await backend.read_list("l") == [b"6", b"7"]
        with pytest.raises(BackendError):
            await backend.append("l", [b""], max_items=0)

    async def test_appends_at_once_lose_nothing(self, backend: Backend) -> None:
        """Fifty writers, fifty items."""
        await asyncio.gather(*[backend.append("l", [str(n).encode()]) for n in range(50)])
        found = await backend.read_list("l")
        assert sorted(found, key=int) == [str(n).encode() for n in range(50)]

    async def test_a_list_is_not_a_value(self, backend: Backend) -> None:
        """The wrong method is told so and changes nothing; set, delete and mset replace."""
        await backend.append("l", [b"1"])
        await backend.set("v", b"1")
        for call in (
            backend.get("l"),
            backend.incr("l"),
            backend.compare_and_set("l", None, b"x"),
            backend.compare_and_set("l", b"1", b"x"),
            backend.append("v", [b"2"]),
            backend.append("v", []),
            backend.append("v", [b"2"], max_items=1),
            backend.read_list("v"),
        ):
            with pytest.raises(WrongKind):
                await call
        assert await backend.read_list("l") == [b"1"]
        assert await backend.get("v") == b"1"
        await backend.set("l", b"now a value")
        assert await backend.get("l") == b"now a value"
        assert await backend.delete("l") == 1
        assert await backend.append("l", [b"again"]) == 1
        assert await backend.read_list("l") == [b"again"]

    async def test_a_cancelled_call_does_not_spoil_the_next(self, backend: Backend) -> None:
        """Whatever is cancelled when: every later answer is the answer to its own question."""
        await backend.mset({f"k{number}": f"v{number}".encode() for number in range(20)})
        for round_number in range(40):
            tasks = [asyncio.create_task(backend.get(f"k{number}")) for number in range(20)]
            for _ in range(round_number % 8):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for number, result in enumerate(results):
                assert isinstance(result, asyncio.CancelledError) or (
                    result == f"v{number}".encode()
                )

    async def test_closing_twice_is_allowed(self, backend: Backend) -> None:
        """The second close does nothing."""
        await backend.set("k", b"v")
        await backend.close()
        await backend.close()
