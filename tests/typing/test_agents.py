"""The author's view of aisys through mypy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = Path("tests/typing/agents.py")


def _expected(kind: str) -> dict[int, str]:
    lines = (ROOT / FILE).read_text().splitlines()
    marks = {number: re.search(rf"# {kind}: (\S.*)$", line) for number, line in enumerate(lines, 1)}
    return {
        number: mark[1] for number, mark in marks.items() if mark and "`" not in lines[number - 1]
    }


@pytest.mark.slow
def test_mypy_sees_what_authors_wrote() -> None:
    """Call sites are checked against the author's signatures, through decorators and proxies."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(FILE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(rf"^{re.escape(str(FILE))}:(\d+): (.*)$", done.stdout, re.MULTILINE)
    revealed = {int(line): text.split('"')[1] for line, text in found if "Revealed type is" in text}
    refused = {
        int(line): text.rpartition("[")[2].rstrip("]")
        for line, text in found
        if text.startswith("error:")
    }

    assert revealed == _expected("type")
    assert refused == _expected("error")
