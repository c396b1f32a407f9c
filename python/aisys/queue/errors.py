"""The one exception of queues that Python has only since 3.13."""

from __future__ import annotations

import asyncio
import sys

__all__ = ["QueueShutDown"]

if sys.version_info >= (3, 13):
    QueueShutDown = asyncio.QueueShutDown
else:

    class QueueShutDown(Exception):
        """Raised when putting to, or getting from, a queue that was shut down."""
