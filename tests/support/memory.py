"""Whether an operation that is done again and again leaves memory behind.

`python -m support.memory` does every operation of `support.memory_operations` a million times.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize
from typing import Any, Final

WARM_UP: Final = 5
"""An operation is first done a fifth as often, for what grows once: caches, pools, the heap itself."""


@dataclass(frozen=True)
class Growth:
    """What was left behind by so many operations."""

    operations: int
    resident_bytes: int
    objects: int
    heap_bytes: int

    def is_flat(self) -> bool:
        """Less than one object or 16 bytes for every ten operations, and a process that is not 4 MiB larger."""
        few = self.operations // 10 + 100
        return (
            self.objects < few
            and self.heap_bytes < 16 * few + 65536
            and self.resident_bytes < 4 << 20
        )


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_: Final = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *(
            (name, ctypes.c_size_t)
            for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
        ),
    ]


def _mallinfo() -> Callable[[], Any] | None:
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is not None:
        function.restype = _MallInfo
    return function


_MALLINFO: Final = _mallinfo()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


def _heap_bytes() -> int:
    """Bytes of malloc in use: what Rust holds is there, and larger objects. 0 without glibc 2.33."""
    if _MALLINFO is None:
        return 0
    info = _MALLINFO()
    return int(info.uordblks + info.hblkhd)


def growth(operation: Callable[[], object], count: int) -> Growth:
    """Do an operation count times, after a fifth of that for warming up, and measure what is left behind."""
    for _ in range(count // WARM_UP):
        operation()
    gc.collect()
    resident, heap, objects = _resident_bytes(), _heap_bytes(), sys.getallocatedblocks()
    for _ in range(count):
        operation()
    gc.collect()
    return Growth(
        operations=count,
        objects=sys.getallocatedblocks() - objects,
        heap_bytes=_heap_bytes() - heap,
        resident_bytes=_resident_bytes() - resident,
    )


def main() -> None:
    """Every operation, a million times or as often as the first argument says."""
    from support.memory_operations import OPERATIONS

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"memory left behind by {count:,} operations each")
    loose = []
    for name, operation in OPERATIONS.items():
        left = growth(operation, count)
        loose += [] if left.is_flat() else [name]
        print(
            f"  {name:32} {left.resident_bytes >> 10:8} KiB resident {left.heap_bytes >> 10:8} KiB of heap "
            f"{left.objects:8} objects{'' if left.is_flat() else '   GROWS'}",
            flush=True,
        )
    if loose:
        sys.exit(f"memory grows: {', '.join(loose)}")


if __name__ == "__main__":
    main()
