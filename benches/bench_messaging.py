"""Request and reply of a 256-byte JSON object between two processes, with 1 and 64 in flight.

`links` is what `aisys.messaging` alone costs, JSON included: what compares with the peers, which
check nothing. `agents` is a whole call of an agent's method through a typed proxy: arguments and
results checked on both sides, deadline, priority, metrics. The peers over TCP are not encrypted;
ours is, by CURVE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.clients import NO_NATS, Stage
from benches.ratio import Group, Prepare, Role, Side, Work, cases, run_case
from benches.servers import find_nats_server

BLOCK_S = 0.08
IN_FLIGHT = (1, 64)

_stages: list[Stage] = []


def _stage() -> Stage:
    """The servers and clients, which start when the first row is measured."""
    if not _stages:
        _stages.append(Stage())
    return _stages[0]


def close() -> None:
    """End every process and connection of these rows."""
    while _stages:
        _stages.pop().close()


def groups() -> list[Group]:
    """The rows."""
    rows = []
    nats = (("nats-py", "nats"),) if find_nats_server() is not None else ()
    notes = () if nats else (NO_NATS,)
    for number in IN_FLIGHT:
        rows += [
            _group(
                f"call inside a host, {number} in flight",
                number,
                ours=(("aisys agents", "local"),),
                peers=(),
                floor=("plain await", "plain"),
            ),
            _group(
                f"request/reply, unix socket, {number} in flight",
                number,
                ours=(("aisys links", "links unix"), ("aisys agents", "agents unix")),
                peers=(("zmq.asyncio ipc", "zmq ipc"), *nats),
                floor=("uvloop unix echo", "floor"),
                notes=notes,
            ),
            _group(
                f"request/reply, TCP, {number} in flight",
                number,
                ours=(("aisys links CURVE", "links curve"), ("aisys agents CURVE", "agents curve")),
                peers=(("zmq.asyncio tcp", "zmq tcp"), *nats),
                floor=("uvloop unix echo", "floor"),
                notes=notes,
            ),
        ]
    return rows


Named = tuple[str, str]


def _group(
    name: str,
    in_flight: int,
    *,
    ours: tuple[Named, ...],
    peers: tuple[Named, ...],
    floor: Named,
    notes: tuple[str, ...] = (),
) -> Group:
    sides = (
        *(_side(each, "ours", in_flight) for each in ours),
        *(_side(each, "peer", in_flight) for each in peers),
        _side(floor, "floor", in_flight),
    )
    # Inside of a host nothing waits for another process.
    waits = bool(peers)
    block_s = BLOCK_S if waits else None
    return Group(name, sides, per_second=True, waits=waits, block_s=block_s, notes=notes)


def _side(named: Named, role: Role, in_flight: int) -> Side:
    name, transport = named
    return Side(name, _calls(transport, in_flight), role, step=in_flight)


def _calls(transport: str, in_flight: int) -> Callable[[], Prepare]:
    def make() -> Prepare:
        stage = _stage()
        drive = stage.drive(transport)

        def prepare(count: int) -> Work:
            async def run() -> None:
                await drive(count, in_flight)

            return lambda: stage.runner.run(run())

        return prepare

    return make


@pytest.fixture(scope="module", autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    close()


@pytest.mark.parametrize(("group", "side"), cases(groups()))
def test_messaging(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    run_case(benchmark, group, side, request)
