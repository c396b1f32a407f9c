"""Every exception of aisys, with stable codes and typed fields."""

from aisys.errors.base import AisysError as AisysError
from aisys.errors.base import error_class as error_class
from aisys.errors.base import error_codes as error_codes
from aisys.errors.calls import AgentError as AgentError
from aisys.errors.calls import ArgumentError as ArgumentError
from aisys.errors.calls import CallError as CallError
from aisys.errors.calls import DeadlineExceeded as DeadlineExceeded
from aisys.errors.calls import Indefinite as Indefinite
from aisys.errors.calls import Refused as Refused
from aisys.errors.calls import RemoteError as RemoteError
from aisys.errors.calls import ResultError as ResultError
from aisys.errors.calls import Unreachable as Unreachable
from aisys.errors.config import ConfigError as ConfigError
from aisys.errors.config import Problem as Problem
from aisys.errors.frames import FrameError as FrameError

__all__ = [
    "AgentError",
    "AisysError",
    "ArgumentError",
    "CallError",
    "ConfigError",
    "DeadlineExceeded",
    "FrameError",
    "Indefinite",
    "Problem",
    "Refused",
    "RemoteError",
    "ResultError",
    "Unreachable",
    "error_class",
    "error_codes",
]
