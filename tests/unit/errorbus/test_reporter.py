"""The reporter: never raises, never waits, never calls itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aisys.errorbus import ErrorBusError, Report, Reporter, Spool


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool", machine="mainpc", host="language", env="dev")
    await spool.register("test")
    yield spool
    await spool.close()


async def _reports(spool: Spool) -> list[Report]:
    await spool.flush()
    return [Report.from_dict(data) for data in await spool.read("test", limit=1000)]


def _raise(error: Exception) -> None:
    raise error


def _caught(error: Exception) -> Exception:
    try:
        _raise(error)
    except type(error) as caught:
        return caught
    raise AssertionError


def _elsewhere(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


async def test_a_report_says_where_and_what(spool: Spool) -> None:
    """Every field that the reporter knows."""
    reporter = Reporter(spool, agent="Tutor", trace_id=lambda: "ab" * 16)
    before = time.time()
    report_id = reporter.report(
        _caught(ValueError("no such lesson")),
        severity="medium",
        category="input",
        impact="no lesson today",
        context={"student": "Eve", "count": 3, "odd": object()},
        method="next_lesson",
    )
    (report,) = await _reports(spool)
    assert report.id == report_id
    assert before <= report.at <= time.time()
    assert (report.severity, report.category, report.impact) == (
        "medium",
        "input",
        "no lesson today",
    )
    assert (report.agent, report.method) == ("Tutor", "next_lesson")
    assert (report.machine, report.host, report.env) == ("mainpc", "language", "dev")
    assert (report.error_type, report.message) == ("ValueError", "no such lesson")
    assert "_raise(error)" in report.traceback
    assert report.trace_id == "ab" * 16
    assert report.context["student"] == "Eve"
    assert report.context["count"] == 3
    assert report.context["odd"].startswith("<object object")
    assert (report.source, report.seq, report.count) == ("mainpc/language", 1, 1)


async def test_the_same_error_has_the_same_fingerprint(spool: Spool) -> None:
    """Whatever its text; another type, method, agent or place has another one."""
    reporter = Reporter(spool, agent="A")

    reporter.report(_caught(ValueError("1")), method="m")
    reporter.report(_caught(ValueError("2")), method="m")
    reporter.report(_caught(KeyError("1")), method="m")
    reporter.report(_caught(ValueError("1")), method="n")
    reporter.report(_elsewhere(ValueError("1")), method="m")
    Reporter(spool, agent="B").report(_caught(ValueError("1")), method="m")
    prints = [report.fingerprint for report in await _reports(spool)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 5


async def test_messages_are_told_apart_by_their_shape(spool: Spool) -> None:
    """Numbers in a message make it no new one."""
    reporter = Reporter(spool)
    for text in ("lost 3 of 10", "lost 4 of 11", "found 3"):
        reporter.report(text)
    prints = [report.fingerprint for report in await _reports(spool)]
    assert prints[0] == prints[1] != prints[2]


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class HostileRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


@pytest.mark.parametrize(
    "arguments",
    [
        {"error": HostileError()},
        {"error": "x", "context": {"a": HostileRepr()}},
        {"error": "x", "context": 5},
        {"error": None},
        {"error": "\ud800 lone surrogate"},
        {"error": "x" * 1_000_000},
        {"error": ValueError("y" * 1_000_000), "context": {str(n): n for n in range(1000)}},
        {"error": "x", "severity": "apocalyptic"},
        {"error": "x", "category": None, "method": 7},
        {"error": "x", "context": {"deep": [[[[[[1]]]]]], "nan": float("nan"), "big": 10**400}},
    ],
)
async def test_it_never_raises(spool: Spool, arguments: dict[str, Any]) -> None:
    """Whatever it is given; and the next report still arrives, within its bounds."""
    reporter = Reporter(spool)
    assert isinstance(reporter.report(**arguments), str)
    reporter.report("still here")
    reports = await _reports(spool)
    assert reports[-1].message == "still here"
    assert len(reports) + reporter.failed == 2
    assert not spool.lost


async def test_a_runaway_recursion_is_reported(spool: Spool) -> None:
    """A thousand frames become a bounded traceback."""

    def forever() -> None:
        forever()

    try:
        forever()
    except RecursionError as error:
        Reporter(spool).report(error)
    (report,) = await _reports(spool)
    assert report.error_type == "RecursionError"
    assert len(report.traceback) < 20_000


async def test_it_never_calls_itself(tmp_path: Path) -> None:
    """A redaction, a trace id or a text that reports is counted, not followed."""
    inner: list[str] = []

    def redact(text: str) -> str:
        inner.append(reporter.report("from the redaction"))
        return text

    def trace_id() -> str:
        inner.append(reporter.report("from the trace id"))
        return ""

    spool = Spool(tmp_path, redact=redact)
    reporter = Reporter(spool, trace_id=trace_id)
    await spool.register("test")
    reporter.report("outer")
    reports = await _reports(spool)
    assert [report.message for report in reports] == ["outer"]
    assert set(inner) == {""}
    await spool.close()


async def test_it_does_not_wait_for_a_disk(tmp_path: Path) -> None:
    """With the spool's thread held up, a report takes less than a millisecond."""
    gate = threading.Event()

    def redact(text: str) -> str:
        gate.wait(10.0)
        return text

    spool = Spool(tmp_path, redact=redact)
    reporter = Reporter(spool)
    error = _caught(ValueError("x"))
    took = []
    for _ in range(200):
        start = time.perf_counter()
        reporter.report(error)
        took.append(time.perf_counter() - start)
    gate.set()
    assert sorted(took)[len(took) // 2] < 0.001
    await spool.close()


async def test_reports_come_from_any_thread(spool: Spool) -> None:
    """And none is lost."""
    reporters = [Reporter(spool, agent=f"A{number}") for number in range(8)]

    def work(reporter: Reporter) -> None:
        for number in range(15):
            reporter.report(f"thread {number}")

    await asyncio.gather(*[asyncio.to_thread(work, reporter) for reporter in reporters])
    reports = await _reports(spool)
    assert len(reports) == 8 * 15
    assert [report.seq for report in reports] == list(range(1, 121))


async def test_secrets_do_not_leave(tmp_path: Path) -> None:
    """Message, traceback, impact and context pass the redaction; if it fails the texts stay out."""
    spool = Spool(tmp_path / "a", redact=lambda text: text.replace("hunter2", "***"))
    await spool.register("test")
    Reporter(spool).report(
        _caught(ValueError("hunter2")), impact="hunter2", context={"hunter2": "x", "b": "hunter2"}
    )
    await spool.flush()
    assert b"hunter2" not in (tmp_path / "a" / "reports.log").read_bytes()
    await spool.close()

    def broken(text: str) -> str:
        raise ValueError(text)

    spool = Spool(tmp_path / "b", redact=broken)
    await spool.register("test")
    Reporter(spool).report(_caught(ValueError("hunter2")), context={"a": "hunter2"})
    (report,) = await _reports(spool)
    assert "hunter2" not in repr(report)
    assert report.error_type == "ValueError"
    await spool.close()


def test_a_report_from_elsewhere_is_checked() -> None:
    """Every field; what this version does not know is left out."""
    good = Report(
        id="e1", at=1.0, severity="low", category="c", message="m", source="a/b", epoch=1, seq=1
    ).to_dict()
    assert Report.from_dict({**good, "new_field": 1}).id == "e1"
    for name, value in [
        ("id", None),
        ("at", "now"),
        ("at", float("inf")),
        ("severity", "worst"),
        ("message", 5),
        ("message", "x" * 1_000_000),
        ("context", []),
        ("seq", -1),
        ("seq", True),
        ("epoch", 2.5),
        ("count", None),
        ("agent", "x" * 10_000),
    ]:
        with pytest.raises(ErrorBusError):
            Report.from_dict({**good, name: value})
    del good["source"]
    with pytest.raises(ErrorBusError, match="source"):
        Report.from_dict(good)
