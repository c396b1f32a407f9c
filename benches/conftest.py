"""Lets `pytest benches` find the benchmarks, and refuses a debug build."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Take `bench_*.py` for test files; those named on the command line are taken anyway."""
    if file_path.suffix != ".py" or not file_path.name.startswith("bench_"):
        return None
    if parent.session.isinitpath(file_path):
        return None
    module: pytest.Module = pytest.Module.from_parent(parent, path=file_path)
    return module


def pytest_sessionstart(session: pytest.Session) -> None:
    """Figures of a debug build mislead: none are given."""
    from aisys.build import build_info
    from benches.report import unfit_build

    unfit = unfit_build(build_info().profile)
    if unfit is not None and not session.config.getoption("benchmark_skip"):
        raise pytest.UsageError(unfit)
