"""What one end of a link may hold, send and wait for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of an `Endpoint`; each has a policy when it is reached and a counter.

    Attributes:
        max_frame_bytes: the largest frame sent or taken, header and attachments included. A larger
            request is refused with `too_large`, a larger result fails its call, a larger frame on a
            socket ends the link.
        max_targets: distinct method names and topics that one link direction may define.
        write_buffer_bytes: bytes waiting to leave on one link; above it new calls are refused with
            `overloaded` and events to that peer are dropped and reported to it as a gap.
        batch_bytes: a batch on TCP leaves before the loop turn ends once it is this large.
        unix_batch_bytes: the same on a unix socket, where a smaller batch lets both processes work at
            once and a write costs little; over ZeroMQ more messages cost more than that brings.
        max_open_calls: unanswered calls to one peer; more are refused with `overloaded`.
        max_open_requests: unanswered requests of one peer; more are refused with `overloaded`.
        max_waiting_calls: calls that wait for one connection to come up; more are refused.
        max_waiting_bytes: the bodies of those calls.
        max_links: accepted links; more are closed at once.
        max_patterns: subscription patterns of one peer.
        stream_window: stream items sent ahead of the consumer.
        subscription_events: events buffered for one subscription; the oldest goes first, reported
            as a gap.
        subscription_bytes: bytes of those events.
        heartbeat_s: time between application heartbeats, in seconds.
        heartbeat_misses: silent heartbeats after which a peer counts as dead.
        stall_timeout_s: a peer that takes nothing from a full write buffer for this long is cut
            off.
        connect_timeout_s: time for one attempt to connect, handshake and greeting included.
        reconnect_s: first pause between attempts to connect, doubled each time, with jitter.
        reconnect_max_s: the longest such pause.
        refused_reconnect_max_s: the longest pause after the other side refused this process's key.
        default_timeout_s: the deadline of a request that arrives without one.
        max_timeout_s: the longest deadline a call may have.
        audience_s: how long a publisher counts events for a subscriber whose link is down.
    """

    max_frame_bytes: int = 16 * MIB
    max_targets: int = 65_536
    write_buffer_bytes: int = 16 * MIB
    batch_bytes: int = MIB
    unix_batch_bytes: int = 8_000
    max_open_calls: int = 65_536
    max_open_requests: int = 65_536
    max_waiting_calls: int = 10_000
    max_waiting_bytes: int = 16 * MIB
    max_links: int = 1024
    max_patterns: int = 4096
    stream_window: int = 32
    subscription_events: int = 10_000
    subscription_bytes: int = 16 * MIB
    heartbeat_s: float = 1.0
    heartbeat_misses: int = 3
    stall_timeout_s: float = 10.0
    connect_timeout_s: float = 3.0
    reconnect_s: float = 0.02
    reconnect_max_s: float = 2.0
    refused_reconnect_max_s: float = 60.0
    default_timeout_s: float = 30.0
    max_timeout_s: float = 86_400.0
    audience_s: float = 60.0
