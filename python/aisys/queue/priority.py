"""The priority queue, which is native as a whole."""

from __future__ import annotations

from typing import Final

from aisys._native import PriorityQueue as PriorityQueue

__all__ = ["DEFAULT_PRIORITY", "PriorityQueue"]

DEFAULT_PRIORITY: Final = 100
"""The priority of items that are given none."""
