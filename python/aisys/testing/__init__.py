"""The test kit: agents in one process, time that tests own, errors to look at.

Nothing in the package imports it.
"""

from aisys.testing.bus import LocalBus as LocalBus
from aisys.testing.clock import VirtualClock as VirtualClock
from aisys.testing.errors import ErrorLog as ErrorLog
from aisys.testing.errors import LoggedError as LoggedError
from aisys.testing.fleet import LocalFleet as LocalFleet
from aisys.testing.tasks import LocalTasks as LocalTasks

__all__ = ["ErrorLog", "LocalBus", "LocalFleet", "LocalTasks", "LoggedError", "VirtualClock"]
