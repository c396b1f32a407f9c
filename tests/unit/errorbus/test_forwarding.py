"""Forwarder and collector: at least once on the way, once in the end, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aisys.errorbus import Collector, ErrorBusError, Forwarder, Report, Reporter, Spool
from aisys.errors import ArgumentError, Unreachable
from support.waiting import eventually


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool", machine="mainpc", host="language")
    yield spool
    await spool.close()


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    collector = Collector(tmp_path / "errors" / "reports.db", max_age_s=1e12)
    yield collector
    await collector.close()


def _report(seq: int, **fields: Any) -> dict[str, Any]:
    values = {
        "id": f"e{seq}",
        "at": 1000.0 + seq,
        "severity": "low",
        "category": "internal",
        "message": f"m{seq}",
        "source": "m/h",
        "epoch": 1,
        "seq": seq,
    }
    return {**values, **fields}


async def test_a_report_reaches_the_collector(spool: Spool, collector: Collector) -> None:
    """Within the two seconds that are promised."""

    async def send(reports: list[dict[str, Any]]) -> None:
        await collector.ingest(reports)

    forwarder = Forwarder(spool, send)
    await forwarder.start()
    report_id = Reporter(spool, agent="A").report("x")
    found = await eventually(lambda: collector.get(report_id), 2.0)
    assert found.message == "x"
    await forwarder.stop()


async def test_an_outage_costs_nothing(spool: Spool, collector: Collector) -> None:
    """Sends that fail before or after arrival: each report is there once, in order."""
    calls = 0

    async def send(reports: list[dict[str, Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 1:
            raise Unreachable("the link is down")
        await collector.ingest(reports)
        if calls % 3 == 2:
            raise TimeoutError

    forwarder = Forwarder(spool, send, batch=7, backoff_s=0.001)
    await forwarder.start()
    for number in range(100):
        Reporter(spool, agent=str(number)).report("x")
    await eventually(lambda: forwarder.sent == 100)
    reports = await collector.list(limit=1000)
    assert sorted(int(report.agent) for report in reports) == list(range(100))
    assert collector.duplicates > 0
    assert forwarder.failures > 0
    assert forwarder.last_error == ""
    await forwarder.stop()


async def test_it_goes_on_after_a_restart(spool: Spool) -> None:
    """What was acknowledged is not sent again, what was not is."""
    sent: list[str] = []

    async def send(reports: list[dict[str, Any]]) -> None:
        if len(sent) >= 4:
            raise Unreachable("down")
        sent.extend(report["agent"] for report in reports)

    forwarder = Forwarder(spool, send, batch=2)
    for number in range(10):
        Reporter(spool, agent=str(number)).report("x")
    await forwarder.start()
    await eventually(lambda: forwarder.failures > 0)
    await forwarder.stop()
    assert sent == ["0", "1", "2", "3"]

    async def send_now(reports: list[dict[str, Any]]) -> None:
        sent.extend(report["agent"] for report in reports)

    second = Forwarder(spool, send_now, batch=2)
    await second.start()
    await eventually(lambda: len(sent) == 10)
    assert sent == [str(number) for number in range(10)]
    await second.stop()


async def test_one_report_that_nobody_takes_does_not_stop_the_others(spool: Spool) -> None:
    """It is skipped and counted."""
    sent: list[str] = []

    async def send(reports: list[dict[str, Any]]) -> None:
        if any(report["agent"] == "3" for report in reports):
            raise ArgumentError("no", method="Collector.ingest", problems=[])
        sent.extend(report["agent"] for report in reports)

    for number in range(6):
        Reporter(spool, agent=str(number)).report("x")
    await spool.flush()
    forwarder = Forwarder(spool, send)
    await forwarder.start()
    await eventually(lambda: len(sent) == 5)
    assert sent == ["0", "1", "2", "4", "5"]
    assert forwarder.rejected == 1
    await forwarder.stop()


async def test_each_destination_gets_everything(spool: Spool) -> None:
    """One that is down does not hold up the other."""
    got: list[str] = []

    async def up(reports: list[dict[str, Any]]) -> None:
        got.extend(report["agent"] for report in reports)

    async def down(_: list[dict[str, Any]]) -> None:
        raise Unreachable("down")

    forwarders = [Forwarder(spool, up, destination="a"), Forwarder(spool, down, destination="b")]
    for forwarder in forwarders:
        await forwarder.start()
    for number in range(5):
        Reporter(spool, agent=str(number)).report("x")
    await eventually(lambda: len(got) == 5)
    for forwarder in forwarders:
        await forwarder.stop()
    assert len(await spool.read("b")) == 5


async def test_duplicates_are_kept_once(collector: Collector) -> None:
    """By source, epoch and number, also after a restart of the collector."""
    assert await collector.ingest([_report(1), _report(2)]) == 2
    assert await collector.ingest([_report(1), _report(2), _report(3)]) == 1
    assert await collector.ingest([_report(1, source="m/other"), _report(1, epoch=2)]) == 2
    again = Collector(collector.path, max_age_s=1e12)
    assert await again.ingest([_report(3), _report(2, epoch=2)]) == 1
    assert len(await again.list()) == 6
    await again.close()


async def test_what_is_no_report_is_counted(collector: Collector) -> None:
    """It neither raises nor stops the others."""
    bad: list[Any] = [{}, _report(1, severity="?"), _report(1, message=None), 5]
    assert await collector.ingest([*bad, _report(1)]) == 1
    assert collector.invalid == 4


async def test_reports_can_be_found(collector: Collector) -> None:
    """By agent, machine, severity, category, kind and time; the newest first."""
    await collector.ingest(
        [
            _report(1, agent="A", machine="mainpc", severity="critical", fingerprint="f1"),
            _report(2, agent="B", machine="pc2", severity="info", count=5),
            _report(3, agent="A", machine="pc2", severity="high", category="input"),
        ]
    )

    async def ids(**wanted: Any) -> list[str]:
        return [report.id for report in await collector.list(**wanted)]

    assert await ids() == ["e3", "e2", "e1"]
    assert await ids(limit=1) == ["e3"]
    assert await ids(agent="A") == ["e3", "e1"]
    assert await ids(agent="A", machine="pc2") == ["e3"]
    assert await ids(severity="info") == ["e2"]
    assert await ids(at_least="high") == ["e3", "e1"]
    assert await ids(category="input") == ["e3"]
    assert await ids(fingerprint="f1") == ["e1"]
    assert await ids(since=1002.0) == ["e3", "e2"]
    assert await ids(agent="A' OR 1=1 --") == []
    assert await collector.count() == {"critical": 1, "high": 1, "info": 5}
    assert await collector.count("agent", since=1002.0) == {"A": 1, "B": 5}
    with pytest.raises(ErrorBusError, match="severity"):
        await collector.count("body; DROP TABLE reports")
    found = await collector.get("e1")
    assert isinstance(found, Report)
    assert await collector.get("none") is None


async def test_the_collector_is_bounded(tmp_path: Path) -> None:
    """By number: the oldest go."""
    collector = Collector(tmp_path / "r.db", max_reports=100, max_age_s=1e12)
    for start in range(0, 2000, 100):
        await collector.ingest([_report(start + number) for number in range(1, 101)])
    reports = await collector.list(limit=10_000)
    assert 100 <= len(reports) <= 600
    assert reports[0].seq == 2000
    await collector.close()


async def test_old_reports_go(tmp_path: Path) -> None:
    """By age."""
    collector = Collector(tmp_path / "r.db", max_age_s=3600)
    await collector.ingest([_report(1, at=5.0)])
    assert await collector.list() == []
    await collector.close()


async def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "r.db").write_bytes(b"something else " * 100)
    collector = Collector(tmp_path / "r.db")
    with pytest.raises(ErrorBusError, match=r"r\.db"):
        await collector.ingest([_report(1)])
    await collector.close()
    with pytest.raises(ErrorBusError):
        await collector.ingest([_report(1)])


async def test_a_stopped_forwarder_can_be_stopped_again(spool: Spool) -> None:
    """And one that was never started."""

    async def send(_: list[dict[str, Any]]) -> None:
        await asyncio.Event().wait()

    forwarder = Forwarder(spool, send)
    await forwarder.stop()
    await forwarder.start()
    await forwarder.start()
    Reporter(spool).report("x")
    await forwarder.stop()
    await forwarder.stop()
