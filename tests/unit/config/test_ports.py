"""The register of ports, and ports that somebody else holds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from aisys.config import PortRegistry, check_free, get_port, require_free
from aisys.config.ports import process_on
from aisys.errors import ConfigError
from support.config_folder import Folder


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this computer that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server.getsockname()[1]


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ports(*names: str) -> dict[str, int]:
    """Free ports for everything on machine one but what a test sets."""
    return {name: _free() for name in names}


ALL = (
    "agents__Anna__port",
    "agents__Ben__port",
    "agents__Cleo__port",
    "machines__one__control_port",
    "machines__one__metrics_port",
)


def test_listing(folder: Folder) -> None:
    """Every port with its owner, machine and kind, the offset applied."""
    registry = PortRegistry(folder.load(port_offset=10))
    rows = [(entry.name, entry.port, entry.kind, entry.status) for entry in registry.listing("two")]
    assert rows == [
        ("two", 7012, "control", "built"),
        ("two", 7013, "metrics", "built"),
        ("Dora", 7023, "agent", "built"),
        ("Emil", 7024, "agent", "planned"),
    ]
    assert len(registry) == len(registry.listing()) == len(list(registry)) == 9
    assert registry.get("Anna") == 7020
    assert registry.get("one", "metrics") == 7011
    with pytest.raises(KeyError, match="no agent port of one"):
        registry.get("one")


def test_get_port(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """`get_port` finds the configuration by itself and honours PORT_OFFSET."""
    for name in [name for name in os.environ if name.startswith("AISYS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AISYS_CONFIG_DIR", str(folder.path))
    monkeypatch.setenv("PORT_OFFSET", "1000")
    assert get_port("Anna") == 8010
    assert get_port("Anna", fleet=folder.load()) == 7010


def test_free_ports_are_no_problem(folder: Folder) -> None:
    """Nothing is reported when everything can be opened; looking leaves nothing open."""
    fleet = folder.load(None, **_ports(*ALL))
    assert check_free(fleet, "one") == []
    assert check_free(fleet, "one") == []
    require_free(fleet, "one")


def test_a_taken_port_names_its_holder(folder: Folder, listener: int) -> None:
    """The problem has the place, the port and the process."""
    fleet = folder.load(None, **{**_ports(*ALL), "agents__Cleo__port": listener})
    (problem,) = check_free(fleet, "one")
    assert f"port {listener} on 127.0.0.1 is in use by" in problem.what
    assert f"(pid {os.getpid()})" in problem.what
    assert problem.setting == "agents.Cleo.port"
    with pytest.raises(ConfigError, match=str(listener)):
        require_free(fleet, "one")


def test_metrics_and_control_ports_are_looked_at(folder: Folder, listener: int) -> None:
    """A taken metrics port counts only while metrics are served."""
    sets = {**_ports(*ALL), "machines__one__metrics_port": listener}
    assert [p.setting for p in check_free(folder.load(None, **sets), "one")] == [
        "machines.one.metrics_port"
    ]
    assert check_free(folder.load(None, **sets, metrics__enabled=False), "one") == []


def test_ports_of_planned_agents_are_not_looked_at(folder: Folder, listener: int) -> None:
    """Nothing will listen there."""
    sets = {**_ports(*ALL), "agents__Cleo__port": listener, "agents__Cleo__status": "planned"}
    assert check_free(folder.load(None, **sets), "one") == []


def test_an_address_of_another_computer(folder: Folder) -> None:
    """Starting a machine's part on the wrong computer is said as such, once."""
    fleet = folder.load(machines__two__address="192.0.2.1")
    (problem,) = check_free(fleet, "two")
    assert problem.setting == "machines.two.address"
    assert "is not an address of this computer" in problem.what
    fleet = folder.load(machines__two__address="no-such-host.invalid")
    assert "is not an address of this computer" in check_free(fleet, "two")[0].what


def test_the_process_of_somebody_else() -> None:
    """A listening process other than this one is found by its port."""
    code = (
        "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        assert f"(pid {child.pid})" in process_on(port)
        child.communicate("")
    assert process_on(port) == ""
