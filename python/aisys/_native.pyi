# ruff: noqa: PYI021 - this stub is where readers find the documentation of the extension
# ruff: noqa: A002 - `id`, `max` and `help` are what users of queues and metrics expect
"""The Rust extension. Reached only through the face modules of each hot path."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import GenericAlias
from typing import Any, Generic, Self, TypeVar, final

from typing_extensions import Buffer

from aisys.clock import Clock

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

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
    def feed(self, data: Buffer, /) -> list[Frame]:
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
    def add(self, value: object, /) -> int:
        """Keep a value and return its id."""
    def take(self, corr: int, /) -> object | None:
        """Remove and return the value of an id, or None if the id is retired or unknown."""
    def get(self, corr: int, /) -> object | None:
        """The value of an id, or None if the id is retired or unknown."""
    def drain(self) -> list[object]:
        """Remove and return every value; every id given out so far is retired."""

# --- metrics: face `aisys.metrics` ---

DEFAULT_BUCKETS: tuple[float, ...]
"""Seconds, from a call within a process to a model's answer."""

@final
class Counter:
    """A number that goes up: a family with labels, or what counts."""

    def inc(self, n: float = 1.0, exemplar: Mapping[str, str] | None = None) -> None:
        """Add n.

        Args:
            n: how much.
            exemplar: labels of what led to it, such as `{"trace_id": "..."}`, at most 128 characters of names and
                values together; the last one is shown, by OpenMetrics only.

        Raises:
            ValueError: n is negative or not finite, the exemplar's labels are not allowed, or this is a family with
                labels. Nothing is counted then.
        """
    @property
    def value(self) -> float:
        """What it has reached.

        Raises:
            ValueError: this is a family with labels.
        """
    def labels(self, *values: object) -> Counter:
        """The child of these label values, the same object each time; values become strings.

        Raises:
            ValueError: the number of values is not that of the labels.
            TypeError: a value is None.
        """
    def remove(self, *values: object) -> bool:
        """Leave the child of these label values out of later expositions; whether there was one."""

@final
class Gauge:
    """A number that goes up and down: a family with labels, or what counts."""

    def set(self, v: float) -> None:
        """Make it v.

        Raises:
            ValueError: this is a family with labels.
        """
    def inc(self, n: float = 1.0) -> None:
        """Add n.

        Raises:
            ValueError: this is a family with labels.
        """
    def dec(self, n: float = 1.0) -> None:
        """Subtract n.

        Raises:
            ValueError: this is a family with labels.
        """
    @property
    def value(self) -> float:
        """What it is now.

        Raises:
            ValueError: this is a family with labels.
        """
    def labels(self, *values: object) -> Gauge:
        """The child of these label values, the same object each time; values become strings.

        Raises:
            ValueError: the number of values is not that of the labels.
            TypeError: a value is None.
        """
    def remove(self, *values: object) -> bool:
        """Leave the child of these label values out of later expositions; whether there was one."""

