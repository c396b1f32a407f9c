"""The assistant with a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from support.agents_language import Person, whole_fleet
from support.openai_server import OpenAIServer


def _settings(server: OpenAIServer, **more: object) -> dict[str, dict[str, object]]:
    llm = {"url": server.url, "model": "test-model", "timeout_s": 2.0, **more}
    return {"ModelManagerSuite": {"llm": llm}}


async def test_question_goes_to_the_model() -> None:
    """A question that nothing else can answer is answered by the model, with its origin."""
    async with OpenAIServer() as server, whole_fleet(settings=_settings(server)) as fleet:
        result = await Person(fleet).ask("What is the capital of France?")
        models = await fleet.call("ModelManagerSuite.list_models", task="generate")
        usage = fleet.published("model.usage")

    assert result["text"] == "Paris is the capital of France."
    assert (result["data"]["backend"], result["data"]["status"]) == ("endpoint", "ok")
    assert models["models"][0]["uses"] == 1
    assert usage[0]["ok"] is True


async def test_the_conversation_is_shown_to_the_model() -> None:
    """The model sees the turns before, in order."""
    async with OpenAIServer() as server, whole_fleet(settings=_settings(server)) as fleet:
        person = Person(fleet)
        await person.says("What is the capital of France?")
        await person.says("What is the largest planet?")

    contents = [message["content"] for message in server.requests[1]["messages"][1:]]
    assert contents == [
        "What is the capital of France?",
        "Paris is the capital of France.",
        "What is the largest planet?",
    ]


async def test_exact_answers_stay_exact() -> None:
    """Sums do not go to the model even when there is one."""
    async with OpenAIServer() as server, whole_fleet(settings=_settings(server)) as fleet:
        text = await Person(fleet).says("What is 15% of 2,340?")

    assert "351" in text
    assert server.requests == []


async def test_words_come_as_the_model_writes() -> None:
    """`ask` yields the model's pieces, then the whole with its details."""
    async with OpenAIServer() as server, whole_fleet(settings=_settings(server)) as fleet:
        pieces = [
            piece
            async for piece in fleet.stream(
                "RequestCoordinator.ask", text="What is the capital of France?"
            )
        ]

    tokens = [piece["text"] for piece in pieces if piece["type"] == "token"]
    assert len(tokens) == 6
    assert "".join(tokens) == pieces[-1]["text"] == "Paris is the capital of France."
    assert (pieces[-1]["type"], pieces[-1]["state"]) == ("final", "done")
    assert pieces[-1]["data"]["backend"] == "endpoint"


async def test_ask_without_a_model() -> None:
    """`ask` gives one final piece for what needs no model."""
    async with whole_fleet() as fleet:
        pieces = [piece async for piece in fleet.stream("RequestCoordinator.ask", text="2 + 2")]

    assert [(piece["type"], piece["text"]) for piece in pieces] == [("final", "2 + 2 = 4.")]


async def test_failing_model_is_said() -> None:
    """An endpoint that refuses is named in the answer; health and statistics know of it."""
    async with OpenAIServer(status=503) as server, whole_fleet(settings=_settings(server)) as fleet:
        result = await Person(fleet).ask("What is the capital of France?")
        stats = await fleet.call("ModelOrchestrator.get_stats")

    assert result["data"]["status"] == "model_failed"
    assert "503" in result["text"]
    assert stats["success_rate"]["question"] == 0.0


async def test_stream_that_breaks_off() -> None:
    """An answer that breaks off ends in the error, not in a short answer that looks whole."""
    async with (
        OpenAIServer(break_after=2) as server,
        whole_fleet(settings=_settings(server)) as fleet,
    ):
        pieces = [
            piece
            async for piece in fleet.stream(
                "RequestCoordinator.ask", text="What is the capital of France?"
            )
        ]

    assert [piece["text"] for piece in pieces[:-1]] == ["Paris", " is"]
    assert pieces[-1]["data"]["status"] == "model_failed"


async def test_small_talk_without_the_model() -> None:
    """Small talk goes on by rules when the model does not answer in time."""
    async with (
        OpenAIServer(hang=True) as server,
        whole_fleet(settings=_settings(server, timeout_s=0.2)) as fleet,
    ):
        result = await Person(fleet).ask("I feel sad today")

    assert result["data"]["backend"] == "rules"
    assert "sorry to hear" in result["text"]
