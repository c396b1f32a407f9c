"""What `import aisys` costs and what it leaves alone."""

from __future__ import annotations

import statistics
import subprocess
import sys

BUDGET_MS = 60.0
HEAVY = ("zmq", "yaml", "pydantic", "rich", "uvloop", "redis", "typer", "numpy")


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_import_is_light() -> None:
    """`import aisys` takes less than 60 ms on top of the interpreter, by the median of seven."""
    code = "import time; t = time.process_time(); import aisys; print((time.process_time() - t) * 1000)"
    took_ms = statistics.median(float(_run(code)) for _ in range(7))

    assert took_ms < BUDGET_MS


def test_import_loads_no_heavy_library() -> None:
    """None of the libraries that only some processes need is loaded by `import aisys`."""
    code = f"import sys, aisys; print([name for name in {HEAVY!r} if name in sys.modules])"

    assert _run(code) == "[]"


def test_json_and_queue_stay_light_too() -> None:
    """The hot paths can be used alone without paying for the fleet."""
    code = (
        "import sys; from aisys import json, metrics, queue; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    assert _run(code) == "[]"
