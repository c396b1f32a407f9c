"""Wrong arguments, closed streams, full pipes, interrupted commands: one clear line and the right exit code."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from support.fleet import Fleet
from support.waiting import eventually_sync

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("call", "KnowledgeBase.search_facts", "query=5", "limit=3"), 0, ""),
        (("call", "KnowledgeBase.search_facts", "query=5", "nope=1"), 1, "nope"),
        (("call", "KnowledgeBase.search_facts"), 1, "query"),
        (("call", "KnowledgeBase.serch_facts", "query=1"), 1, "search_facts"),
        (("call", "KnowledgeBase.search_facts", "query=a", "query=b"), 2, "given twice"),
        (("call", "KnowledgeBase.search_facts", "query"), 2, "key=value"),
        (("down", "--machine", "nope"), 2, "not a machine"),
        (("up", "--machine", "nope"), 2, "not a machine"),
        (("keys", "init", "--machine", "nope"), 2, "not a machine"),
        (("errors", "--severity", "bogus"), 2, "not a severity"),
        (("errors", "--since", "nan"), 2, "seconds"),
        (("errors", "--agent", "Nope"), 2, "not an agent"),
        (("config", "check", "--set", "state.backend=redis"), 2, "redis_url"),
    ],
)
def test_mistakes_are_one_clear_line(
    running_fleet: Fleet, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    """A user's mistake gives no traceback, names what is wrong, and the documented exit code."""
    done = running_fleet.run(*arguments)

    assert done.returncode == code, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("aisys ask hello >&-", 0),
        ("aisys ask hello 2>&- <&-", 0),
        ("aisys chat <&-", 0),
        ("aisys status | head -1", 0),
        ("aisys ask hello > /dev/full", 1),
        ("PYTHONIOENCODING=ascii aisys ask 'Remember that my café is Bésame'", 0),
        ("aisys ask '-5 + 3'", 0),
    ],
)
def test_odd_streams_and_encodings(running_fleet: Fleet, command: str, code: int) -> None:
    """Closed descriptors, full devices and narrow encodings neither abort nor show a traceback."""
    program = command.replace("aisys", str(running_fleet.program), 1)
    done = subprocess.run(
        ["bash", "-c", program],
        env=running_fleet.environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )

    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Assertion" not in done.stderr


def test_a_host_that_gave_up_ends_its_machine_only(fleet: Fleet) -> None:
    """Beyond its restart limits a needed host ends its machine, the other goes on, and status says why."""
    fleet.up("--set", "restart.max_restarts=0")
    victim = fleet.pid("mainpc/proactive")
    subprocess.run(["kill", "-9", str(victim)], check=True)
    eventually_sync(lambda: fleet.machine_is("mainpc", "unreachable"), timeout_s=20)
    status = fleet.run("status")

    assert "proactive" in status.stdout
    assert "SIGKILL" in status.stdout
    assert fleet.machine_is("pc2", "ready")
    assert any("SIGKILL" in report["message"] for report in fleet.errors())


def test_an_interrupted_start_leaves_nothing(fleet: Fleet) -> None:
    """Ctrl-C during `aisys up --detach` stops what had been started."""
    command = fleet.spawn("up", "--detach")
    eventually_sync(lambda: len(fleet.living()) >= 3, timeout_s=20)
    began = time.monotonic()
    command.send_signal(signal.SIGINT)

    assert command.wait(timeout=20) in (0, 130)
    if command.returncode == 130:
        eventually_sync(lambda: not fleet.living(), timeout_s=20)
        assert time.monotonic() - began < 20
