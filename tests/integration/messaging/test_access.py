"""Who gets in: keys on TCP, users and folders on unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from aisys.errors import AisysError, ConfigError, Unreachable
from aisys.messaging import Address, Endpoint
from aisys.messaging.keys import KeyRing
from aisys.messaging.tcp import TcpNode
from aisys.messaging.zmq_socket import LinkEvent
from aisys.metrics import Registry
from support.messaging import FAST, Desk, Pair, free_port, make_keys, make_pair, pair_of, value
from support.waiting import eventually


@pytest.fixture
async def tcp_pair(folder: Path):
    async with pair_of("tcp", folder) as made:
        yield made


def _made(host: str, machine: str, keys: KeyRing | None) -> Endpoint:
    return Endpoint(
        host=host, machine=machine, service=Desk(), keys=keys, limits=FAST, metrics=Registry()
    )


@contextlib.asynccontextmanager
async def _closing(endpoint: Endpoint) -> AsyncIterator[Endpoint]:
    try:
        yield endpoint
    finally:
        await endpoint.close(grace_s=0)


def _foreign(folder: Path, server_key: str) -> KeyRing:
    """A key pair that the server does not know, which knows the server."""
    ring = KeyRing.create(folder / "foreign", "near")
    (folder / "foreign" / "distant.public").write_text(server_key)
    ring.refresh()
    return ring


async def test_a_foreign_key_is_refused(tcp_pair: Pair, folder: Path) -> None:
    """Nothing that a process with an unknown key sends reaches the service."""
    server_key = KeyRing.load(folder / "keys", "distant").public("distant")
    stranger = tcp_pair.adopt(_made("stranger", "near", _foreign(folder, server_key)))
    with pytest.raises(Unreachable, match="refused this process's key"):
        await stranger.call(tcp_pair.address, "echo", b"let me in", timeout_s=3)

    assert tcp_pair.desk.seen == []
    assert value(tcp_pair.server_metrics, "aisys_refused_peers_total", reason="unknown_key") >= 1


async def test_no_key_is_refused(tcp_pair: Pair) -> None:
    """A plain ZeroMQ socket without CURVE gets no byte through."""
    stranger = tcp_pair.adopt(_made("close", "near", None))
    with pytest.raises(Unreachable):
        await stranger.call(tcp_pair.address, "echo", b"let me in", timeout_s=0.5)

    assert tcp_pair.desk.seen == []
    assert tcp_pair.server.links() == []


async def test_a_false_server_gets_no_call(folder: Path) -> None:
    """A process that listens at the address without the server's key is not talked to."""
    make_keys(folder)
    port = free_port()
    other = KeyRing.create(folder / "false", "distant")
    (folder / "false" / "near.public").write_text(
        KeyRing.load(folder / "keys", "near").public("near")
    )
    other.refresh()
    desk = Desk()
    false = Endpoint(
        host="far", machine="distant", service=desk, keys=other, limits=FAST, metrics=Registry()
    )
    client = _made("close", "near", KeyRing.load(folder / "keys", "near"))
    async with _closing(false), _closing(client):
        await false.listen_tcp([f"tcp://127.0.0.1:{port}"])
        address = Address("far", "distant", tcp=f"tcp://127.0.0.1:{port}")
        with pytest.raises(Unreachable):
            await client.call(address, "echo", b"", timeout_s=0.5)

        assert desk.seen == []


async def test_a_machine_cannot_say_that_it_is_another(tcp_pair: Pair, folder: Path) -> None:
    """The key says who it is; a greeting that claims another machine is turned away."""
    liar = tcp_pair.adopt(_made("liar", "elsewhere", KeyRing.load(folder / "keys", "near")))
    with pytest.raises(Unreachable, match="says machine 'elsewhere', the key 'near'"):
        await liar.call(tcp_pair.address, "echo", b"", timeout_s=3)

    assert tcp_pair.desk.seen == []
    assert value(tcp_pair.server_metrics, "aisys_refused_peers_total", reason="wrong_machine") >= 1


async def test_a_revoked_key_ends_its_link(tcp_pair: Pair, folder: Path) -> None:
    """When the public key file is gone, the next message is refused, on a connection that is open."""
    await tcp_pair.client.call(tcp_pair.address, "echo", b"", timeout_s=5)
    (folder / "keys" / "near.public").unlink()

    await eventually(
        lambda: value(tcp_pair.server_metrics, "aisys_refused_peers_total", reason="revoked") >= 1
    )
    seen = len(tcp_pair.desk.seen)
    with pytest.raises(AisysError):
        await tcp_pair.client.call(tcp_pair.address, "echo", b"", timeout_s=0.3)
    assert len(tcp_pair.desk.seen) == seen


