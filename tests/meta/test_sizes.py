"""A file holds one idea: the limits, and the argued exceptions."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {".py": 450, ".pyi": 450, ".rs": 650}
TEST_LIMIT = 700
EXCEPTIONS: dict[str, str] = {
    "python/aisys/_native.pyi": "the stub of the extension is one file by nature: stubtest compares it as a whole",
}


def _limit(path: Path) -> int:
    return TEST_LIMIT if path.parts[0] == "tests" else LIMITS[path.suffix]


def _sources() -> list[Path]:
    folders = ("python", "agents", "tests", "benches", "rust", "scripts")
    return [
        path.relative_to(ROOT)
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in LIMITS and "target" not in path.parts and path.is_file()
    ]


def test_no_file_has_outgrown_its_idea() -> None:
    """Python files stay under 450 lines, Rust under 650, tests under 700, unless an exception says why."""
    long = {
        str(path): lines
        for path in _sources()
        if (lines := len((ROOT / path).read_text().splitlines())) > _limit(path)
        and str(path) not in EXCEPTIONS
    }

    assert long == {}


def test_exceptions_are_still_needed() -> None:
    """Every exception names a file that exists and is really over its limit."""
    idle = [
        name
        for name in EXCEPTIONS
        if not (ROOT / name).exists()
        or len((ROOT / name).read_text().splitlines()) <= _limit(Path(name))
    ]

    assert idle == []
