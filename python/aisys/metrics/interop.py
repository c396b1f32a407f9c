"""Showing our metrics through `prometheus_client`, for programs that expose its registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aisys._native import Registry

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["PrometheusCollector"]


class PrometheusCollector:
    """A collector for `prometheus_client.REGISTRY.register`.

    Args:
        registry: whose families it yields.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield each family as `prometheus_client` has it."""
        # Imported here: most processes expose our own text and never need it.
        from prometheus_client.parser import text_string_to_metric_families

        yield from text_string_to_metric_families(self._registry.render().decode())
