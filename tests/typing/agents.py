"""What type checkers see of agents; `test_agents.py` runs mypy on this file.

A line that ends in `# type: T` must be revealed as T, one that ends in `# error: code` must be refused with that code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import reveal_type

from pydantic import BaseModel

import aisys
from aisys import Agent, Event, every, method, subscribe, task
from aisys.testing import LocalFleet


class Fact(BaseModel):
    text: str


class Library(Agent):
    class Config(Agent.Config):
        limit: int = 10

    @method
    async def add(self, topic: str, *, stars: int = 1) -> Fact:
        reveal_type(self.config.limit)  # type: int
        _ = self.config.missing  # error: attr-defined
        return Fact(text=topic)

    @method(timeout_s=2.0, idempotent=True)
    async def count(self) -> int:
        return 1

    @method
    async def words(self, text: str) -> AsyncIterator[str]:
        yield text

    @task(priority=3)
    async def grade(self, essay: str) -> float:
        return 1.0

    @every(minutes=1)
    async def tidy(self) -> None: ...

    @subscribe("a.*")
    async def on_event(self, event: Event) -> None:
        reveal_type(event.topic)  # type: str

    @method  # error: type-var
    def sync(self) -> int:
        return 1


class Special(Library):
    pass


class Reader(Agent):
    library: Library
    perhaps: Library | None

    @method
    async def use(self) -> None:
        reveal_type(await self.library.add("x"))  # type: tests.typing.agents.Fact
        reveal_type(await self.library.with_options(timeout_s=1.0).count())  # type: int
        await self.library.add(5)  # error: arg-type
        await self.library.add("x", star=1)  # error: call-arg
        await self.library.ad("x")  # error: attr-defined
        async for word in self.library.words("x"):
            reveal_type(word)  # type: str
        reveal_type(await self.library.grade("x"))  # type: float
        reveal_type(await self.library.grade.send("x"))  # type: str
        await self.library.grade.send(essay=5)  # error: arg-type
        await self.perhaps.count()  # error: union-attr
        reveal_type(self.state.path)  # type: pathlib.Path
        reveal_type(Special().config.limit)  # type: int


async def in_a_test() -> None:
    async with LocalFleet(Library) as fleet:
        reveal_type(await fleet.proxy(Library).add("x"))  # type: tests.typing.agents.Fact
        reveal_type(fleet.agent(Library))  # type: tests.typing.agents.Library


reveal_type(aisys.json.dumps({}))  # type: bytes
reveal_type(aisys.build_info().version)  # type: str
reveal_type(aisys.get_port("Library"))  # type: int
