"""What the fuzz targets start from: `python -m support.fuzz_seeds FOLDER` writes a corpus for each and dictionaries."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from aisys.messaging.frames import FrameEncoder
from aisys.metrics import Registry
from support.json_corpus import ACCEPTED
from support.json_corpus import REFUSED as NOT_JSON
from support.json_documents import Documents

MAX_BYTES: Final = 300
GENERATED: Final = 400
DICTIONARIES: Final = {
    "json": (
        *("{}", "[]", '{"":', '"a":', '"', ":", ",", "[[", "]]", "true", "false", "null", "-0.0"),
        *(
            "\\\\",
            "\\n",
            '\\"',
            "\\u00e9",
            "\\ud83d",
            "\\ude00",
            "é",
            "語",
            "😀",
            " \t\r\n",
            "1e308",
        ),
        *(
            "e-324",
            "9007199254740993",
            "18446744073709551615",
            "0.1",
            "2.2250738585072014e-308",
            "NaN",
        ),
    ),
    "merge": (
        "# HELP a ",
        "# TYPE a counter\n",
        "a_total",
        '{h="1"} 1',
        "\n",
        "+Inf",
        "histogram",
        "_bucket",
    ),
}


def _json() -> list[bytes]:
    corpus = [*(text for text, _ in ACCEPTED.values()), *NOT_JSON.values()]
    return [*corpus, *islice(Documents(seed=5), GENERATED)]


def _pointers() -> list[bytes]:
    return [
        bytes((index % 5,)) + bytes((1, 2, 3, 0))[: index % 5] + text
        for index, text in enumerate(_json())
    ]


def _random(most: int) -> list[bytes]:
    random = Random(6)
    return [random.randbytes(random.randrange(most)) for _ in range(GENERATED)]


def _frames() -> list[bytes]:
    """Batches as an encoder writes them, behind the sizes of the pieces."""
    random, seeds = Random(7), []
    for _ in range(60):
        encoder = FrameEncoder(max_targets=4)
        for _ in range(random.randrange(1, 4)):
            attachments = [
                random.randbytes(random.randrange(9)) for _ in range(random.randrange(3))
            ]
            name = random.choice([None, "a", "b", "é", "Memory.search", "f"])
            encoder.add(
                random.randrange(1, 64),
                random.randrange(9),
                name,
                random.randbytes(9),
                attachments=attachments,
            )
        seeds.append(random.randbytes(3) + encoder.take())
    return seeds


def _expositions() -> list[bytes]:
    registry = Registry()
    registry.counter("a", "A.", ("x",)).labels("1\n").inc()
    registry.histogram("s", "S.", buckets=(0.1, 1)).observe(0.5)
    one = registry.render({"h": "1"})
    return [
        one,
        one + b"\0" + registry.render({"h": "2"}),
        one + b"\0# TYPE s gauge\ns 1\n",
        b"a 1\n\0# c\n",
    ]


def write(folder: Path) -> None:
    """Write them."""
    corpora = {
        "json_read": _json(),
        "json_canonical": _json(),
        "json_pointer": _pointers(),
        "json_write": _random(60),
        "queue": _random(48),
        "frames": _frames(),
        "frames_roundtrip": _random(MAX_BYTES),
        "merge": _expositions(),
    }
    for target, seeds in corpora.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for index, seed in enumerate(seeds):
            if len(seed) <= 2 * MAX_BYTES:
                (folder / target / f"seed-{index:03}").write_bytes(seed)
    for name, words in DICTIONARIES.items():
        lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"' for word in words]
        (folder / f"{name}.dict").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
