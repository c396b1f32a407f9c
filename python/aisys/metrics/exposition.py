"""What a scraper gets: the format it asks for, and beside our families those of `prometheus_client`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from aisys._native import Registry

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Exposition", "Format", "expose", "negotiate"]


class Format(enum.Enum):
    """How an exposition is written. The value is its media type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exposition(NamedTuple):
    """The answer to a scrape.

    Attributes:
        content_type: its media type.
        body: its text in UTF-8.
    """

    content_type: str
    body: bytes


def negotiate(accept: str | None) -> Format:
    """The format for an HTTP `Accept` header.

    OpenMetrics is what names it with at least the weight of anything that plain text fits; a scraper that says
    nothing, or nothing that we have, gets plain text, as the first version of the protocol did.

    Args:
        accept: the header's value, or None if there was none.
    """
    openmetrics = text = 0.0
    for part in (accept or "").split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        version = values.get("version", "").strip(' "')
        weight = _weight(values.get("q", "1"))
        if media_type == "application/openmetrics-text" and version in ("", "0.0.1", "1.0.0"):
            openmetrics = max(openmetrics, weight)
        elif media_type in ("text/plain", "text/*", "*/*") and version in ("", "0.0.4"):
            text = max(text, weight)
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= text else Format.TEXT


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def expose(
    registry: Registry,
    accept: str | None = None,
    *,
    extra_labels: dict[str, str] | None = None,
    beside: CollectorRegistry | None = None,
) -> Exposition:
    """Everything a scraper should see of this process.

    Args:
        registry: our families.
        accept: the scrape's `Accept` header, which chooses the format.
        extra_labels: go to every sample that has no label of that name.
        beside: a `prometheus_client` registry whose families follow ours. In its multiprocess mode
            (`PROMETHEUS_MULTIPROC_DIR` is set), the files of all its processes are read instead.

    Raises:
        ValueError: a family is in both registries, and is named; or a label name is not allowed.
    """
    chosen = negotiate(accept)
    openmetrics = chosen is Format.OPENMETRICS
    body = registry.render(extra_labels, openmetrics=openmetrics)
    if beside is not None:
        # Imported here: it needs `prometheus_client`, which most processes never do.
        from aisys.metrics.interop import render_theirs

        theirs = render_theirs(beside, registry, extra_labels or {}, openmetrics=openmetrics)
        body = body.removesuffix(b"# EOF\n") + theirs
    return Exposition(chosen.value, body)
