"""Remembering and recalling through the real agents: client, store, facts, conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aisys.errors import ArgumentError
from aisys.testing import LocalFleet
from aisys_agents.memory.errors import (
    BufferFull,
    FactNotFound,
    MemoryNotFound,
    SessionClosed,
    SessionNotFound,
    StoreAway,
)
from aisys_agents.memory.knowledge_base import KnowledgeBase
from aisys_agents.memory.memory_client import MemoryClient
from aisys_agents.memory.memory_orchestrator_service import MemoryOrchestratorService
from aisys_agents.memory.session_memory_agent import SessionMemoryAgent
from support.waiting import eventually

QUICK = {"MemoryClient": {"timeout_s": 0.5}}


def fleet(directory: Path, *, store: bool = True, **options: Any) -> LocalFleet:
    """The memory agents on one directory; without the store its machine is away."""
    agents = [MemoryClient, KnowledgeBase, SessionMemoryAgent]
    if store:
        agents.insert(0, MemoryOrchestratorService)
    options.setdefault("settings", QUICK)
    return LocalFleet(*agents, state="file", directory=directory, machine="pc2", **options)


async def test_a_fact_is_recalled_with_where_it_is(tmp_path: Path) -> None:
    """What is remembered is found by a question, and says where it was stored."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        added = await facts.add_fact("dentist", "My dentist is Dr. Cruz, 555 0199")
        assert added["stored"] == "pc2"
        found = await facts.search_facts("Who is my dentist?")
        assert found["unreached"] == []
        assert found["facts"][0]["content"] == "My dentist is Dr. Cruz, 555 0199"
        assert found["facts"][0]["stored"] == "pc2"
        assert found["facts"][0]["score"] > 0.5


async def test_a_fact_survives_a_restart(tmp_path: Path) -> None:
    """After stopping and starting on the same folder the fact is there."""
    async with fleet(tmp_path) as agents:
        await agents.proxy(KnowledgeBase).add_fact("dentist", "My dentist is Dr. Cruz")
    async with fleet(tmp_path) as agents:
        found = await agents.proxy(KnowledgeBase).search_facts("dentist")
        assert [fact["content"] for fact in found["facts"]] == ["My dentist is Dr. Cruz"]


async def test_without_the_store_a_fact_is_buffered_found_and_delivered(tmp_path: Path) -> None:
    """Remembering says `buffered`, recalling says what it could not reach, delivery follows."""
    async with fleet(tmp_path, store=False, planned=("MemoryOrchestratorService",)) as agents:
        facts = agents.proxy(KnowledgeBase)
        added = await facts.add_fact("dentist", "My dentist is Dr. Cruz")
        assert added["stored"] == "buffered"
        found = await facts.search_facts("who is my dentsit")
        assert [fact["content"] for fact in found["facts"]] == ["My dentist is Dr. Cruz"]
        assert found["facts"][0]["stored"] == "buffered"
        assert found["unreached"] == ["MemoryOrchestratorService"]
        status = await agents.proxy(MemoryClient).get_link_status()
        assert status["buffered"] == 1
        assert status["failures"] > 0
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)

        async def delivered() -> bool:
            return (await client.get_link_status())["buffered"] == 0

        await eventually(delivered, 5.0)
        found = await agents.proxy(KnowledgeBase).search_facts("dentist")
        assert [fact["stored"] for fact in found["facts"]] == ["pc2"]
        assert found["facts"][0]["fact_id"] == added["fact_id"]
        changes = [event["change"] for event in agents.published("memory.changed")]
        assert "delivered" in changes


async def test_the_breaker_opens_and_a_returning_store_closes_it_at_once(tmp_path: Path) -> None:
    """After three failures nobody waits for the store; the probe finds it within seconds."""
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)
        await agents.stop(MemoryOrchestratorService)
        for number in range(4):
            stored = await client.add_memory(f"note {number}")
            assert stored["stored"] == "buffered"
        assert (await client.get_link_status())["state"] == "open"
        await agents.restart(MemoryOrchestratorService)

        async def closed() -> bool:
            status = await client.get_link_status()
            return status["state"] == "closed" and status["buffered"] == 0

        await eventually(closed, 5.0)
        hits = (await client.search_memory("note", limit=10))["results"]
        assert {hit["content"] for hit in hits} == {f"note {number}" for number in range(4)}
        assert {hit["stored"] for hit in hits} == {"pc2"}


