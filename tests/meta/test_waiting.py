"""Tests wait for conditions, never for time.

A sleep that stands for the work of a handler under test says so: `# work: …`.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = {
    "tests/support/waiting.py": "polls a condition",
    "tests/support/toy_hosts.py": "is a process under test that has nothing to do",
}


def _sleeps(path: Path) -> list[int]:
    found = []
    lines = path.read_text().splitlines()
    for node in ast.walk(ast.parse(path.read_text())):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "sleep"
        ):
            continue
        owner = node.func.value
        if not (isinstance(owner, ast.Name) and owner.id in ("time", "asyncio")):
            continue
        # A sleep of nothing is a turn of the event loop, and one of an hour or more is "until cancelled".
        argument = node.args[0] if node.args else None
        if isinstance(argument, ast.Constant) and (argument.value == 0 or argument.value >= 3600):
            continue
        if "# work:" in lines[node.lineno - 1]:
            continue
        found.append(node.lineno)
    return found


def test_tests_do_not_sleep() -> None:
    """No test sleeps for a fixed time outside the named helpers."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if str(path.relative_to(ROOT)) not in HELPERS
        for line in _sleeps(path)
    ]

    assert wrong == []
