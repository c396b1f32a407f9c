"""Durable tasks: accepted once, executed at least once, with exactly one outcome.

`TaskStore` keeps them, `TaskRunner` runs them, `Schedule` fires them at a time.
"""

from aisys.tasks.errors import NonRetryable as NonRetryable
from aisys.tasks.errors import StaleClaim as StaleClaim
from aisys.tasks.errors import TaskConflict as TaskConflict
from aisys.tasks.model import Claim as Claim
from aisys.tasks.model import Receipt as Receipt
from aisys.tasks.model import TaskInfo as TaskInfo
from aisys.tasks.model import TaskState as TaskState
from aisys.tasks.runner import TaskRunner as TaskRunner
from aisys.tasks.schedule import Schedule as Schedule
from aisys.tasks.store import TaskStore as TaskStore

__all__ = [
    "Claim",
    "NonRetryable",
    "Receipt",
    "Schedule",
    "StaleClaim",
    "TaskConflict",
    "TaskInfo",
    "TaskRunner",
    "TaskState",
    "TaskStore",
]