async def test_what_is_buffered_can_be_changed_and_deleted(tmp_path: Path) -> None:
    """A change before delivery is what is delivered; what was deleted does not come back."""
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)
        await agents.stop(MemoryOrchestratorService)
        kept = (await client.add_memory("first wording"))["memory_id"]
        gone = (await client.add_memory("a secret"))["memory_id"]
        updated = await client.update_memory(kept, {"content": "second wording"})
        assert updated["memory"]["stored"] == "buffered"
        assert (await client.delete_memory(gone))["deleted"] == 1
        await agents.restart(MemoryOrchestratorService)

        async def delivered() -> bool:
            return (await client.get_link_status())["buffered"] == 0

        await eventually(delivered, 5.0)
        assert (await client.get_memory(kept))["memory"]["content"] == "second wording"
        with pytest.raises(MemoryNotFound):
            await client.get_memory(gone)


async def test_a_change_reaches_a_memory_that_was_stored_without_an_answer(tmp_path: Path) -> None:
    """The store has the first wording from a call that timed out; delivery brings the second."""
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)
        store = agents.proxy(MemoryOrchestratorService)
        await store.add_memory("first wording", memory_id="mem_x")
        await store.add_memory("unwanted", memory_id="mem_y")
        await agents.stop(MemoryOrchestratorService)
        await client.add_memory("first wording", memory_id="mem_x")
        await client.add_memory("unwanted", memory_id="mem_y")
        await client.update_memory("mem_x", {"content": "second wording"})
        await client.delete_memory("mem_y")
        await agents.restart(MemoryOrchestratorService)

        async def settled() -> bool:
            try:
                await store.get_memory("mem_y")
            except MemoryNotFound:
                memory = (await store.get_memory("mem_x"))["memory"]
                return memory["content"] == "second wording"
            return False

        await eventually(settled, 5.0)


async def test_what_the_store_refuses_holds_nothing_up(tmp_path: Path) -> None:
    """A buffered item of another version that does not fit is put aside, reported, and counted."""
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)
        await agents.stop(MemoryOrchestratorService)
        await client.add_memory("before")
        buffer = agents.agent(MemoryClient)._buffer
        await buffer.put([{"memory_id": "mem_odd", "content": "odd", "tier": "eternal"}])  # type: ignore[typeddict-item]
        await client.add_memory("after")
        await agents.restart(MemoryOrchestratorService)

        async def delivered() -> bool:
            return (await client.get_link_status())["buffered"] == 0

        await eventually(delivered, 5.0)
        hits = (await client.search_memory("", limit=10))["results"]
        assert {hit["content"] for hit in hits} == {"before", "after"}
        assert (await client.get_link_status())["rejected"] == 1
        assert any("put aside" in str(report.impact) for report in agents.errors)


async def test_a_full_buffer_refuses(tmp_path: Path) -> None:
    """Beyond the limit a memory is not accepted, and that is said."""
    settings = {"MemoryClient": {"timeout_s": 0.5, "buffer_limit": 2}}
    async with fleet(tmp_path, store=False, settings=settings) as agents:
        client = agents.proxy(MemoryClient)
        await client.add_memory("one")
        await client.add_memory("two")
        with pytest.raises(BufferFull, match="nothing was stored"):
            await client.add_memory("three")


async def test_reading_while_the_store_is_away(tmp_path: Path) -> None:
    """What was seen lately is given from the cache and says so; the rest is an honest error."""
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)
        seen = (await client.add_memory("seen"))["memory_id"]
        unseen = (await client.add_memory("unseen"))["memory_id"]
        await client.get_memory(seen)
        await agents.stop(MemoryOrchestratorService)
        assert (await client.get_memory(seen))["memory"]["stored"] == "cache"
        with pytest.raises(StoreAway):
            await client.get_memory(unseen)
        with pytest.raises(StoreAway):
            await client.update_memory(unseen, {"content": "x"})


