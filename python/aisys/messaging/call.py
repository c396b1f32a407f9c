"""An unanswered call: the very future that the caller awaits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aisys.messaging.model import Reply

if TYPE_CHECKING:
    from aisys.messaging.client_link import ClientLink

__all__ = ["Call"]

if TYPE_CHECKING:
    _Future = asyncio.Future[Reply]
else:
    _Future = asyncio.Future


class Call(_Future):
    """The future of a reply; cancelling it cancels the request on the other side.

    A subclass that overrides `cancel` costs as much as a done-callback on a plain future, and tells
    the other side in the same turn of the loop instead of the next.

    Attributes:
        corr: the correlation id, 0 if the call was refused here.
        target: what was called.
        timeout_s: the time it was given, in seconds.
    """

    __slots__ = ("corr", "link", "target", "timeout_s")

    # Set by the link, which is faster by half than a constructor of our own.
    link: ClientLink
    corr: int
    target: str
    timeout_s: float

    def cancel(self, msg: object | None = None) -> bool:
        """Give up on the reply and let the server know."""
        if not super().cancel(msg):
            return False
        self.link.cancelled(self)
        return True
