"""The spool's file: checksummed records, appended; when full the least severe go."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aisys.errorbus.errors import ErrorBusError

FILE_NAME: Final = "reports.log"
DAMAGED_NAME: Final = "reports.damaged"
MAGIC: Final = b"AIERR001"
MAX_RECORD_BYTES: Final = 256 * 1024
_HEADER: Final = struct.Struct("<IIBQQ")  # body length, crc of the rest, rank, epoch, seq
_COMPACT_TO: Final = 0.75

Position = tuple[int, int]
"""Epoch and sequence number: what orders the records of a source."""


@dataclass(slots=True)
class _Entry:
    position: Position
    offset: int
    size: int
    rank: int


class Journal:
    """Records in one file of one folder, owned by one process at a time. Not thread-safe.

    Attributes:
        damaged_bytes: what was cut off when the file was opened, and kept in `reports.damaged`.
        last: the position of the newest record that was ever written here.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._max_bytes = max_bytes
        self._entries: list[_Entry] = []
        self.damaged_bytes = 0
        self.last: Position = (0, 0)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise ErrorBusError(f"{folder}: another process spools its errors here") from error
            raise
        self._size = 0
        self._recover()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return self._size

    def append(self, body: bytes, rank: int, position: Position, *, sync: bool) -> None:
        """Write a record; with `sync` return only when it is on the disk.

        Raises:
            OSError: the disk is full or broken; the record is not there.
        """
        head = _HEADER.pack(len(body), 0, rank, *position)
        data = _HEADER.pack(len(body), zlib.crc32(body, zlib.crc32(head)), rank, *position) + body
        try:
            _write_all(self._file, data)
            if sync:
                os.fdatasync(self._file)
        except OSError:
            # Half a record would hide everything after it.
            os.ftruncate(self._file, self._size)
            raise
        self._entries.append(_Entry(position, self._size, len(data), rank))
        self._size += len(data)
        self.last = max(self.last, position)

    def read_after(
        self, position: Position, *, limit: int, max_bytes: int
    ) -> list[tuple[Position, bytes]]:
        """The records after `position`, in order."""
        found: list[tuple[Position, bytes]] = []
        first = bisect_right(self._entries, position, key=lambda entry: entry.position)
        size = 0
        for entry in self._entries[first : first + limit]:
            size += entry.size
            if found and size > max_bytes:
                break
            data = os.pread(self._file, entry.size, entry.offset)
            found.append((entry.position, data[_HEADER.size :]))
        return found

    def is_full(self) -> bool:
        """Whether the file has reached its bound."""
        return self._size >= self._max_bytes

    def compact(self, done: Position | None) -> Counter[int]:
        """Drop the records up to `done`; return how many others went, by rank.

        Of the others the least severe go first, within one severity the oldest, until a quarter of
        the bound is free.
        """
        start = 0
        if done is not None:
            start = bisect_right(self._entries, done, key=lambda entry: entry.position)
        keep = self._entries[start:]
        surplus = sum(entry.size for entry in keep) - int(self._max_bytes * _COMPACT_TO)
        gone: Counter[int] = Counter()
        dropped: set[int] = set()
        for entry in sorted(keep, key=lambda entry: (-entry.rank, entry.position)):
            if surplus <= 0:
                break
            surplus -= entry.size
            dropped.add(entry.offset)
            gone[entry.rank] += 1
        self._rewrite([entry for entry in keep if entry.offset not in dropped])
        return gone

    def close(self) -> None:
        """Release the file and the folder."""
        os.close(self._file)
        os.close(self._lock)

    def _rewrite(self, keep: list[_Entry]) -> None:
        fresh = self._path.with_suffix(".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        file = os.open(fresh, flags, 0o600)
        try:
            os.write(file, MAGIC)
            offset = len(MAGIC)
            entries: list[_Entry] = []
            for entry in keep:
                data = os.pread(self._file, entry.size, entry.offset)
                _write_all(file, data)
                entries.append(_Entry(entry.position, offset, entry.size, entry.rank))
                offset += entry.size
            os.fsync(file)
            fresh.replace(self._path)
        except BaseException:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self._entries, self._size = file, entries, offset
        _sync_folder(self._folder)

    def _recover(self) -> None:
        size = os.fstat(self._file).st_size
        if size == 0:
            os.write(self._file, MAGIC)
            self._size = len(MAGIC)
            return
        good = self._scan(size)
        if good < size:
            self._set_aside(good, size)
        if good == 0:
            os.write(self._file, MAGIC)
            good = len(MAGIC)
        self._size = good

    def _scan(self, size: int) -> int:
        """Fill the index; return where the sound part of the file ends."""
        if os.pread(self._file, len(MAGIC), 0) != MAGIC:
            return 0
        offset = len(MAGIC)
        while offset + _HEADER.size <= size:
            head = os.pread(self._file, _HEADER.size, offset)
            length, crc, rank, epoch, seq = _HEADER.unpack(head)
            if length > MAX_RECORD_BYTES or offset + _HEADER.size + length > size:
                break
            body = os.pread(self._file, length, offset + _HEADER.size)
            blank = _HEADER.pack(length, 0, rank, epoch, seq)
            if zlib.crc32(body, zlib.crc32(blank)) != crc or (epoch, seq) <= self.last:
                break
            self.last = (epoch, seq)
            self._entries.append(_Entry(self.last, offset, _HEADER.size + length, rank))
            offset += _HEADER.size + length
        return offset

    def _set_aside(self, good: int, size: int) -> None:
        self.damaged_bytes = size - good
        with (self._folder / DAMAGED_NAME).open("wb") as file:
            offset = good
            while offset < size:
                part = os.pread(self._file, 1024 * 1024, offset)
                file.write(part)
                offset += len(part)
        os.ftruncate(self._file, good)


def _write_all(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
