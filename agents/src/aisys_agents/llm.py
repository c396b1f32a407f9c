"""A client of any OpenAI-compatible endpoint: chat completions, whole or streamed, with named errors.

httpx2 is imported at the first request: an agent without an endpoint never loads it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from aisys import AgentError, json
from aisys.logs import register_secret

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "ChatClient",
    "Completion",
    "LlmSettings",
    "ModelBadReply",
    "ModelOverloaded",
    "ModelRefused",
    "ModelTimeout",
    "ModelUnreachable",
]

MAX_REPLY_BYTES = 8 * 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024


class ModelError(AgentError):
    """The base of what can go wrong with a model endpoint."""

    code: ClassVar[str] = "model_error"


class ModelUnreachable(ModelError):
    """No connection to the endpoint, or it was lost; whether the model ran is not known."""

    code: ClassVar[str] = "model_unreachable"


class ModelTimeout(ModelError):
    """The endpoint did not answer in time."""

    code: ClassVar[str] = "model_timeout"


class ModelOverloaded(ModelError):
    """The endpoint says that it is busy or that a quota is used up (429, 503)."""

    code: ClassVar[str] = "model_overloaded"
    retryable: ClassVar[bool] = True


class ModelRefused(ModelError):
    """The endpoint refused the request: key, model name or parameters.

    Attributes:
        status: the HTTP status.
    """

    code: ClassVar[str] = "model_refused"
    fields: ClassVar[tuple[str, ...]] = ("status",)

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ModelBadReply(ModelError):
    """What came back is not of the protocol, or is too large."""

    code: ClassVar[str] = "model_bad_reply"


class LlmSettings(BaseModel):
    """Where the model is.

    Attributes:
        url: the base address, such as `http://127.0.0.1:11434/v1`; none: no model.
        model: the model's name at the endpoint; the endpoint's first when empty.
        key: the API key as `secret:NAME`.
        timeout_s: limit for one request, and for the silence between two pieces of a stream.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = None
    model: str | None = None
    key: str | None = Field(default=None, repr=False)
    timeout_s: float = Field(default=60.0, gt=0)

    def or_environment(self, environ: Mapping[str, str] = os.environ) -> LlmSettings:
        """These settings, with `AISYS_LLM_URL`, `_MODEL` and `_KEY` where they leave something out."""
        key = self.key
        if key is None and ("AISYS_LLM_KEY" in environ or "AISYS_LLM_KEY_FILE" in environ):
            key = "secret:AISYS_LLM_KEY"
        return LlmSettings(
            url=self.url or environ.get("AISYS_LLM_URL") or None,
            model=self.model or environ.get("AISYS_LLM_MODEL") or None,
            key=key,
            timeout_s=self.timeout_s,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered.

    Attributes:
        text: the answer.
        model: the model that gave it.
        tokens: tokens of the answer as the endpoint counted them, 0 when it did not.
        finish: why it ended: `stop`, `length`, ….
    """

    text: str
    model: str
    tokens: int = 0
    finish: str = ""


Message = Mapping[str, Any]


@dataclass(slots=True)
class ChatClient:
    """One endpoint.

    Args:
        settings: where it is; `url` must be set.
        data_dir: where secret files may be.
    """

    settings: LlmSettings
    data_dir: Path | None = None
    _client: httpx2.AsyncClient | None = field(default=None, init=False)
    _model: str | None = field(default=None, init=False)

    async def complete(self, messages: Sequence[Message], **options: Any) -> Completion:
        """Ask for a whole answer.

        Args:
            messages: the conversation: dicts with `role` and `content`.
            options: `max_tokens`, `temperature`, `stop`, `model`.

        Raises:
            ModelUnreachable: no connection, or it broke.
            ModelTimeout: no answer in time.
            ModelOverloaded: busy, or out of quota.
            ModelRefused: the endpoint does not accept the request.
            ModelBadReply: the answer is not of the protocol.
        """
        body = await self._body(messages, options, stream=False)
        document = await self._post("/chat/completions", body)
        try:
            choice = document["choices"][0]
            text = choice["message"]["content"] or ""
        except (KeyError, IndexError, TypeError):
            raise ModelBadReply(f"{self.settings.url}: no choices[0].message.content") from None
        usage = document.get("usage") or {}
        return Completion(
            text=str(text),
            model=str(document.get("model") or body["model"]),
            tokens=int(usage.get("completion_tokens") or 0),
            finish=str(choice.get("finish_reason") or ""),
        )

    async def stream(self, messages: Sequence[Message], **options: Any) -> AsyncIterator[str]:
        """Ask for an answer and yield its pieces as they come.

        Raises:
            ModelError: as `complete`; also in the middle of the answer.
        """
        import httpx2

        body = await self._body(messages, options, stream=True)
        try:
            async with self._open().stream(
                "POST", self._url("/chat/completions"), json=body
            ) as response:
                if response.status_code >= 400:
                    await response.aread()
                self._check(response)
                ended = False
                async for line in response.aiter_lines():
                    piece, ended = self._piece(line)
                    if piece:
                        yield piece
                    if ended:
                        break
                if not ended:
                    raise ModelUnreachable(f"{self.settings.url}: the stream ended in the middle")
        except httpx2.HTTPError as error:
            raise self._named(error) from error

    async def models(self) -> list[str]:
        """The names of the models that the endpoint offers.

        Raises:
            ModelError: as `complete`.
        """
        import httpx2

        try:
            response = await self._open().get(self._url("/models"))
        except httpx2.HTTPError as error:
            raise self._named(error) from error
        self._check(response)
        try:
            return [str(entry["id"]) for entry in json.loads(response.content)["data"]]
        except (ValueError, KeyError, TypeError):
            raise ModelBadReply(f"{self.settings.url}/models: not a list of models") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _url(self, path: str) -> str:
        return (self.settings.url or "").rstrip("/") + path

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            from aisys.config import resolve_secret

            headers = {"Accept": "application/json, text/event-stream"}
            if self.settings.key:
                secret = resolve_secret(self.settings.key, data_dir=self.data_dir)
                register_secret(secret)
                headers["Authorization"] = f"Bearer {secret}"
            limit = self.settings.timeout_s
            self._client = httpx2.AsyncClient(
                headers=headers,
                timeout=httpx2.Timeout(limit, connect=min(10.0, limit)),
                limits=httpx2.Limits(max_connections=16),
            )
        return self._client

    async def _body(
        self, messages: Sequence[Message], options: Mapping[str, Any], *, stream: bool
    ) -> dict[str, Any]:
        model = options.get("model") or self.settings.model or self._model
        if not model:
            offered = await self.models()
            if not offered:
                raise ModelBadReply(f"{self.settings.url}: offers no model; set llm.model")
            model = self._model = offered[0]
        body: dict[str, Any] = {
            "model": model,
            "messages": [dict(m) for m in messages],
            "stream": stream,
        }
        for name in ("max_tokens", "temperature", "stop"):
            if options.get(name) is not None:
                body[name] = options[name]
        return body

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        import httpx2

        try:
            response = await self._open().post(self._url(path), json=body)
        except httpx2.HTTPError as error:
            raise self._named(error) from error
        self._check(response)
        if len(response.content) > MAX_REPLY_BYTES:
            raise ModelBadReply(
                f"{self.settings.url}: the reply is larger than {MAX_REPLY_BYTES} bytes"
            )
        try:
            document = json.loads(response.content)
        except ValueError as error:
            raise ModelBadReply(f"{self.settings.url}: not JSON: {error}") from None
        if not isinstance(document, dict):
            raise ModelBadReply(f"{self.settings.url}: not a JSON object")
        return document

    def _check(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status < 400:
            return
        message = f"{self.settings.url}: HTTP {status}{_detail(response)}"
        if status in {429, 503}:
            raise ModelOverloaded(message)
        if status >= 500:
            raise ModelUnreachable(message)
        raise ModelRefused(message, status=status)

    def _named(self, error: Exception) -> ModelError:
        import httpx2

        if isinstance(error, httpx2.TimeoutException) and not isinstance(
            error, httpx2.ConnectTimeout
        ):
            return ModelTimeout(
                f"{self.settings.url}: no answer within {self.settings.timeout_s:g} s"
            )
        what = str(error) or type(error).__name__
        return ModelUnreachable(f"{self.settings.url}: {what}")

    def _piece(self, line: str) -> tuple[str, bool]:
        """The text in one line of an event stream, and whether it is the last."""
        if not line.startswith("data:"):
            return "", False
        data = line[5:].strip()
        if data == "[DONE]":
            return "", True
        if len(data) > MAX_LINE_BYTES:
            raise ModelBadReply(
                f"{self.settings.url}: a piece is larger than {MAX_LINE_BYTES} bytes"
            )
        try:
            document = json.loads(data)
            if isinstance(document, dict) and document.get("error"):
                raise ModelRefused(f"{self.settings.url}: {document['error']}", status=200)
            choices = document["choices"]
            return (str(choices[0]["delta"].get("content") or "") if choices else ""), False
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise ModelBadReply(
                f"{self.settings.url}: not a piece of an answer: {data[:80]!r}"
            ) from None


def _detail(response: httpx2.Response) -> str:
    """What the endpoint said about its refusal, in at most 200 letters."""
    try:
        document = json.loads(response.content)
        error = document["error"]
        return f": {error['message'] if isinstance(error, dict) else error}"[:200]
    except (ValueError, KeyError, TypeError):
        return ""
