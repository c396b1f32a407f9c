"""What a process does with the requests of others."""

from __future__ import annotations

from typing import Protocol

from aisys.messaging.incoming import Incoming

__all__ = ["Service"]


class Service(Protocol):
    """Takes requests by the batch; neither method may block or raise."""

    def on_requests(self, requests: list[Incoming]) -> None:
        """Answer each request, now or later, by `reply`, `fail`, or `send_item` and `end`."""

    def on_cancel(self, request: Incoming) -> None:
        """The caller has gone or lost interest: stop working on `request`, it needs no answer."""
