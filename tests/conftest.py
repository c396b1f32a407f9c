"""Fixtures and options that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from support.fleet import Fleet, new_fleet

_EXAMPLES = {"dev": 40, "fuzz-small": 500, "fuzz-medium": 10_000, "fuzz-large": 200_000}
for _name, _count in _EXAMPLES.items():
    settings.register_profile(
        _name,
        max_examples=_count,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long fault runs may take; `make faults SIZE=…` sets it."""
    parser.addoption("--fault-size", choices=("small", "medium", "large"), default="small")


@pytest.fixture
def fault_rounds(request: pytest.FixtureRequest) -> int:
    """How often a fault is injected: a few times in `make test`, more in `make faults`."""
    return {"small": 3, "medium": 30, "large": 300}[request.config.getoption("--fault-size")]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """A fleet of the test's own, not started."""
    with new_fleet() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def running_fleet() -> Iterator[Fleet]:
    """The reference fleet on both machines, shared by tests that leave it as it was."""
    with new_fleet() as shared:
        shared.up()
        yield shared
        shared.down()
