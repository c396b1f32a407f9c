"""The spool: bounded, checksummed, and honest about what it dropped."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aisys.errorbus import ErrorBusError, Report, Reporter, Spool
from aisys.errorbus.folding import Folder


async def _opened(path: Path, **options: int) -> Spool:
    spool = Spool(path, machine="m", host="h", **options)
    await spool.register("test")
    return spool


async def _reports(spool: Spool) -> list[Report]:
    await spool.flush()
    return [Report.from_dict(data) for data in await spool.read("test", limit=10_000)]


async def test_reports_survive_a_restart_in_order(tmp_path: Path) -> None:
    """A later process has a later epoch and goes on behind what is left."""
    for start in range(3):
        spool = await _opened(tmp_path)
        for number in range(5):
            Reporter(spool, agent=f"{start}{number}").report("x")
        reports = await _reports(spool)
        await spool.close()
    assert [report.agent for report in reports] == [f"{s}{n}" for s in range(3) for n in range(5)]
    positions = [(report.epoch, report.seq) for report in reports]
    assert positions == sorted(set(positions))
    assert [seq for _, seq in positions] == [1, 2, 3, 4, 5] * 3


async def test_the_folder_is_private_and_opened_late(tmp_path: Path) -> None:
    """Nothing before the first report, then 0700."""
    spool = Spool(tmp_path / "spool")
    assert not (tmp_path / "spool").exists()
    Reporter(spool).report("x")
    await spool.flush()
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    await spool.close()


async def test_what_is_acknowledged_does_not_come_again(tmp_path: Path) -> None:
    """Also after a restart, for each destination by itself."""
    spool = await _opened(tmp_path)
    await spool.register("other")
    for number in range(4):
        Reporter(spool, agent=str(number)).report("x")
    reports = await _reports(spool)
    await spool.acknowledge("test", reports[1].epoch, reports[1].seq)
    await spool.close()
    spool = await _opened(tmp_path)
    assert [report.agent for report in await _reports(spool)] == ["2", "3"]
    assert len(await spool.read("other")) == 4
    await spool.close()


async def test_a_full_spool_drops_the_least_severe_and_says_so(tmp_path: Path) -> None:
    """The file keeps its bound; critical reports stay; a report tells the number."""
    spool = await _opened(tmp_path, max_bytes=60_000)
    for number in range(300):
        for severity in ("info", "low", "critical" if number < 20 else "medium"):
            # A fingerprint of its own, so that they are not folded.
            Reporter(spool, agent=f"{severity}{number}").report("x" * 100, severity=severity)
    await spool.flush()
    reports = await _reports(spool)
    assert (tmp_path / "reports.log").stat().st_size < 60_000 + 2_000
    assert sum(report.severity == "critical" for report in reports) == 20
    assert spool.evicted["info"] > spool.evicted["medium"]
    assert not spool.evicted["critical"]
    assert not spool.lost
    own = [report for report in reports if report.category == "errorbus"]
    assert own
    assert sum(spool.evicted.values()) >= sum(report.count for report in own)
    stored = sum(report.count for report in reports if report.category != "errorbus")
    dropped_own = 0
    assert stored + sum(spool.evicted.values()) - dropped_own >= 900
    positions = [(report.epoch, report.seq) for report in reports]
    assert positions == sorted(positions)
    await spool.close()


async def test_acknowledged_reports_make_room_first(tmp_path: Path) -> None:
    """Nothing is evicted while there is room to win by forgetting what was delivered."""
    spool = await _opened(tmp_path, max_bytes=30_000)
    for number in range(300):
        Reporter(spool, agent=str(number)).report("x" * 100)
        if number % 10 == 9:
            reports = await _reports(spool)
            await spool.acknowledge("test", reports[-1].epoch, reports[-1].seq)
    assert not spool.evicted
    assert (tmp_path / "reports.log").stat().st_size < 32_000
    await spool.close()


@pytest.mark.parametrize("damage", ["cut", "flip", "garbage", "magic"])
async def test_a_damaged_file_is_cut_kept_and_reported(tmp_path: Path, damage: str) -> None:
    """What is sound is used, what is not is set aside, and new reports go on."""
    spool = await _opened(tmp_path)
    for number in range(10):
        Reporter(spool, agent=str(number)).report("x")
    await spool.flush()
    await spool.close()
    path = tmp_path / "reports.log"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[:-7]
    elif damage == "flip":
        data[len(data) // 2] ^= 0x10
    elif damage == "garbage":
        data += os.urandom(5000)
    else:
        data[0] ^= 1
    path.write_bytes(data)
    spool = await _opened(tmp_path)
    Reporter(spool, agent="new").report("y")
    reports = await _reports(spool)
    assert any("damaged" in report.message for report in reports)
    assert reports[-1].agent == "new"
    whole = [report.agent for report in reports if report.agent not in ("", "new")]
    assert whole == [str(number) for number in range(len(whole))]
    assert len(whole) == {"cut": 9, "garbage": 10, "magic": 0}.get(damage, len(whole))
    assert (tmp_path / "reports.damaged").stat().st_size > 0
    await spool.close()


async def test_the_spool_of_another_process_is_not_touched(tmp_path: Path) -> None:
    """The reports are counted as lost, and told once the folder is free."""
    first = await _opened(tmp_path)
    Reporter(first).report("x")
    await first.flush()
    second = Spool(tmp_path, machine="m", host="h")
    Reporter(second).report("y", severity="low")
    with pytest.raises(ErrorBusError, match="another process"):
        await second.flush()
    assert second.lost == {"low": 1}
    assert "another process" in second.last_error
    await first.close()
    second._next_open = 0.0
    await second.register("test")
    (old, told) = await _reports(second)
    assert old.message == "x"
    assert told.message == "reports were lost before they were stored: 1 low"
    await second.close()


async def test_a_folder_that_cannot_be_made_harms_nobody(tmp_path: Path) -> None:
    """Reports are counted as lost; nothing raises."""
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool")
    assert Reporter(spool).report("x")
    with pytest.raises(ErrorBusError):
        await spool.flush()
    assert spool.lost == {"high": 1}
    await spool.close()


async def test_too_many_waiting_reports_are_counted(tmp_path: Path) -> None:
    """The least severe are refused first; what was refused is reported."""
    import threading

    gate = threading.Event()

    def redact(text: str) -> str:
        gate.wait(10.0)
        return text

    spool = Spool(tmp_path, redact=redact, max_waiting=10)
    await spool.register("test")
    for number in range(30):
        Reporter(spool, agent=f"l{number}").report("x", severity="low")
    for number in range(30):
        Reporter(spool, agent=f"c{number}").report("x", severity="critical")
    gate.set()
    reports = await _reports(spool)
    assert spool.lost["low"] >= 19
    assert spool.lost["critical"] >= 19
    kept = [report for report in reports if report.category != "errorbus"]
    told = [report for report in reports if report.category == "errorbus"]
    assert len(kept) + sum(spool.lost.values()) == 60
    assert sum(report.count for report in told) == sum(spool.lost.values())
    await spool.close()


async def test_a_closed_spool_takes_nothing_and_harms_nobody(tmp_path: Path) -> None:
    """Late reports are counted."""
    spool = await _opened(tmp_path)
    Reporter(spool).report("x")
    await spool.close()
    await spool.close()
    assert Reporter(spool, agent="late").report("y")
    assert spool.lost == {"high": 1}
    with pytest.raises(ErrorBusError, match="closed"):
        await spool.flush()


async def test_a_flood_becomes_a_number(tmp_path: Path) -> None:
    """Twenty go out, the rest is one report with a count."""
    spool = await _opened(tmp_path)
    reporter = Reporter(spool, agent="A")
    ids = {reporter.report(f"lost {number}") for number in range(500)}
    reporter.report("something else")
    reports = await _reports(spool)
    assert [report.count for report in reports] == [1] * 21 + [480]
    assert reports[-1].message == "lost 499"
    assert ids == {report.id for report in reports if report.message != "something else"}
    await spool.close()


async def test_the_number_goes_out_when_the_window_ends(tmp_path: Path) -> None:
    """Without another report having to come."""
    from support.waiting import eventually

    spool = await _opened(tmp_path, fold_window_s=1)
    reporter = Reporter(spool, agent="A")
    for number in range(50):
        reporter.report(f"lost {number}")

    async def total() -> bool:
        found = await spool.read("test", limit=1000)
        return sum(data["count"] for data in found) == 50

    await eventually(total)
    await spool.close()


def _report(fingerprint: str) -> Report:
    return Report(
        id=fingerprint, at=0, severity="low", category="c", message="m", fingerprint=fingerprint
    )


def test_folding_is_bounded_and_loses_no_count() -> None:
    """Ten thousand kinds of errors take no more memory than a thousand."""
    folder = Folder(limit=1, window_s=10)
    passed = sum(
        folder.offer(_report(str(number)), 0.0) is not None
        for number in range(10_000)
        for _ in range(2)
    )
    counted = sum(report.count for report in folder.take_ended(11.0))
    assert passed == 10_000
    assert counted == 10_000
    assert not folder.is_counting()
    assert folder.offer(_report("1"), 20.0) is not None
