"""An agent's life: start, ready, events, timers, drain, stop, health."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from aisys import Agent, Event, Refused, every, method, subscribe
from aisys.agent import Health
from aisys.agent.events import EventDecoder, EventError, encode_event
from aisys.agent.scope import current_scope
from aisys.agent.wheel import DeadlineWheel
from aisys.errors import ConfigError
from aisys.messaging import Event as RawEvent
from aisys.testing import LocalFleet, VirtualClock
from support.waiting import eventually


class Spoken(BaseModel):
    text: str
    confidence: float = 1.0


@dataclass
class Point:
    x: int


class Life(Agent):
    class Config(Agent.Config):
        greeting: str = "hello"
        limit: int = 3

    def __init__(self) -> None:
        self.log_of: list[str] = []
        self.spoken: list[Spoken] = []
        self.points: list[Point] = []
        self.raw: list[dict[str, Any]] = []
        self.ticks = 0
        self.deadlines: list[float] = []
        self.gate = asyncio.Event()

    async def on_start(self) -> None:
        self.log_of.append(f"start {self.config.greeting} {self.health.phase}")
        with pytest.raises(Refused):
            await self.call("Life.work")

    async def on_ready(self) -> None:
        self.log_of.append(f"ready {await self.call('Life.work')}")

    async def on_drain(self) -> None:
        self.log_of.append("drain")

    async def on_stop(self) -> None:
        self.log_of.append(f"stop {self.health.phase}")
        raise OSError("cannot close")

    @method
    async def work(self) -> str:
        return "done"

    @method
    async def wait(self) -> str:
        await self.gate.wait()
        return "waited"

    @method
    async def begin(self) -> None:
        self.spawn(self._background(), name="background")

    async def _background(self) -> None:
        self.deadlines.append(current_scope().deadline)
        raise RuntimeError("in the background")

    @subscribe("speech.final")
    async def on_speech(self, event: Spoken) -> None:
        self.spoken.append(event)
        if event.text == "fail":
            raise ValueError("handler")

    @subscribe("point")
    async def on_point(self, event: Point) -> None:
        self.points.append(event)

    @subscribe("raw.**")
    async def on_raw(self, event: dict[str, Any]) -> None:
        self.raw.append(event)

    @every(seconds=10, jitter=0.0)
    async def tick(self) -> None:
        self.ticks += 1
        self.deadlines.append(current_scope().deadline)
        if self.ticks == 2:
            raise ValueError("tick two")
        await self.clock.sleep(25)


async def test_hooks_run_in_order_and_errors_on_the_way_down_are_reported() -> None:
    """Calls are refused in on_start and answered in on_ready; a failing on_stop stops nothing."""
    async with LocalFleet(Life, settings={"Life": {"greeting": "hi"}}) as fleet:
        agent = fleet.agent(Life)
    assert agent.log_of == ["start hi starting", "ready done", "drain", "stop draining"]
    assert [report.method for report in fleet.errors] == ["Life.on_stop"]
    assert agent.health.phase == "stopped"
    assert not agent.health.alive


async def test_settings_that_do_not_fit_name_themselves() -> None:
    """A wrong or unknown setting is a ConfigError with every problem."""
    with pytest.raises(ConfigError) as caught:
        async with LocalFleet(Life, settings={"Life": {"limit": "many", "greting": "x"}}):
            pass
    settings = {problem.setting for problem in caught.value.problems}
    assert settings == {"limit", "greting"}
    assert "greeting, limit" in caught.value.problems[0].remedy


async def test_a_failing_start_fails_the_fleet() -> None:
    """What on_start raises comes out, and nothing of the agent is left callable."""

    class Broken(Agent):
        async def on_start(self) -> None:
            raise OSError("no disk")

    fleet = LocalFleet(Broken)
    with pytest.raises(OSError, match="no disk"):
        async with fleet:
            pass
    assert fleet.table.names() == []


async def test_events_arrive_as_they_are_annotated() -> None:
    """Models, dataclasses and dictionaries; what does not fit is reported and skipped."""
    async with LocalFleet(Life) as fleet:
        agent = fleet.agent(Life)
        await agent.publish("speech.final", Spoken(text="one"))
        await agent.publish("speech.final", {"text": "fail"})
        await agent.publish("speech.final", {"text": 5})
        await agent.publish("speech.final", {"text": "two", "confidence": 0.5})
        await agent.publish("point", Point(3))
        await agent.publish("raw.a.b", {"blob": b"\x00", "n": 1})
        await fleet.until(lambda: len(agent.spoken) == 3 and agent.raw and agent.points)
        assert [spoken.text for spoken in agent.spoken] == ["one", "fail", "two"]
        assert agent.points == [Point(3)]
        assert agent.raw == [{"blob": b"\x00", "n": 1}]
        problems = [report.message for report in fleet.errors]
        assert problems[0] == "ValueError: handler"
        assert "Life.on_speech: speech.final: text: Input should be a valid string" in problems[1]
        with pytest.raises(TypeError, match="an event is a dict"):
            await agent.publish("speech.final", "text")
        with pytest.raises(ValueError, match="topic"):
            await agent.publish("not a topic", {})


async def test_timers_never_overlap_and_outlive_their_errors() -> None:
    """The next period begins after the run; a run that raises is reported and the timer goes on."""
    clock = VirtualClock()
    async with LocalFleet(Life, clock=clock) as fleet:
        agent = fleet.agent(Life)
        await clock.advance(9.9)
        assert agent.ticks == 0
        await clock.advance(0.2)
        assert agent.ticks == 1
        await clock.advance(30.0)
        assert agent.ticks == 1
        await clock.advance(5.0)
        assert agent.ticks == 2
        await clock.advance(10.0)
        assert agent.ticks == 3
        assert [report.method for report in fleet.errors] == ["Life.tick"]
        assert set(agent.deadlines) == {math.inf}


async def test_background_work_is_reported_and_has_no_deadline() -> None:
    """Spawned work does not inherit the deadline of the call that started it."""
    async with LocalFleet(Life) as fleet:
        await fleet.call("Life.begin")
        await fleet.until(lambda: fleet.errors)
        assert fleet.errors[0].method == "Life.background"
        assert fleet.agent(Life).deadlines == [math.inf]


async def test_draining_lets_running_calls_finish() -> None:
    """A call that runs when the agent stops gets its result; a new one is refused."""
    async with LocalFleet(Life) as fleet:
        agent = fleet.agent(Life)
        running = asyncio.ensure_future(fleet.call("Life.wait"))
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(fleet.stop(Life))
        await eventually(lambda: agent.health.phase == "draining")
        with pytest.raises(Refused) as caught:
            await fleet.call("Life.work")
        assert caught.value.reason == "shutting_down"
        assert (await fleet.call("Life.health"))["phase"] == "draining"
        agent.gate.set()
        assert await running == "waited"
        await stopping


async def test_every_agent_answers_ping_health_and_describe() -> None:
    """The built-in methods say who, how and what."""
    async with LocalFleet(Life) as fleet:
        agent = fleet.agent(Life)
        agent.health.set("llm", False, "no endpoint")
        health = await fleet.call("Life.health")
        assert (health["ready"], health["healthy"]) == (True, False)
        assert health["reasons"] == ["llm: no endpoint"]
        assert (await fleet.call("Life.ping"))["agent"] == "Life"
        assert "work" in (await fleet.call("Life.describe"))["methods"]


def test_health_tells_its_listeners_only_of_changes() -> None:
    """Setting the same again is no change; the age of a check is that of its present value."""
    clock = VirtualClock()
    health = Health(clock)
    changes: list[str] = []
    health.on_change(lambda: changes.append(health.phase))
    health.enter("ready")
    health.set("disk", True)
    health.set("disk", True)
    clock.tick(5)
    health.set("disk", False, "full")
    clock.tick(2)
    health.set("disk", False, "still full")

    assert len(changes) == 4
    assert health.to_dict()["checks"]["disk"] == {"ok": False, "reason": "still full", "age_s": 2.0}
    health.clear("disk")
    health.clear("disk")
    assert health.healthy
    assert len(changes) == 5


def test_an_event_with_its_surroundings() -> None:
    """A handler annotated with Event gets topic, publisher and data."""
    body, attachments = encode_event({"a": b"x"})
    views = [memoryview(attachment) for attachment in attachments]
    event = EventDecoder("A.h", Event).decode(RawEvent("t.x", body, views, "m/h"))

    assert event == Event("t.x", {"a": b"x"}, "m/h")
    with pytest.raises(EventError, match=r"A\.h: t\.x"):
        EventDecoder("A.h", Point).decode(RawEvent("t.x", b"{", [], "m/h"))


async def test_the_wheel_fires_in_order_and_never_early() -> None:
    """Guards fire within a tick after their deadline; an earlier one wakes the driver sooner."""
    clock = VirtualClock(monotonic_s=100.0)
    wheel = DeadlineWheel(clock, tick_s=0.01)
    ended: list[tuple[str, float]] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append((name, clock.monotonic()))

    tasks = {name: asyncio.ensure_future(wait(name)) for name in "abcd"}
    await asyncio.sleep(0)
    wheel.arm(130.0, tasks["a"])
    wheel.arm(110.004, tasks["b"])
    disarmed = wheel.arm(105.0, tasks["c"])
    wheel.arm(110.004, tasks["d"])
    wheel.disarm(disarmed)
    wheel.disarm(disarmed)
    await clock.advance(9.9)
    assert ended == []
    await clock.advance(50.0)

    assert [name for name, _ in ended[2:]] == ["a"]
    assert {name for name, _ in ended[:2]} == {"b", "d"}
    assert all(110.004 <= at <= 110.015 for _, at in ended[:2])
    assert len(wheel) == 0
    tasks["c"].cancel()
    wheel.arm(999.0, tasks["c"])
    wheel.close()
    await asyncio.gather(*tasks.values())
