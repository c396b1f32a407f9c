"""Configuration: layered YAML with the origin of every value, ports, paths and secrets."""

from aisys.config.fleet import AgentEntry as AgentEntry
from aisys.config.fleet import Fleet as Fleet
from aisys.config.fleet import HostPlan as HostPlan
from aisys.config.fleet import MachineConfig as MachineConfig
from aisys.config.layers import parse_override as parse_override
from aisys.config.load import load_fleet as load_fleet
from aisys.config.origins import Origin as Origin
from aisys.config.paths import control_socket as control_socket
from aisys.config.paths import data_dir as data_dir
from aisys.config.paths import keys_dir as keys_dir
from aisys.config.paths import runtime_dir as runtime_dir
from aisys.config.paths import socket_path as socket_path
from aisys.config.ports import PortEntry as PortEntry
from aisys.config.ports import PortRegistry as PortRegistry
from aisys.config.ports import check_free as check_free
from aisys.config.ports import get_port as get_port
from aisys.config.ports import require_free as require_free
from aisys.config.schema import json_schema as json_schema
from aisys.config.secrets import Secret as Secret
from aisys.config.secrets import resolve_secret as resolve_secret
from aisys.config.settings import FleetSettings as FleetSettings
from aisys.config.validate import check_agent_settings as check_agent_settings
from aisys.config.view import Config as Config

__all__ = [
    "AgentEntry",
    "Config",
    "Fleet",
    "FleetSettings",
    "HostPlan",
    "MachineConfig",
    "Origin",
    "PortEntry",
    "PortRegistry",
    "Secret",
    "check_agent_settings",
    "check_free",
    "control_socket",
    "data_dir",
    "get_port",
    "json_schema",
    "keys_dir",
    "load_fleet",
    "parse_override",
    "require_free",
    "resolve_secret",
    "runtime_dir",
    "socket_path",
]