async def test_children_and_links_come_with_a_memory(tmp_path: Path) -> None:
    """Neighbours are given when asked for."""
    async with fleet(tmp_path) as agents:
        client, store = agents.proxy(MemoryClient), agents.proxy(MemoryOrchestratorService)
        parent = (await client.add_memory("trip"))["memory_id"]
        await client.add_memory("day one", parent_id=parent)
        other = (await client.add_memory("budget"))["memory_id"]
        await store.link_memories(parent, other, "about")
        read = await client.get_memory(parent, with_children=True, with_related=True)
        assert [child["content"] for child in read["children"] or []] == ["day one"]
        assert [link["memory"]["content"] for link in read["related"] or []] == ["budget"]
        assert (await client.delete_memory(parent))["deleted"] == 2


async def test_wrong_arguments_name_the_field(tmp_path: Path) -> None:
    """Neither an unknown change nor an importance over 1 reaches the store."""
    async with fleet(tmp_path) as agents:
        client = agents.proxy(MemoryClient)
        with pytest.raises(ArgumentError, match="importance"):
            await client.add_memory("x", importance=2.0)
        with pytest.raises(ArgumentError, match="colour"):
            await client.update_memory("x", {"colour": "red"})  # type: ignore[typeddict-unknown-key]
        with pytest.raises(ArgumentError, match="content"):
            await client.add_memory("")


async def test_many_memories_in_one_call(tmp_path: Path) -> None:
    """A list is stored in one commit; items may have fields of their own."""
    async with fleet(tmp_path) as agents:
        store = agents.proxy(MemoryOrchestratorService)
        added = await store.add_memory(["a1", {"content": "a2", "kind": "note"}], kind="log")
        kinds = [
            (await store.get_memory(memory_id))["memory"]["kind"]
            for memory_id in added["memory_ids"]
        ]
        assert kinds == ["log", "note"]


async def test_the_store_ages_and_keeps_copies(tmp_path: Path) -> None:
    """The hourly clock runs the ageing and leaves a backup that opens."""
    async with fleet(tmp_path) as agents:
        store = agents.agent(MemoryOrchestratorService)
        old = store.clock.time() - 2 * 86_400.0
        await agents.proxy(MemoryOrchestratorService).add_memory(
            "old", created_at=old, importance=0.9, memory_id="mem_old"
        )
        await store.age_memories()
        memory = await agents.proxy(MemoryOrchestratorService).get_memory("mem_old")
        assert memory["memory"]["tier"] == "medium"
        assert len(list((store.state.path / "backups").glob("memories-*.sqlite3"))) == 1
        await store.age_memories()
        assert len(list((store.state.path / "backups").glob("memories-*.sqlite3"))) == 1


async def test_the_newer_of_two_values_replaces_the_older(tmp_path: Path) -> None:
    """A new dentist takes the old one's place, which stays in the history."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        first = await facts.add_fact("dentist", "My dentist is Dr. Cruz")
        second = await facts.add_fact("Dentist", "My dentist is Dr. Reyes")
        assert second["supersedes"] == first["fact_id"]
        found = (await facts.search_facts("dentist"))["facts"]
        assert [fact["content"] for fact in found] == ["My dentist is Dr. Reyes"]
        assert found[0]["history"][0]["content"] == "My dentist is Dr. Cruz"
        assert (await facts.forget_fact(second["fact_id"]))["forgotten"]
        with pytest.raises(MemoryNotFound):
            await agents.proxy(MemoryClient).get_memory(first["fact_id"])


async def test_facts_of_one_topic_that_do_not_exclude_each_other_stay(tmp_path: Path) -> None:
    """In doubt both are kept, the newest first."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        await facts.add_fact("son", "My son is six years old")
        await facts.add_fact("son", "My son is allergic to nuts")
        got = await facts.get_fact("son")
        assert got["fact"] is not None
        assert got["fact"]["content"] == "My son is allergic to nuts"
        assert [fact["content"] for fact in got["alternatives"]] == ["My son is six years old"]


