"""The working context, the cache, and reasoning over what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisys.testing import LocalFleet
from aisys_agents.context.context_manager import ContextManager
from aisys_agents.context.error_patterns import BadPattern
from aisys_agents.context.unified_memory_reasoning_agent import UnifiedMemoryReasoningAgent
from aisys_agents.memory.cache_manager import CacheManager
from aisys_agents.memory.errors import SessionNotFound
from aisys_agents.memory.knowledge_base import KnowledgeBase
from aisys_agents.memory.memory_client import MemoryClient
from aisys_agents.memory.memory_orchestrator_service import MemoryOrchestratorService
from aisys_agents.memory.session_memory_agent import SessionMemoryAgent
from support.waiting import eventually

ALL = (
    MemoryOrchestratorService,
    MemoryClient,
    KnowledgeBase,
    SessionMemoryAgent,
    ContextManager,
    UnifiedMemoryReasoningAgent,
)


def fleet(directory: Path) -> LocalFleet:
    return LocalFleet(*ALL, state="file", directory=directory, machine="pc2")


async def test_a_question_is_answered_from_memory_with_evidence(tmp_path: Path) -> None:
    """The answer is the remembered sentence; the evidence names memory, score and machine."""
    async with fleet(tmp_path) as agents:
        added = await agents.proxy(KnowledgeBase).add_fact(
            "dentist", "My dentist is Dr. Cruz, 555 0199", source="ana"
        )
        reasoning = agents.proxy(UnifiedMemoryReasoningAgent)
        answer = await reasoning.answer_from_memory("Who is my dentist?")
        assert answer["answer"] == "My dentist is Dr. Cruz, 555 0199."
        assert answer["confidence"] > 0.9
        assert answer["backend"] == "retrieval"
        (evidence,) = answer["evidence"]
        assert evidence["memory_id"] == added["fact_id"]
        assert (evidence["stored"], evidence["source"]) == ("pc2", "ana")
        context = await agents.proxy(ContextManager).get_context()
        assert [item["text"] for item in context["items"]] == ["My dentist is Dr. Cruz, 555 0199."]


async def test_what_is_not_known_has_no_answer(tmp_path: Path) -> None:
    """Neither an empty memory nor one of other things is made to answer."""
    async with fleet(tmp_path) as agents:
        reasoning = agents.proxy(UnifiedMemoryReasoningAgent)
        empty = await reasoning.answer_from_memory("Who is my dentist?")
        assert (empty["answer"], empty["evidence"], empty["confidence"]) == (None, [], 0.0)
        await agents.proxy(KnowledgeBase).add_fact("plumber", "My plumber is Ben")
        assert (await reasoning.answer_from_memory("Who is my dentist?"))["answer"] is None


async def test_an_outdated_fact_is_not_quoted(tmp_path: Path) -> None:
    """After a new dentist only the new one is the answer."""
    async with fleet(tmp_path) as agents:
        facts = agents.proxy(KnowledgeBase)
        await facts.add_fact("dentist", "My dentist is Dr. Cruz")
        await facts.add_fact("dentist", "My dentist is Dr. Reyes")
        reasoning = agents.proxy(UnifiedMemoryReasoningAgent)
        answer = await reasoning.answer_from_memory("Who is my dentist?")
        assert answer["answer"] == "My dentist is Dr. Reyes."
        assert len(answer["evidence"]) == 1


async def test_a_conversation_is_digested_also_after_it_ended(tmp_path: Path) -> None:
    """Decisions and topics are quoted; an unknown conversation is an error."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        reasoning = agents.proxy(UnifiedMemoryReasoningAgent)
        session_id = (await sessions.create_session("ana"))["session_id"]
        await sessions.add_turn(session_id, "user", "The garden pump failed.")
        await sessions.add_turn(session_id, "user", "We decided to buy a new pump.")
        summary = await reasoning.summarize_session(session_id)
        assert summary["decisions"] == ["We decided to buy a new pump."]
        assert summary["errors"][0]["text"] == "The garden pump failed."
        assert "pump" in summary["topics"]
        await sessions.close_session(session_id)
        state = agents.agent(UnifiedMemoryReasoningAgent).state

        async def kept() -> bool:
            return bool(await state.keys("summary/"))

        await eventually(kept)
        await agents.proxy(MemoryOrchestratorService).delete_memory(session_id, cascade=True)
        assert (await reasoning.summarize_session(session_id))["decisions"]
        with pytest.raises(SessionNotFound):
            await reasoning.summarize_session("nobody")


async def test_user_models_and_cures_survive_a_restart(tmp_path: Path) -> None:
    """What was learned of users and errors is there after stopping and starting."""
    async with fleet(tmp_path) as agents:
        reasoning = agents.proxy(UnifiedMemoryReasoningAgent)
        await reasoning.update_user_model("ana", {"tea": "oolong", "gone": 1})
        await reasoning.update_user_model("ana", {"gone": None})
        taught = await reasoning.record_error_pattern(
            "network", r"connection refused .*:\d+", "start the server"
        )
        await agents.publish(
            "interaction.done",
            {"user_id": "ana", "user_input": "water the garden", "intent": "command"},
        )
        await agents.publish(
            "error.report",
            {"agent": "X", "kind": "network", "message": "connection refused 10.0.0.1:80"},
        )
    async with fleet(tmp_path) as agents:
        reasoning = agents.proxy(UnifiedMemoryReasoningAgent)
        model = (await reasoning.get_user_model("ana"))["model"]
        assert model["facts"] == {"tea": "oolong"}
        assert (model["interactions"], model["intents"]) == (1, {"command": 1})
        assert "garden" in model["topics"]
        found = await reasoning.find_solution("dial failed: connection refused 127.0.0.1:5000")
        assert found == {
            "solution": "start the server",
            "pattern_id": taught["pattern_id"],
            "seen": 1,
            "success_rate": None,
        }
        worked = await reasoning.report_solution(taught["pattern_id"], worked=True)
        assert worked["success_rate"] == 1.0
        assert (await reasoning.find_solution("something else"))["solution"] is None
        assert (await reasoning.get_user_model("ben"))["model"]["interactions"] == 0
        with pytest.raises(BadPattern):
            await reasoning.record_error_pattern("k", "(")


