"""The error bus: from a failing line on any machine to one searchable place.

`Reporter` takes an error and returns at once, `Spool` keeps it on its own machine, `Forwarder`
sends it on until the other side has it, `Collector` keeps what came from everywhere.
"""

from aisys.errorbus.collector import Collector as Collector
from aisys.errorbus.errors import ErrorBusError as ErrorBusError
from aisys.errorbus.forwarder import Forwarder as Forwarder
from aisys.errorbus.report import SEVERITIES as SEVERITIES
from aisys.errorbus.report import Report as Report
from aisys.errorbus.report import Severity as Severity
from aisys.errorbus.reporter import Reporter as Reporter
from aisys.errorbus.spool import Spool as Spool

__all__ = [
    "SEVERITIES",
    "Collector",
    "ErrorBusError",
    "Forwarder",
    "Report",
    "Reporter",
    "Severity",
    "Spool",
]
