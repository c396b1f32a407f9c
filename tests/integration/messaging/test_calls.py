"""Requests and replies: every call ends, in the way that was promised."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from aisys.errors import DeadlineExceeded, FrameError, Indefinite, Refused, ResultError, Unreachable
from aisys.messaging import Limits, Reply
from aisys.messaging.frames import FrameDecoder, FrameEncoder, Kind
from aisys.messaging.hello import Hello
from support.messaging import FAST, Pair, pair_of, value
from support.waiting import eventually


async def test_a_call_is_answered(pair: Pair) -> None:
    """A reply carries the body that the service gave."""
    reply = await pair.client.call(pair.address, "echo", b"hello", timeout_s=5)

    assert isinstance(reply, Reply)
    assert reply.body == b"hello"
    assert reply.attachments == []


async def test_the_service_sees_the_call(pair: Pair) -> None:
    """Target, priority, trace, flags, deadline and peer arrive with the request."""
    trace = bytes(range(24))
    await pair.client.call(
        pair.address,
        "echo",
        b"x",
        timeout_s=7,
        priority=3,
        trace=trace,
        sampled=True,
        idempotent=True,
    )

    (seen,) = pair.desk.seen
    assert (seen.target, seen.body, seen.priority, seen.trace) == ("echo", b"x", 3, trace)
    assert (seen.sampled, seen.idempotent, seen.streaming) == (True, True, False)
    assert 5 < seen.deadline - time.monotonic() <= 7
    assert (seen.peer.host, seen.peer.machine) == ("close", "near")
    assert (seen.peer.key is not None) == (pair.transport == "tcp")


async def test_calls_of_one_turn_arrive_as_one_batch(pair: Pair) -> None:
    """Fifty calls made in one turn of the loop enter the service together."""
    await pair.client.call(pair.address, "echo", b"", timeout_s=5)
    await asyncio.gather(
        *(pair.client.call(pair.address, "echo", b"%d" % n, timeout_s=5) for n in range(50))
    )

    # The first of them may leave alone, because nothing else is under way at that moment.
    assert sum(pair.desk.batches[1:]) == 50
    assert len(pair.desk.batches[1:]) <= 2


async def test_replies_find_their_calls(pair: Pair) -> None:
    """A thousand calls at once each get their own answer."""
    bodies = [b"%d" % number for number in range(1000)]
    replies = await asyncio.gather(
        *(pair.client.call(pair.address, "echo", body, timeout_s=10) for body in bodies)
    )

    assert [reply.body for reply in replies] == bodies


async def test_attachments_travel_both_ways(pair: Pair) -> None:
    """Buffers arrive byte for byte, as read-only views."""
    buffers: list[bytes | bytearray] = [b"", b"abc", bytearray(range(256)) * 1000]
    reply = await pair.client.call(pair.address, "echo", b"{}", timeout_s=5, attachments=buffers)

    assert [bytes(view) for view in reply.attachments] == [bytes(buffer) for buffer in buffers]
    assert all(view.readonly for view in reply.attachments)


async def test_an_error_arrives_as_the_same_class(pair: Pair) -> None:
    """A LookupError of the handler is a LookupError of the caller, with the remote traceback as a note."""
    with pytest.raises(LookupError, match="nothing there") as caught:
        await pair.client.call(pair.address, "fail", b"nothing there", timeout_s=5)

    (note,) = caught.value.__notes__
    assert note.startswith("on far:")
    assert "in _answer" in note


async def test_a_service_that_raises_fails_the_call_only(pair: Pair) -> None:
    """A bug in the service ends its request; the link and the process live."""
    with pytest.raises(RuntimeError, match="a bug in the service"):
        await pair.client.call(pair.address, "raise", b"", timeout_s=5)

    assert (await pair.client.call(pair.address, "echo", b"still", timeout_s=5)).body == b"still"
    assert value(pair.server_metrics, "aisys_messaging_handler_errors_total") == 1


async def test_the_deadline_ends_a_call(pair: Pair) -> None:
    """A call without an answer ends at its deadline, names it, and is cancelled on the other side."""
    await pair.client.call(pair.address, "echo", b"", timeout_s=5)
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"never on far did not answer in 0\.1 s") as caught:
        await pair.client.call(pair.address, "never", b"", timeout_s=0.1)

    assert 0.1 <= time.monotonic() - begin < 0.3
    assert caught.value.timeout_s == 0.1
    await eventually(lambda: pair.desk.cancelled)


async def test_a_reply_after_the_deadline_is_dropped(pair: Pair) -> None:
    """A late answer reaches nobody and is counted."""
    with pytest.raises(DeadlineExceeded):
        await pair.client.call(pair.address, "never", b"", timeout_s=0.05)
    await eventually(lambda: pair.desk.cancelled)
    pair.desk.seen[0].reply(b"late")

    assert value(pair.server_metrics, "aisys_late_replies_total") == 1


async def test_cancelling_the_future_cancels_the_request(pair: Pair) -> None:
    """The service hears of it, and its answer goes nowhere."""
    call = pair.client.call(pair.address, "never", b"", timeout_s=5)
    await eventually(lambda: pair.desk.seen)
    call.cancel()

    await eventually(lambda: pair.desk.cancelled)
    assert pair.desk.cancelled[0].cancelled
    assert pair.client.links()[0].open_calls == 0


async def test_cancelling_the_awaiting_task_cancels_the_request(pair: Pair) -> None:
    """A time-out around a call reaches the other side."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await pair.client.call(pair.address, "never", b"", timeout_s=5)

    await eventually(lambda: pair.desk.cancelled)


