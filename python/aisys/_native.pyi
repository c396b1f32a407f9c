# ruff: noqa: PYI021 - this stub is the only place where the extension is documented for readers
"""The Rust extension. Reached only through the face modules of each hot path."""

from collections.abc import Sequence
from typing import final

from typing_extensions import Buffer

def build_facts() -> dict[str, str]:
    """The version, cargo profile, optimisation level and target this extension was built with."""

# --- frames: face `aisys.messaging.frames`, format `docs/wire.md` ---

@final
class Frame:
    """One decoded frame. The bytes stay where they came in until `body` is read."""

    @property
    def kind(self) -> int:
        """The kind, 1 to 63; see `aisys.messaging.frames.Kind`."""
    @property
    def flags(self) -> int:
        """The flag bits; see `aisys.messaging.frames`."""
    @property
    def prio(self) -> int:
        """The priority, 0 (first) to 255."""
    @property
    def corr(self) -> int:
        """The sender's id of the call, or 0."""
    @property
    def deadline_us(self) -> int:
        """Microseconds that remained until the deadline when it was sent; 0 is no deadline."""
    @property
    def trace(self) -> bytes | None:
        """16 bytes of trace id and 8 of span id, or None."""
    @property
    def target(self) -> str | None:
        """Whom the frame is for, or None."""
    @property
    def body(self) -> bytes:
        """The body, copied out of the batch on first access."""
    @property
    def attachments(self) -> list[memoryview]:
        """Read-only views of the attachments; they keep the bytes they came in alive."""
    @property
    def size(self) -> int:
        """The size of the frame on the wire, in bytes."""

@final
class FrameEncoder:
    """Builds the batches of one direction of one link.

    Args:
        max_frame_bytes: the largest frame the other end takes.
        max_targets: how many target names the other end keeps; further names travel each time.
    """

    def __new__(cls, max_frame_bytes: int = 16777216, max_targets: int = 65536) -> FrameEncoder: ...
    def add(
        self,
        kind: int,
        corr: int,
        target: str | None,
        body: Buffer,
        flags: int = 0,
        prio: int = 100,
        deadline_us: int = 0,
        trace: bytes | None = None,
        attachments: Sequence[Buffer] | None = None,
    ) -> int:
        """Append a frame to the batch and return its size in bytes.

        Args:
            kind: 1 to 63.
            corr: the id of the call, 0 if there is none.
            target: whom it is for; its name travels once per encoder.
            body: any contiguous buffer; it is copied.
            flags: the low byte is the caller's; NAMED and ATTACHED are set as needed.
            prio: 0 (first) to 255.
            deadline_us: the time that remains, 0 for no deadline.
            trace: 24 bytes, or None.
            attachments: contiguous buffers that travel beside the body; they are copied.

        Raises:
            FrameError: it breaks a limit; the batch stays as it was.
            ValueError: `trace` has not 24 bytes.
            BufferError: a buffer is not contiguous.
        """
    def take(self) -> bytes:
        """Return the batch as bytes and begin the next."""
    @property
    def pending_bytes(self) -> int:
        """The size of the batch so far, in bytes."""
    @property
    def pending_frames(self) -> int:
        """How many frames the batch has so far."""

@final
class FrameDecoder:
    """Takes the byte stream of one direction of one link apart.

    Args:
        max_frame_bytes: larger frames are refused as soon as their length is known.
        max_targets: how many target names are kept for the link.
    """

    def __new__(cls, max_frame_bytes: int = 16777216, max_targets: int = 65536) -> FrameDecoder: ...
    def feed(self, data: Buffer) -> list[Frame]:
        """Return the frames that are complete and keep the rest.

        Raises:
            FrameError: the bytes are not frames, or break a limit; so does every later call.
        """
    @property
    def tail_bytes(self) -> int:
        """Bytes of a frame whose rest has not come yet."""

@final
class Correlation:
    """Values under ids that are never reused while anyone could still hold them, and never 0."""

    def __new__(cls) -> Correlation: ...
    def __len__(self) -> int: ...
    def add(self, value: object) -> int:
        """Keep a value and return its id."""
    def take(self, corr: int) -> object | None:
        """Remove and return the value of an id, or None if the id is retired or unknown."""
    def get(self, corr: int) -> object | None:
        """The value of an id, or None if the id is retired or unknown."""
    def drain(self) -> list[object]:
        """Remove and return every value; every id given out so far is retired."""
