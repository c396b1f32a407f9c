"""Owner of every model back end: what there is, which one to use, and the door to use it by."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, AgentError, method, subscribe
from aisys_agents.foundation.model_catalogue import (
    NEEDS_MODEL,
    TASKS,
    CatalogueEntry,
    ModelInfo,
    built_in,
)
from aisys_agents.llm import ChatClient, LlmSettings, ModelError
from aisys_agents.text.similarity import hashed_vector
from aisys_agents.text.words import estimate_tokens

__all__ = [
    "Generated",
    "Inference",
    "LoadOutcome",
    "ModelManagerSuite",
    "ModelsListed",
    "Piece",
    "Selected",
    "UnknownModel",
    "Unloaded",
]

CONVERSATIONS = 50
CONVERSATION_S = 3600.0
CONVERSATION_TURNS = 40
DEFAULT_CONTEXT = 4096

Prompt = Annotated[str, Field(max_length=400_000)] | list[dict[str, Any]]


class UnknownModel(AgentError):
    """The catalogue has no such model, or it cannot do the task."""

    code: ClassVar[str] = "unknown_model"


class ModelsListed(TypedDict):
    """The catalogue."""

    models: list[ModelInfo]


class LoadOutcome(TypedDict):
    """Whether a model is ready to be used, the memory it took, and why not."""

    loaded: bool
    vram_mb: int
    reason: str | None


class Unloaded(TypedDict):
    """How much was freed."""

    freed_mb: int


class Selected(TypedDict):
    """The model to use and why; `model_id` is empty and `backend` is `none` where none can do it."""

    model_id: str
    backend: str
    why: str


class Generated(TypedDict):
    """A text with its origin. `status` is `ok`, or `needs_model` with an empty text."""

    text: str
    model_id: str
    backend: str
    tokens: int
    ms: int
    status: str


class Piece(TypedDict):
    """A piece of a streamed text: `type` is `token` or `final`; a final one holds everything."""

    type: str
    text: str
    model_id: str
    backend: str
    status: str


class Inference(TypedDict):
    """The result of a task and its origin; `result.status` is `ok` or `needs_model`."""

    result: dict[str, Any]
    model_id: str
    backend: str


class _Conversation:
    __slots__ = ("last_at", "messages")

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.last_at = 0.0


class ModelManagerSuite(Agent):
    """Uses the configured OpenAI-compatible endpoint; without one it says so instead of inventing.

    Use and failure counts of each model are kept across restarts; conversations are not.
    """

    class Config(Agent.Config):
        """Settings.

        Attributes:
            llm: the endpoint; what it leaves out is taken from `AISYS_LLM_URL`, `_MODEL` and `_KEY`.
        """

        llm: LlmSettings = LlmSettings()

    async def on_start(self) -> None:
        """Fill the catalogue."""
        settings = self.config.llm.or_environment()
        self._client = ChatClient(settings) if settings.url else None
        self._default = settings.model or "default"
        self._catalogue = {entry.model_id: entry for entry in built_in()}
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()
        if settings.url:
            self._catalogue[self._default] = CatalogueEntry(
                self._default, "endpoint", ("generate", "translate"), "llm", DEFAULT_CONTEXT
            )
        for model_id, entry in self._catalogue.items():
            kept = await self.state.get(f"use/{model_id}", default={})
            entry.uses, entry.failures = kept.get("uses", 0), kept.get("failures", 0)

    async def on_ready(self) -> None:
        """Tell the fleet whether there is a model."""
        for entry in self._catalogue.values():
            await self.publish(
                "model.status",
                {
                    "model_id": entry.model_id,
                    "backend": entry.backend,
                    "state": "loaded" if entry.loaded else "unloaded",
                    "machine": self.machine,
                    "vram_mb": entry.size_mb,
                },
            )

    async def on_stop(self) -> None:
        """Close the connections to the endpoint."""
        if self._client is not None:
            await self._client.close()

    @method(timeout_s=10, idempotent=True)
    async def list_models(self, task: str | None = None) -> ModelsListed:
        """The catalogue: back end, skills, size, loaded or not, idle time, quality."""
        now = self.clock.monotonic()
        return ModelsListed(
            models=[
                entry.info(now)
                for entry in self._catalogue.values()
                if task is None or task in entry.tasks
            ]
        )

    @method(timeout_s=60)
    async def load_model(self, model_id: str, machine: str | None = None) -> LoadOutcome:
        """Make a model ready, evicting nothing by itself; an endpoint loads its own models."""
        entry = self._catalogue.get(model_id)
        if entry is None:
            return LoadOutcome(loaded=False, vram_mb=0, reason=f"no model {model_id!r}")
        if machine is not None and machine != self.machine:
            reason = f"{model_id} is served on {self.machine}, not on {machine}"
            return LoadOutcome(loaded=False, vram_mb=0, reason=reason)
        entry.loaded = True
        return LoadOutcome(loaded=True, vram_mb=entry.size_mb, reason=None)

    @method(timeout_s=30)
    async def unload_model(self, model_id: str) -> Unloaded:
        """Free a model; it is not chosen again until it is loaded.

        Raises:
            UnknownModel: there is none of this name.
        """
        entry = self._entry(model_id)
        freed = entry.size_mb if entry.loaded else 0
        entry.loaded = False
        return Unloaded(freed_mb=freed)

    @method(timeout_s=5, idempotent=True)
    async def select_model(self, task: str, context_tokens: int | None = None) -> Selected:
        """Pick a model: loaded before loadable, and big enough for the context."""
        able = [entry for entry in self._catalogue.values() if task in entry.tasks]
        fits = [
            e for e in able if e.context_tokens == 0 or e.context_tokens >= (context_tokens or 0)
        ]
        for entry in sorted(fits, key=lambda entry: not entry.loaded):
            state = "loaded" if entry.loaded else "can be loaded"
            return Selected(
                model_id=entry.model_id, backend=entry.backend, why=f"does {task}, {state}"
            )
        why = f"no model does {task}" if not able else f"none holds {context_tokens} tokens"
        return Selected(model_id="", backend="none", why=why)

    @method(timeout_s=120)
    async def generate_text(
        self,
        prompt: Prompt,
        model_id: str | None = None,
        system: str | None = None,
        max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 1024,
        temperature: Annotated[float, Field(ge=0, le=2)] = 0.7,
        stop: list[str] | None = None,
        conversation_id: str | None = None,
    ) -> Generated:
        """Generate a text with the endpoint's model; without one the status is `needs_model`.

        Args:
            prompt: a text, or messages with `role` and `content`.
            model_id: a model of the catalogue, or any that the endpoint knows.
            system: instructions put first.
            max_tokens: limit of the answer.
            temperature: 0 for the most likely words.
            stop: texts that end the answer.
            conversation_id: go on with the conversation of this name.

        Raises:
            ModelError: the endpoint could not be reached, refused, or answered nonsense.
        """
        began = self.clock.monotonic()
        if self._client is None:
            return Generated(
                text="", model_id="", backend="none", tokens=0, ms=0, status=NEEDS_MODEL
            )
        messages = self._messages(prompt, system, conversation_id)
        entry = self._used(model_id)
        try:
            done = await self._client.complete(
                messages,
                model=self._wire_model(model_id),
                max_tokens=max_tokens,
                temperature=temperature,
                stop=stop,
            )
        except ModelError as error:
            await self._failed(entry, error)
            raise
        ms = round((self.clock.monotonic() - began) * 1000)
        tokens = done.tokens or estimate_tokens(done.text)
        self._remember(conversation_id, messages, done.text)
        await self._succeeded(entry, done.model, tokens, ms)
        return Generated(
            text=done.text,
            model_id=done.model,
            backend="endpoint",
            tokens=tokens,
            ms=ms,
            status="ok",
        )

    @method(timeout_s=300)
    async def stream_text(
        self,
        prompt: Prompt,
        model_id: str | None = None,
        system: str | None = None,
        max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 1024,
        temperature: Annotated[float, Field(ge=0, le=2)] = 0.7,
        conversation_id: str | None = None,
    ) -> AsyncIterator[Piece]:
        """As `generate_text`, piece by piece as the model writes; the last piece is `final`.

        Raises:
            ModelError: as `generate_text`; also after some pieces have come.
        """
        if self._client is None:
            yield Piece(type="final", text="", model_id="", backend="none", status=NEEDS_MODEL)
            return
        began = self.clock.monotonic()
        messages = self._messages(prompt, system, conversation_id)
        entry = self._used(model_id)
        name = model_id or self._default
        pieces: list[str] = []
        try:
            async for text in self._client.stream(
                messages,
                model=self._wire_model(model_id),
                max_tokens=max_tokens,
                temperature=temperature,
            ):
                pieces.append(text)
                yield Piece(type="token", text=text, model_id=name, backend="endpoint", status="ok")
        except ModelError as error:
            await self._failed(entry, error)
            raise
        whole = "".join(pieces)
        ms = round((self.clock.monotonic() - began) * 1000)
        self._remember(conversation_id, messages, whole)
        await self._succeeded(entry, name, estimate_tokens(whole), ms)
        yield Piece(type="final", text=whole, model_id=name, backend="endpoint", status="ok")

    @method(timeout_s=120)
    async def run_inference(
        self, task: str, payload: dict[str, Any], model_id: str | None = None
    ) -> Inference:
        """The same door for embed, translate, transcribe, speak and describe_image.

        `embed` takes `text` and gives the `features` and `weights` of a sparse vector of length 1;
        `translate` takes `text` and `target` and gives `text`.

        Raises:
            UnknownModel: no such task.
            ModelError: as `generate_text`.
        """
        if task not in TASKS:
            raise UnknownModel(f"no task {task!r}: {', '.join(TASKS)}")
        if task == "embed":
            sparse = sorted(hashed_vector(str(payload.get("text", ""))).items())
            result = {
                "status": "ok",
                "features": [feature for feature, _ in sparse],
                "weights": [round(weight, 6) for _, weight in sparse],
                "quality": "rules",
            }
            return Inference(
                result=result,
                model_id="hashed-ngrams",
                backend="builtin",
            )
        if task in {"generate", "translate"} and self._client is not None:
            system = None
            if task == "translate":
                system = (
                    f"Translate into {payload.get('target', 'English')}. Give the translation only."
                )
            done = await self.generate_text(
                str(payload.get("text", "")), model_id, system, temperature=0.2
            )
            result = {"status": done["status"], "text": done["text"], "quality": "llm"}
            return Inference(result=result, model_id=done["model_id"], backend=done["backend"])
        reason = f"no model for {task} is installed or configured"
        return Inference(
            result={"status": NEEDS_MODEL, "reason": reason}, model_id="", backend="none"
        )

    @subscribe("vram.pressure")
    @subscribe("resource.pressure")
    async def on_pressure(self, event: dict[str, Any]) -> None:
        """Memory is short: conversations are dropped, which costs time and no answers."""
        dropped = len(self._conversations)
        self._conversations.clear()
        self.log.info("conversations dropped", count=dropped, level=str(event.get("level", "")))

    def _entry(self, model_id: str) -> CatalogueEntry:
        if model_id not in self._catalogue:
            raise UnknownModel(f"no model {model_id!r} in the catalogue")
        return self._catalogue[model_id]

    def _used(self, model_id: str | None) -> CatalogueEntry:
        """The catalogue entry of a model; one of the endpoint's that is not listed is entered."""
        name = model_id or self._default
        if name not in self._catalogue:
            if len(self._catalogue) > 200:
                raise UnknownModel(f"no model {name!r} in the catalogue, which is full")
            self._catalogue[name] = CatalogueEntry(name, "endpoint", ("generate",), "llm")
        entry = self._catalogue[name]
        if "generate" not in entry.tasks:
            raise UnknownModel(f"{name} does not generate text")
        entry.last_used = self.clock.monotonic()
        return entry

    def _wire_model(self, model_id: str | None) -> str | None:
        name = model_id or self._default
        return None if name == "default" else name

    def _messages(
        self, prompt: Prompt, system: str | None, conversation_id: str | None
    ) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if system:
            messages.append({"role": "system", "content": system})
        known = self._conversations.get(conversation_id or "")
        if known is not None and self.clock.monotonic() - known.last_at < CONVERSATION_S:
            messages += known.messages
        if isinstance(prompt, str):
            messages.append({"role": "user", "content": prompt})
        else:
            messages += prompt
        return messages

    def _remember(
        self, conversation_id: str | None, messages: list[dict[str, Any]], answer: str
    ) -> None:
        if not conversation_id:
            return
        kept = self._conversations.pop(conversation_id, None) or _Conversation()
        said = [message for message in messages if message.get("role") != "system"]
        kept.messages = [*said, {"role": "assistant", "content": answer}][-CONVERSATION_TURNS:]
        kept.last_at = self.clock.monotonic()
        self._conversations[conversation_id] = kept
        while len(self._conversations) > CONVERSATIONS:
            self._conversations.popitem(last=False)

    async def _succeeded(self, entry: CatalogueEntry, model: str, tokens: int, ms: int) -> None:
        entry.uses += 1
        self.health.set("llm", True)
        await self._keep(entry)
        await self.publish(
            "model.usage", {"model_id": model, "ok": True, "ms": ms, "tokens": tokens}
        )

    async def _failed(self, entry: CatalogueEntry, error: ModelError) -> None:
        entry.failures += 1
        self.health.set("llm", False, str(error))
        await self._keep(entry)
        await self.publish("model.usage", {"model_id": entry.model_id, "ok": False, "ms": 0})

    async def _keep(self, entry: CatalogueEntry) -> None:
        await self.state.set(
            f"use/{entry.model_id}", {"uses": entry.uses, "failures": entry.failures}
        )
