"""What is too much is refused, and who is away is named where it lives."""

from __future__ import annotations

import pytest

from aisys_agents.foundation.request_book import MAX_SAID_BYTES
from aisys_agents.foundation.request_models import BadQuestion
from aisys_agents.foundation.request_recall import name_away
from support.agents_language import whole_fleet
from support.openai_server import OpenAIServer


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 100_000, "the question is too long: 100000 characters, at most 20000"),
        ("hello \ud800", "lone surrogate at character 6"),
    ],
)
async def test_a_bad_question_is_refused_at_once(text: str, reason: str) -> None:
    """Too long a question, or one that is no text, is not accepted and says why."""
    async with whole_fleet() as fleet:
        with pytest.raises(BadQuestion, match=reason):
            await fleet.call("RequestCoordinator.submit_request", kind="text", data=text)
        status = await fleet.call("RequestCoordinator.get_queue_status")
        accepted = fleet.published("request.accepted")

    assert status["waiting"] == 0
    assert accepted == []


async def test_an_endless_answer_fails_openly() -> None:
    """A model that goes on and on is cut off; the answer says so."""
    async with OpenAIServer() as server:
        server.reply = " ".join(["x" * 100_000] * 15)
        llm = {"url": server.url, "model": "test-model", "timeout_s": 5.0}
        async with whole_fleet(settings={"ModelManagerSuite": {"llm": llm}}) as fleet:
            pieces = [
                piece
                async for piece in fleet.stream(
                    "RequestCoordinator.ask", text="What is the capital of France?"
                )
            ]

    said = sum(len(piece["text"]) for piece in pieces if piece["type"] == "token")
    assert said <= MAX_SAID_BYTES
    assert pieces[-1]["data"]["status"] == "failed"
    assert f"longer than {MAX_SAID_BYTES} bytes" in pieces[-1]["text"]


def test_who_is_away_is_named_where_it_is() -> None:
    """Only the agents beside the memories are named with the machine of the memories."""
    names = ["KnowledgeBase", "MemoryOrchestratorService", "SessionMemoryAgent", "ContextManager"]

    assert name_away(names, "pc2") == (
        "KnowledgeBase, SessionMemoryAgent, pc2 (MemoryOrchestratorService, ContextManager)"
    )
    assert name_away(["MemoryClient"], "pc2") == "MemoryClient"
