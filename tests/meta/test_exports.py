"""Public names: each has one home, is listed, and exists."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "aisys"
PACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def _listed(init: Path) -> list[str]:
    for node in ast.parse(init.read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            return list(ast.literal_eval(node.value))
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_listed_names_exist_and_are_sorted(package: str) -> None:
    """`__all__` of a package is in order and each of its names can be had from it."""
    names = _listed(PACKAGE / package / "__init__.py")
    module = importlib.import_module(f"aisys.{package}")

    # The order that ruff keeps: constants, classes, functions.
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def test_each_public_name_has_one_home() -> None:
    """No name is public in two packages; `aisys` itself re-exports, and is not a second home."""
    homes: dict[tuple[str, int], list[str]] = defaultdict(list)
    for package in PACKAGES:
        module = importlib.import_module(f"aisys.{package}")
        for name in _listed(PACKAGE / package / "__init__.py"):
            value = getattr(module, name)
            if callable(value):
                homes[name, id(value)].append(package)
    doubled = {name: packages for (name, _), packages in homes.items() if len(packages) > 1}

    assert doubled == {}


def test_the_top_of_the_package_resolves() -> None:
    """Every name in `aisys.__all__` can be had from `aisys`."""
    aisys = importlib.import_module("aisys")

    assert [name for name in aisys.__all__ if not hasattr(aisys, name)] == []
