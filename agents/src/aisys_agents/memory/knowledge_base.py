"""Keeps lasting facts by topic and finds them again."""

from __future__ import annotations

import asyncio
from types import EllipsisType
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from aisys import Agent, method, subscribe
from aisys_agents.memory.errors import FactNotFound, MemoryNotFound, StoreAway
from aisys_agents.memory.facts import (
    FACT_KIND,
    fact_of,
    hit_of,
    is_open_to,
    owner_of,
    replaces,
    same_wording,
    topic_tag,
    user_source,
)
from aisys_agents.memory.memory_client import MemoryClient, SearchFilters
from aisys_agents.memory.models import (
    ARCHIVE,
    Content,
    Fact,
    FactHit,
    Hit,
    Importance,
    Limit,
    MemoryChanges,
)

__all__ = [
    "FactAdded",
    "FactForgotten",
    "FactUpdated",
    "FactsFound",
    "KnowledgeBase",
    "TopicFacts",
]

_IMPORTANCE = 0.8
_A_TOPIC = 100
_HISTORY = 50
_WIDE = 200

Topic = Annotated[str, Field(min_length=1, max_length=200)]


class FactAdded(TypedDict):
    """The fact's id, the fact it replaces if any, and where it is: a machine, or `buffered`."""

    fact_id: str
    supersedes: str | None
    stored: str


class TopicFacts(TypedDict):
    """The best fact of a topic, the others, and whom the search could not reach."""

    fact: Fact | None
    alternatives: list[Fact]
    unreached: list[str]


class FactsFound(TypedDict):
    """Facts, best first, and whom the search could not reach (nobody, if empty)."""

    facts: list[FactHit]
    unreached: list[str]


class FactUpdated(TypedDict):
    """The wording before, and the fact as it is now."""

    previous: str
    fact: Fact


class FactForgotten(TypedDict):
    """Whether there was such a fact."""

    forgotten: bool


