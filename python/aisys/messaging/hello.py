"""The first frame on a link, both ways: protocol version, then who is there."""

from __future__ import annotations

from dataclasses import dataclass

from aisys import json
from aisys.errors import FrameError

__all__ = ["PROTOCOL_VERSION", "Hello", "VersionMismatch"]

PROTOCOL_VERSION = 1
MAX_HELLO_BYTES = 4096
MAX_NAME_CHARS = 256


class VersionMismatch(FrameError):
    """The peer speaks another version of the protocol."""

    code = "version_mismatch"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a process says of itself.

    Attributes:
        host: its host id.
        machine: its machine.
        instance: a random id of this run, so that a restart is seen.
        max_frame_bytes: the largest frame it takes.
    """

    host: str
    machine: str
    instance: str
    max_frame_bytes: int

    def encode(self) -> bytes:
        """The frame's body: the version byte and a JSON object."""
        return bytes((PROTOCOL_VERSION,)) + json.dumps(
            {
                "host": self.host,
                "machine": self.machine,
                "instance": self.instance,
                "max_frame_bytes": self.max_frame_bytes,
            }
        )

    @classmethod
    def decode(cls, body: bytes, peer: str) -> Hello:
        """Read a greeting.

        Args:
            body: the frame's body.
            peer: what to call the other side in an error.

        Raises:
            VersionMismatch: it speaks another version.
            FrameError: it is not a greeting.
        """
        if not body or len(body) > MAX_HELLO_BYTES:
            raise FrameError(f"{peer} sent a greeting of {len(body)} bytes")
        if body[0] != PROTOCOL_VERSION:
            raise VersionMismatch(
                f"{peer} speaks protocol version {body[0]}, this process {PROTOCOL_VERSION}: "
                "install the same version of aisys on both"
            )
        try:
            document = json.loads(body[1:])
            names = [document[name] for name in ("host", "machine", "instance")]
            limit = document["max_frame_bytes"]
        except (ValueError, KeyError, TypeError) as error:
            raise FrameError(f"{peer} sent a greeting that cannot be read: {error}") from error
        if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS for name in names):
            raise FrameError(f"{peer} sent a greeting without proper names")
        host, machine, instance = names
        if type(limit) is not int or limit < MAX_HELLO_BYTES:
            raise FrameError(f"{peer} sent a greeting with an impossible frame limit")
        return cls(host, machine, instance, limit)
