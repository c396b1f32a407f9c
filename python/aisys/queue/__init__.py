"""The priority queue of mailboxes and task engines."""

from __future__ import annotations

from aisys.queue.errors import QueueShutDown as QueueShutDown
from aisys.queue.priority import DEFAULT_PRIORITY as DEFAULT_PRIORITY
from aisys.queue.priority import PriorityQueue as PriorityQueue

__all__ = ["DEFAULT_PRIORITY", "PriorityQueue", "QueueShutDown"]
