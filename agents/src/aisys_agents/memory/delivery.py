"""Bringing what was buffered to the store: in order, in batches, as often as it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aisys.errors import AgentError, ArgumentError
from aisys_agents.memory.buffer import WriteBuffer
from aisys_agents.memory.errors import StoreAway
from aisys_agents.memory.memory_orchestrator_service import (
    Added,
    Deleted,
    MemoryOrchestratorService,
)
from aisys_agents.memory.models import MemoryChanges, NewMemory
from aisys_agents.memory.store_link import StoreLink

__all__ = ["Delivery"]

_BATCH = 100


class Delivery:
    """Empties the buffer into the store.

    The store knows the ids, so that a batch whose answer was lost is simply sent again. An item
    that the store refuses is put aside: it would hold up all that wait behind it.

    Args:
        buffer: what waits.
        link: the way to the store; asked as a probe, since the answer is what closes the breaker.
        delivered: told of each item that has arrived, and the machine that has it.
        rejected: told of each item that was put aside, and why.
    """

    def __init__(
        self,
        buffer: WriteBuffer,
        link: StoreLink,
        *,
        delivered: Callable[[NewMemory, str], Awaitable[None]],
        rejected: Callable[[NewMemory, Exception], Awaitable[None]],
    ) -> None:
        self._buffer = buffer
        self._link = link
        self._delivered = delivered
        self._rejected = rejected

    async def run(self) -> None:
        """Deliver everything.

        Raises:
            StoreAway: the store did not answer; what is left waits on.
        """
        for memory_id in self._buffer.forgotten:
            await self._link.probe(partial(_delete, memory_id))
            await self._buffer.deleted(memory_id)
        while len(self._buffer):
            await self._some(self._buffer.first(_BATCH))

    async def _some(self, items: list[NewMemory]) -> None:
        try:
            added = await self._link.probe(lambda store: store.add_memory(list(items)))
        except StoreAway:
            raise
        except (AgentError, ArgumentError) as error:
            if len(items) > 1:
                # One of them is at fault; the first is tried alone, the rest comes round again.
                await self._some(items[:1])
            else:
                await self._rejected(items[0], error)
            return
        for item in items:
            if (
                self._buffer.is_revised(item["memory_id"])
                and item["memory_id"] not in (added["added"])
            ):
                await self._revise(item)
        await self._arrived(items, added)

    async def _revise(self, item: NewMemory) -> None:
        """The store had the memory from before it was changed here: change it there as well."""
        changes = MemoryChanges(
            content=item["content"],
            kind=item.get("kind", "general"),
            tier=item.get("tier", "short"),
            importance=item.get("importance", 0.5),
            tags=item.get("tags", []),
            parent_id=item.get("parent_id"),
            meta=item.get("meta", {}),
            expires_at=item.get("expires_at"),
        )
        await self._link.probe(
            lambda store: store.update_memory(item["memory_id"], changes=changes)
        )

    async def _arrived(self, items: list[NewMemory], added: Added) -> None:
        await self._buffer.remove([item["memory_id"] for item in items])
        for item in items:
            await self._delivered(item, added["stored"])


def _delete(memory_id: str, store: MemoryOrchestratorService) -> Awaitable[Deleted]:
    return store.delete_memory(memory_id)
