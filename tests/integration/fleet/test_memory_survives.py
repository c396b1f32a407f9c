"""Remember and recall: across restarts, across machines, and while one of them is away."""

from __future__ import annotations

import os
import signal

import pytest

from support.fleet import Fleet
from support.waiting import eventually_sync

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

FACT = "Remember that my dentist is Dr. Cruz, 555 0199"
QUESTION = "Who is my dentist?"


def test_a_fact_survives_a_restart(fleet: Fleet) -> None:
    """What was remembered is answered after `down` and `up`, with where it was stored."""
    fleet.up()
    assert "pc2" in fleet.ask(FACT)
    fleet.down()
    assert fleet.living() == []
    fleet.up()
    answer = fleet.ask(QUESTION)

    assert "Dr. Cruz" in answer
    assert "555 0199" in answer
    assert "pc2" in answer


def test_a_fact_survives_the_death_of_everything(fleet: Fleet) -> None:
    """What was acknowledged is there after `kill -9` of every process at once."""
    fleet.up()
    fleet.ask(FACT)
    victims = fleet.living()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    eventually_sync(lambda: not fleet.living())
    assert len(victims) > 10
    fleet.up()

    assert "Dr. Cruz" in fleet.ask(QUESTION)


def test_remembering_is_buffered_while_pc2_is_away(fleet: Fleet) -> None:
    """Without pc2 a fact is accepted as buffered, recall says what it could not reach, and the buffer arrives later."""
    mainpc = fleet.spawn("up", "--machine", "mainpc")
    eventually_sync(lambda: fleet.machine_is("mainpc", "ready"), timeout_s=30)
    assert fleet.machine_is("pc2", "unreachable")

    assert "buffered" in fleet.ask(FACT, timeout_s=60)
    away = fleet.ask(QUESTION, timeout_s=60)
    assert "pc2" in away
    assert fleet.call("MemoryClient.get_link_status")["buffered"] >= 1

    fleet.spawn("up", "--machine", "pc2")
    eventually_sync(lambda: fleet.machine_is("pc2", "ready"), timeout_s=30)
    eventually_sync(
        lambda: fleet.call("MemoryClient.get_link_status")["buffered"] == 0, timeout_s=30
    )
    found = fleet.call("MemoryOrchestratorService.search_memory", "query=dentist")

    assert any("Cruz" in hit["content"] for hit in found["results"])
    mainpc.send_signal(signal.SIGINT)
    assert mainpc.wait(timeout=20) == 0
    assert fleet.machine_is("pc2", "ready")
