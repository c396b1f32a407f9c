"""Requests over a unix socket through the Dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from aisys import Agent, AgentError, Refused, errors, method, tracing
from aisys.agent import Caller, CallOptions, Proxy
from aisys.agent.spec import AgentSpec
from support.waiting import eventually


class Note(BaseModel):
    title: str
    stars: int = 1


class TeaOutError(AgentError):
    code = "tea_out"
    fields = ("cups",)

    def __init__(self, message: str, cups: int) -> None:
        super().__init__(message)
        self.cups = cups


class Server(Agent):
    def __init__(self) -> None:
        self.started: list[Any] = []
        self.cancelled: list[str] = []
        self.gate = asyncio.Event()

    @method
    async def add(self, a: int, b: int = 1) -> int:
        return a + b

    @method
    async def echo(self, note: Note) -> Note:
        return note

    @method
    async def scale(self, data: np.ndarray, raw: bytes) -> dict[str, Any]:
        return {"data": data * 2, "raw": raw}

    @method
    async def wait(self, tag: str = "") -> str:
        self.started.append(tag)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(tag)
            raise
        return tag

    @method
    async def fail(self) -> None:
        raise ValueError("no luck")

    @method
    async def no_tea(self) -> None:
        raise TeaOutError("the pot is empty", 3)

    @method
    async def wrong(self) -> int:
        return "many"  # type: ignore[return-value]

    @method
    async def count(self, upto: int) -> AsyncIterator[int]:
        try:
            for number in range(upto):
                yield number
        finally:
            self.started.append("stream closed")

    @method
    async def chain(self) -> float:
        """How much of the caller's time is left for a call made here."""
        return await self.call("Server.left")

    @method
    async def left(self) -> float:
        from aisys.agent.scope import remaining_s

        return remaining_s(self.clock.monotonic())

    @method
    async def cancel_self(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    @method
    async def limited(self) -> str:
        try:
            async with asyncio.timeout(0.001):
                await self.gate.wait()
        except TimeoutError:
            return "timed out"
        return "no"


def proxy(caller: Caller) -> Any:
    return Proxy(caller, "Server", AgentSpec.of(Server))


async def test_calls_travel_and_come_back(pair: Any) -> None:
    """Arguments and results of plain, model and binary types cross a socket."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller)
        assert await server.add(2, b=5) == 7
        assert await server.add(2) == 3
        assert await server.echo(Note(title="x")) == Note(title="x")
        assert await server.echo({"title": "y", "stars": 2}) == Note(title="y", stars=2)
        result = await server.scale(data=np.arange(3.0), raw=b"\x00\xff")
        assert result["data"].tolist() == [0.0, 2.0, 4.0]
        assert result["raw"] == b"\x00\xff"
        assert b'aisys_calls_total{agent="Server",method="add",outcome="ok"} 2' in (
            hosts.metrics.render()
        )


async def test_calls_without_the_class_are_checked_at_the_callee(pair: Any) -> None:
    """A string call with a wrong argument comes back as ArgumentError from the other side."""
    async with pair(Server) as hosts:
        with pytest.raises(errors.ArgumentError) as caught:
            await hosts.client.call(hosts.address, "Server.add", b'{"a":"x","c":1}', timeout_s=5.0)
        assert "Server.add: a: Input should be a valid integer" in str(caught.value)
        assert "c: unknown argument" in str(caught.value)
        assert caught.value.problems[0].startswith("a: ")


async def test_exceptions_come_back_as_what_they_were(pair: Any) -> None:
    """Errors arrive as the same class; accidents are reported, purposes are not."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller)
        with pytest.raises(ValueError, match="no luck"):
            await server.fail()
        with pytest.raises(TeaOutError) as caught:
            await server.no_tea()
        assert caught.value.cups == 3
        with pytest.raises(errors.ResultError, match=r"Server\.wrong: result: Input should be"):
            await server.wrong()
        assert [report.method for report in hosts.errors.reports] == ["Server.fail", "Server.wrong"]


async def test_streams_flow_and_can_be_left(pair: Any) -> None:
    """A streamed reply arrives in order; leaving it closes the generator on the other side."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller)
        assert [number async for number in server.count(100)] == list(range(100))
        stream = server.count(1_000_000)
        assert await anext(stream) == 0
        await stream.aclose()
        await eventually(lambda: hosts.agent("Server").started.count("stream closed") == 2)
        with pytest.raises(Refused, match="streamed"):
            await hosts.caller.call("Server", "count", {"upto": 1})


async def test_many_suspended_handlers_do_not_hold_up_others(pair: Any) -> None:
    """While handlers wait, another worker serves what comes."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller)
        waits = [asyncio.ensure_future(server.wait(str(number))) for number in range(50)]
        assert await server.add(1) == 2
        await eventually(lambda: hosts.dispatcher.running == 50)
        hosts.agent("Server").gate.set()
        assert await asyncio.gather(*waits) == [str(number) for number in range(50)]
        assert hosts.dispatcher.running == 0


async def test_a_deadline_ends_the_handler(pair: Any) -> None:
    """When the time is over the caller gets DeadlineExceeded and the handler is cancelled."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller).with_options(timeout_s=0.05)
        with pytest.raises(errors.DeadlineExceeded):
            await server.wait("late")
        await eventually(lambda: hosts.agent("Server").cancelled == ["late"])
        await eventually(lambda: hosts.dispatcher.running == 0)
        assert await server.add(1) == 2


async def test_a_deadline_is_inherited_by_further_calls(pair: Any) -> None:
    """A call made by a handler has what is left of the handler's own time."""
    async with pair(Server) as hosts:
        left_s = await proxy(hosts.caller).with_options(timeout_s=2.0).chain()
        assert 1.0 < left_s <= 2.0


async def test_cancelling_the_caller_cancels_the_handler(pair: Any) -> None:
    """The handler of a call that nobody waits for any more is cancelled."""
    async with pair(Server) as hosts:
        call = asyncio.ensure_future(proxy(hosts.caller).wait("given up"))
        await eventually(lambda: hosts.agent("Server").started == ["given up"])
        call.cancel()
        await eventually(lambda: hosts.agent("Server").cancelled == ["given up"])
        await eventually(lambda: hosts.dispatcher.running == 0)


async def test_a_handler_that_cancels_its_task_harms_no_other(pair: Any) -> None:
    """A stray cancellation of a worker is not delivered to the next handler."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller)
        results = await asyncio.gather(
            *(
                server.cancel_self() if number % 3 == 0 else server.add(number)
                for number in range(30)
            ),
            return_exceptions=True,
        )
        assert [result for number, result in enumerate(results) if number % 3] == [
            number + 1 for number in range(30) if number % 3
        ]
        assert await server.limited() == "timed out"


async def test_overload_is_refused_at_once_and_pings_are_not(pair: Any) -> None:
    """Beyond the bounds a call is refused; ping and health still answer."""
    async with pair(Server, max_running=4, max_waiting=10) as hosts:
        server = proxy(hosts.caller)
        calls = [asyncio.ensure_future(server.wait(str(number))) for number in range(30)]
        await eventually(lambda: sum(call.done() for call in calls) >= 16)
        refused = [call for call in calls if call.done()]
        assert {call.exception().reason for call in refused} == {"overloaded"}  # type: ignore[union-attr]
        assert (await server.ping())["agent"] == "Server"
        assert (await server.health())["healthy"]
        hosts.agent("Server").gate.set()
        await asyncio.gather(*calls, return_exceptions=True)
        assert await server.add(1) == 2


async def test_the_most_urgent_request_is_served_first(pair: Any) -> None:
    """With one worker, waiting requests are served by priority, then by age."""
    async with pair(Server, max_running=1) as hosts:
        server = proxy(hosts.caller)
        first = asyncio.ensure_future(server.wait("first"))
        await eventually(lambda: hosts.dispatcher.running == 1)
        calls = [
            asyncio.ensure_future(
                hosts.caller.call(
                    "Server", "wait", {"tag": tag}, options=CallOptions(priority=priority)
                )
            )
            for tag, priority in (("low", 200), ("mid", 100), ("high", 5), ("mid2", 100))
        ]
        await eventually(lambda: hosts.dispatcher.waiting == 4)
        hosts.agent("Server").gate.set()
        await asyncio.gather(first, *calls)
        assert hosts.agent("Server").started == ["first", "high", "mid", "mid2", "low"]


async def test_unknown_targets_are_refused(pair: Any) -> None:
    """An agent or method that is not there is refused with a suggestion."""
    async with pair(Server) as hosts:
        with pytest.raises(Refused, match=r"did you mean 'add'") as caught:
            await hosts.caller.call("Server", "ad", {})
        assert caught.value.reason == "unknown_method"
        with pytest.raises(AttributeError, match="did you mean 'echo'"):
            proxy(hosts.caller).ecoh()


async def test_draining_refuses_new_and_finishes_running(pair: Any) -> None:
    """After drain began, new calls are refused and running ones end normally."""
    async with pair(Server) as hosts:
        server = proxy(hosts.caller)
        running = asyncio.ensure_future(server.wait("running"))
        await eventually(lambda: hosts.dispatcher.running == 1)
        drained = asyncio.ensure_future(hosts.dispatcher.drain(5.0))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as caught:
            await server.add(1)
        assert caught.value.reason == "shutting_down"
        hosts.agent("Server").gate.set()
        assert await running == "running"
        assert await drained


async def test_a_sampled_call_leaves_a_span(pair: Any) -> None:
    """The span of a served call carries the caller's trace, its agent and its duration."""
    async with pair(Server) as hosts:
        trace = tracing.new_trace(sampled=True)
        token = tracing.use(trace)
        try:
            await proxy(hosts.caller).add(1)
            with pytest.raises(ValueError, match="no luck"):
                await proxy(hosts.caller).fail()
        finally:
            tracing.reset(token)
        spans = hosts.spans.find(trace.trace_id)
        assert [(span.name, span.outcome) for span in spans] == [
            ("Server.add", "ok"),
            ("Server.fail", "error"),
        ]
        assert spans[0].parent_id == trace.span_id
        assert spans[0].agent == "Server"


async def test_what_expires_or_is_given_up_while_waiting_never_starts(pair: Any) -> None:
    """A request past its deadline, or whose caller has gone, does not reach its handler."""
    async with pair(Server, max_running=1) as hosts:
        server = proxy(hosts.caller)
        first = asyncio.ensure_future(server.wait("first"))
        await eventually(lambda: hosts.dispatcher.running == 1)
        late = asyncio.ensure_future(server.with_options(timeout_s=0.03).wait("late"))
        given_up = asyncio.ensure_future(server.wait("given up"))
        await eventually(lambda: hosts.dispatcher.waiting == 2)
        given_up.cancel()
        with pytest.raises(errors.CallError):
            await late
        hosts.agent("Server").gate.set()
        assert await first == "first"
        assert await server.wait("after") == "after"
        assert hosts.agent("Server").started == ["first", "after"]


async def test_a_busy_loop_of_quick_handlers_gives_others_their_turn(pair: Any) -> None:
    """Handlers that never suspend do not keep the loop for more than a slice at a time."""

    class Burner(Agent):
        @method
        async def burn(self) -> None:
            began = self.clock.monotonic()
            while self.clock.monotonic() - began < 0.002:
                pass

    async with pair(Burner) as hosts:
        longest = 0.0
        done = asyncio.gather(*(hosts.caller.call("Burner", "burn") for _ in range(100)))
        before = asyncio.get_running_loop().time()
        while not done.done():
            await asyncio.sleep(0)
            now = asyncio.get_running_loop().time()
            longest = max(longest, now - before)
            before = now
        await done
        assert longest < 0.1
