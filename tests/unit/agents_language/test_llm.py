"""The client of OpenAI-compatible endpoints, against a server on a real socket."""

from __future__ import annotations

import pytest

from aisys_agents.llm import (
    ChatClient,
    LlmSettings,
    ModelBadReply,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
    ModelUnreachable,
)
from support.openai_server import OpenAIServer

ASKED = [{"role": "user", "content": "What is the capital of France?"}]


def client(server: OpenAIServer, **settings: object) -> ChatClient:
    values = {"url": server.url, "model": "test-model", "timeout_s": 5.0, **settings}
    return ChatClient(LlmSettings.model_validate(values))


async def test_whole_answer() -> None:
    """A completion comes back with its model and token count."""
    async with OpenAIServer() as server:
        chat = client(server)
        done = await chat.complete(ASKED, max_tokens=50, temperature=0.1, stop=["\n"])
        await chat.close()

    assert done.text == "Paris is the capital of France."
    assert (done.model, done.tokens, done.finish) == ("test-model", 7, "stop")
    asked = server.requests[0]
    assert (asked["max_tokens"], asked["stop"], asked["stream"]) == (50, ["\n"], False)


async def test_streamed_answer() -> None:
    """The pieces of a stream come in order and make up the whole."""
    async with OpenAIServer() as server:
        chat = client(server)
        pieces = [piece async for piece in chat.stream(ASKED)]
        await chat.close()

    assert len(pieces) == 6
    assert "".join(pieces) == "Paris is the capital of France."


async def test_first_model_of_the_endpoint() -> None:
    """Without a configured model the endpoint's first is used."""
    async with OpenAIServer() as server:
        chat = client(server, model=None)
        await chat.complete(ASKED)
        await chat.close()

    assert server.requests[0]["model"] == "test-model"


async def test_key_is_sent_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key behind a reference is sent as a bearer token; settings never show one."""
    monkeypatch.setenv("MY_LLM_KEY", "sk-very-secret")
    async with OpenAIServer() as server:
        chat = client(server, key="secret:MY_LLM_KEY")
        await chat.complete(ASKED)
        await chat.close()

    assert server.headers["authorization"] == "Bearer sk-very-secret"
    assert "very-secret" not in repr(LlmSettings(key="sk-very-secret"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ModelRefused),
        (401, ModelRefused),
        (404, ModelRefused),
        (429, ModelOverloaded),
        (500, ModelUnreachable),
        (503, ModelOverloaded),
    ],
)
async def test_status_is_a_named_error(status: int, error: type[Exception]) -> None:
    """Each sort of refusal has its own error, with what the endpoint said."""
    async with OpenAIServer(status=status) as server:
        chat = client(server)
        with pytest.raises(error, match="that did not go well"):
            await chat.complete(ASKED)
        with pytest.raises(error):
            [piece async for piece in chat.stream(ASKED)]
        await chat.close()


@pytest.mark.parametrize("raw", [b"not json", b"[]", b"{}", b'{"choices": []}'])
async def test_bad_reply(raw: bytes) -> None:
    """What is not of the protocol is a bad reply."""
    async with OpenAIServer(raw=raw) as server:
        chat = client(server)
        with pytest.raises(ModelBadReply):
            await chat.complete(ASKED)
        await chat.close()


async def test_timeout() -> None:
    """A silent endpoint is a time-out that names the limit."""
    async with OpenAIServer(hang=True) as server:
        chat = client(server, timeout_s=0.2)
        with pytest.raises(ModelTimeout, match=r"0\.2 s"):
            await chat.complete(ASKED)
        with pytest.raises(ModelTimeout):
            [piece async for piece in chat.stream(ASKED)]
        await chat.close()


async def test_nothing_listens() -> None:
    """A refused connection is an unreachable endpoint."""
    async with OpenAIServer() as server:
        url = server.url
    chat = ChatClient(LlmSettings(url=url, model="m", timeout_s=2))
    with pytest.raises(ModelUnreachable):
        await chat.complete(ASKED)
    await chat.close()


async def test_broken_stream() -> None:
    """A stream that breaks off is an error after the pieces that came, never a short answer."""
    pieces: list[str] = []
    async with OpenAIServer(break_after=2) as server:
        chat = client(server)
        with pytest.raises(ModelUnreachable):
            async for piece in chat.stream(ASKED):
                pieces.append(piece)  # noqa: PERF401 - what came before the error counts
        await chat.close()

    assert pieces == ["Paris", " is"]


def test_environment_fills_in() -> None:
    """The environment gives what the configuration leaves out, the key as a reference."""
    environ = {"AISYS_LLM_URL": "http://a/v1", "AISYS_LLM_MODEL": "m", "AISYS_LLM_KEY": "k"}

    filled = LlmSettings(model="mine").or_environment(environ)

    assert (filled.url, filled.model, filled.key) == ("http://a/v1", "mine", "secret:AISYS_LLM_KEY")
