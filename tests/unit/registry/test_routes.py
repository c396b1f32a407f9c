"""Routes from the configuration, overlaid by what the registry pushes."""

from __future__ import annotations

from dataclasses import replace

from aisys.messaging import Address
from aisys.registry import Route, RouteTable

HOME = Address(host="m/h", machine="m", unix_path="/tmp/x.sock", tcp=None)
STATIC = Route("A", "m/h", "m", HOME)
MOVED = Route("A", "p/h", "p", replace(HOME, host="p/h", machine="p"), "i1", epoch=4)


def test_the_configuration_routes_until_the_registry_speaks() -> None:
    """A pushed route replaces the configured one and is news once."""
    table = RouteTable({"A": STATIC})

    assert table.lookup("A") is STATIC
    assert table.update([MOVED]) == [MOVED]
    assert table.update([MOVED]) == []
    assert table.lookup("A") is MOVED


def test_an_older_epoch_changes_nothing() -> None:
    """Late news of an instance that was replaced is ignored."""
    table = RouteTable()
    table.update([MOVED])

    assert table.update([replace(MOVED, epoch=3, host="old")]) == []
    assert table.lookup("A") is MOVED


def test_down_is_kept_as_a_route() -> None:
    """An agent that is down stays routable: the next one to try decides."""
    table = RouteTable({"A": STATIC})
    table.update([replace(MOVED, alive=False)])

    route = table.lookup("A")

    assert route is not None
    assert not route.alive


def test_forgetting_falls_back_to_the_configuration() -> None:
    """A pushed route can be withdrawn, unless a newer one has come."""
    table = RouteTable({"A": STATIC})
    table.update([MOVED, replace(MOVED, agent="B")])

    assert not table.forget("A", 3)
    assert table.forget("A", 4)
    assert table.lookup("A") is STATIC
    assert table.forget("B", 4)
    assert table.lookup("B") is None
    assert [route.agent for route in table] == ["A"]
    assert len(table) == 1