@final
class Histogram:
    """How observations are spread over buckets: a family with labels, or what counts."""

    def observe(self, v: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Count an observation.

        Args:
            v: what was observed.
            exemplar: labels of what led to it, as for `Counter.inc`; the last one of each bucket is shown.

        Raises:
            ValueError: v is not a number, the exemplar's labels are not allowed, or this is a family with labels.
                Nothing is counted then.
        """
    def time(self) -> Timer:
        """A timer whose time, in seconds, is an observation.

        Raises:
            ValueError: this is a family with labels.
        """
    @property
    def count(self) -> int:
        """How many observations there were."""
    @property
    def sum(self) -> float:
        """The sum of the observations."""
    @property
    def buckets(self) -> list[tuple[float, int]]:
        """Upper bound and cumulative count of each bucket, the last with an infinite bound."""
    def labels(self, *values: object) -> Histogram:
        """The child of these label values, the same object each time; values become strings.

        Raises:
            ValueError: the number of values is not that of the labels.
            TypeError: a value is None.
        """
    def remove(self, *values: object) -> bool:
        """Leave the child of these label values out of later expositions; whether there was one."""

@final
class Timer:
    """Observes how long something takes, whether or not it raises: `with` it, or decorate a function with it.

    As a context manager it times one thing at a time, by a clock that never goes back.
    """

    def __enter__(self) -> Timer:
        """Begin.

        Raises:
            RuntimeError: it runs already.
        """
    def __exit__(self, *_: object) -> None:
        """End, and observe the seconds since the beginning.

        Raises:
            RuntimeError: it was not entered.
        """
    def __call__(self, function: _F, /) -> _F:
        """A function whose calls are timed, each by a timer of its own; of an `async def` function, until its result.

        Raises:
            TypeError: it is a generator function, whose calls only prepare.
        """

@final
class Registry:
    """The families of a process, or of one part of it.

    A family is declared once: declaring it again in the same way returns the first; with another
    type, help, unit, other labels or other buckets it is a ValueError that names both places. A
    family keeps at most 100,000 children; further label values share one child with the value
    `_overflow`.
    """

    def __new__(cls) -> Registry: ...
    def counter(
        self, name: str, help: str, labels: Sequence[str] = (), *, unit: str = ""
    ) -> Counter:
        """The counter of this name, made on first use; `_total` is added to a name without it.

        Args:
            name: letters, digits and underscores.
            help: a sentence about it.
            labels: the names of its labels.
            unit: such as `seconds` or `bytes`, which the name ends in before `_total`.

        Raises:
            ValueError: a name or the unit is not allowed, or the name is taken by a different
                family.
        """
    def gauge(self, name: str, help: str, labels: Sequence[str] = (), *, unit: str = "") -> Gauge:
        """The gauge of this name, made on first use. For arguments and errors see `counter`."""
    def histogram(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = ...,
        *,
        unit: str = "",
    ) -> Histogram:
        """The histogram of this name, made on first use.

        Args:
            name: letters, digits and underscores.
            help: a sentence about it.
            labels: the names of its labels.
            buckets: rising upper bounds, `DEFAULT_BUCKETS` unless given; an infinite one is added.
            unit: such as `seconds` or `bytes`, which the name ends in.

        Raises:
            ValueError: a name, the unit or the buckets are not allowed, or the name is taken by a
                different family.
        """
    def __contains__(self, name: str, /) -> bool:
        """Whether the name is that of a family or of one of its samples, in any format."""
    def render(
        self, extra_labels: dict[str, str] | None = None, *, openmetrics: bool = False
    ) -> bytes:
        """The exposition.

        Args:
            extra_labels: go to every sample whose family has no label of that name.
            openmetrics: as OpenMetrics 1.0, with units and exemplars, not as Prometheus text 0.0.4.

        Raises:
            ValueError: a label name is not allowed.
        """

def merge(expositions: Iterable[bytes]) -> bytes:
    """Several expositions as one, with one HELP and one TYPE line for each family.

    They are all Prometheus text or all OpenMetrics, and the result is the same; an empty one is either. The first
    exposition that names a family decides its type; where another says otherwise, its samples are left out there, and a
    comment (in OpenMetrics, the HELP line) says so. Samples are not compared: give the expositions different extra
    labels.

    Raises:
        ValueError: a line is neither a comment nor a sample, or the formats differ.
    """

# --- queue: face `aisys.queue` ---

@final
class PriorityQueue(Generic[_T]):
    """A queue with 256 priorities, 0 served first, first in first out within one.

    It does what `asyncio.Queue` does and more: items may be delayed, may expire, may be cancelled
    or moved by the id that putting them gave, and may be put from other threads. It belongs to the
    event loop on which it is awaited; everything but `put_threadsafe` is called from there.

    Producers that wait for room get it in the order in which they came, and nobody overtakes them.
    A cancelled `get` never loses an item.

    Args:
        maxsize: how many items, ready and delayed, there may be; 0 is any number.
        ageing_s: an item gains one priority for each `ageing_s` seconds it waits, so that low
            priorities are served late but not never. None: strict priorities.
        on_expired: called with each item whose deadline passed before it was got. It runs within
            the call that found the item; what it raises goes to `sys.unraisablehook`.
        clock: whose `monotonic` to use instead of the system's.
    """

    def __new__(
        cls,
        maxsize: int = 0,
        *,
        ageing_s: float | None = None,
        on_expired: Callable[[_T], object] | None = None,
        clock: Clock | None = None,
    ) -> Self: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def put_nowait(
        self,
        item: _T,
        priority: int = 100,
        *,
        delay_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> int:
        """Put an item and return its id.

        Args:
            item: what to put.
            priority: 0 (first) to 255 (last).
            delay_s: how long it stays out of reach.
            deadline_s: how long it may be got; None is for ever.

        Raises:
            asyncio.QueueFull: there is no room.
            QueueShutDown: the queue was shut down.
            ValueError: a priority or a time is out of range.
        """
    def put(
        self,
        item: _T,
        priority: int = 100,
        *,
        delay_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> Coroutine[Any, Any, int]:
        """Put an item once there is room, and return its id.

        Args:
            item: what to put.
            priority: 0 (first) to 255 (last).
            delay_s: how long it stays out of reach, from the moment it is in.
            deadline_s: how long it may be got, from the moment it is in; None is for ever.

        Raises:
            QueueShutDown: the queue was shut down.
            ValueError: a priority or a time is out of range.
        """
    def put_many(self, items: Iterable[_T], priority: int = 100) -> None:
        """Put several items of one priority, all or none.

        Raises:
            asyncio.QueueFull: there is no room for all.
            QueueShutDown: the queue was shut down.
            ValueError: the priority is out of range.
        """
    def put_threadsafe(self, item: _T, priority: int = 100) -> int:
        """As put_nowait, from any thread.

        Raises:
            asyncio.QueueFull: there is no room.
            QueueShutDown: the queue was shut down.
            RuntimeError: the loop of a waiting consumer is closed; the item was not put.
            ValueError: the priority is out of range.
        """
    def get(self) -> Coroutine[Any, Any, _T]:
        """Remove and return the next item, once there is one.

        Raises:
            QueueShutDown: the queue was shut down and nothing is left.
        """
    def get_nowait(self) -> _T:
        """Take the next item.

        Raises:
            asyncio.QueueEmpty: none is ready.
            QueueShutDown: the queue was shut down and nothing is left.
        """
    def get_many(self, max: int) -> list[_T]:
        """Take up to max items that are ready, maybe none."""
    def get_batch(self, max: int) -> Coroutine[Any, Any, list[_T]]:
        """Wait for an item, and return it with what else is ready, at most `max` items.

        Raises:
            QueueShutDown: the queue was shut down and nothing is left.
            ValueError: `max` is below 1.
        """
    def cancel(self, id: int) -> bool:
        """Take out the item of an id, ready or delayed; False if it is not here any more."""
    def reprioritize(self, id: int, priority: int) -> bool:
        """Move the item of an id to the end of another priority; False if it is not here any more.

        Raises:
            ValueError: the priority is out of range.
        """
    def qsize(self) -> int:
        """How many items there are, ready and delayed."""
    def empty(self) -> bool:
        """Whether no item is ready."""
    def full(self) -> bool:
        """Whether there are as many items as there may be."""
    @property
    def maxsize(self) -> int:
        """How many items there may be; 0 is any number."""
    @property
    def expired(self) -> int:
        """How many items have expired so far."""
    def task_done(self) -> None:
        """Say that an item that was got is dealt with.

        Raises:
            ValueError: there is none.
        """
    def join(self) -> Coroutine[Any, Any, None]:
        """Return once every item that was put was got and dealt with (`task_done`).

        Items that were cancelled or expired count as dealt with.
        """
    def shutdown(self, immediate: bool = False) -> None:
        """Let no more items in; with immediate, throw away those that are here."""

# --- JSON: face `aisys.json`, which documents what these functions promise ---

def json_setup(
    plain: Callable[[Any], Any],
    not_plain: object,
    raw: type,
    decode_error: type[Exception],
    encode_error: type[Exception],
    pointer_error: type[Exception],
) -> None:
    """Hand over what lives on the Python side: called once by `aisys.json`."""

def json_loads(data: bytes | bytearray | memoryview | str, /) -> Any:
    """The value of a JSON text: see `aisys.json.loads`."""

def json_dumps(
    value: object, *, default: Callable[[Any], Any] | None = None, sort_keys: bool = False
) -> bytes:
    """The value as JSON text in UTF-8: see `aisys.json.dumps`."""

def json_dumps_str(
    value: object, *, default: Callable[[Any], Any] | None = None, sort_keys: bool = False
) -> str:
    """The value as JSON text: see `aisys.json.dumps_str`."""

def json_canonical(value: object) -> bytes:
    """The canonical text of a value: see `aisys.json.canonical`."""

def json_get(
    buffer: bytes | bytearray | memoryview | str,
    pointer: str,
    *,
    default: object = ...,
    raw: bool = False,
) -> Any:
    """The value at a JSON pointer: see `aisys.json.get`."""

def json_get_many(
    buffer: bytes | bytearray | memoryview | str, *pointers: str, raw: bool = False
) -> tuple[Any, ...]:
    """The values at several JSON pointers: see `aisys.json.get_many`."""

def json_loads_array(
    buffer: bytes | bytearray | memoryview | str, pointer: str = "", dtype: str = "float32"
) -> Any:
    """The array of numbers at a JSON pointer: see `aisys.json.loads_array`."""