async def test_a_second_answer_is_dropped(pair: Pair) -> None:
    """A service that answers twice is heard once."""
    reply = await pair.client.call(pair.address, "twice", b"", timeout_s=5)

    assert reply.body == b"first"
    assert value(pair.server_metrics, "aisys_late_replies_total") == 1


async def test_a_request_that_is_too_large_is_refused_here(transport: str, folder: Path) -> None:
    """Nothing is sent, and the reason is `too_large`; a large one within the limit passes."""
    limits = Limits(max_frame_bytes=1_000_000)
    async with pair_of(transport, folder, limits=limits) as pair:
        with pytest.raises(Refused) as caught:
            await pair.client.call(pair.address, "echo", bytes(1_000_000), timeout_s=5)
        with pytest.raises(Refused) as attached:
            await pair.client.call(
                pair.address, "echo", b"", timeout_s=5, attachments=[bytes(1_000_000)]
            )
        reply = await pair.client.call(pair.address, "echo", bytes(900_000), timeout_s=5)

        assert (caught.value.reason, attached.value.reason) == ("too_large", "too_large")
        assert len(reply.body) == 900_000
        assert len(pair.desk.seen) == 1


async def test_the_smaller_limit_of_both_sides_counts(transport: str, folder: Path) -> None:
    """What the other side would not take is refused before it is sent."""
    small = Limits(max_frame_bytes=100_000)
    async with pair_of(transport, folder, server_limits=small) as pair:
        # Once before the other side has named its limit, once after.
        for _ in range(2):
            with pytest.raises(Refused, match="at most"):
                await pair.client.call(pair.address, "echo", bytes(200_000), timeout_s=5)
        assert (await pair.client.call(pair.address, "echo", b"x", timeout_s=5)).body == b"x"


async def test_a_result_that_is_too_large_fails_the_call(transport: str, folder: Path) -> None:
    """The caller learns the size, and the link stays."""
    async with pair_of(transport, folder, limits=Limits(max_frame_bytes=100_000)) as pair:
        with pytest.raises(ResultError, match="200000 bytes"):
            await pair.client.call(pair.address, "big", b"200000", timeout_s=5)

        assert (
            len((await pair.client.call(pair.address, "big", b"90000", timeout_s=5)).body) == 90_000
        )


