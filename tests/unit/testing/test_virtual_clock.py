"""Time that a test owns."""

from __future__ import annotations

import asyncio

from aisys.testing import VirtualClock


async def test_sleepers_wake_in_order_at_their_moment() -> None:
    """Advancing wakes each sleeper at its moment; its next sleep counts from then."""
    clock = VirtualClock(monotonic_s=0.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *pauses: float) -> None:
        for pause_s in pauses:
            await clock.sleep(pause_s)
            woken.append((name, clock.monotonic()))

    tasks = [
        asyncio.ensure_future(sleeper("a", 1.0, 1.0, 1.0)),
        asyncio.ensure_future(sleeper("b", 1.5)),
        asyncio.ensure_future(sleeper("c", 0.0)),
    ]
    await clock.advance(2.5)

    assert woken == [("c", 0.0), ("a", 1.0), ("b", 1.5), ("a", 2.0)]
    assert clock.monotonic() == 2.5
    assert clock.sleeping == 1
    await clock.advance(10)
    await asyncio.gather(*tasks)


def test_the_wall_clock_moves_with_time_and_can_jump() -> None:
    """A jump of the wall clock leaves monotonic time alone."""
    clock = VirtualClock(monotonic_s=5.0, time_s=100.0)
    clock.tick(2.0)
    clock.set_time(50.0)
    clock.tick(1.0)

    assert (clock.monotonic(), clock.time()) == (8.0, 51.0)