async def test_an_added_key_is_admitted_without_a_restart(tcp_pair: Pair, folder: Path) -> None:
    """A new machine connects as soon as its public key is in the folder."""
    third = KeyRing.create(folder / "third", "third")
    (folder / "third" / "distant.public").write_text(
        (folder / "keys" / "distant.public").read_text()
    )
    third.refresh()
    (folder / "keys" / "third.public").write_text(third.public("third"))
    endpoint = tcp_pair.adopt(_made("new", "third", third))

    async def is_answered() -> bool:
        try:
            return (
                await endpoint.call(tcp_pair.address, "echo", b"hello", timeout_s=5)
            ).body == b"hello"
        except Unreachable:
            return False

    assert await eventually(is_answered, timeout_s=10)


async def test_an_open_address_without_keys_is_refused(folder: Path) -> None:
    """Without keys nothing beyond loopback is listened on, and the remedy is named."""
    endpoint = _made("far", "m", None)
    for url in ("tcp://0.0.0.0:5999", "tcp://*:5999", "tcp://192.0.2.1:5999", "tcp://[::]:5999"):
        with pytest.raises(ConfigError, match=r"security\.curve"):
            await endpoint.listen_tcp([url])
    await endpoint.close()


@pytest.mark.parametrize("url", ["ipc:///tmp/x", "127.0.0.1:5000", "tcp://", "udp://127.0.0.1:5"])
async def test_other_addresses_are_refused(folder: Path, url: str) -> None:
    """Only TCP addresses are listened on."""
    async with _closing(_made("far", "m", None)) as endpoint:
        with pytest.raises(ConfigError):
            await endpoint.listen_tcp([url])


async def test_a_taken_port_is_named(tcp_pair: Pair, folder: Path) -> None:
    """The error says which address, and where to look."""
    async with _closing(
        _made("far", "distant", KeyRing.load(folder / "keys", "distant"))
    ) as endpoint:
        with pytest.raises(ConfigError, match="aisys ports") as caught:
            await endpoint.listen_tcp([tcp_pair.address.tcp or ""])
        assert str(tcp_pair.address.tcp) in str(caught.value)