async def test_a_name_that_no_frame_can_carry_is_refused(pair: Pair) -> None:
    """A target of 600 characters ends in `Refused`, also after the link is up."""
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await pair.client.call(pair.address, "x" * 600, b"", timeout_s=5)
        assert caught.value.reason == "bad_frame"


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 1e9, float("nan")])
async def test_an_impossible_timeout_is_refused(pair: Pair, timeout_s: float) -> None:
    """There is no call without a deadline, and none that ended before it began."""
    with pytest.raises(Refused) as caught:
        await pair.client.call(pair.address, "echo", b"", timeout_s=timeout_s)

    assert caught.value.reason == "expired"


async def test_a_call_to_nobody_is_unreachable(transport: str, folder: Path) -> None:
    """Without a server the call waits for one until its deadline, then says that nothing was sent."""
    async with pair_of(transport, folder) as pair:
        await pair.server.close(grace_s=0)
        begin = time.monotonic()
        with pytest.raises(Unreachable, match="no connection to far"):
            await pair.client.call(pair.address, "echo", b"", timeout_s=0.3)

        assert time.monotonic() - begin >= 0.3


async def test_a_call_waits_for_the_connection(transport: str, folder: Path) -> None:
    """A call made before the server is up is answered once it is."""
    async with pair_of(transport, folder) as pair:
        await pair.server.close(grace_s=0)
        call = pair.client.call(pair.address, "echo", b"early", timeout_s=5)
        await eventually(lambda: pair.client.links()[0].last_error)
        await pair.restart_server()

        assert (await call).body == b"early"


async def test_losing_the_link_makes_open_calls_indefinite(pair: Pair) -> None:
    """The caller learns at once that nobody can know."""
    call = pair.client.call(pair.address, "never", b"", timeout_s=30)
    await eventually(lambda: pair.desk.seen)
    begin = time.monotonic()
    await pair.server.close(grace_s=0)

    with pytest.raises(Indefinite, match="lost before the answer came"):
        await call
    assert time.monotonic() - begin < 2


async def test_the_link_comes_back_after_a_restart(pair: Pair) -> None:
    """After the server was replaced, the next call is answered by the new one."""
    await pair.client.call(pair.address, "echo", b"", timeout_s=5)
    await pair.server.close(grace_s=0)
    await eventually(lambda: pair.client.links()[0].state != "ready")
    await pair.restart_server()

    assert (await pair.client.call(pair.address, "echo", b"again", timeout_s=5)).body == b"again"
    assert len(pair.desk.seen) == 1


async def test_closing_lets_open_requests_finish(pair: Pair) -> None:
    """A request that is being executed is answered within the grace; a new one is refused."""
    call = pair.client.call(pair.address, "never", b"", timeout_s=5)
    await eventually(lambda: pair.desk.seen)
    closing = asyncio.ensure_future(pair.server.close(grace_s=5))
    await asyncio.sleep(0)
    late = pair.client.call(pair.address, "echo", b"", timeout_s=5)
    with pytest.raises(Refused) as caught:
        await late
    pair.desk.seen[0].reply(b"done")

    assert (await call).body == b"done"
    assert caught.value.reason == "shutting_down"
    await closing


async def test_nothing_is_sent_after_close(pair: Pair) -> None:
    """A call on a closed endpoint is refused."""
    await pair.client.close()
    with pytest.raises(Refused) as caught:
        await pair.client.call(pair.address, "echo", b"", timeout_s=5)

    assert caught.value.reason == "shutting_down"


async def test_a_moved_host_is_found(pair: Pair, folder: Path, transport: str) -> None:
    """A new address for the same host ends the old connection and makes a new one."""
    await pair.client.call(pair.address, "echo", b"", timeout_s=5)
    other_folder = folder / "other"
    other_folder.mkdir(mode=0o700)
    if transport == "tcp":
        # The same keys: only the address is new.
        (folder / "keys").rename(other_folder / "keys")
    async with pair_of(transport, other_folder) as other:
        reply = await pair.client.call(other.address, "echo", b"moved", timeout_s=5)

        assert reply.body == b"moved"
        assert len(other.desk.seen) == 1


