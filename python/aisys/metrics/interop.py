"""Our metrics in a `prometheus_client` registry, and the metrics of such a registry beside ours."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aisys._native import Registry

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

__all__ = ["PrometheusCollector", "render_theirs"]

MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


class PrometheusCollector:
    """A collector for `prometheus_client.REGISTRY.register`, for programs that expose that registry.

    Registering it names the families that both registries have at that time, as a ValueError.

    Args:
        registry: whose families it yields.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield each family as `prometheus_client` has it, with units and exemplars.

        They are left out as long as there is a quotation mark in an exemplar's label, which its parser cannot read.
        """
        # Imported here: most processes expose our own text and never need it.
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
        from prometheus_client.parser import text_string_to_metric_families as parse_plain

        try:
            families = list(parse(self._registry.render(openmetrics=True).decode()))  # type: ignore[no-untyped-call]
        except ValueError:
            # That parser refuses a quotation mark in an exemplar. A scrape does not fail for an exemplar's sake.
            families = list(parse_plain(self._registry.render().decode()))
        yield from families

    def describe(self) -> Iterator[Metric]:
        """Yield each family, for `register` to compare the names."""
        return self.collect()


def render_theirs(
    theirs: CollectorRegistry, ours: Registry, extra_labels: Mapping[str, str], *, openmetrics: bool
) -> bytes:
    """The exposition of a `prometheus_client` registry, to stand behind our own.

    Args:
        theirs: the registry; in multiprocess mode the files of all processes stand in for it, because it knows only
            what this process counted, and the files have that too.
        ours: must not have any of its families.
        extra_labels: go to every sample that has no label of that name.
        openmetrics: the format.

    Raises:
        ValueError: a family is in both registries.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    source = theirs
    if any(os.environ.get(name) for name in MULTIPROCESS_VARIABLES):
        source = CollectorRegistry()
        MultiProcessCollector(source)  # type: ignore[no-untyped-call]
    families = list(source.collect())
    doubled = {
        family.name
        for family in families
        if family.name in ours or any(sample.name in ours for sample in family.samples)
    }
    if doubled:
        names = ", ".join(sorted(doubled))
        raise ValueError(
            f"in both registries, that of aisys and that of prometheus_client: {names}"
        )
    copy = CollectorRegistry()
    copy.register(_Labelled(families, extra_labels))
    if openmetrics:
        return generate_openmetrics(copy)  # type: ignore[no-any-return, no-untyped-call]
    return generate_latest(copy)


class _Labelled:
    """Families with labels added to their samples."""

    def __init__(self, families: list[Metric], extra_labels: Mapping[str, str]) -> None:
        self._families = families
        self._extra_labels = extra_labels

    def collect(self) -> Iterator[Metric]:
        from prometheus_client import Metric

        for family in self._families:
            # A collector may keep and give out the same object again: it is not ours to change.
            copy = Metric(family.name, family.documentation, family.type, family.unit)
            copy.samples = [
                sample._replace(labels={**self._extra_labels, **sample.labels})
                for sample in family.samples
            ]
            yield copy
