"""Publish and subscribe: interest is confirmed, loss is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aisys.messaging import Endpoint, Event, Gap
from aisys.metrics import Registry
from support.messaging import FAST, Desk, Pair, pair_of, value
from support.waiting import eventually


async def test_a_confirmed_subscription_misses_nothing(pair: Pair) -> None:
    """What is published after `subscribe` has returned arrives, in order and once."""
    pair.client.set_peers([pair.address])
    got: list[Event] = []
    await pair.client.subscribe("speech.final", got.append)
    for number in range(500):
        assert pair.server.publish("speech.final", b"%d" % number) == 1

    await eventually(lambda: len(got) >= 500)
    assert [int(event.body) for event in got] == list(range(500))
    assert [event.seq for event in got] == list(range(1, 501))
    assert {(event.topic, event.publisher) for event in got} == {("speech.final", "far")}


async def test_only_what_is_wanted_travels(pair: Pair) -> None:
    """A topic that no pattern fits leaves on no link."""
    pair.client.set_peers([pair.address])
    got: list[Event] = []
    await pair.client.subscribe("a.*", got.append)
    await pair.client.subscribe("b.**", got.append)

    counts = {
        topic: pair.server.publish(topic, b"") for topic in ("a", "a.x", "a.x.y", "b", "b.x.y", "c")
    }
    assert counts == {"a": 0, "a.x": 1, "a.x.y": 0, "b": 1, "b.x.y": 1, "c": 0}
    await eventually(lambda: len(got) == 3)


async def test_one_copy_a_link(pair: Pair) -> None:
    """However many subscriptions fit, an event crosses the link once and reaches each of them."""
    pair.client.set_peers([pair.address])
    got: list[tuple[int, Event]] = []
    for number in range(3):
        await pair.client.subscribe("x.y", lambda event, number=number: got.append((number, event)))
    await pair.client.subscribe("x.*", lambda event: got.append((3, event)))

    assert pair.server.publish("x.y", b"once") == 1
    await eventually(lambda: len(got) == 4)
    assert {number for number, _ in got} == {0, 1, 2, 3}
    assert len({id(event) for _, event in got}) == 1


async def test_attachments_of_events(pair: Pair) -> None:
    """Buffers arrive with the event."""
    pair.client.set_peers([pair.address])
    got: list[Event] = []
    await pair.client.subscribe("image", got.append)
    pair.server.publish("image", b"{}", [b"pixels", bytearray(1000)])

    await eventually(lambda: got)
    assert [bytes(view) for view in got[0].attachments] == [b"pixels", bytes(1000)]


async def test_local_subscribers_get_local_events(pair: Pair) -> None:
    """A process hears itself without a link."""
    got: list[Event] = []
    await pair.server.subscribe("here", got.append)

    assert pair.server.publish("here", b"me", [b"view"]) == 1
    assert got == []
    await eventually(lambda: got)
    assert (got[0].body, got[0].publisher, bytes(got[0].attachments[0])) == (b"me", "far", b"view")


async def test_a_closed_subscription_gets_nothing(pair: Pair) -> None:
    """Interest is taken back with the last subscription of a pattern."""
    pair.client.set_peers([pair.address])
    got: list[Event] = []
    first = await pair.client.subscribe("x", got.append)
    second = await pair.client.subscribe("x", got.append)
    await first.aclose()
    assert pair.server.publish("x", b"") == 1
    await eventually(lambda: len(got) == 1)
    await second.aclose()

    await eventually(lambda: pair.server.publish("x", b"") == 0)
    assert len(got) == 1


@pytest.mark.parametrize("pattern", ["", "a..b", "a.b*", ".a", "a.", "a b", "x" * 256, "***"])
async def test_malformed_patterns_are_refused(pair: Pair, pattern: str) -> None:
    """The mistake is named where it is made."""
    with pytest.raises(ValueError, match=r"pattern|wildcard"):
        await pair.client.subscribe(pattern, lambda _: None)


@pytest.mark.parametrize("topic", ["", "a.*", "**", "a..b", "a b"])
async def test_malformed_topics_are_refused(pair: Pair, topic: str) -> None:
    """A wildcard cannot be published to."""
    with pytest.raises(ValueError, match="topic"):
        pair.server.publish(topic, b"")


async def test_an_event_that_is_too_large_is_refused(pair: Pair) -> None:
    """It is the publisher's mistake, not a loss of the subscriber."""
    with pytest.raises(ValueError, match="an event of"):
        pair.server.publish("x", bytes(17 * 1024 * 1024))


async def test_a_slow_handler_loses_the_oldest_and_hears_of_it(
    transport: str, folder: Path
) -> None:
    """Delivered and reported events add up to the published ones, and calls go on meanwhile."""
    async with pair_of(transport, folder) as pair:
        slow = pair.endpoint("slow", subscription_events=10)
        slow.set_peers([pair.address])
        gate = asyncio.Event()
        got: list[Event] = []
        gaps: list[Gap] = []

        async def handler(event: Event) -> None:
            got.append(event)
            await gate.wait()

        subscription = await slow.subscribe("x", handler, on_gap=gaps.append)
        for number in range(100):
            pair.server.publish("x", b"%d" % number)
        await eventually(lambda: subscription.dropped + len(subscription) + len(got) == 100)
        reply = await slow.call(pair.address, "echo", b"meanwhile", timeout_s=5)
        gate.set()
        await eventually(lambda: not len(subscription))

        assert reply.body == b"meanwhile"
        assert sum(gap.count for gap in gaps) == subscription.dropped >= 89
        assert len(got) + subscription.dropped == 100
        assert [int(event.body) for event in got][-10:] == list(range(90, 100))