async def test_another_host_at_the_address_is_noticed(pair: Pair) -> None:
    """A call for one host that reaches another is not delivered, and the error names both."""
    wrong = type(pair.address)(
        "elsewhere", pair.address.machine, unix_path=pair.address.unix_path, tcp=pair.address.tcp
    )
    with pytest.raises(Unreachable, match=r"elsewhere on .* was called, far on .* answered"):
        await pair.client.call(wrong, "echo", b"", timeout_s=5)

    assert pair.desk.seen == []


async def test_too_many_open_calls_are_refused(transport: str, folder: Path) -> None:
    """Above the bound calls end at once with `overloaded`, the others go on."""
    limits = Limits(max_open_calls=10)
    async with pair_of(transport, folder, limits=limits) as pair:
        calls = [pair.client.call(pair.address, "never", b"", timeout_s=5) for _ in range(10)]
        with pytest.raises(Refused) as caught:
            await pair.client.call(pair.address, "echo", b"", timeout_s=5)

        assert caught.value.reason == "overloaded"
        assert not any(call.done() for call in calls)
        for call in calls:
            call.cancel()


async def test_a_server_refuses_a_peer_with_too_many_requests(transport: str, folder: Path) -> None:
    """The server's own bound holds, whatever the client does."""
    server_limits = Limits(max_open_requests=5)
    async with pair_of(transport, folder, server_limits=server_limits) as pair:
        calls = [pair.client.call(pair.address, "never", b"", timeout_s=5) for _ in range(8)]
        await eventually(lambda: sum(call.done() for call in calls) == 3)

        refused = [call for call in calls if call.done()]
        assert {getattr(call.exception(), "reason", "") for call in refused} == {"overloaded"}
        for call in calls:
            call.cancel()


async def test_links_are_shown(pair: Pair) -> None:
    """Both sides show who is at the other end and over what."""
    await pair.client.call(pair.address, "echo", b"", timeout_s=5)

    (dialled,), (accepted,) = pair.client.links(), pair.server.links()
    assert (dialled.host, dialled.state, dialled.dialled) == ("far", "ready", True)
    assert (accepted.host, accepted.machine, accepted.dialled) == ("close", "near", False)
    assert dialled.transport == accepted.transport == pair.transport
    assert pair.limits == FAST


async def test_a_reply_that_no_frame_can_carry_fails_the_call(pair: Pair) -> None:
    """Five thousand attachments are more than the format has room for: the caller hears of it at once."""
    call = pair.client.call(pair.address, "never", b"", timeout_s=10)
    await eventually(lambda: pair.desk.seen)
    pair.desk.seen[0].reply(b"", [b"x"] * 5000)

    with pytest.raises(FrameError):
        await call
    assert (await pair.client.call(pair.address, "echo", b"next", timeout_s=5)).body == b"next"


async def test_a_slow_greeting_is_not_confused_by_heartbeats(folder: Path) -> None:
    """A server says nothing before it has been greeted, however many heartbeats have passed."""
    async with pair_of("unix", folder, limits=Limits(heartbeat_s=0.1, heartbeat_misses=30)) as pair:
        reader, writer = await asyncio.open_unix_connection(str(pair.path))
        await eventually(lambda: pair.server._beats >= 4)
        encoder = FrameEncoder()
        encoder.add(Kind.HELLO, 0, None, Hello("slow", "near", "1", 1_000_000).encode())
        writer.write(encoder.take())
        decoder = FrameDecoder()
        frames = []
        while not frames:
            frames = decoder.feed(await reader.read(65_536))

        assert frames[0].kind == Kind.HELLO
        writer.close()
