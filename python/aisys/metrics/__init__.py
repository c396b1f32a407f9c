"""Counters, gauges, histograms and their exposition. The hot paths are native.

A family without labels counts itself; one with labels is asked once for a child, which is kept:

    calls = registry.counter("aisys_calls", "Calls by method.", ("method",))
    searches = calls.labels("Memory.search")
    searches.inc()
"""

from __future__ import annotations

from typing import Final

from aisys._native import DEFAULT_BUCKETS as DEFAULT_BUCKETS
from aisys._native import Counter as Counter
from aisys._native import Gauge as Gauge
from aisys._native import Histogram as Histogram
from aisys._native import Registry as Registry
from aisys._native import Timer as Timer
from aisys._native import merge as merge
from aisys.metrics.exposition import Exposition as Exposition
from aisys.metrics.exposition import Format as Format
from aisys.metrics.exposition import expose as expose
from aisys.metrics.exposition import negotiate as negotiate
from aisys.metrics.interop import PrometheusCollector as PrometheusCollector

__all__ = [
    "CONTENT_TYPE",
    "DEFAULT_BUCKETS",
    "DEFAULT_REGISTRY",
    "Counter",
    "Exposition",
    "Format",
    "Gauge",
    "Histogram",
    "PrometheusCollector",
    "Registry",
    "Timer",
    "expose",
    "merge",
    "negotiate",
]

CONTENT_TYPE: Final = Format.TEXT.value
"""The media type of `Registry.render()`."""

DEFAULT_REGISTRY: Final = Registry()
"""The registry of code that is given no other."""
