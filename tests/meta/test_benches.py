"""The benchmarks themselves: how they judge, and that pytest-benchmark finds them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The timing core and the report, which live outside of the package."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benches.ratio"), importlib.import_module("benches.report")


@pytest.mark.parametrize(
    ("ratio", "must", "goal", "verdict"),
    [
        (0.99, 1.0, 2.0, "below"),
        (1.0, 1.0, 2.0, "must"),
        (2.0, 1.0, 2.0, "goal"),
        (3.0, 1.0, None, "must"),
        (0.1, None, None, ""),
        (0.1, None, 2.0, ""),
    ],
)
def test_a_ratio_is_judged_by_what_was_promised(
    benches: tuple[ModuleType, ModuleType],
    ratio: float,
    must: float | None,
    goal: float | None,
    verdict: str,
) -> None:
    """A ratio reaches its goal, or what it must, or stays below; without a promise it is not judged."""
    core, _ = benches

    assert core.Comparison("ours", "peer", ratio, ratio, ratio, must, goal).verdict == verdict


def test_the_table_names_what_stays_below(benches: tuple[ModuleType, ModuleType]) -> None:
    """A row below its must is marked, and named under the table; the run knows about it."""
    core, reporting = benches
    sides = (
        core.Side("aisys", lambda: lambda count: lambda: None, "ours"),
        core.Side("snail", lambda: lambda count: lambda: None, must=2.0, goal=4.0),
    )
    result = core.Result(core.Group("a row", sides))
    result.seconds = {"aisys": [1.0, 1.0], "snail": [1.5]}
    result.noise = {"aisys": 0.0}
    result.comparisons = [core.Comparison("aisys", "snail", 1.5, 1.5, 1.5, 2.0, 4.0)]
    report = reporting.Report("command", {}, {"file": [result]})

    text = reporting.table(report)

    assert "BELOW MUST" in text
    assert "0 reach their goal, 0 what they must, 1 stay below: a row (snail)" in text
    assert report.below() == result.comparisons


def test_both_times_of_ours_give_the_noise(benches: tuple[ModuleType, ModuleType]) -> None:
    """Our side is measured twice in every round, and each ratio is taken inside of its round."""
    core, _ = benches
    spin = [None] * 100

    def make() -> object:
        return lambda count: lambda: [spin.count(None) for _ in range(count)]

    group = core.Group("spin", (core.Side("a", make, "ours"), core.Side("b", make)))
    result = core.measure(group, core.Settings(rounds=3, block_s=0.001))

    assert len(result.seconds["a"]) == 6
    assert len(result.seconds["b"]) == 3
    assert result.noise["a"] >= 0
    assert result.comparisons[0].low <= result.comparisons[0].ratio <= result.comparisons[0].high


def test_a_debug_build_is_refused(benches: tuple[ModuleType, ModuleType]) -> None:
    """Only a release build gives figures; the refusal names the remedy."""
    _, reporting = benches

    assert reporting.unfit_build("release") is None
    assert "make setup" in reporting.unfit_build("debug")


@pytest.mark.slow
def test_pytest_benchmark_runs_the_rows(tmp_path: Path) -> None:
    """`pytest benches/bench_metrics.py --benchmark-only` times each side, in one group a row."""
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "pytest", "benches/bench_metrics.py", "-k", "counter and inc"]
    options = ["--benchmark-only", "--benchmark-min-rounds=2", f"--benchmark-json={out}", "-q"]
    ran = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    timed = json.loads(out.read_text())["benchmarks"]
    assert {each["extra_info"]["role"] for each in timed} >= {"ours", "peer"}
    assert all(each["extra_info"]["operations"] > 0 for each in timed)
