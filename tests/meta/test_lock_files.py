"""The lock files against what the distributions declare."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _names(lines: list[str]) -> set[str]:
    return {
        re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0].lower()
        for line in lines
        if re.match(r"\w", line)
    }


def _declared() -> set[str]:
    declared = []
    for path in ("pyproject.toml", "agents/pyproject.toml"):
        declared += tomllib.loads((ROOT / path).read_text())["project"]["dependencies"]
    return _names(declared) - {"aisys"}


def test_the_runtime_list_is_what_the_distributions_declare() -> None:
    """`requirements/runtime.in` and the two pyproject files name the same libraries."""
    assert _names((ROOT / "requirements" / "runtime.in").read_text().splitlines()) == _declared()


def test_everything_declared_is_locked_with_hashes() -> None:
    """Each declared library is in both lock files, and every locked entry carries hashes."""
    for name in ("runtime.lock", "dev.lock"):
        text = (ROOT / "requirements" / name).read_text()
        assert _declared() <= _names(text.splitlines())
        entries = re.split(r"(?m)^(?=\w)", text)[1:]
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_one_version_for_both_distributions() -> None:
    """The workspace's version is that of both distributions."""
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    agents = tomllib.loads((ROOT / "agents" / "pyproject.toml").read_text())["project"]["version"]

    assert cargo == agents
