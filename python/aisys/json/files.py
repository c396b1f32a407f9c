"""JSON in files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from aisys.json import codec
from aisys.json.errors import JSONDecodeError
from aisys.json.writing import Default

DEFAULT_MAX_LINE_BYTES: Final = 16 * 1024 * 1024
_DEFAULT_MODE: Final = 0o644
_PERMISSIONS: Final = 0o7777
_LINE_ENDS_TO_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")


def load_file(path: str | os.PathLike[str]) -> Any:
    """The value in a file.

    Raises:
        JSONDecodeError: the file is not JSON; the message names it.
        OSError: the file cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        return codec.loads(data)
    except JSONDecodeError as error:
        raise _located(error, f"{os.fspath(path)}: {error}", error.line) from None


def dump_file(
    path: str | os.PathLike[str],
    value: object,
    *,
    default: Default | None = None,
    sort_keys: bool = False,
) -> None:
    """Write a value to a file so that readers, and a crash, see the old content or the new, never a part.

    The text goes to a temporary file beside it, to disk, and then takes the name; an existing file's permissions
    are kept, a new one gets 0644.

    Raises:
        JSONEncodeError: the value has no JSON form; the file is untouched.
        OSError: the file cannot be written; the old content is still there.
    """
    data = codec.dumps(value, default=default, sort_keys=sort_keys)
    with _replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the name of another when it is complete and on disk, and vanishes when it fails before."""
    target = Path(os.path.realpath(path))
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{target.name}.", suffix=".tmp", dir=target.parent
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _mode_of(target))
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    _sync_folder(target.parent)


def _mode_of(path: Path) -> int:
    try:
        return path.stat().st_mode & _PERMISSIONS
    except FileNotFoundError:
        return _DEFAULT_MODE


def _sync_folder(folder: Path) -> None:
    """The new name is durable only when the folder is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def dump_ndjson(
    target: str | os.PathLike[str] | IO[bytes],
    values: Iterable[object],
    *,
    default: Default | None = None,
    sort_keys: bool = False,
) -> int:
    """Write values with one JSON text a line, and return how many they were.

    Args:
        target: a path, whose file is replaced as by `dump_file`; or a file opened for writing or appending bytes, which
            stays open and gets each line as soon as its value is there.
        values: what to write; they are taken one by one, so they need not fit into memory together.
        default: as for `dumps`.
        sort_keys: as for `dumps`.

    Raises:
        JSONEncodeError: a value has no JSON form. A path's file is untouched; an open file has the lines before it.
        OSError: the file cannot be written.
    """
    if isinstance(target, str | os.PathLike):
        with _replacing(target) as file:
            return _write_lines(file, values, default, sort_keys=sort_keys)
    return _write_lines(target, values, default, sort_keys=sort_keys)


def _write_lines(
    file: IO[bytes], values: Iterable[object], default: Default | None, *, sort_keys: bool
) -> int:
    count = 0
    for value in values:
        text = codec.dumps(value, default=default, sort_keys=sort_keys)
        if b"\n" in text or b"\r" in text:
            # Only `Raw` text can have these, between its tokens.
            text = text.translate(_LINE_ENDS_TO_SPACES)
        file.write(text + b"\n")
        count += 1
    return count


def iter_ndjson(
    source: str | os.PathLike[str] | IO[bytes], *, max_line_bytes: int = DEFAULT_MAX_LINE_BYTES
) -> Iterator[Any]:
    """The values of a file with one JSON text a line; empty lines are passed over.

    Args:
        source: a path, or a file opened for reading bytes (it stays open).
        max_line_bytes: a longer line is an error, so that memory stays bounded.

    Raises:
        JSONDecodeError: a line is not JSON or too long; `line` is its number, `offset` counts inside it.
        OSError: the file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield from _lines(file, max_line_bytes)
    else:
        yield from _lines(source, max_line_bytes)


def _lines(file: IO[bytes], max_line_bytes: int) -> Iterator[Any]:
    number = 0
    while line := file.readline(max_line_bytes + 2):
        number += 1
        text = line.strip(b" \t\r\n")
        if len(text) > max_line_bytes:
            problem = f"line {number}: longer than {max_line_bytes} bytes"
            raise JSONDecodeError(problem, line=number, offset=max_line_bytes)
        if text:
            try:
                value = codec.loads(text)
            except JSONDecodeError as error:
                raise _located(error, f"line {number} of the stream: {error}", number) from None
            yield value


def _located(error: JSONDecodeError, message: str, line: int) -> JSONDecodeError:
    return JSONDecodeError(message, line=line, column=error.column, offset=error.offset)
