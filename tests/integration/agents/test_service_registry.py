"""The address book: leases, changes since, fencing of replaced instances."""

from __future__ import annotations

import pytest

from aisys.testing import LocalFleet, VirtualClock
from aisys_agents.foundation.errors import AgentNotRegistered
from aisys_agents.foundation.service_registry import HostEntry, ServiceRegistry


def entry(agent: str, instance_id: str, state: str = "ready") -> HostEntry:
    return HostEntry(agent=agent, instance_id=instance_id, port=7000, state=state)


async def test_sync_registers_and_gives_what_a_host_has_not_seen() -> None:
    """The first sync gives everything, the next only the news."""
    async with LocalFleet(ServiceRegistry) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        first = await registry.sync("mainpc/a", "mainpc", [entry("A", "a1")], 0)
        assert [change["agent"] for change in first["changes"]] == ["A"]
        again = await registry.sync("mainpc/a", "mainpc", [entry("A", "a1")], first["version"])
        assert again["changes"] == []
        await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        news = await registry.sync("mainpc/a", "mainpc", [entry("A", "a1")], first["version"])
        assert [(change["agent"], change["host"]) for change in news["changes"]] == [("B", "pc2/b")]
        assert (news["changes"][0]["state"], news["changes"][0]["port"]) == ("up", 7000)


async def test_a_silent_host_is_suspect_then_down_then_up_again() -> None:
    """Silence is judged by the registry's own clock, and told to everybody."""
    clock = VirtualClock()
    async with LocalFleet(ServiceRegistry, clock=clock) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        for _ in range(5):
            await clock.advance(1.0)
        info = await registry.find_agent("B")
        assert (info["state"], info["alive"]) == ("down", False)
        assert (await registry.list_agents())["agents"] == []
        assert len((await registry.list_agents(alive_only=False))["agents"]) == 1
        await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        assert (await registry.find_agent("B"))["alive"]
        told = [event["change"] for event in fleet.published("registry.changed")]
        assert told == ["up", "suspect", "down", "up"]


async def test_a_replaced_instance_is_fenced() -> None:
    """A newer instance has the name; the older one is told to stop and changes nothing."""
    async with LocalFleet(ServiceRegistry) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        old = await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        new = await registry.sync("pc2/c", "pc2", [entry("B", "b2")], old["version"])
        assert new["changes"][0]["epoch"] > old["changes"][0]["epoch"]
        back = await registry.sync("pc2/b", "pc2", [entry("B", "b1")], new["version"])
        assert back["fenced"] == ["B"]
        assert (await registry.find_agent("B"))["host"] == "pc2/c"


async def test_a_stopped_agent_is_taken_out_at_once() -> None:
    """A clean stop does not wait for the lease to end."""
    async with LocalFleet(ServiceRegistry) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        first = await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        gone = await registry.sync("pc2/b", "pc2", [entry("B", "b1", "stopped")], first["version"])
        assert [change["state"] for change in gone["changes"]] == ["gone"]
        with pytest.raises(AgentNotRegistered, match="'B'"):
            await registry.find_agent("B")


async def test_a_change_of_phase_is_news() -> None:
    """Draining is told to the other hosts, though the lease goes on."""
    async with LocalFleet(ServiceRegistry) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        first = await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        drain = await registry.sync(
            "pc2/b", "pc2", [entry("B", "b1", "draining")], first["version"]
        )
        assert [change["phase"] for change in drain["changes"]] == ["draining"]


async def test_a_restarted_registry_counts_on_from_above() -> None:
    """Hosts that knew the registry before get everything from the new one, with higher epochs."""
    async with LocalFleet(ServiceRegistry) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        before = await registry.sync("pc2/b", "pc2", [entry("B", "b1")], 0)
        await fleet.restart(ServiceRegistry)
        after = await registry.sync("pc2/b", "pc2", [entry("B", "b1")], before["version"])
        assert [change["agent"] for change in after["changes"]] == ["B"]
        assert after["changes"][0]["epoch"] > before["changes"][0]["epoch"]


async def test_registering_by_hand_gives_a_lease_that_is_renewed_and_returned() -> None:
    """The roster's own methods: register, renew, find by capability, remove."""
    async with LocalFleet(ServiceRegistry) as fleet:
        registry = fleet.proxy(ServiceRegistry)
        lease = await registry.register_agent(
            "Camera", "mainpc", "10.0.0.5", 9000, capabilities=["vision"], meta={"fps": 30}
        )
        renewed = await registry.register_agent(
            "Camera", "mainpc", "10.0.0.5", 9000, capabilities=["vision"], meta={"fps": 30}
        )
        assert renewed["lease_id"] == lease["lease_id"]
        found = (await registry.find_by_capability("vision"))["agents"]
        assert [(info["agent"], info["port"], info["meta"]) for info in found] == [
            ("Camera", 9000, {"fps": 30})
        ]
        assert (await registry.find_by_capability("vision", machine="pc2"))["agents"] == []
        assert not (await registry.remove_agent("Camera", "other"))["removed"]
        assert (await registry.remove_agent("Camera", lease["lease_id"]))["removed"]
        assert (await registry.list_agents())["agents"] == []
