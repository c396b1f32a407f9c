"""The layer table of docs/architecture.md against the imports that the code really has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "aisys"
NATIVE_FACES = {"build", "json", "queue", "metrics", "messaging.frames"}
TRANSPORT_MODULES_MAX = 4


def _rows() -> dict[str, int]:
    """Package to row, from the table in the documentation."""
    table = re.findall(
        r"^\| (\d) \| ([^|]+) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE
    )
    return {name: int(row) for row, names in table for name in re.findall(r"`(\w+)`", names)}


def _sideways() -> set[tuple[str, str]]:
    """The exceptions that the documentation names as `a -> b`."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    return set(re.findall(r"`(\w+) -> (\w+)`", text))


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module with its line, also those inside functions; not those for type checkers only."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "aisys":
                yield from ((f"aisys.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def _package(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_every_package_has_a_row() -> None:
    """The table names exactly the packages that exist."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"testing"}
    planned = {"audit", "gateway", "console"}

    assert packages == set(_rows()) - planned


def test_packages_import_from_lower_rows_only() -> None:
    """No package imports from its own row or above, but for the exceptions that the table names."""
    rows, sideways = _rows(), _sideways()
    wrong = []
    for path in _modules():
        package = _package(path)
        if package == "testing":
            continue
        for module, line in _imports(path):
            parts = module.split(".")
            if (
                parts[0] != "aisys"
                or len(parts) < 2
                or parts[1] in (package, "_native")
                or parts[1] not in rows
            ):
                continue
            if (
                rows[parts[1]] >= rows[package]
                and (
                    package,
                    parts[1],
                )
                not in sideways
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")

    assert wrong == []


def test_nothing_imports_the_test_kit() -> None:
    """`aisys.testing` is for tests of users, never for the package itself."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in _modules()
        if _package(path) != "testing"
        for module, line in _imports(path)
        if module.startswith("aisys.testing")
    ]

    assert wrong == []


def test_the_extension_is_reached_through_its_faces() -> None:
    """Only the face modules of the hot paths, framing and build import `aisys._native`."""
    wrong = []
    for path in _modules():
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if any(name == face or name.startswith(f"{face}.") for face in NATIVE_FACES):
            continue
        wrong += [
            f"{name}:{line}"
            for module, line in _imports(path)
            if module.startswith("aisys._native")
        ]

    assert wrong == []


@pytest.mark.parametrize("library", ["zmq", "uvloop"])
def test_transports_are_used_by_few_modules(library: str) -> None:
    """ZeroMQ and uvloop are imported by a handful of modules, so that a transport can be changed in one place."""
    users = {
        str(path.relative_to(PACKAGE))
        for path in _modules()
        for module, _ in _imports(path)
        if module.split(".")[0] == library
    }

    assert len(users) <= TRANSPORT_MODULES_MAX, users
