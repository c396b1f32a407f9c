"""All tiers of `aisys.json` against `json` and `orjson`, on documents and objects from a seed.

PYTHONPATH=tests python -m support.json_differential --documents 1000000 --objects 1000000
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import islice
from random import Random

from support.json_documents import Documents
from support.json_oracle import TIERS, check_canonical, check_pointer, check_read, check_write

# Every so many documents are also looked into and made canonical, which costs several times reading.
POINTERS_EVERY = 8
CANONICAL_EVERY = 16
MAX_OBJECT_BYTES = 120


def compare_documents(count: int, seed: int) -> None:
    """Read generated documents on every tier.

    Raises:
        AssertionError: a tier differs.
    """
    random = Random(seed)
    for index, text in enumerate(islice(Documents(seed), count)):
        check_read(text, TIERS)
        if index % POINTERS_EVERY == 0:
            size = random.randrange(8)
            check_pointer(bytes((size,)) + random.randbytes(size) + text, TIERS)
        if index % CANONICAL_EVERY == 0:
            check_canonical(text, TIERS)


def compare_objects(count: int, seed: int) -> None:
    """Write generated objects on every tier.

    Raises:
        AssertionError: a tier differs.
    """
    random = Random(seed)
    for _ in range(count):
        check_write(random.randbytes(random.randrange(MAX_OBJECT_BYTES)), TIERS)


def main() -> None:
    """The long run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    print(f"JSON tiers against json and orjson, seed {options.seed}")
    for compare, count, noun in (
        (compare_documents, options.documents, "documents read"),
        (compare_objects, options.objects, "objects written"),
    ):
        started = time.monotonic()
        compare(count, options.seed)
        print(f"  {count:,} {noun}: no difference ({time.monotonic() - started:.0f} s)")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
