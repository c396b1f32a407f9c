"""What works from the checkout works from the wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.fleet import ROOT, new_fleet

pytestmark = [pytest.mark.wheel, pytest.mark.slow, pytest.mark.timeout(420)]


def _pip(python: str | Path, *arguments: str) -> None:
    done = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        # The build backend looks for its tools on the PATH.
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, built from this checkout."""
    target = tmp_path_factory.mktemp("wheels")
    _pip(
        sys.executable,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(target),
        ".",
        "./agents",
    )
    return {path.name.split("-")[0]: path for path in target.glob("*.whl")}


def test_the_wheels_hold_what_they_need(wheels: dict[str, Path]) -> None:
    """The extension, the type marker and the stub in one, the agents and the fleet's configuration in the other."""
    runtime = zipfile.ZipFile(wheels["aisys"]).namelist()
    agents = zipfile.ZipFile(wheels["aisys_agents"]).namelist()

    assert any(name.startswith("aisys/_native") and name.endswith(".so") for name in runtime)
    assert {"aisys/py.typed", "aisys/_native.pyi"} <= set(runtime)
    assert "aisys_agents/_config/fleet.yaml" in agents
    assert "aisys_agents/_config/base.yaml" in agents


def test_the_assistant_runs_from_the_wheels(wheels: dict[str, Path], tmp_path: Path) -> None:
    """In an empty environment and from an empty folder: start, remember, restart, recall, stop."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    _pip(
        python,
        "install",
        "--require-hashes",
        "--only-binary=:all:",
        "-r",
        "requirements/runtime.lock",
    )
    _pip(python, "install", "--no-deps", *(str(path) for path in wheels.values()))
    _pip(python, "check")
    empty = tmp_path / "empty"
    empty.mkdir()

    with new_fleet(program=environment / "bin" / "aisys", folder=empty) as fleet:
        fleet.environment.pop("PYTHONPATH", None)
        assert "18 of 74 agents built" in fleet.up()
        fleet.ask("Remember that my dentist is Dr. Cruz, 555 0199")
        fleet.down()
        fleet.up()
        assert "Dr. Cruz" in fleet.ask("Who is my dentist?")
        fleet.down()
        assert fleet.living() == []
    assert list(empty.iterdir()) == []
