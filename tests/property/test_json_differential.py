"""A slice of the long differential run: `make fuzz` does a million of each."""

from __future__ import annotations

from support.json_differential import compare_documents, compare_objects

COUNT = 3000
SEED = 1


def test_tiers_read_generated_documents_alike() -> None:
    """Valid, damaged, cut and nested documents: every tier agrees with `json`, and with `orjson` where it can."""
    compare_documents(COUNT, SEED)


def test_tiers_write_generated_objects_alike() -> None:
    """Objects of every type, with every option: every tier agrees with `json` and `orjson`."""
    compare_objects(COUNT, SEED)
