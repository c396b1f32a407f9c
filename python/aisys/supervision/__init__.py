"""What starts, watches, restarts and stops the host processes of one machine."""

from aisys.supervision.channel import Channel as Channel
from aisys.supervision.channel import make_pair as make_pair
from aisys.supervision.host_slot import HostSlot as HostSlot
from aisys.supervision.host_slot import HostState as HostState
from aisys.supervision.launcher import Launched as Launched
from aisys.supervision.launcher import Launcher as Launcher
from aisys.supervision.launcher import LaunchError as LaunchError
from aisys.supervision.launcher import WarmUpRefused as WarmUpRefused
from aisys.supervision.launcher import ZygoteLauncher as ZygoteLauncher
from aisys.supervision.policy import RestartLimits as RestartLimits
from aisys.supervision.policy import RestartPolicy as RestartPolicy
from aisys.supervision.supervisor import CONFIGURATION_EXIT_CODE as CONFIGURATION_EXIT_CODE
from aisys.supervision.supervisor import Death as Death
from aisys.supervision.supervisor import StartFailed as StartFailed
from aisys.supervision.supervisor import Supervisor as Supervisor
from aisys.supervision.supervisor import SupervisorLimits as SupervisorLimits

__all__ = [
    "CONFIGURATION_EXIT_CODE",
    "Channel",
    "Death",
    "HostSlot",
    "HostState",
    "LaunchError",
    "Launched",
    "Launcher",
    "RestartLimits",
    "RestartPolicy",
    "StartFailed",
    "Supervisor",
    "SupervisorLimits",
    "WarmUpRefused",
    "ZygoteLauncher",
    "make_pair",
]
