"""What is read from the body of an agent class."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from aisys import Agent, Event, every, method, subscribe, task
from aisys.agent import AgentSpec

if TYPE_CHECKING:
    from nowhere import Later


@dataclass
class Point:
    x: float


class Worker(Agent):
    """Works."""

    helper: Helper
    perhaps: Helper | None
    unknown: Later
    number: int = 3

    @method(timeout_s=2.5, priority=7, idempotent=True)
    async def add(self, a: int, *, b: float = 1.0) -> Point:
        """Add."""
        return Point(a + b)

    @method
    async def items(self) -> AsyncIterator[int]:
        yield 1

    @task(priority=3, retries=2, timeout_s=9.0)
    async def later(self, name: str) -> None:
        """Do it later."""

    @subscribe("a.b")
    @subscribe("c.*")
    async def on_event(self, event: Event) -> None: ...

    @every(minutes=1, seconds=30)
    async def tick(self) -> None: ...

    async def plain(self) -> None: ...


class Helper(Agent):
    agent_name = "TheHelper"


def test_a_class_says_what_it_declares() -> None:
    """Methods, tasks, topics, timers and needed agents are read with their options."""
    spec = AgentSpec.of(Worker)
    add = spec.methods["add"]

    assert spec.name == "Worker"
    assert spec.doc == "Works."
    assert list(spec.methods) == ["add", "items", "later"]
    assert (add.timeout_s, add.priority, add.idempotent) == (2.5, 7, True)
    assert [(item.name, item.annotation, item.required) for item in add.params] == [
        ("a", int, True),
        ("b", float, False),
    ]
    assert (add.returns, add.streamed, add.doc) == (Point, False, "Add.")
    assert (spec.methods["items"].streamed, spec.methods["items"].returns) == (True, int)
    assert [(item.attribute, item.topic) for item in spec.subscriptions] == [
        ("on_event", "a.b"),
        ("on_event", "c.*"),
    ]
    assert [(item.attribute, item.period_s) for item in spec.timers] == [("tick", 90.0)]
    assert spec.tasks["later"].qualname == "Worker.later"
    assert spec.tasks["later"].options.retries == 2
    assert spec.methods["later"].timeout_s == 9.0
    assert AgentSpec.of(Worker) is spec


def test_annotated_agents_are_injected() -> None:
    """Annotations that name an agent are injections; optional ones say so."""
    injected = {item.attribute: item for item in AgentSpec.of(Worker).injected}

    assert set(injected) == {"helper", "perhaps"}
    assert injected["helper"].agent == "TheHelper"
    assert not injected["helper"].optional
    assert injected["perhaps"].optional


def test_a_subclass_has_what_its_base_declares() -> None:
    """Declarations are inherited and can be overridden without the decorator losing its place."""

    class Special(Worker):
        @method
        async def add(self, a: int, *, b: float = 2.0) -> Point:
            return Point(a * b)

    spec = AgentSpec.of(Special)

    assert list(spec.methods) == ["add", "items", "later"]
    assert spec.methods["add"].timeout_s == 30.0
    assert spec.methods["add"].qualname == "Special.add"
    assert {item.attribute for item in spec.injected} == {"helper", "perhaps"}


def test_the_description_has_json_schema() -> None:
    """`describe` gives people and gateways the arguments as JSON Schema."""
    described = AgentSpec.of(Worker).to_dict()

    arguments = described["methods"]["add"]["arguments"]
    assert arguments["properties"]["a"] == {"title": "A", "type": "integer"}
    assert arguments["required"] == ["a"]
    assert described["tasks"] == {"later": {"priority": 3, "retries": 2}}
    assert described["needs"] == ["TheHelper", "TheHelper"]


def test_what_cannot_work_is_an_error_that_names_the_method() -> None:
    """Synchronous methods, variable arguments, reserved names and bad handlers are refused."""

    class Sync(Agent):
        @method  # type: ignore[type-var]
        def work(self) -> int:
            return 1

    class Star(Agent):
        @method
        async def work(self, *parts: int) -> None: ...

    class Reserved(Agent):
        @method
        async def ping(self) -> None: ...

    class Handler(Agent):
        @subscribe("x")  # type: ignore[arg-type]
        async def on_x(self) -> None: ...

    class Unknown(Agent):
        @method
        async def work(self, what: Later) -> None: ...

    for cls, problem in (
        (Sync, r"Sync\.work: @method needs an async def"),
        (Star, r"Star\.work: parameter \*parts"),
        (Reserved, r"Reserved\.ping: every agent has this method already"),
        (Handler, r"Handler\.on_x: @subscribe needs exactly one argument"),
        (Unknown, r"Unknown\.work: annotation 'Later' is not known at run time"),
    ):
        with pytest.raises(TypeError, match=problem):
            AgentSpec.of(cls)


def test_options_are_checked_where_they_are_written() -> None:
    """A period, priority or time-out that makes no sense fails at import."""
    cases: list[Any] = [
        lambda: every(seconds=0),
        lambda: method(timeout_s=0),
        lambda: method(timeout_s=float("inf")),
        lambda: method(priority=256),
        lambda: task(priority=-1),
        lambda: task(retries=-1),
    ]
    for case in cases:
        with pytest.raises(ValueError, match=r"must|needs"):
            case()
    with pytest.raises(TypeError, match="async def"):

        @task  # type: ignore[arg-type]
        def work(self: Any) -> None: ...
