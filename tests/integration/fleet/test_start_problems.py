"""What is wrong is said before anything starts: exit code 2, one line with place, setting and remedy."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fleet import ROOT, Fleet, new_fleet
from support.waiting import eventually_sync

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[tuple[Fleet, Path]]:
    """A fleet on a copy of the configuration that the test may break."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    with new_fleet(config=config) as fleet:
        yield fleet, config


def _replace(path: Path, old: str, new: str) -> int:
    """Replace the first occurrence and return its line."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def _refusal(fleet: Fleet, *arguments: str) -> str:
    """The one line that refuses the start; nothing runs."""
    done = fleet.run("up", "--detach", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert fleet.living() == []
    return lines[0]


def test_broken_yaml(broken: tuple[Fleet, Path]) -> None:
    """A syntax error names file and line."""
    fleet, config = broken
    line = _replace(config / "fleet.yaml", "machines:", "machines: [")
    refusal = _refusal(fleet)

    assert re.search(rf"fleet\.yaml:({line}|{line + 1}|{line + 2}):\d+", refusal), refusal


def test_an_unknown_key(broken: tuple[Fleet, Path]) -> None:
    """A misspelt key gets the likeliest spelling."""
    fleet, config = broken
    line = _replace(config / "base.yaml", "heartbeat_s:", "hartbeat_s:")
    refusal = _refusal(fleet)

    assert f"base.yaml:{line}:" in refusal
    assert "hartbeat_s" in refusal
    assert "heartbeat_s" in refusal.replace("hartbeat_s", "")


def test_a_duplicate_port(broken: tuple[Fleet, Path]) -> None:
    """Two agents on one port are both named."""
    fleet, config = broken
    _replace(
        config / "fleet.yaml",
        "NLUAgent: {machine: mainpc, port: 5709",
        "NLUAgent: {machine: mainpc, port: 5711",
    )
    refusal = _refusal(fleet)

    assert re.search(r"fleet\.yaml:\d+:\d+", refusal), refusal
    assert "NLUAgent" in refusal
    assert "ChitchatAgent" in refusal


def test_a_missing_dependency(broken: tuple[Fleet, Path]) -> None:
    """A dependency that the fleet does not have is named with its line."""
    fleet, config = broken
    _replace(
        config / "fleet.yaml", "requires: [SystemDigitalTwin]", "requires: [SystemDigitalTwinn]"
    )
    refusal = _refusal(fleet)

    assert re.search(r"fleet\.yaml:\d+:\d+", refusal), refusal
    assert "SystemDigitalTwinn" in refusal
    assert "SystemDigitalTwin" in refusal.replace("SystemDigitalTwinn", "")


def test_a_wrong_agent_setting(broken: tuple[Fleet, Path]) -> None:
    """An agent's own Config refuses a setting with file and line."""
    fleet, config = broken
    line = _replace(
        config / "fleet.yaml",
        "NLUAgent: {machine: mainpc,",
        "NLUAgent: {settings: {no_such_setting: 1}, machine: mainpc,",
    )
    refusal = _refusal(fleet)

    assert f"fleet.yaml:{line}:" in refusal
    assert "no_such_setting" in refusal


def test_a_port_in_use(fleet: Fleet) -> None:
    """The process that holds the port is named."""
    port = 5709 + fleet.offset
    with socket.create_server(("127.0.0.1", port)):
        refusal = _refusal(fleet)

    assert str(port) in refusal
    assert f"pid {os.getpid()}" in refusal


def test_missing_keys_in_prod(fleet: Fleet) -> None:
    """In prod keys are not made up: the command that makes them is named."""
    done = fleet.run("up", "--detach", "--env", "prod")

    assert done.returncode == 2
    assert "aisys keys init" in done.stderr
    assert fleet.run("config", "check", "--env", "prod").returncode == 2
    assert re.search(r"\w+\.yaml:\d+", done.stderr), done.stderr


def test_open_key_files(fleet: Fleet) -> None:
    """A key file that others can read keeps the fleet from starting, with the chmod to run."""
    fleet.must("keys", "init")
    secret = fleet.data / "keys" / "mainpc.secret"
    secret.chmod(0o644)
    refusal = _refusal(fleet)

    assert "chmod 600" in refusal
    assert str(secret) in refusal


def test_two_fleets_side_by_side(fleet: Fleet, running_fleet: Fleet) -> None:
    """Two fleets with different PORT_OFFSET run at once and do not know each other's facts."""
    fleet.up()
    fleet.ask("Remember that my boat is called Amihan")

    assert "Amihan" in fleet.ask("What is my boat called?")
    assert "Amihan" not in running_fleet.ask("What is my boat called?")
    fleet.down()
    assert running_fleet.status()["ready"]


def test_one_agent_by_itself(fleet: Fleet) -> None:
    """`aisys-agent --name X` runs one agent, is called over TCP and its socket, and ends on SIGTERM."""
    program = Path(sys.executable).parent / "aisys-agent"
    process = subprocess.Popen(
        [str(program), "--name", "NLUAgent"],
        env=fleet.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually_sync(lambda: list((fleet.home / "run").rglob("NLUAgent.sock")), timeout_s=20)
    finally:
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)

    assert process.returncode == 0, stderr


def test_aisys_agent_refuses_an_unknown_name(fleet: Fleet) -> None:
    """An agent that the fleet does not have is exit code 2 and one line."""
    program = Path(sys.executable).parent / "aisys-agent"
    done = subprocess.run(
        [str(program), "--name", "Nobody"],
        env=fleet.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "Nobody" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
