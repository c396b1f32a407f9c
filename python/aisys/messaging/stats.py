"""The counters of an endpoint, resolved once so that the hot path only adds."""

from __future__ import annotations

from aisys.metrics import Registry

__all__ = ["LinkStats"]


class LinkStats:
    """Resolved metric children; one set for all links of an endpoint."""

    __slots__ = (
        "bad_frames",
        "bytes_in",
        "bytes_out",
        "closed",
        "events_dropped",
        "frames_in",
        "gaps",
        "handler_errors",
        "late",
        "links",
        "reconnects",
        "refused",
        "refused_peers",
        "unroutable",
    )

    def __init__(self, registry: Registry) -> None:
        counter = registry.counter
        self.frames_in = counter("aisys_link_frames_received_total", "Frames taken from links.")
        bytes_total = counter("aisys_link_bytes_total", "Bytes on links.", ("direction",))
        self.bytes_in = bytes_total.labels("in")
        self.bytes_out = bytes_total.labels("out")
        self.late = counter(
            "aisys_late_replies_total", "Replies nobody waits for any more, in either direction."
        )
        self.refused = counter(
            "aisys_calls_refused_total", "Calls refused by the link layer.", ("reason",)
        )
        self.closed = counter("aisys_links_closed_total", "Links that ended.", ("reason",))
        self.bad_frames = counter("aisys_bad_frames_total", "Input that broke the protocol.")
        self.refused_peers = counter(
            "aisys_refused_peers_total", "Peers turned away before they could send.", ("reason",)
        )
        self.events_dropped = counter(
            "aisys_events_dropped_total", "Events not delivered, reported as gaps.", ("where",)
        )
        self.gaps = counter("aisys_event_gaps_total", "Gaps reported to subscriptions.")
        self.handler_errors = counter(
            "aisys_messaging_handler_errors_total",
            "Exceptions out of services and subscription handlers.",
        )
        self.reconnects = counter(
            "aisys_link_attempts_failed_total", "Attempts to connect that failed."
        )
        self.unroutable = counter("aisys_unroutable_total", "Batches for a peer that is gone.")
        self.links = registry.gauge("aisys_links", "Links that are up.", ("direction",))
