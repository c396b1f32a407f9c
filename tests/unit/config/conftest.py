"""The fixtures of the configuration's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.config_folder import Folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A small fleet in a folder that is the working directory too, so that places are short."""
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)
