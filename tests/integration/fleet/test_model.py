"""A configured OpenAI-compatible endpoint, from the fleet's settings to the answer."""

from __future__ import annotations

import asyncio

import pytest

from support.fleet import Fleet
from support.openai_server import OpenAIServer

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

CANARY = "sk-canary-4711-do-not-show"


async def test_the_endpoint_of_the_configuration_is_used(fleet: Fleet) -> None:
    """`llm.url` and a secret key reach the model's agent; the key shows in no log, status or error."""
    async with OpenAIServer(reply="The sea is a green room.") as server:
        settings = ("--set", f"llm.url={server.url}", "--set", "llm.key=secret:MODEL_KEY")
        await asyncio.to_thread(fleet.up, *settings, MODEL_KEY=CANARY)
        answer = await asyncio.to_thread(fleet.ask, "Write a poem about the sea")
        shown = await asyncio.to_thread(fleet.run, "config", "show", *settings)

    assert "The sea is a green room." in answer
    assert server.headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in shown.stdout + shown.stderr + fleet.logs()


async def test_a_dead_endpoint_is_said_not_hidden(fleet: Fleet) -> None:
    """When nothing listens at the endpoint, the answer says so, and what needs no model still works."""
    await asyncio.to_thread(fleet.up, "--set", "llm.url=http://127.0.0.1:9/v1")
    done = await asyncio.to_thread(fleet.run, "ask", "Write a poem about the sea")

    assert "127.0.0.1:9" in done.stdout + done.stderr
    assert "351" in await asyncio.to_thread(fleet.ask, "What is 15% of 2,340?")


async def test_the_chat_streams_what_the_model_says(fleet: Fleet) -> None:
    """Tokens of the model appear in the chat, without control characters that could drive a terminal."""
    async with OpenAIServer(reply="A \x1b[31mred\x1b[0m tide") as server:
        await asyncio.to_thread(fleet.up, "--set", f"llm.url={server.url}")
        chat = fleet.spawn("chat")
        said, _ = await asyncio.to_thread(
            chat.communicate, "Write a poem about the sea\n/quit\n", timeout=30
        )

    assert "red" in said
    assert "tide" in said
    assert "\x1b" not in said
    assert any(request.get("stream") for request in server.requests)
