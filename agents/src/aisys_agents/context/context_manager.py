"""Keeps the working context: the handful of things that matter now, most important first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, method, subscribe
from aisys.errors import CallError
from aisys_agents.context.importance import importance_of
from aisys_agents.context.window import Item, Window
from aisys_agents.memory.memory_orchestrator_service import MemoryOrchestratorService
from aisys_agents.text.words import estimate_tokens

__all__ = [
    "ContextCleared",
    "ContextItem",
    "ContextItems",
    "ContextManager",
    "ContextPruned",
    "ContextText",
    "ItemAdded",
]

_MAX_SPEAKERS = 200
_ASSISTANT = "assistant"
_REBUILD_S = 3_600.0

Words = Annotated[str, Field(min_length=1, max_length=65_536)]


class ItemAdded(TypedDict):
    """How much the item matters (0 to 1), and the text that had to go for it."""

    importance: float
    dropped: str | None


class ContextItem(TypedDict):
    """Something in mind, since when."""

    text: str
    speaker: str | None
    importance: float
    at: float
    meta: dict[str, Any]


class ContextItems(TypedDict):
    """What is in mind, most important first, and how many items there is room for."""

    items: list[ContextItem]
    size: int


class ContextText(TypedDict):
    """What is in mind as lines of text in the order it was said, and how many lines."""

    text: str
    items: int


class ContextPruned(TypedDict):
    """How many items were removed."""

    removed: int


class ContextCleared(TypedDict):
    """How many items were forgotten."""

    cleared: int


class ContextManager(Agent):
    """A sliding window over the exchange, and one for each speaker.

    Each window holds five to twenty items, more when talk is dense; the least important go first.
    It is working memory: after a restart it is rebuilt from the turns of the last hour.
    """

    memory: MemoryOrchestratorService

    class Config(Agent.Config):
        """Settings.

        Attributes:
            smallest: how many items a window holds when talk is slow.
            largest: how many when it is dense.
        """

        smallest: int = Field(5, ge=1, le=1_000)
        largest: int = Field(20, ge=1, le=1_000)

    async def on_start(self) -> None:
        """Begin with nothing in mind."""
        self._all = self._window()
        self._speakers: OrderedDict[str, Window] = OrderedDict()

    async def on_ready(self) -> None:
        """Call the last turns back to mind, in the background: nobody has to wait for it."""
        self.spawn(self._rebuild(), name="rebuild")

    @method(timeout_s=5)
    async def add_item(
        self, text: Words, speaker: str | None = None, meta: dict[str, Any] | None = None
    ) -> ItemAdded:
        """Take something in; its importance follows from its words.

        Args:
            text: what was said or noticed.
            speaker: by whom.
            meta: anything worth keeping with it.
        """
        item = self._item(text, speaker, meta, self.clock.time())
        dropped = self._take(item)
        await self._updated()
        return ItemAdded(
            importance=item.importance, dropped=None if dropped is None else dropped.text
        )

    @method(timeout_s=5, idempotent=True)
    async def get_context(
        self, speaker: str | None = None, max_items: Annotated[int, Field(ge=0)] | None = None
    ) -> ContextItems:
        """What is in mind, of all or of one speaker: by importance, then recency."""
        window = self._of(speaker)
        items = window.ranked()[:max_items]
        return ContextItems(
            items=[
                ContextItem(
                    text=item.text,
                    speaker=item.speaker,
                    importance=item.importance,
                    at=item.at,
                    meta=item.meta,
                )
                for item in items
            ],
            size=window.size,
        )

    @method(timeout_s=5, idempotent=True)
    async def get_context_text(
        self, speaker: str | None = None, max_tokens: Annotated[int, Field(ge=0)] = 800
    ) -> ContextText:
        """What is in mind, ready for a prompt: the most important that fits, as it was said."""
        chosen: list[Item] = []
        spent = 0
        for item in self._of(speaker).ranked():
            cost = estimate_tokens(_line(item))
            if spent + cost <= max_tokens:
                chosen.append(item)
                spent += cost
        chosen.sort(key=lambda item: item.at)
        return ContextText(text="\n".join(map(_line, chosen)), items=len(chosen))

    @method(timeout_s=5, idempotent=True)
    async def prune_context(
        self, min_importance: Annotated[float, Field(ge=0, le=1)] = 0.5
    ) -> ContextPruned:
        """Make room: drop what matters less than that."""
        for window in self._speakers.values():
            window.prune(min_importance)
        removed = self._all.prune(min_importance)
        if removed:
            await self._updated()
        return ContextPruned(removed=removed)

    @method(timeout_s=5, idempotent=True)
    async def clear_context(self, speaker: str | None = None) -> ContextCleared:
        """Forget everything, or what one speaker said."""
        if speaker is None:
            cleared = self._all.clear()
            self._speakers.clear()
        else:
            own = self._speakers.pop(speaker, None)
            before = len(self._all.items)
            self._all.items = [item for item in self._all.items if item.speaker != speaker]
            cleared = max(before - len(self._all.items), len(own.items) if own else 0)
        if cleared:
            await self._updated()
        return ContextCleared(cleared=cleared)

    @subscribe("speech.language")
    async def on_speech(self, event: dict[str, Any]) -> None:
        """Something was said."""
        await self._hear(event.get("text"), event.get("user_id") or event.get("speaker"), event)

    @subscribe("response.delivered")
    async def on_response(self, event: dict[str, Any]) -> None:
        """Something was answered."""
        await self._hear(event.get("text"), _ASSISTANT, event)

    @subscribe("memory.changed")
    async def on_memory_changed(self, event: dict[str, Any]) -> None:
        """What was forgotten must not stay in mind."""
        if event.get("change") != "deleted":
            return
        gone = event.get("memory_id")
        for window in (self._all, *self._speakers.values()):
            window.items = [item for item in window.items if item.meta.get("memory_id") != gone]

    async def _hear(self, text: Any, speaker: str | None, event: dict[str, Any]) -> None:
        if isinstance(text, str) and text.strip():
            meta = {key: event[key] for key in ("utterance_id", "language") if event.get(key)}
            self._take(self._item(text, speaker, meta, self.clock.time()))
            await self._updated()

    async def _rebuild(self) -> None:
        """Take in the turns of the last hour, unless there is something newer in mind already."""
        try:
            found = await self.memory.search_memory(
                "", mode="recent", kind="turn", limit=self.config.largest
            )
        except CallError as error:
            self.log.info("context begins empty", reason=str(error))
            return
        if self._all.items:
            return
        oldest = self.clock.time() - _REBUILD_S
        for hit in reversed(found["results"]):
            if hit["created_at"] >= oldest:
                role = hit["meta"].get("role")
                speaker = _ASSISTANT if role == _ASSISTANT else hit["meta"].get("user_id")
                meta = {"memory_id": hit["memory_id"]}
                self._take(self._item(hit["content"], speaker, meta, hit["created_at"]))

    def _item(self, text: str, speaker: str | None, meta: dict[str, Any] | None, at: float) -> Item:
        return Item(text.strip(), speaker, importance_of(text), at, meta or {})

    def _take(self, item: Item) -> Item | None:
        if item.speaker is not None:
            own = self._speakers.setdefault(item.speaker, self._window())
            self._speakers.move_to_end(item.speaker)
            own.add(item)
            while len(self._speakers) > _MAX_SPEAKERS:
                self._speakers.popitem(last=False)
        return self._all.add(item)

    def _window(self) -> Window:
        return Window(smallest=self.config.smallest, largest=self.config.largest)

    def _of(self, speaker: str | None) -> Window:
        if speaker is None:
            return self._all
        return self._speakers.get(speaker) or self._window()

    async def _updated(self) -> None:
        top = self._all.ranked()[:3]
        await self.publish(
            "context.updated",
            {"items": len(self._all.items), "top": [item.text[:200] for item in top]},
        )


def _line(item: Item) -> str:
    return f"{item.speaker}: {item.text}" if item.speaker else item.text
