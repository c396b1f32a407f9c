"""Calls inside one host: deadlines, cancellation, errors, tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aisys import Agent, AgentError, Refused, errors, method, task, tracing
from aisys.agent import AgentTable, Caller
from aisys.testing import LocalFleet, VirtualClock
from support.waiting import eventually


class Callee(Agent):
    def __init__(self) -> None:
        self.cancelled = 0
        self.graded: list[str] = []

    @method(timeout_s=0.05)
    async def hang(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    @method
    async def patient(self, wait_s: float) -> str:
        await self.clock.sleep(wait_s)
        return "done"

    @method
    async def explode(self) -> None:
        raise KeyError("boom")

    @method
    async def on_purpose(self) -> None:
        raise AgentError("no")

    @method
    async def stream(self, count: int, pause_s: float = 0.0) -> AsyncIterator[int]:
        for number in range(count):
            if pause_s:
                await self.clock.sleep(pause_s)
            yield number

    @method
    async def forward(self, count: int) -> AsyncIterator[int]:
        return self.stream_of(count)

    async def stream_of(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    @method
    async def wrong_items(self) -> AsyncIterator[int]:
        yield "x"  # type: ignore[misc]

    @task(retries=1)
    async def grade(self, essay: str, stars: int = 1) -> int:
        if essay == "fail":
            raise ValueError(essay)
        self.graded.append(essay)
        return len(essay) * stars


class Outer(Agent):
    callee: Callee

    @method(timeout_s=0.05)
    async def outer_hang(self) -> str:
        return await self.callee.patient(60.0)

    @method
    async def pass_on(self) -> None:
        await self.callee.explode()

    @method
    async def hurry(self) -> str:
        try:
            return await self.callee.with_options(timeout_s=0.02).patient(60.0)
        except errors.DeadlineExceeded:
            return "gave up"

    @method
    async def submit(self, essay: str) -> list[str]:
        return [
            await self.callee.grade.send(essay, stars=2),
            await Callee.grade.with_options(task_id="mine").send(essay=essay),
            await self.enqueue("Callee.grade", essay=essay),
        ]


async def test_the_methods_own_limit_holds_without_a_callers() -> None:
    """A call without a deadline gets the method's; the handler is cancelled when it passes."""
    async with LocalFleet(Callee) as fleet:
        with pytest.raises(errors.DeadlineExceeded, match=r"Callee\.hang"):
            await fleet.proxy(Callee).hang()
        assert fleet.agent(Callee).cancelled == 1
        assert fleet.table.get("Callee").running == 0  # type: ignore[union-attr]
        assert fleet.errors == []


async def test_the_outer_deadline_ends_the_inner_call() -> None:
    """An inner call has no more time than the call it serves."""
    async with LocalFleet(Callee, Outer) as fleet:
        with pytest.raises(errors.DeadlineExceeded, match=r"Outer\.outer_hang"):
            await fleet.call("Outer.outer_hang")
        assert await fleet.call("Outer.hurry") == "gave up"


async def test_cancelling_a_caller_cancels_the_handler() -> None:
    """A local call is part of its caller."""
    async with LocalFleet(Callee) as fleet:
        call = asyncio.ensure_future(fleet.proxy(Callee).with_options(timeout_s=9).hang())
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert fleet.agent(Callee).cancelled == 1


async def test_accidents_are_reported_once_where_they_happen() -> None:
    """An exception that passes through two agents is one report; AgentError is none."""
    async with LocalFleet(Callee, Outer) as fleet:
        with pytest.raises(KeyError):
            await fleet.call("Outer.pass_on")
        with pytest.raises(AgentError):
            await fleet.call("Callee.on_purpose")
        assert [(report.agent, report.method) for report in fleet.errors] == [
            ("Callee", "Callee.explode")
        ]


async def test_streams_are_checked_and_limited() -> None:
    """Items arrive in order; a wrong item and a passed deadline end the stream."""
    async with LocalFleet(Callee) as fleet:
        callee = fleet.proxy(Callee)
        assert [item async for item in callee.stream(3)] == [0, 1, 2]
        assert [item async for item in await callee.forward(2)] == [0, 1]
        assert [item async for item in fleet.stream("Callee.stream", count=2)] == [0, 1]
        with pytest.raises(errors.ResultError):
            await anext(callee.wrong_items())
        with pytest.raises(errors.DeadlineExceeded):
            async for _ in callee.with_options(timeout_s=0.02).stream(3, pause_s=60.0):
                pass
        with pytest.raises(Refused, match="not streamed"):
            fleet.stream("Callee.hang")


