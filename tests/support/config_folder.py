"""A small configuration folder for tests to change and load."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aisys.config import Fleet, load_fleet
from aisys.errors import ConfigError, Problem

SMALL = """
name: small
machines:
  one: {address: 127.0.0.1, control_port: 7000, metrics_port: 7001}
  two: {address: 127.0.0.1, control_port: 7002, metrics_port: 7003}
agents:
  Anna: {machine: one, port: 7010, group: g, status: built, place: {shared: pair}}
  Ben: {machine: one, port: 7011, group: g, status: built, place: {shared: pair}, requires: [Anna]}
  Cleo: {machine: one, port: 7012, group: g, status: built, requires: [Ben]}
  Dora: {machine: two, port: 7013, group: g, status: built, requires: [Anna, Emil]}
  Emil: {machine: two, port: 7014, group: g, settings: {limit: 5}}
"""


class Folder:
    """A configuration folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("fleet.yaml", SMALL)

    def write(self, name: str, text: str) -> Folder:
        """Write a file, dedented and without the first line break."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).removeprefix("\n"), encoding="utf-8")
        return self

    def load(
        self, env: str | None = None, /, environ: Mapping[str, str] | None = None, **sets: Any
    ) -> Fleet:
        """Load with an empty environment; `a__b=1` overrides a.b."""
        overrides = {key.replace("__", "."): value for key, value in sets.items()}
        return load_fleet(self.path, env=env, overrides=overrides, environ=environ or {})

    def problems(
        self, env: str | None = None, /, environ: Mapping[str, str] | None = None, **sets: Any
    ) -> list[Problem]:
        """What is wrong."""
        with pytest.raises(ConfigError) as caught:
            self.load(env, environ, **sets)
        return caught.value.problems

    def problem(
        self, env: str | None = None, /, environ: Mapping[str, str] | None = None, **sets: Any
    ) -> Problem:
        """The one thing that is wrong."""
        problems = self.problems(env, environ, **sets)
        assert len(problems) == 1, problems
        return problems[0]
