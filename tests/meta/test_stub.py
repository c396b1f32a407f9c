"""The hand-written stub of the extension against the extension."""

from __future__ import annotations

import subprocess
import sys


def test_the_stub_is_complete() -> None:
    """Stubtest finds no difference between `_native.pyi` and the compiled module."""
    run = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "aisys._native"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
