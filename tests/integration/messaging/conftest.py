"""Every test of this folder runs over both transports and on both event loops."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.messaging import Pair, pair_of


def pytest_asyncio_loop_factories(
    config: Any, item: Any
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["unix", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders have names too long for a unix socket.
    with tempfile.TemporaryDirectory(prefix="ais") as name:
        yield Path(name)


@pytest.fixture
async def pair(transport: str, folder: Path) -> AsyncIterator[Pair]:
    async with pair_of(transport, folder) as made:
        yield made