async def test_the_self_test_stops_a_server_whose_list_does_not_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An access list that lets a random key in is found at start, and the process does not serve."""
    make_keys(folder)
    monkeypatch.setattr(KeyRing, "machine_of", lambda self, key: "anybody")
    monkeypatch.setattr("aisys.messaging.zap.ZapHandler._deny", lambda self, *args: None)
    async with _closing(
        _made("far", "distant", KeyRing.load(folder / "keys", "distant"))
    ) as endpoint:
        node = endpoint._tcp_node()
        assert isinstance(node, TcpNode)
        # The handler knows the self-test's own key: the fault is a handler that does not look.
        monkeypatch.setattr(
            type(node._zap), "expected", property(lambda self: "", lambda self, key: None)
        )
        with pytest.raises(AisysError, match=f"self-test.*{LinkEvent.READY.value}"):
            await endpoint.listen_tcp([f"tcp://127.0.0.1:{free_port()}"])


async def test_without_its_access_list_nobody_gets_in(tcp_pair: Pair, folder: Path) -> None:
    """When the handler is gone the sockets fail closed, also for a good key."""
    node = tcp_pair.server._tcp
    assert node is not None
    assert node._zap is not None
    node._zap.close()
    with pytest.raises(Unreachable):
        await tcp_pair.client.call(tcp_pair.address, "echo", b"", timeout_s=1)
    assert tcp_pair.desk.seen == []


async def test_raw_zmq_garbage_is_counted(folder: Path) -> None:
    """A peer that speaks ZeroMQ but not our frames is turned away; others are served."""
    async with pair_of("tcp", folder) as pair:
        ring = KeyRing.load(folder / "keys", "near")
        with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
            sock.linger = 0
            sock.curve_publickey, sock.curve_secretkey = (
                ring.public("near").encode(),
                ring.secret.encode(),
            )
            sock.curve_serverkey = ring.public("distant").encode()
            sock.connect(str(pair.address.tcp))
            sock.send(b"this is no frame at all, nor has it ever been one")
            sock.send_multipart([b"two", b"parts"])
            await eventually(lambda: value(pair.server_metrics, "aisys_bad_frames_total") >= 1)
            reply = await pair.client.call(pair.address, "echo", b"served", timeout_s=5)

            assert reply.body == b"served"
            assert len(pair.desk.seen) == 1


# --- unix sockets


def _problem(error: pytest.ExceptionInfo[ConfigError]) -> str:
    (problem,) = error.value.problems
    return str(problem)


async def test_the_socket_is_private(folder: Path) -> None:
    """The socket is in a folder of mode 0700 and has mode 0600."""
    async with pair_of("unix", folder) as pair:
        assert stat.S_IMODE(pair.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(pair.path.parent.stat().st_mode) == 0o700


async def test_an_open_folder_is_refused(folder: Path) -> None:
    """A folder that others may enter is an error with the command that closes it."""
    pair = make_pair("unix", folder)
    folder.chmod(0o755)  # noqa: ASYNC240
    with pytest.raises(ConfigError) as caught:
        await pair.start()
    assert f"chmod 700 {folder}" in _problem(caught)
    await pair.close()


async def test_a_missing_folder_is_made_private(folder: Path) -> None:
    """The folder is made with mode 0700."""
    pair = make_pair("unix", folder)
    pair.address = replace(pair.address, unix_path=str(folder / "new" / "far.sock"))
    await pair.start()

    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o700
    assert (await pair.client.call(pair.address, "echo", b"x", timeout_s=5)).body == b"x"
    await pair.close()


async def test_a_path_that_is_too_long_is_an_error(folder: Path) -> None:
    """The limit of the system is named, and what to set."""
    pair = make_pair("unix", folder)
    pair.address = replace(pair.address, unix_path=str(folder / ("x" * 120)))
    with pytest.raises(ConfigError) as caught:
        await pair.start()
    assert "AISYS_RUNTIME_DIR" in _problem(caught)
    await pair.close()


async def test_a_live_socket_is_an_error(folder: Path) -> None:
    """Two processes cannot listen on one socket, and the first is not disturbed."""
    async with pair_of("unix", folder) as pair:
        second = Endpoint(host="far", machine="near", service=Desk(), metrics=Registry())
        with pytest.raises(ConfigError) as caught:
            await second.listen_unix(pair.path)

        assert "another running process listens" in _problem(caught)
        assert (await pair.client.call(pair.address, "echo", b"mine", timeout_s=5)).body == b"mine"
        await second.close()


async def test_a_live_socket_of_something_else_is_an_error(folder: Path) -> None:
    """A listener that is not ours, and holds no lock, is not replaced either."""
    path = folder / "far.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        pair = make_pair("unix", folder)
        with pytest.raises(ConfigError) as caught:
            await pair.start()
        await pair.close()

    assert "another running process listens" in _problem(caught)


async def test_the_socket_of_a_dead_process_is_replaced(folder: Path) -> None:
    """What a killed process left behind does not stop the next one."""
    path = folder / "far.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    async with pair_of("unix", folder) as pair:
        assert (await pair.client.call(pair.address, "echo", b"new", timeout_s=5)).body == b"new"


async def test_a_file_in_the_way_is_not_removed(folder: Path) -> None:
    """What is not a socket stays, and is named."""
    (folder / "far.sock").write_text("precious")
    pair = make_pair("unix", folder)
    with pytest.raises(ConfigError, match="not a socket"):
        await pair.start()

    assert (folder / "far.sock").read_text() == "precious"
    await pair.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_is_turned_away(folder: Path) -> None:
    """A process of another user that reaches the socket all the same gets nothing through it."""
    async with pair_of("unix", folder) as pair:
        folder.chmod(0o777)  # noqa: ASYNC240
        pair.path.chmod(0o777)
        script = (
            "import socket, os, sys\n"
            "os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(5)\n"
            "sys.exit(0 if s.recv(1) == b'' else 3)\n"
        )
        process = await asyncio.create_subprocess_exec("python3", "-c", script, str(pair.path))

        assert await process.wait() == 0
        assert value(pair.server_metrics, "aisys_refused_peers_total", reason="wrong_user") == 1
        assert pair.server.links() == []
        folder.chmod(0o700)  # noqa: ASYNC240


async def test_closing_removes_the_socket(folder: Path) -> None:
    """Nothing but the lock file stays behind."""
    async with pair_of("unix", folder) as pair:
        assert pair.path.exists()
    assert sorted(path.name for path in folder.iterdir()) == ["far.sock.lock"]  # noqa: ASYNC240
