"""JSON in files: whole, atomic, line by line."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from aisys.json import (
    JSONDecodeError,
    JSONEncodeError,
    Raw,
    dump_file,
    dump_ndjson,
    iter_ndjson,
    load_file,
)


def test_a_file_reads_back(tmp_path: Path) -> None:
    """What dump_file writes, load_file reads."""
    path = tmp_path / "state.json"
    value = {"ü": [1, 2.5, None]}

    dump_file(path, value)

    assert load_file(path) == value
    assert load_file(str(path)) == value
    assert path.read_bytes() == '{"ü":[1,2.5,null]}'.encode()
    assert os.listdir(tmp_path) == ["state.json"]


def test_dump_file_takes_the_options_of_dumps(tmp_path: Path) -> None:
    """`default` and `sort_keys`."""
    path = tmp_path / "a.json"

    dump_file(path, {"b": {2, 1}, "a": 0}, default=sorted, sort_keys=True)

    assert path.read_bytes() == b'{"a":0,"b":[1,2]}'


def test_permissions_are_kept(tmp_path: Path) -> None:
    """A new file can be read by others, an existing one keeps what its owner chose."""
    path = tmp_path / "a.json"
    dump_file(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

    path.chmod(0o600)
    dump_file(path, 2)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file behind it is replaced."""
    target = tmp_path / "target.json"
    target.write_bytes(b"1")
    link = tmp_path / "link.json"
    link.symlink_to(target)

    dump_file(link, 2)

    assert link.is_symlink()
    assert target.read_bytes() == b"2"


def test_a_value_without_a_form_leaves_the_file_alone(tmp_path: Path) -> None:
    """Nothing is touched before the whole text is there."""
    path = tmp_path / "a.json"
    dump_file(path, 1)

    with pytest.raises(JSONEncodeError):
        dump_file(path, {1})

    assert path.read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failure_on_the_way_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up costs the new text, not the old, and leaves nothing behind."""
    path = tmp_path / "a.json"
    dump_file(path, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        dump_file(path, 2)

    assert path.read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_folder_is_synced_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File first, then the name, then the folder: the order that survives a power cut."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_sync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(self: Path, target: Any) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    dump_file(tmp_path / "a.json", 1)

    assert order == ["file", "rename", "folder"]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """The error says which file, and where in it."""
    path = tmp_path / "broken.json"
    path.write_bytes(b'{\n  "a": x}')

    with pytest.raises(JSONDecodeError, match=r"broken\.json.*line 2 column 8") as caught:
        load_file(path)

    assert (caught.value.line, caught.value.column, caught.value.offset) == (2, 8, 9)
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "missing.json")


def test_lines_are_values(tmp_path: Path) -> None:
    """One value a line, from a path or an open file; empty lines and Windows line ends are fine."""
    path = tmp_path / "log.ndjson"
    path.write_bytes(b'{"a":1}\r\n\n[2]\n  \n"three"')

    assert list(iter_ndjson(path)) == [{"a": 1}, [2], "three"]
    assert list(iter_ndjson(io.BytesIO(b"1\n2\n"))) == [1, 2]
    assert list(iter_ndjson(io.BytesIO(b""))) == []


def test_a_broken_line_is_numbered(tmp_path: Path) -> None:
    """The values before it come out first."""
    lines = iter_ndjson(io.BytesIO(b"1\n\n[2,]\n3"))

    assert next(lines) == 1
    with pytest.raises(JSONDecodeError, match="line 3 of the stream") as caught:
        next(lines)
    assert caught.value.line == 3


def test_lines_are_bounded() -> None:
    """A line without end does not fill the memory."""
    exact = b"1" * 10

    assert (
        list(iter_ndjson(io.BytesIO(exact + b"\r\n" + exact), max_line_bytes=10))
        == [1111111111] * 2
    )
    with pytest.raises(JSONDecodeError, match="line 2: longer than 10 bytes"):
        list(iter_ndjson(io.BytesIO(exact + b"\n1" + exact), max_line_bytes=10))


def test_values_become_lines(tmp_path: Path) -> None:
    """One text a line, whatever the texts hold, from values that come one by one; they read back."""
    path = tmp_path / "log.ndjson"
    values = [{"a": "x\ny"}, [1, 2], None, "é"]

    assert dump_ndjson(path, iter(values)) == 4
    assert path.read_bytes().count(b"\n") == 4
    assert list(iter_ndjson(path)) == values
    assert dump_ndjson(path, [{2, 1}, Raw(b'{"b":\r\n1}')], default=sorted) == 2
    assert path.read_bytes() == b'[1,2]\n{"b":  1}\n'
    assert os.listdir(tmp_path) == ["log.ndjson"]


def test_lines_are_added_to_an_open_file(tmp_path: Path) -> None:
    """Opened for appending, it keeps what it has; a value without a form ends it after the lines before."""
    path = tmp_path / "log.ndjson"
    path.write_bytes(b"0\n")

    with path.open("ab") as file:
        assert dump_ndjson(file, [1], sort_keys=True) == 1
        with pytest.raises(JSONEncodeError):
            dump_ndjson(file, [2, {3}])
        assert not file.closed

    assert list(iter_ndjson(path)) == [0, 1, 2]


def test_lines_that_fail_leave_the_file_alone(tmp_path: Path) -> None:
    """A path's file is replaced when every line is there, or not at all."""
    path = tmp_path / "log.ndjson"
    dump_ndjson(path, [1])

    with pytest.raises(JSONEncodeError):
        dump_ndjson(path, [2, {3}])

    assert path.read_bytes() == b"1\n"
    assert os.listdir(tmp_path) == ["log.ndjson"]
