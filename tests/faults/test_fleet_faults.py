"""Killed hosts, killed supervisors, garbage on sockets: the fleet as a person finds it afterwards."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.fleet import Fleet, new_fleet
from support.waiting import eventually_sync

pytestmark = [pytest.mark.fleet, pytest.mark.fault, pytest.mark.timeout(300)]

BACK_WITHIN_S = 3.0


@pytest.fixture(scope="module")
def hurt_fleet() -> Iterator[Fleet]:
    """A fleet that tests may hurt; restart limits are high, because the tests kill more often than life does."""
    with new_fleet() as fleet:
        fleet.up("--set", "restart.max_restarts=1000")
        yield fleet


def _answers(fleet: Fleet) -> bool:
    done = fleet.run("ask", "What is 15% of 2,340?", "--timeout", "3")
    return done.returncode == 0 and "351" in done.stdout


def _kill(fleet: Fleet, host: str) -> int:
    pid = fleet.pid(host)
    os.kill(pid, signal.SIGKILL)
    return pid


def _listener(fleet: Fleet, host: str) -> int | None:
    """The process that answers on a host's socket, as the kernel knows it."""
    folder = fleet.home / "run" / f"assistant-{fleet.offset}"
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(folder / f"{host}.sock"))
        except OSError:
            return None
        credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def _wait_until_replaced(fleet: Fleet, host: str, killed: int) -> None:
    # By its socket, because a command of its own takes half a second to ask for the status.
    eventually_sync(lambda: _listener(fleet, host) not in (None, killed), timeout_s=10)


def test_every_host_comes_back_after_kill_9(hurt_fleet: Fleet, fault_rounds: int) -> None:
    """Each host, killed while questions are asked, is back and answering within 3 s, and its death is reported."""
    hosts = [name for name in hurt_fleet.processes_now() if "/" in name]
    assert len(hosts) == 9
    chosen = hosts if fault_rounds > 3 else random.sample(hosts, 4)
    for host in chosen:
        with ThreadPoolExecutor(1) as asking:
            question = asking.submit(hurt_fleet.run, "ask", "What is 7 times 6?", "--timeout", "10")
            killed = _kill(hurt_fleet, host)
            began = time.monotonic()
            _wait_until_replaced(hurt_fleet, host, killed)
            back_s = time.monotonic() - began
            eventually_sync(lambda: hurt_fleet.status()["ready"], timeout_s=10)
            assert _answers(hurt_fleet)
            # Asked across a death: an answer, or an honest failure, but never a hang.
            assert question.result().returncode in (0, 1)
        assert back_s < BACK_WITHIN_S, host
        deaths = [
            report
            for report in hurt_fleet.errors()
            if report["context"].get("signal") == "SIGKILL"
            and f"pid {killed})" in report["message"]
        ]
        assert deaths, f"the death of {host} is not on the error bus"


def test_nothing_remembered_is_lost_when_hosts_die(hurt_fleet: Fleet, fault_rounds: int) -> None:
    """Facts acknowledged while hosts of the memory path are killed are all found afterwards."""
    victims = ["pc2/memory", "mainpc/memory", "mainpc/coordinator"]
    accepted = []
    kills = 0
    for number in range(4 * min(fault_rounds, 10)):
        name = f"person{number:03d}"
        if number % 4 == 1:
            _kill(hurt_fleet, victims[kills % len(victims)])
            kills += 1
        done = hurt_fleet.run(
            "call",
            "KnowledgeBase.add_fact",
            f"topic={name}",
            f"content={name} lives at number {number}",
            "--timeout",
            "10",
        )
        if done.returncode == 0:
            accepted.append((name, number))
    eventually_sync(lambda: hurt_fleet.status()["ready"], timeout_s=30)
    eventually_sync(
        lambda: hurt_fleet.call("MemoryClient.get_link_status")["buffered"] == 0, timeout_s=60
    )

    assert kills >= min(fault_rounds, 10)
    assert len(accepted) >= 2 * kills
    for name, number in accepted:
        found = hurt_fleet.call("KnowledgeBase.search_facts", f"query={name}")["facts"]
        assert any(f"number {number}" in fact["content"] for fact in found), (name, found)


def test_garbage_on_sockets_ends_no_host(hurt_fleet: Fleet) -> None:
    """Random bytes on every unix socket and TCP port of the fleet reach no handler and end no process."""
    before = hurt_fleet.processes_now()
    sent = 0
    rng = random.Random(20261122)
    runtime = hurt_fleet.home / "run" / f"assistant-{hurt_fleet.offset}"
    for path in runtime.rglob("*.sock"):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(str(path))
                link.settimeout(2)
                link.sendall(rng.randbytes(rng.choice((1, 47, 48, 4096))))
                sent += 1
    for port in (5709, 5713, 7140, 7200, 7090, 7091, 9464, 26002):
        for payload in (b"GET / HTTP/1.1\r\n\r\n", rng.randbytes(512), b"\xff" + b"\0" * 63):
            with socket.create_connection(
                ("127.0.0.1", port + hurt_fleet.offset), timeout=2
            ) as link:
                link.sendall(payload)
                sent += 1

    assert sent > 50
    assert _answers(hurt_fleet)
    assert hurt_fleet.processes_now() == before


def test_an_overlong_frame_is_refused_before_it_is_allocated(hurt_fleet: Fleet) -> None:
    """A frame that declares 4 GiB closes the connection and costs the host no memory."""
    path = next((hurt_fleet.home / "run").rglob("language.sock"))
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
        link.settimeout(5)
        link.sendall(b"\xff\xff\xff\xff" + b"\0" * 60)
        received = b"x"
        try:
            while received:
                received = link.recv(65536)
        except ConnectionResetError:
            received = b""

    assert received == b""
    assert _answers(hurt_fleet)


@pytest.mark.parametrize("machine", ["mainpc", "pc2"])
def test_no_process_outlives_a_killed_supervisor(machine: str, fault_rounds: int) -> None:
    """Within 2 s of `kill -9` of a supervisor no process of the fleet is left."""
    with new_fleet() as fleet:
        for _ in range(1 if fault_rounds <= 3 else 10):
            fleet.up()
            supervisor = fleet.pid(f"{machine}:supervisor")
            assert len(fleet.living()) > 10
            os.kill(supervisor, signal.SIGKILL)
            began = time.monotonic()
            eventually_sync(lambda: not fleet.living(), timeout_s=10)

            assert time.monotonic() - began < 2.0


def test_no_process_outlives_the_killed_top_process() -> None:
    """`kill -9` of `aisys up` in the foreground ends both machines."""
    with new_fleet() as fleet:
        top = fleet.spawn("up")
        eventually_sync(lambda: fleet.run("status").returncode == 0, timeout_s=30)
        assert len(fleet.living()) > 10
        os.kill(top.pid, signal.SIGKILL)
        began = time.monotonic()
        eventually_sync(lambda: not fleet.living(), timeout_s=10)

        assert time.monotonic() - began < 2.0


def test_a_hung_host_is_aborted_and_its_stacks_are_kept(hurt_fleet: Fleet) -> None:
    """A stopped host is noticed by its silent event loop and replaced."""
    host = "mainpc/proactive"
    pid = hurt_fleet.pid(host)
    os.kill(pid, signal.SIGSTOP)
    state = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    assert state.stdout.strip().startswith("T")
    eventually_sync(lambda: hurt_fleet.processes_now().get(host) not in (None, pid), timeout_s=40)
    eventually_sync(lambda: hurt_fleet.status()["ready"], timeout_s=10)

    assert any("silent" in report["message"] for report in hurt_fleet.errors())
