"""The values that cross the border of `messaging`: addresses, peers, replies, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

__all__ = ["Address", "Buffer", "Event", "Gap", "LinkInfo", "Peer", "Reply"]

Buffer: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host listens.

    Attributes:
        host: the host's id, unique in the fleet.
        machine: the machine it runs on.
        unix_path: its unix socket, used from the same machine.
        tcp: its ZeroMQ address such as `tcp://127.0.0.1:5713`, used from other machines.
        server_key: the Z85 public key of its machine; None takes it from the key ring.
    """

    host: str
    machine: str
    unix_path: str | None = None
    tcp: str | None = None
    server_key: str | None = None
    key: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        # Links are found by one string, whose hash is computed once, instead of by five fields for
        # each call.
        object.__setattr__(self, "key", f"{self.machine} {self.host}")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a link.

    Attributes:
        host: the host id it gave; to be trusted as far as its machine is.
        machine: the machine, taken from its key on TCP and from the socket's owner on unix sockets.
        key: its Z85 public key, None on unix sockets.
    """

    host: str
    machine: str
    key: str | None = None


@runtime_checkable
class Reply(Protocol):
    """What a call returns.

    Attributes:
        body: the encoded result.
        attachments: read-only views of the buffers sent beside it.
    """

    @property
    def body(self) -> bytes: ...  # noqa: D102 - described above

    @property
    def attachments(self) -> list[memoryview]: ...  # noqa: D102 - described above


class Event:
    """One published message as a subscriber sees it.

    Attributes:
        topic: where it was published.
        body: the encoded content.
        attachments: read-only views of the buffers sent beside it.
        publisher: the host id of the publisher.
        seq: its number among the events that this publisher sent to this process.
    """

    __slots__ = ("attachments", "body", "publisher", "seq", "size_bytes", "topic")

    def __init__(
        self,
        topic: str,
        body: bytes,
        attachments: list[memoryview],
        publisher: str,
        seq: int = 0,
        size_bytes: int = 0,
    ) -> None:
        self.topic = topic
        self.body = body
        self.attachments = attachments
        self.publisher = publisher
        self.seq = seq
        self.size_bytes = size_bytes

    def __repr__(self) -> str:
        return (
            f"Event({self.topic!r} from {self.publisher!r}, seq {self.seq}, {len(self.body)} bytes)"
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that a subscriber did not get.

    Attributes:
        publisher: the host id of the publisher.
        first: the number of the first one that is missing.
        count: how many are missing; 0 when that cannot be known because the publisher restarted.
        restarted: the publisher began to count anew.
    """

    publisher: str
    first: int
    count: int
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """One link as `Endpoint.links()` shows it.

    Attributes:
        host: the peer's host id, "" before it greeted.
        machine: the peer's machine.
        transport: `unix` or `tcp`.
        dialled: whether this process made the connection.
        state: `idle`, `connecting`, `ready`, `waiting` (before the next attempt) or `closed`.
        open_calls: unanswered calls on it, in either direction.
        buffered_bytes: bytes waiting to leave.
        last_error: why the last attempt or connection ended, "" if none did.
    """

    host: str
    machine: str
    transport: str
    dialled: bool
    state: str
    open_calls: int
    buffered_bytes: int
    last_error: str
