"""Memory and file do what a plain dictionary would."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aisys.backends import Backend, FileBackend, MemoryBackend, WrongKind

KEYS = st.sampled_from(["a", "ab", "abc", "b", "ä", "a/", "a\x00"])
VALUES = st.sampled_from([b"", b"0", b"7", b"-3", b"x", b"\xff" * 2000])
TTLS = st.sampled_from([None, 5.0, 50.0])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class BackendMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="aisys-state-"))
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.model: dict[str, tuple[bytes | list[bytes], float]] = {}
        self.file = FileBackend(self.folder, durability="process", clock=self.clock)
        self.memory = MemoryBackend(clock=self.clock)

    def teardown(self) -> None:
        for backend in self.backends:
            self.run(backend.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @property
    def backends(self) -> list[Backend]:
        return [self.file, self.memory]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def outcome(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.run(work)
        except WrongKind:
            return WrongKind

    def held(self, key: str) -> bytes | list[bytes] | None:
        value, expires = self.model.get(key, (b"", 0.0))
        return value if expires > self.clock.now else None

    def put(self, key: str, value: bytes | list[bytes], ttl_s: float | None = None) -> None:
        expires = float("inf") if ttl_s is None else self.clock.now + ttl_s
        self.model[key] = (value, expires)

    @rule(items=st.dictionaries(KEYS, VALUES, max_size=3), ttl_s=TTLS)
    def mset(self, items: dict[str, bytes], ttl_s: float | None) -> None:
        for backend in self.backends:
            self.run(backend.mset(items, ttl_s=ttl_s))
        for key, value in items.items():
            self.put(key, value, ttl_s)

    @rule(keys=st.lists(KEYS, max_size=3, unique=True))
    def delete(self, keys: list[str]) -> None:
        expected = sum(self.held(key) is not None for key in keys)
        for backend in self.backends:
            assert self.run(backend.delete(*keys)) == expected
        for key in keys:
            self.model.pop(key, None)

    @rule(key=KEYS, amount=st.integers(-5, 5))
    def incr(self, key: str, amount: int) -> None:
        held = self.held(key)
        expected: Any = WrongKind
        if held is None:
            expected = amount
            self.put(key, str(expected).encode())
        elif isinstance(held, bytes) and held.lstrip(b"-").isdigit():
            expected = int(held) + amount
            self.model[key] = (str(expected).encode(), self.model[key][1])
        for backend in self.backends:
            assert self.outcome(backend.incr(key, amount)) == expected

    @rule(key=KEYS, expected=st.none() | VALUES, new=st.none() | VALUES, ttl_s=TTLS)
    def compare_and_set(
        self, key: str, expected: bytes | None, new: bytes | None, ttl_s: float | None
    ) -> None:
        held = self.held(key)
        result: Any = WrongKind if isinstance(held, list) else held == expected
        for backend in self.backends:
            assert self.outcome(backend.compare_and_set(key, expected, new, ttl_s=ttl_s)) == result
        if result is True:
            if new is None:
                self.model.pop(key, None)
            else:
                self.put(key, new, ttl_s)

    @rule(key=KEYS, values=st.lists(VALUES, max_size=4), max_items=st.none() | st.integers(1, 4))
    def append(self, key: str, values: list[bytes], max_items: int | None) -> None:
        held = self.held(key)
        result: Any = WrongKind
        if not isinstance(held, bytes):
            items = [*(held or []), *values]
            if max_items is not None and values:
                items = items[-max_items:]
            if held is None and values:
                self.put(key, items)
            elif values:
                self.model[key] = (items, self.model[key][1])
            result = len(items)
        for backend in self.backends:
            assert self.outcome(backend.append(key, values, max_items=max_items)) == result

    @rule(key=KEYS, start=st.integers(-5, 5), stop=st.none() | st.integers(-5, 5))
    def read_list(self, key: str, start: int, stop: int | None) -> None:
        held = self.held(key)
        expected: Any = WrongKind if isinstance(held, bytes) else (held or [])[start:stop]
        for backend in self.backends:
            assert self.outcome(backend.read_list(key, start, stop)) == expected

    @rule(seconds=st.sampled_from([1.0, 10.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def the_file_is_opened_again(self) -> None:
        self.run(self.file.close())
        self.file = FileBackend(self.folder, durability="process", clock=self.clock)

    @invariant()
    def all_hold_the_same(self) -> None:
        live = {key: self.held(key) for key in self.model if self.held(key) is not None}

        async def everything(backend: Backend, prefix: str) -> list[str]:
            return sorted([key async for key in backend.scan(prefix)])

        for backend in self.backends:
            for prefix in ("", "a", "ab"):
                assert self.run(everything(backend, prefix)) == sorted(
                    key for key in live if key.startswith(prefix)
                )
            values = self.run(backend.mget(list(live)))
            assert values == [None if isinstance(value, list) else value for value in live.values()]


TestBackends = BackendMachine.TestCase
TestBackends.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
