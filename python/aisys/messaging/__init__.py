"""Links between hosts: calls, streams and events over unix sockets and ZeroMQ with CURVE."""

from aisys.messaging.endpoint import Endpoint as Endpoint
from aisys.messaging.hello import PROTOCOL_VERSION as PROTOCOL_VERSION
from aisys.messaging.hello import VersionMismatch as VersionMismatch
from aisys.messaging.incoming import Incoming as Incoming
from aisys.messaging.incoming import StreamClosed as StreamClosed
from aisys.messaging.limits import Limits as Limits
from aisys.messaging.model import Address as Address
from aisys.messaging.model import Event as Event
from aisys.messaging.model import Gap as Gap
from aisys.messaging.model import LinkInfo as LinkInfo
from aisys.messaging.model import Peer as Peer
from aisys.messaging.model import Reply as Reply
from aisys.messaging.service import Service as Service
from aisys.messaging.stream import ReplyStream as ReplyStream
from aisys.messaging.subscription import Subscription as Subscription

__all__ = [
    "PROTOCOL_VERSION",
    "Address",
    "Endpoint",
    "Event",
    "Gap",
    "Incoming",
    "Limits",
    "LinkInfo",
    "Peer",
    "Reply",
    "ReplyStream",
    "Service",
    "StreamClosed",
    "Subscription",
    "VersionMismatch",
]