async def test_a_handler_that_raises_gets_the_next_event(pair: Pair) -> None:
    """A bug in a handler costs that one event and is counted, whether it is asynchronous or not."""
    pair.client.set_peers([pair.address])
    got: list[bytes] = []

    def handler(event: Event) -> None:
        if event.body == b"bad":
            raise RuntimeError("a bug")
        got.append(event.body)

    async def later(event: Event) -> None:
        handler(event)

    await pair.client.subscribe("x", handler)
    await pair.client.subscribe("x", later)
    for body in (b"bad", b"good"):
        pair.server.publish("x", body)

    await eventually(lambda: got == [b"good", b"good"])
    assert value(pair.client_metrics, "aisys_messaging_handler_errors_total") == 2


async def test_events_missed_during_a_reconnect_are_a_gap(pair: Pair) -> None:
    """The publisher counts on while the link is down; the subscriber learns the number on return."""
    pair.client.set_peers([pair.address])
    got: list[Event] = []
    gaps: list[Gap] = []
    await pair.client.subscribe("x", got.append, on_gap=gaps.append)
    pair.server.publish("x", b"before")
    await eventually(lambda: got)

    # The connection breaks under both of them.
    for link in list(pair.server._accepted):
        link.fail(ConnectionResetError("cut"), "cut")
    lost = 0
    while pair.server.publish("x", b"lost") == 0:
        lost += 1
        if lost >= 7:
            break
    assert lost == 7
    await eventually(lambda: gaps)
    await eventually(lambda: pair.server.publish("x", b"after") == 1)
    await eventually(lambda: got[-1].body == b"after")

    assert gaps[0].first == 2
    assert sum(gap.count for gap in gaps) + len(got) == got[-1].seq
    assert lost <= sum(gap.count for gap in gaps)


async def test_a_restarted_publisher_is_reported(pair: Pair) -> None:
    """A new run counts anew: the subscriber hears of the restart, and of nothing twice."""
    pair.client.set_peers([pair.address])
    got: list[Event] = []
    gaps: list[Gap] = []
    await pair.client.subscribe("x", got.append, on_gap=gaps.append)
    pair.server.publish("x", b"old")
    await eventually(lambda: got)
    await pair.restart_server()

    await eventually(lambda: gaps)
    assert gaps == [Gap("far", 1, 0, restarted=True)]
    assert pair.server.publish("x", b"new") == 1
    await eventually(lambda: [event.body for event in got] == [b"old", b"new"])


async def test_a_peer_that_comes_later_is_asked_then(pair: Pair, folder: Path) -> None:
    """Interest reaches a publisher whenever it appears."""
    got: list[Event] = []
    await pair.client.subscribe("x", got.append)
    await pair.server.close(grace_s=0)
    pair.client.set_peers([pair.address])
    await eventually(lambda: pair.client.links()[0].last_error)
    await pair.restart_server()

    await eventually(lambda: pair.server.publish("x", b"") == 1)
    await eventually(lambda: got)


async def test_a_removed_peer_sends_nothing(pair: Pair) -> None:
    """`set_peers` without a host takes the interest back."""
    pair.client.set_peers([pair.address])
    await pair.client.subscribe("x", lambda _: None)
    assert pair.server.publish("x", b"") == 1
    pair.client.set_peers([])

    await eventually(lambda: pair.server.publish("x", b"") == 0)


async def test_many_subscribers_each_get_everything(transport: str, folder: Path) -> None:
    """Ten processes with one subscription each see the same sequence."""
    async with pair_of(transport, folder) as pair:
        logs: list[list[int]] = [[] for _ in range(10)]
        for number, seen in enumerate(logs):
            endpoint = pair.endpoint(f"s{number}")
            endpoint.set_peers([pair.address])
            await endpoint.subscribe("n", lambda event, seen=seen: seen.append(int(event.body)))
        counts = {pair.server.publish("n", b"%d" % number) for number in range(50)}

        assert counts == {10}
        await eventually(lambda: all(len(seen) == 50 for seen in logs))
        assert all(seen == list(range(50)) for seen in logs)


async def test_topics_without_end_pass(pair: Pair) -> None:
    """Ten thousand different topics cost no state that grows without bound."""
    pair.client.set_peers([pair.address])
    got: list[str] = []
    await pair.client.subscribe("t.*", lambda event: got.append(event.topic))
    for start in range(0, 10_000, 500):
        numbers = range(start, start + 500)
        for number in numbers:
            pair.server.publish(f"t.{number}", b"")
        await eventually(lambda end=numbers.stop: len(got) == end)

    assert len(pair.server._publisher._routes) <= 4096


async def test_a_process_does_not_dial_itself(pair: Pair) -> None:
    """Its own address among the peers is left out."""
    pair.server.set_peers([pair.address])

    assert [link for link in pair.server.links() if link.dialled] == []


async def test_subscribing_without_peers_returns_at_once() -> None:
    """Nobody to confirm is no reason to wait."""
    endpoint = Endpoint(host="a", machine="m", service=Desk(), limits=FAST, metrics=Registry())
    subscription = await endpoint.subscribe("x", lambda _: None)

    assert len(subscription) == 0
    await endpoint.close()
