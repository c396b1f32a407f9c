from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from aisys import Agent, Event, Refused, errors, every, method, subscribe
from aisys.testing import LocalFleet


class Fact(BaseModel):
    id: int
    topic: str
    text: str


class Library(Agent):
    """Keeps facts."""

    class Config(Agent.Config):
        limit: int = 10

    @method
    async def add_fact(self, topic: str, text: str = "") -> Fact:
        """Store a fact."""
        number = await self.state.incr("last")
        fact = Fact(id=number, topic=topic, text=text)
        await self.state.set(f"fact.{number}", fact.model_dump())
        await self.publish("library.added", fact)
        return fact

    @method
    async def words(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield word

    @method
    async def limit(self) -> int:
        return self.config.limit


class Reader(Agent):
    library: Library
    missing: Missing | None

    def __init__(self) -> None:
        self.seen: list[Fact] = []
        self.events: list[Event] = []
        self.runs = 0

    @method
    async def learn(self, topic: str) -> int:
        fact = await self.library.add_fact(topic, text="learned")
        return fact.id

    @method
    async def spell(self, text: str) -> list[str]:
        return [word async for word in self.library.words(text)]

    @subscribe("library.*")
    async def on_added(self, event: Fact) -> None:
        self.seen.append(event)

    @subscribe("**")
    async def on_any(self, event: Event) -> None:
        self.events.append(event)

    @every(seconds=0.01)
    async def count(self) -> None:
        self.runs += 1


class Missing(Agent):
    pass


async def test_agents_call_each_other_through_typed_proxies() -> None:
    """An injected annotation is a working proxy of the other agent."""
    async with LocalFleet(Library, Reader) as fleet:
        assert await fleet.proxy(Reader).learn("tea") == 1
        assert await fleet.call("Reader.learn", topic="coffee") == 2
        assert await fleet.proxy(Reader).spell("a b") == ["a", "b"]
        assert fleet.agent(Reader).missing is None
        await fleet.until(lambda: len(fleet.agent(Reader).seen) == 2)
        assert [fact.topic for fact in fleet.agent(Reader).seen] == ["tea", "coffee"]
        assert fleet.agent(Reader).events[0].data["topic"] == "tea"
        await fleet.until(lambda: fleet.agent(Reader).runs > 2)
        assert fleet.errors == []


async def test_a_wrong_argument_names_method_field_and_problem() -> None:
    """The message of an ArgumentError says what to change."""
    async with LocalFleet(Library) as fleet:
        with pytest.raises(errors.ArgumentError) as caught:
            await fleet.call("Library.add_fact", topic=5)
        assert str(caught.value) == (
            "Library.add_fact: topic: Input should be a valid string (got int 5)"
        )


async def test_unknown_names_are_refused_with_a_suggestion() -> None:
    """A misspelt agent or method is answered by the name that was probably meant."""
    async with LocalFleet(Library, planned=("Painter",)) as fleet:
        with pytest.raises(Refused, match="did you mean 'Library'") as caught:
            await fleet.call("Libary.add_fact", topic="x")
        assert caught.value.reason == "unknown_agent"
        with pytest.raises(Refused, match="did you mean 'add_fact'"):
            await fleet.call("Library.add_fct", topic="x")
        with pytest.raises(Refused, match="Painter is planned"):
            await fleet.call("Painter.paint")


async def test_settings_reach_the_config_of_the_agent() -> None:
    """The settings of a fleet file become the agent's typed Config."""
    async with LocalFleet(Library, settings={"Library": {"limit": 3}}) as fleet:
        assert await fleet.proxy(Library).limit() == 3


async def test_state_in_files_survives_a_restart() -> None:
    """An agent that is started anew finds what it stored."""
    async with LocalFleet(Library, state="file") as fleet:
        assert (await fleet.proxy(Library).add_fact("tea")).id == 1
        await fleet.restart(Library)
        assert (await fleet.proxy(Library).add_fact("tea")).id == 2
