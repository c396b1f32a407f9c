"""Who runs where: leases kept alive by heartbeats, and routes that outlive the registry."""

from aisys.registry.leases import Change as Change
from aisys.registry.leases import Lease as Lease
from aisys.registry.leases import LeaseState as LeaseState
from aisys.registry.leases import LeaseTable as LeaseTable
from aisys.registry.leases import StaleLease as StaleLease
from aisys.registry.routes import Route as Route
from aisys.registry.routes import RouteTable as RouteTable

__all__ = ["Change", "Lease", "LeaseState", "LeaseTable", "Route", "RouteTable", "StaleLease"]