async def test_the_same_words_again_are_the_same_fact(tmp_path: Path) -> None:
    """Saying it twice does not make two facts, and raises the confidence."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        first = await facts.add_fact("tea", "I like tea", confidence=0.5)
        again = await facts.add_fact("tea", "i like TEA.", confidence=0.9)
        assert again["fact_id"] == first["fact_id"]
        got = await facts.get_fact("tea")
        assert got["fact"] is not None
        assert got["fact"]["confidence"] == 0.9


async def test_a_fact_is_reworded_with_history(tmp_path: Path) -> None:
    """The old wording is given back and kept."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        await facts.add_fact("car", "The car is parked on level 2")
        updated = await facts.update_fact("The car is parked on level 3", topic="car")
        assert updated["previous"] == "The car is parked on level 2"
        assert updated["fact"]["history"][0]["content"] == "The car is parked on level 2"
        with pytest.raises(FactNotFound):
            await facts.update_fact("x", topic="boat")
        with pytest.raises(FactNotFound, match="give fact_id or topic"):
            await facts.update_fact("x")


async def test_a_replacement_made_while_the_store_was_away_is_settled_on_delivery(
    tmp_path: Path,
) -> None:
    """The older fact, out of reach at the time, is retired once the newer one is delivered."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        await facts.add_fact("dentist", "My dentist is Dr. Cruz")
        await agents.stop(MemoryOrchestratorService)
        added = await facts.add_fact("dentist", "My dentist is Dr. Reyes")
        assert added["stored"] == "buffered"
        await agents.restart(MemoryOrchestratorService)

        async def settled() -> bool:
            found = (await facts.search_facts("dentist"))["facts"]
            return [fact["content"] for fact in found] == ["My dentist is Dr. Reyes"]

        await eventually(settled, 8.0)


async def test_ranking_finds_each_fact_by_a_question(tmp_path: Path) -> None:
    """Over a small household the right fact is first for nine of ten questions or more."""
    facts_by_question = {
        "Who is my dentist?": ("dentist", "My dentist is Dr. Cruz, 555 0199"),
        "what is the wifi password": ("wifi", "The wifi password is mango-7421"),
        "when is ana's birthday": ("Ana", "Ana's birthday is on March 14"),
        "where do we keep the spare key": ("spare key", "The spare key hangs behind the fridge"),
        "what am I allergic to": ("allergies", "I am allergic to peanuts"),
        "favourite colour": ("colour", "My favourite colour is green"),
        "what's the plate number of the car": ("car", "The plate number of our car is NBC 1234"),
        "anong gatas ang iniinom ko": ("gatas", "Oat na gatas ang iniinom ko"),
        "plumer phone": ("plumber", "The plumber is Ben, phone 555 0123"),
        "how do I take my coffee": ("coffee", "I take my coffee black, no sugar"),
    }
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        for topic, content in facts_by_question.values():
            await facts.add_fact(topic, content)
        right = 0
        for question, (_, content) in facts_by_question.items():
            found = (await facts.search_facts(question))["facts"]
            right += bool(found) and found[0]["content"] == content
        assert right >= 9
        assert (await facts.search_facts("capital of France"))["facts"] == []


async def test_a_conversation_is_taken_up_after_a_restart(tmp_path: Path) -> None:
    """Turns come back in order, and go on being counted."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        session_id = (await sessions.create_session("ana"))["session_id"]
        await sessions.add_turn(session_id, "user", "Hello")
        added = await sessions.add_turn(session_id, "assistant", "Hi Ana")
        assert added["turns"] == 2
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        context = await sessions.get_context(session_id)
        assert [turn["text"] for turn in context["turns"]] == ["Hello", "Hi Ana"]
        assert not context["trimmed"]
        assert (await sessions.add_turn(session_id, "user", "Bye"))["turns"] == 3