class KnowledgeBase(Agent):
    """Facts by topic, as memories of the long tier.

    A fact that gives the one value of something anew replaces the older one, which goes to the
    archive and into the history of the new one; other facts of the topic stay beside it. While the
    store is away facts are buffered and found all the same, and every search says what it could not
    reach.
    """

    memory: MemoryClient

    @method(timeout_s=15)
    async def add_fact(
        self,
        topic: Topic,
        content: Content,
        source: str | None = None,
        confidence: Importance = 1.0,
    ) -> FactAdded:
        """Store a fact under a topic.

        Said again in the same words it is the same fact; its confidence is raised if need be. Facts of different
        users (source `user:<id>`) stay apart.

        Args:
            topic: what it is about, in a word or a few.
            content: the fact in a sentence.
            source: who said so.
            confidence: how sure that is, 0 to 1.
        """
        known, _ = await self._of_topic(topic, source)
        for hit in known:
            if same_wording(hit["content"], content):
                return await self._confirm(hit, confidence)
        older = next((hit for hit in known if replaces(content, hit["content"])), None)
        now = self.clock.time()
        meta: dict[str, Any] = {"topic": topic, "confidence": confidence}
        if source is not None:
            meta["source"] = source
        if older is not None:
            meta["supersedes"] = older["memory_id"]
            meta["history"] = _with_history(older, now)
        stored = await self.memory.add_memory(
            content,
            kind=FACT_KIND,
            tier="long",
            importance=_IMPORTANCE,
            tags=[topic_tag(topic)],
            meta=meta,
        )
        if older is not None:
            await self._retire(older, stored["memory_id"])
        await self._changed(stored["memory_id"], topic, "added")
        return FactAdded(
            fact_id=stored["memory_id"],
            supersedes=None if older is None else older["memory_id"],
            stored=stored["stored"],
        )

    @method(timeout_s=15, idempotent=True)
    async def get_fact(self, topic: Topic) -> TopicFacts:
        """The best fact of a topic: the newest of just this topic, else the best match."""
        hits, unreached = await self._of_topic(topic)
        if not hits:
            found = await self.memory.search_memory(topic, kind=FACT_KIND, limit=10)
            hits, unreached = found["results"], found["unreached"]
        facts = [fact_of(hit) for hit in hits]
        return TopicFacts(
            fact=facts[0] if facts else None, alternatives=facts[1:], unreached=unreached
        )

    @method(timeout_s=15, idempotent=True)
    async def search_facts(
        self, query: str, limit: Limit = 10, user_id: str | None = None
    ) -> FactsFound:
        """Find facts by topic and content, best first; misspellings are forgiven.

        Args:
            query: a question or some words; empty for the newest facts.
            limit: how many at most.
            user_id: who asks; what other users said is left out. Everything by default.
        """
        if user_id is None:
            found = await self.memory.search_memory(query, kind=FACT_KIND, limit=limit)
            return FactsFound(
                facts=[hit_of(hit) for hit in found["results"]], unreached=found["unreached"]
            )
        # Asked for separately too, so that the facts of others do not crowd out one's own.
        own, all_ = await asyncio.gather(
            self.memory.search_memory(
                query,
                kind=FACT_KIND,
                limit=limit,
                filters=SearchFilters(meta={"source": user_source(user_id)}),
            ),
            self.memory.search_memory(query, kind=FACT_KIND, limit=min(10 * limit, _WIDE)),
        )
        hits = {hit["memory_id"]: hit for hit in (*own["results"], *all_["results"])}
        facts = [hit_of(hit) for hit in hits.values() if is_open_to(user_id, _source(hit))]
        order = _best_first if query.strip() else _newest_first
        return FactsFound(
            facts=sorted(facts, key=order)[:limit],
            unreached=list(dict.fromkeys([*own["unreached"], *all_["unreached"]])),
        )

    @method(timeout_s=15)
    async def update_fact(
        self, content: Content, fact_id: str | None = None, topic: Topic | None = None
    ) -> FactUpdated:
        """Put a fact in other words; the old ones become its history.

        Args:
            content: the new wording.
            fact_id: which fact.
            topic: or the topic whose best fact is meant.

        Raises:
            FactNotFound: there is no such fact, or neither was given.
            StoreAway: it is in the store, which cannot be reached; nothing was changed.
        """
        before = await self._one(fact_id, topic)
        now = self.clock.time()
        history = [*before["history"], {"content": before["content"], "until": now}]
        updated = await self.memory.update_memory(
            before["fact_id"],
            MemoryChanges(content=content, meta={"history": history[-_HISTORY:]}),
        )
        fact = fact_of(updated["memory"])
        await self._changed(fact["fact_id"], fact["topic"], "updated")
        return FactUpdated(previous=before["content"], fact=fact)

    @method(timeout_s=15)
    async def forget_fact(self, fact_id: str) -> FactForgotten:
        """Delete a fact for good, with the older ones that it replaced.

        Raises:
            StoreAway: it is in the store, which cannot be reached; nothing was deleted.
        """
        forgotten = False
        topic = ""
        at: str | None = fact_id
        for _ in range(_HISTORY):
            if at is None:
                break
            try:
                memory = (await self.memory.get_memory(at))["memory"]
            except MemoryNotFound:
                break
            if memory["kind"] != FACT_KIND:
                break
            topic = topic or fact_of(memory)["topic"]
            deleted = await self.memory.delete_memory(at)
            forgotten = forgotten or deleted["deleted"] > 0
            at = memory["meta"].get("supersedes")
        if forgotten:
            await self._changed(fact_id, topic, "forgotten")
        return FactForgotten(forgotten=forgotten)

    @subscribe("memory.changed")
    async def on_memory_changed(self, event: dict[str, Any]) -> None:
        """A buffered fact has reached the store: now retire what it replaces there."""
        if event.get("kind") != FACT_KIND or event.get("change") != "delivered":
            return
        try:
            memory = (await self.memory.get_memory(event["memory_id"]))["memory"]
            known, _ = await self._of_topic(fact_of(memory)["topic"], fact_of(memory)["source"])
            for hit in known:
                is_older = hit["created_at"] < memory["created_at"]
                if is_older and replaces(memory["content"], hit["content"]):
                    history = _with_history(hit, memory["created_at"])
                    await self.memory.update_memory(
                        memory["memory_id"],
                        MemoryChanges(meta={"supersedes": hit["memory_id"], "history": history}),
                    )
                    await self._retire(hit, memory["memory_id"])
        except (MemoryNotFound, StoreAway) as error:
            # The newer fact still comes first by its time; only the older one stays visible.
            self.log.warning("older fact not retired", reason=str(error))

    async def _of_topic(
        self, topic: str, source: str | EllipsisType | None = ...
    ) -> tuple[list[Hit], list[str]]:
        """The facts of exactly this topic, newest first, and whom the search could not reach.

        With a source only those of the same user, or those that everybody shares.
        """
        chosen = SearchFilters(tags=[topic_tag(topic)])
        owner = None if source is ... else owner_of(source)
        if owner is not None:
            chosen["meta"] = {"source": owner}
        found = await self.memory.search_memory(
            "", mode="recent", kind=FACT_KIND, limit=_A_TOPIC, filters=chosen
        )
        hits = found["results"]
        if source is not ...:
            hits = [hit for hit in hits if owner_of(_source(hit)) == owner]
        return hits, found["unreached"]

    async def _one(self, fact_id: str | None, topic: str | None) -> Fact:
        if fact_id is not None:
            try:
                memory = (await self.memory.get_memory(fact_id))["memory"]
            except MemoryNotFound:
                raise FactNotFound(f"no fact {fact_id!r}") from None
            if memory["kind"] != FACT_KIND:
                raise FactNotFound(f"{fact_id!r} is a {memory['kind']}, not a fact")
            return fact_of(memory)
        if topic is None:
            raise FactNotFound("say which fact to change: give fact_id or topic")
        found = await self.get_fact(topic)
        if found["fact"] is None:
            if found["unreached"]:
                raise StoreAway(
                    f"no fact about {topic!r} here, and the memory store cannot be reached",
                    unreached=found["unreached"][0],
                )
            raise FactNotFound(f"no fact about {topic!r}")
        return found["fact"]

    async def _confirm(self, hit: Hit, confidence: float) -> FactAdded:
        if confidence > fact_of(hit)["confidence"]:
            await self.memory.update_memory(
                hit["memory_id"], MemoryChanges(meta={"confidence": confidence})
            )
        return FactAdded(fact_id=hit["memory_id"], supersedes=None, stored=hit["stored"])

    async def _retire(self, older: Hit, newer_id: str) -> None:
        """Take a replaced fact out of the searches; it stays readable by its id."""
        try:
            await self.memory.update_memory(
                older["memory_id"],
                MemoryChanges(tier=ARCHIVE, meta={"superseded_by": newer_id}),
            )
        except (MemoryNotFound, StoreAway) as error:
            self.log.warning("older fact not retired", reason=str(error))

    async def _changed(self, fact_id: str, topic: str, change: str) -> None:
        await self.publish(
            "knowledge.changed", {"fact_id": fact_id, "topic": topic, "change": change}
        )


def _with_history(older: Hit, now: float) -> list[dict[str, Any]]:
    entry = {"content": older["content"], "fact_id": older["memory_id"], "until": now}
    return [*fact_of(older)["history"], entry][-_HISTORY:]


def _source(hit: Hit) -> object:
    return hit["meta"].get("source")


def _newest_first(fact: FactHit) -> float:
    return -fact["created_at"]


def _best_first(fact: FactHit) -> float:
    return -fact["score"]
