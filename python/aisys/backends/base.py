"""The contract that every key-value store keeps; one conformance suite checks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Literal

from aisys.backends.errors import BackendError, WrongKind

Durability = Literal["memory", "process", "disk"]
"""What an acknowledged write survives: nothing, `kill -9` of every process, or power loss."""

MAX_KEY_BYTES: Final = 1024
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


class Backend(ABC):
    """Keys to bytes, counters and lists.

    A key is a non-empty string of at most 1,024 bytes in UTF-8. It holds either a value (bytes) or
    a list of values; a counter is a value that happens to be a decimal integer of 64 bits. Each
    method is atomic, also towards other processes that use the same store.

    `ttl_s` is how long to keep a key, in seconds. It follows the wall clock of the store, survives
    a restart and is for keeping data, never for leases. `set` and `mset` without one clear an
    earlier one; `incr` and `append` keep it.

    When a call is cancelled its write may or may not be done; the store stays usable.
    """

    @property
    @abstractmethod
    def durability(self) -> Durability:
        """What an acknowledged write survives."""

    @abstractmethod
    async def open(self) -> None:
        """Open now rather than at the first use, so that a broken store is found at the start."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """The value of `key`, or None.

        Raises:
            WrongKind: the key holds a list.
        """

    @abstractmethod
    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store `value`, whatever the key held before."""

    @abstractmethod
    async def delete(self, *keys: str) -> int:
        """Remove the keys; return how many existed."""

    @abstractmethod
    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in their order, None for each that is absent or holds a list."""

    @abstractmethod
    async def mset(self, items: Mapping[str, bytes], *, ttl_s: float | None = None) -> None:
        """Store all items, or none."""

    @abstractmethod
    async def incr(self, key: str, amount: int = 1) -> int:
        """Add `amount` to the counter, which starts at 0; return the new number.

        Raises:
            WrongKind: the key holds something that is not an integer, or the sum leaves 64 bits.
        """

    @abstractmethod
    async def compare_and_set(
        self, key: str, expected: bytes | None, new: bytes | None, *, ttl_s: float | None = None
    ) -> bool:
        """Store `new` only if the key holds `expected`; None stands for an absent key.

        Raises:
            WrongKind: the key holds a list.
        """

    @abstractmethod
    def scan(self, prefix: str = "") -> AsyncIterator[str]:
        """The keys that begin with `prefix`, in no order.

        A key that exists during the whole scan comes exactly once; one that comes or goes meanwhile
        may come.
        """

    @abstractmethod
    async def append(
        self, key: str, values: Sequence[bytes], *, max_items: int | None = None
    ) -> int:
        """Add values to the end of the list; return its length afterwards.

        The cost is that of the change, not that of the list. With `max_items` the oldest beyond it
        go.

        Raises:
            WrongKind: the key holds a value.
        """

    @abstractmethod
    async def read_list(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The items `start:stop` of the list, as a Python slice (negative counts from the end).

        Raises:
            WrongKind: the key holds a value.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish what is accepted, release everything. Closing twice is allowed."""


def check_key(key: str) -> bytes:
    """The key in UTF-8.

    Raises:
        BackendError: it is empty, too long or not text.
    """
    try:
        data = key.encode()
    except UnicodeEncodeError:
        raise BackendError(f"key {key!r} is not valid text: it contains a lone surrogate") from None
    if not data:
        raise BackendError("a key must not be empty")
    if len(data) > MAX_KEY_BYTES:
        raise BackendError(
            f"key {key[:40]!r}... has {len(data)} bytes; the limit is {MAX_KEY_BYTES}: "
            "use its hash instead"
        )
    return data


def check_ttl(ttl_s: float | None) -> None:
    """Refuse a time to live that cannot be meant.

    Raises:
        BackendError: it is not above 0.
    """
    if ttl_s is not None and not ttl_s > 0:
        raise BackendError(f"ttl_s must be above 0, not {ttl_s}; use delete() to remove a key")


def check_max_items(max_items: int | None) -> None:
    """Refuse a list bound that cannot be meant.

    Raises:
        BackendError: it is below 1.
    """
    if max_items is not None and max_items < 1:
        raise BackendError(f"max_items must be at least 1, not {max_items}")


def parse_counter(key: str, value: bytes) -> int:
    """The number that a value is.

    Raises:
        WrongKind: it is not a decimal integer of 64 bits.
    """
    try:
        number = int(value) if len(value) <= 20 else None
    except ValueError:
        number = None
    # Only the canonical spelling counts, so that every backend agrees on what a number is.
    if number is None or str(number).encode() != value or not INT64_MIN <= number <= INT64_MAX:
        raise WrongKind(f"{key!r} does not hold an integer of 64 bits: it cannot be counted up")
    return number


def add_to_counter(key: str, value: bytes | None, amount: int) -> int:
    """The new number of a counter.

    Raises:
        WrongKind: the value is no integer, or the sum leaves 64 bits.
    """
    total = (0 if value is None else parse_counter(key, value)) + amount
    if not INT64_MIN <= total <= INT64_MAX:
        raise WrongKind(f"{key!r} would leave 64 bits: {total}")
    return total