async def test_context_keeps_to_its_limits(tmp_path: Path) -> None:
    """The newest turns are kept, and it says that others were left out."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        session_id = (await sessions.create_session("ana"))["session_id"]
        for number in range(5):
            await sessions.add_turn(session_id, "user", f"word {number}")
        context = await sessions.get_context(session_id, max_turns=2)
        assert [turn["text"] for turn in context["turns"]] == ["word 3", "word 4"]
        assert context["trimmed"]
        assert (await sessions.get_context(session_id, max_tokens=1))["turns"] == []


async def test_past_utterances_are_found(tmp_path: Path) -> None:
    """Search can be narrowed to a conversation or a user."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        one = (await sessions.create_session("ana"))["session_id"]
        other = (await sessions.create_session("ben"))["session_id"]
        await sessions.add_turn(one, "user", "The garden needs water")
        await sessions.add_turn(other, "user", "My garden is dry")
        assert len((await sessions.search_turns("garden"))["turns"]) == 2
        of_ana = (await sessions.search_turns("garden", user_id="ana"))["turns"]
        assert [turn["text"] for turn in of_ana] == ["The garden needs water"]
        of_other = (await sessions.search_turns("garden", session_id=other))["turns"]
        assert [turn["text"] for turn in of_other] == ["My garden is dry"]


async def test_closing_ends_and_deleting_erases(tmp_path: Path) -> None:
    """A closed conversation can be read and not continued; a deleted one is gone."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        kept = (await sessions.create_session("ana"))["session_id"]
        await sessions.add_turn(kept, "user", "Hello")
        assert await sessions.close_session(kept) == {"turns": 1, "deleted": False}
        with pytest.raises(SessionClosed):
            await sessions.add_turn(kept, "user", "More")
        assert len((await sessions.get_context(kept))["turns"]) == 1
        gone = (await sessions.create_session("ana"))["session_id"]
        await sessions.add_turn(gone, "user", "Secret")
        assert (await sessions.close_session(gone, delete=True))["deleted"]
        with pytest.raises(SessionNotFound):
            await sessions.get_context(gone)
        assert (await sessions.search_turns("secret"))["turns"] == []


async def test_a_conversation_of_a_given_id_is_continued(tmp_path: Path) -> None:
    """Opening it again brings its turns back, after a restart and after it was closed."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        await sessions.create_session("ana", session_id="evening")
        await sessions.add_turn("evening", "user", "Hello")
        await sessions.close_session("evening")
        await sessions.create_session("ana", session_id="evening")
        assert (await sessions.add_turn("evening", "user", "Back"))["turns"] == 2
    settings = {**QUICK, "SessionMemoryAgent": {"max_sessions": 1}}
    async with fleet(tmp_path, settings=settings) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        await sessions.create_session("ben", session_id="other")
        await sessions.create_session("ana", session_id="evening")
        context = await sessions.get_context("evening")
        assert [turn["text"] for turn in context["turns"]] == ["Hello", "Back"]


async def test_conversations_beyond_the_limit_are_put_away_and_resumed(tmp_path: Path) -> None:
    """The longest idle goes first, and comes back when it is spoken to."""
    settings = {**QUICK, "SessionMemoryAgent": {"max_sessions": 2}}
    async with fleet(tmp_path, settings=settings) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        ids = [(await sessions.create_session(f"user{n}"))["session_id"] for n in range(3)]
        changes = [
            (event["session_id"], event["change"]) for event in agents.published("session.changed")
        ]
        assert (ids[0], "idle") in changes
        assert (await sessions.add_turn(ids[0], "user", "I am back"))["turns"] == 1


async def test_a_conversation_goes_on_while_the_store_is_away(tmp_path: Path) -> None:
    """Turns are buffered and stay in the context."""
    async with fleet(tmp_path, store=False) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        session_id = (await sessions.create_session("ana"))["session_id"]
        added = await sessions.add_turn(session_id, "user", "Hello")
        assert added["stored"] == "buffered"
        context = await sessions.get_context(session_id)
        assert [turn["text"] for turn in context["turns"]] == ["Hello"]
