"""Leases under a clock that the test owns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisys.errors import Refused
from aisys.messaging import Address
from aisys.registry import LeaseState, LeaseTable, StaleLease
from aisys.testing import VirtualClock

ADDRESS = Address(host="m/h", machine="m", unix_path="/tmp/x.sock", tcp=None)


def register(table: LeaseTable, agent: str, instance: str = "one", owner: str | None = None) -> int:
    lease, _ = table.register(
        agent, machine="m", host="m/h", address=ADDRESS, instance_id=instance, owner=owner
    )
    return lease.epoch


def table_with(clock: VirtualClock, *agents: str) -> LeaseTable:
    table = LeaseTable(clock, lease_s=3.0)
    for agent in agents:
        register(table, agent)
    return table


def beat(clock: VirtualClock, table: LeaseTable, *renewing: str) -> list[tuple[str, LeaseState]]:
    """One beat passes: some renew, then the table judges."""
    clock.tick(table.beat_s)
    for agent in renewing:
        table.renew(agent, "one")
    return [(change.lease.agent, change.lease.state) for change in table.expire()]


def test_a_silent_agent_is_suspect_after_two_beats_and_down_after_three() -> None:
    """Silence is judged as the promises say, and the others are not touched."""
    clock = VirtualClock()
    table = table_with(clock, "A", "B", "C")

    assert beat(clock, table, "B", "C") == []
    assert beat(clock, table, "B", "C") == [("A", LeaseState.SUSPECT)]
    assert beat(clock, table, "B", "C") == [("A", LeaseState.DOWN)]
    assert beat(clock, table, "B", "C") == []
    lease = table.get("A")
    assert lease is not None
    assert not lease.route().alive


def test_a_heartbeat_brings_an_agent_back() -> None:
    """Suspect or down, one heartbeat makes it up again, once."""
    clock = VirtualClock()
    table = table_with(clock, "A", "B", "C")
    for _ in range(3):
        beat(clock, table, "B", "C")

    changes = table.renew("A", "one")

    assert [(change.previous, change.lease.state) for change in changes] == [
        (LeaseState.DOWN, LeaseState.UP)
    ]
    assert table.renew("A", "one") == []


def test_a_new_instance_gets_a_new_epoch_and_fences_the_old() -> None:
    """After a restart the old instance can neither renew nor remove."""
    table = table_with(VirtualClock(), "A")
    first = table.get("A")

    epoch = register(table, "A", "two")

    assert first is not None
    assert epoch > first.epoch
    with pytest.raises(StaleLease, match="another instance"):
        table.renew("A", "one")
    with pytest.raises(StaleLease):
        table.remove("A", "one")
    assert register(table, "A", "two") == epoch


def test_a_name_stays_bound_to_its_key() -> None:
    """A second key cannot claim a name, not even after the first has gone."""
    table = LeaseTable(VirtualClock())
    register(table, "A", owner="key one")
    table.remove("A", "one")

    with pytest.raises(Refused) as caught:
        register(table, "A", "two", owner="key two")

    assert caught.value.reason == "unauthorised"
    register(table, "A", "three", owner="key one")


def test_a_restarted_registry_asks_to_register_anew() -> None:
    """A renewal that the table knows nothing of says so."""
    with pytest.raises(StaleLease, match="register anew"):
        LeaseTable(VirtualClock()).renew("A", "one")


def test_a_clean_stop_is_gone_at_once() -> None:
    """Removing gives one change, and no second one."""
    table = table_with(VirtualClock(), "A")

    assert [change.lease.state for change in table.remove("A", "one")] == [LeaseState.GONE]
    assert table.remove("A", "one") == []
    assert len(table) == 0


def test_mass_silence_is_taken_for_the_registrys_own_fault() -> None:
    """When most expire at once they become unknown, and go down after five more silent beats."""
    clock = VirtualClock()
    table = table_with(clock, "A", "B", "C", "D", "E")
    beat(clock, table, "E")
    beat(clock, table, "E")

    changes = beat(clock, table, "E")

    assert sorted(changes) == [(name, LeaseState.UNKNOWN) for name in "ABCD"]
    assert table.guarding
    assert all(lease.route().alive for lease in table)
    for _ in range(4):
        assert beat(clock, table, "E") == []
    assert sorted(beat(clock, table, "E")) == [(name, LeaseState.DOWN) for name in "ABCD"]


def test_two_agents_are_no_mass() -> None:
    """Below three expiries the guard does not hold anybody."""
    clock = VirtualClock()
    table = table_with(clock, "A", "B")
    beat(clock, table)
    beat(clock, table)

    assert sorted(beat(clock, table)) == [("A", LeaseState.DOWN), ("B", LeaseState.DOWN)]


def test_a_frozen_registry_gives_everybody_time() -> None:
    """After its own suspension the table holds nobody's silence against them for five beats."""
    clock = VirtualClock()
    table = table_with(clock, "A", "B", "C", "D")
    clock.tick(60.0)

    states = {change.lease.state for change in table.expire()}

    assert LeaseState.DOWN not in states
    assert table.guarding
    for name in "ABC":
        table.renew(name, "one")
    late = []
    for _ in range(6):
        late += beat(clock, table, "A", "B", "C")
    assert late[-1] == ("D", LeaseState.DOWN)


def test_the_wall_clock_has_no_say() -> None:
    """A jump of the wall clock by a year changes nothing."""
    clock = VirtualClock()
    table = table_with(clock, "A", "B", "C")
    clock.set_time(clock.time() + 365 * 86_400)

    assert table.expire() == []
    assert beat(clock, table, "A", "B", "C") == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABCDEF"), st.sampled_from(["renew", "beat", "restart", "remove"])
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_table_keeps_its_rules(steps: list[tuple[str, str]]) -> None:
    """Epochs grow; a down agent was silent for three beats; changes tell the whole story."""
    clock = VirtualClock()
    table = LeaseTable(clock, lease_s=3.0)
    instances: dict[str, int] = {}
    epochs = [0]
    told: dict[str, LeaseState] = {}
    for agent, step in steps:
        changes = []
        if step == "restart":
            instances[agent] = instances.get(agent, 0) + 1
            lease, changes = table.register(
                agent,
                machine="m",
                host="m/h",
                address=ADDRESS,
                instance_id=str(instances[agent]),
            )
            epochs.append(lease.epoch)
        elif step == "beat":
            clock.tick(table.beat_s)
            changes = table.expire()
        elif table.get(agent) is not None and step == "renew":
            changes = table.renew(agent, str(instances[agent]))
        elif table.get(agent) is not None:
            changes = table.remove(agent, str(instances[agent]))
        for change in changes:
            told[change.lease.agent] = change.lease.state
        for lease in table:
            assert told[lease.agent] is lease.state
            if lease.state is LeaseState.DOWN:
                assert clock.monotonic() - lease.seen >= 3.0
            if lease.state is LeaseState.UP:
                assert lease.seen > 0
    assert epochs == sorted(set(epochs))
