"""What makes two errors the same error."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import Final

_NUMBERS: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")
_MAX_FRAMES: Final = 200


def fingerprint(error_type: str, agent: str, method: str, place: str) -> str:
    """The same 16 hexadecimal digits for errors of one type, in one method, from one place.

    Args:
        error_type: the class name, or for a mere message its text without numbers (see `shape`).
        agent: the agent's name.
        method: the method's name.
        place: the innermost own frame, see `own_place`. It has no line number, so that an edit
            elsewhere in the file does not make a known error a new one.
    """
    text = f"{error_type}\x1f{agent}\x1f{method}\x1f{place}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def shape(message: str) -> str:
    """The message without what differs from one time to the next."""
    return _NUMBERS.sub("#", message[:200])


def own_place(
    traceback: TracebackType | None, own_packages: frozenset[str], caller: FrameType | None = None
) -> str:
    """`module:function` of the innermost frame of our own code.

    Args:
        traceback: of the error; its frames are looked at first.
        own_packages: top-level packages that are own code even where they are installed beside
            dependencies.
        caller: where to look, outwards, when there is no traceback.
    """
    if traceback is not None:
        frames = list(_codes(traceback))
        for module, code in reversed(frames):
            if _is_own(module, code.co_filename, own_packages):
                return f"{module}:{code.co_qualname}"
        return f"{frames[-1][0]}:{frames[-1][1].co_qualname}" if frames else ""
    for _ in range(_MAX_FRAMES):
        if caller is None:
            return ""
        module = str(caller.f_globals.get("__name__", ""))
        if module.partition(".")[0] != "aisys" and _is_own(
            module, caller.f_code.co_filename, own_packages
        ):
            return f"{module}:{caller.f_code.co_qualname}"
        caller = caller.f_back
    return ""


def _codes(traceback: TracebackType | None) -> Iterator[tuple[str, CodeType]]:
    # A runaway recursion has a thousand frames; which of them is innermost is only known at the
    # end.
    while traceback is not None:
        frame = traceback.tb_frame
        yield str(frame.f_globals.get("__name__", "")), frame.f_code
        traceback = traceback.tb_next


def _is_own(module: str, filename: str, own_packages: frozenset[str]) -> bool:
    top = module.partition(".")[0]
    if top in own_packages:
        return True
    if top in sys.stdlib_module_names or filename.startswith("<"):
        return top == "__main__"
    return "site-packages" not in filename and "dist-packages" not in filename
