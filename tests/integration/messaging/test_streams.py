"""Streamed replies: order, credit, errors, cancellation."""

from __future__ import annotations

import asyncio

import pytest

from aisys.errors import CallError, DeadlineExceeded, Indefinite
from aisys.messaging import StreamClosed
from support.messaging import Pair
from support.waiting import eventually

WINDOW = 32


async def test_items_arrive_in_order(pair: Pair) -> None:
    """A thousand items come out as they went in, then the stream ends."""
    stream = pair.client.stream(pair.address, "count", b"1000", timeout_s=10)
    items = [int(item.body) async for item in stream]

    assert items == list(range(1000))
    assert pair.client.links()[0].open_calls == 0
    assert pair.server.links()[0].open_calls == 0


async def test_an_empty_stream_ends(pair: Pair) -> None:
    """No items, no error."""
    assert [
        item async for item in pair.client.stream(pair.address, "count", b"0", timeout_s=5)
    ] == []


async def test_a_stalled_consumer_stops_the_producer(pair: Pair) -> None:
    """The producer is never more than one window ahead."""
    stream = pair.client.stream(pair.address, "count", b"1000", timeout_s=10)
    first = await anext(stream)
    await eventually(lambda: pair.desk.sent_items >= WINDOW)
    # Turns of both loops in which an unbounded producer would go on.
    for _ in range(200):
        await asyncio.sleep(0)

    assert first.body == b"0"
    assert pair.desk.sent_items <= WINDOW + 1
    await stream.aclose()


async def test_closing_the_stream_stops_the_producer(pair: Pair) -> None:
    """The service hears of it, and `send_item` raises in the handler."""
    async with pair.client.stream(pair.address, "count", b"1000", timeout_s=10) as stream:
        await anext(stream)

    await eventually(lambda: pair.desk.cancelled)
    await eventually(lambda: isinstance(pair.desk.stopped_because, StreamClosed))
    assert [item async for item in stream] == []


async def test_an_error_comes_after_the_items(pair: Pair) -> None:
    """What was produced before the failure is delivered first."""
    stream = pair.client.stream(pair.address, "break", b"5", timeout_s=5)
    items: list[int] = []
    with pytest.raises(ValueError, match="in the middle"):
        async for item in stream:
            items += [int(item.body)]

    assert items == [0, 1, 2, 3, 4]


async def test_the_deadline_ends_a_stream(pair: Pair) -> None:
    """A stream has one deadline, for all of it."""
    stream = pair.client.stream(pair.address, "never", b"", timeout_s=0.1)
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)

    await eventually(lambda: pair.desk.cancelled)


async def test_losing_the_link_ends_a_stream(pair: Pair) -> None:
    """The consumer gets what came, then `Indefinite`; the producer is told."""
    stream = pair.client.stream(pair.address, "count", b"1000", timeout_s=10)
    await anext(stream)
    desk = pair.desk
    await pair.server.close(grace_s=0)

    with pytest.raises(Indefinite):
        async for _ in stream:
            pass
    await eventually(lambda: isinstance(desk.stopped_because, StreamClosed))


async def test_a_plain_reply_to_a_stream_is_its_only_item(pair: Pair) -> None:
    """A service that does not stream still answers."""
    stream = pair.client.stream(pair.address, "echo", b"one", timeout_s=5)

    assert [item.body async for item in stream] == [b"one"]


async def test_a_stream_in_answer_to_a_call_is_an_error(pair: Pair) -> None:
    """A caller who did not ask for items is told what to use."""
    with pytest.raises(CallError, match="iterate over stream"):
        await pair.client.call(pair.address, "count", b"1000", timeout_s=5)

    await eventually(lambda: pair.desk.cancelled)


async def test_a_stream_has_one_consumer(pair: Pair) -> None:
    """Two tasks that wait for the same stream are a mistake that is named."""
    stream = pair.client.stream(pair.address, "never", b"", timeout_s=5)
    waiting = asyncio.ensure_future(anext(stream))
    await eventually(lambda: pair.desk.seen)
    with pytest.raises(RuntimeError, match="one consumer"):
        await anext(stream)

    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_many_streams_share_a_link(pair: Pair) -> None:
    """Fifty streams at once do not mix."""

    async def collect(count: int) -> int:
        stream = pair.client.stream(pair.address, "count", b"%d" % count, timeout_s=10)
        items = [int(item.body) async for item in stream]
        assert items == list(range(count))
        return len(items)

    assert await asyncio.gather(*(collect(count) for count in range(50))) == list(range(50))