async def test_context_is_ranked_by_importance_and_kept_by_speaker() -> None:
    """What was marked as important comes first; each speaker has a window."""
    async with LocalFleet(ContextManager, MemoryOrchestratorService) as agents:
        context = agents.proxy(ContextManager)
        await context.add_item("It is warm.", "ana")
        added = await context.add_item("Remember the appointment tomorrow!", "ben")
        assert added["importance"] > 0.7
        items = (await context.get_context())["items"]
        assert [item["speaker"] for item in items] == ["ben", "ana"]
        assert len((await context.get_context(speaker="ana"))["items"]) == 1
        text = await context.get_context_text()
        assert text["text"] == "ana: It is warm.\nben: Remember the appointment tomorrow!"
        assert (await context.get_context_text(max_tokens=0))["items"] == 0
        assert (await context.prune_context(0.7))["removed"] == 1
        assert (await context.clear_context())["cleared"] == 1
        assert (await context.get_context())["items"] == []
        assert agents.published("context.updated")[-1] == {"items": 0, "top": []}


async def test_context_hears_speech_and_responses() -> None:
    """Events fill it as well, and what was deleted from memory leaves it."""
    async with LocalFleet(ContextManager, MemoryOrchestratorService) as agents:
        context = agents.proxy(ContextManager)
        await agents.publish("speech.language", {"text": "Kumusta ka?", "user_id": "ana"})
        await agents.publish("response.delivered", {"text": "Mabuti!", "utterance_id": "u1"})
        items = (await context.get_context())["items"]
        assert {(item["speaker"], item["text"]) for item in items} == {
            ("ana", "Kumusta ka?"),
            ("assistant", "Mabuti!"),
        }
        await context.add_item("secret", meta={"memory_id": "mem_1"})
        await agents.publish("memory.changed", {"memory_id": "mem_1", "change": "deleted"})
        assert len((await context.get_context())["items"]) == 2


async def test_context_is_rebuilt_from_the_last_turns(tmp_path: Path) -> None:
    """After a restart the last exchange is in mind again."""
    async with fleet(tmp_path) as agents:
        sessions = agents.proxy(SessionMemoryAgent)
        session_id = (await sessions.create_session("ana"))["session_id"]
        await sessions.add_turn(session_id, "user", "Is the garden dry?")
        await sessions.add_turn(session_id, "assistant", "Yes, it is.")
        await agents.restart(ContextManager)
        context = agents.proxy(ContextManager)

        async def rebuilt() -> bool:
            return len((await context.get_context())["items"]) == 2

        await eventually(rebuilt)
        text = (await context.get_context_text())["text"]
        assert text == "ana: Is the garden dry?\nassistant: Yes, it is."


async def test_cached_values_are_shared_until_they_are_invalid() -> None:
    """Hits, misses and removals are counted by kind."""
    async with LocalFleet(CacheManager) as agents:
        cache = agents.proxy(CacheManager)
        assert (await cache.get_entry("understanding", "hello"))["hit"] is False
        stored = await cache.put_entry("understanding", "hello", {"intent": "greeting"})
        assert stored["stored"]
        got = await cache.get_entry("understanding", "hello")
        assert (got["hit"], got["value"]) == (True, {"intent": "greeting"})
        assert (await cache.invalidate("understanding"))["removed"] == 1
        policy = await cache.set_policy("plans", ttl_s=5, max_size=1, priority="low")
        assert policy["policy"]["ttl_s"] == 5
        stats = await cache.get_stats()
        (figures,) = [kind for kind in stats["kinds"] if kind["kind"] == "understanding"]
        assert (figures["hits"], figures["misses"], figures["entries"]) == (1, 1, 0)
        assert stats["bytes"] == 0


async def test_the_cache_gives_way_to_changes_and_pressure() -> None:
    """Answers go when a memory changes; cheap kinds when memory is short on this machine."""
    async with LocalFleet(CacheManager, machine="pc2") as agents:
        cache = agents.proxy(CacheManager)
        await cache.put_entry("answer", "q", "a")
        await agents.publish("memory.changed", {"kind": "turn", "change": "added"})
        assert (await cache.get_entry("answer", "q"))["hit"]
        await agents.publish("memory.changed", {"kind": "fact", "change": "added"})
        assert not (await cache.get_entry("answer", "q"))["hit"]
        await cache.put_entry("context_summary", "s", "x")
        await cache.put_entry("answer", "q", "a")
        await agents.publish("resource.pressure", {"machine": "mainpc", "level": "critical"})
        assert (await cache.get_entry("context_summary", "s"))["hit"]
        await agents.publish("resource.pressure", {"machine": "pc2", "level": "warning"})
        assert not (await cache.get_entry("context_summary", "s"))["hit"]
        assert (await cache.get_entry("answer", "q"))["hit"]