async def test_counts_and_times_are_kept_by_agent_and_method() -> None:
    """Outcomes are counted under their label."""
    async with LocalFleet(Callee) as fleet:
        await fleet.call("Callee.patient", wait_s=0.0)
        for bad in ({"wait_s": "x"}, {}):
            with pytest.raises(errors.ArgumentError):
                await fleet.call("Callee.patient", **bad)
        with pytest.raises(KeyError):
            await fleet.call("Callee.explode")
        text = fleet.metrics.render().decode()
        assert 'aisys_calls_total{agent="Callee",method="patient",outcome="ok"} 1' in text
        assert 'aisys_calls_total{agent="Callee",method="patient",outcome="refused"} 2' in text
        assert 'aisys_calls_total{agent="Callee",method="explode",outcome="error"} 1' in text
        assert 'aisys_call_seconds_count{agent="Callee",method="patient"} 1' in text


async def test_a_sampled_local_call_is_a_tree_of_spans() -> None:
    """Inner calls are children of outer ones."""
    async with LocalFleet(Callee, Outer) as fleet:
        trace = tracing.new_trace()
        token = tracing.use(trace)
        try:
            await fleet.call("Outer.hurry")
        finally:
            tracing.reset(token)
        outer, inner = fleet.table.spans.find(trace.trace_id)
        assert (outer.name, outer.outcome) == ("Outer.hurry", "ok")
        assert (inner.name, inner.outcome) == ("Callee.patient", "expired")
        assert inner.parent_id == outer.span_id


async def test_a_virtual_clock_owns_deadlines() -> None:
    """With the test's clock, thirty seconds pass at once."""
    clock = VirtualClock()
    async with LocalFleet(Callee, clock=clock) as fleet:
        call = asyncio.ensure_future(fleet.call("Callee.patient", wait_s=60.0))
        await clock.advance(29.9)
        assert not call.done()
        await clock.advance(0.2)
        with pytest.raises(errors.DeadlineExceeded):
            await call


async def test_a_stopped_agent_takes_no_calls() -> None:
    """A call to a stopped agent is refused at once; after restart it is answered."""
    async with LocalFleet(Callee) as fleet:
        await fleet.stop(Callee)
        with pytest.raises(Refused) as caught:
            await fleet.call("Callee.patient", wait_s=0)
        assert caught.value.reason == "not_ready"
        await fleet.restart(Callee)
        assert await fleet.call("Callee.patient", wait_s=0) == "done"


async def test_tasks_are_stored_checked_and_executed() -> None:
    """`send` and `enqueue` store a checked call; a worker executes it."""
    async with LocalFleet(Callee, Outer) as fleet:
        ids = await fleet.call("Outer.submit", essay="abc")
        assert ids[1] == "mine"
        done = [await fleet.tasks.wait(task_id) for task_id in ids]
        assert [info.result for info in done] == [6, 3, 3]
        assert fleet.agent(Callee).graded == ["abc"] * 3
        assert await fleet.proxy(Callee).grade("now") == 3
        with pytest.raises(errors.ArgumentError, match=r"Callee\.grade: essay: is missing"):
            await fleet.proxy(Callee).grade.send()  # type: ignore[call-arg]
        with pytest.raises(Refused, match="has no task 'grad'; did you mean 'grade'"):
            await fleet.caller.call("Callee", "submit_task", {"task": "grad", "arguments": {}})


async def test_a_failing_task_is_reported_with_its_name() -> None:
    """Each failed attempt is on the error bus."""
    async with LocalFleet(Callee, Outer) as fleet:
        await fleet.proxy(Callee).grade.with_options(retries=0).send("fail")
        await fleet.until(lambda: fleet.errors)
        assert fleet.errors[0].method == "Callee.grade"
        assert "ValueError: fail" in fleet.errors[0].message


async def test_send_outside_of_an_agent_says_what_to_do() -> None:
    """Without an agent around there is no router to send with."""
    with pytest.raises(RuntimeError, match="inside an agent or on a proxy"):
        await Callee.grade.send("x")
    with pytest.raises(TypeError, match="needs an instance"):
        Callee.grade("x")


async def test_a_host_without_links_knows_only_itself() -> None:
    """A router without routes refuses whatever is not local."""
    caller = Caller(AgentTable())

    assert not caller.knows("Callee")
    with pytest.raises(Refused, match="no agent 'Nobody'"):
        await caller.call("Nobody", "work")


async def test_many_deadlines_cost_one_timer() -> None:
    """A thousand suspended calls share the wheel, and leave nothing in it."""
    async with LocalFleet(Callee) as fleet:
        calls = [
            asyncio.ensure_future(fleet.call("Callee.patient", wait_s=0.01)) for _ in range(1000)
        ]
        await eventually(lambda: len(fleet.table.wheel) == 1000)
        assert await asyncio.gather(*calls) == ["done"] * 1000
        assert len(fleet.table.wheel) == 0
