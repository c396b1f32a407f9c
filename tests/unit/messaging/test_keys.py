"""Key rings: files that only their owner can read."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aisys.errors import ConfigError
from aisys.messaging.keys import KeyRing, add_public_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    KeyRing.create(tmp_path / "keys", "mainpc")
    KeyRing.create(tmp_path / "keys", "pc2")
    return tmp_path / "keys"


def _remedy(error: pytest.ExceptionInfo[ConfigError]) -> str:
    (problem,) = error.value.problems
    return problem.remedy


def test_created_keys_can_be_loaded(folder: Path) -> None:
    """Each machine has its own pair, and all are allowed."""
    ring = KeyRing.load(folder, "mainpc")

    assert sorted(ring) == ["mainpc", "pc2"]
    assert ring.allowed() == {ring.public("mainpc"), ring.public("pc2")}
    assert ring.machine_of(ring.public("pc2")) == "pc2"
    assert ring.machine_of("x" * 40) is None
    assert len(ring.secret) == 40


def test_files_are_private(folder: Path) -> None:
    """The folder has mode 0700, secrets 0600, and no temporary file is left."""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "mainpc.secret").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "mainpc.public", "mainpc.secret", "pc2.public", "pc2.secret",
    ]  # fmt: skip


def test_the_secret_is_not_shown(folder: Path) -> None:
    """`repr` names machines, not keys."""
    ring = KeyRing.load(folder, "mainpc")

    assert ring.secret not in repr(ring)
    assert "pc2" in repr(ring)


def test_a_key_is_not_overwritten(folder: Path) -> None:
    """Creating a key again is an error, and the old one stays."""
    before = KeyRing.load(folder, "mainpc").secret
    with pytest.raises(ConfigError, match="has a key already"):
        KeyRing.create(folder, "mainpc")

    assert KeyRing.load(folder, "mainpc").secret == before


def test_creating_at_the_same_time(tmp_path: Path) -> None:
    """Of many who create one key at once, one succeeds, and the pair fits."""

    def create(_: int) -> bool:
        try:
            KeyRing.create(tmp_path / "keys", "mainpc")
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(16)))
    import zmq

    ring = KeyRing.load(tmp_path / "keys", "mainpc")
    assert sum(outcomes) == 1
    assert zmq.curve_public(ring.secret.encode()).decode() == ring.public("mainpc")


@pytest.mark.parametrize(
    ("name", "mode", "command"),
    [
        (".", 0o755, "chmod 700"),
        ("mainpc.secret", 0o644, "chmod 600"),
        ("pc2.public", 0o666, "chmod 644"),
    ],
)
def test_open_files_are_refused(folder: Path, name: str, mode: int, command: str) -> None:
    """What others can read or change is an error that names the command."""
    (folder / name).chmod(mode)
    with pytest.raises(ConfigError) as caught:
        KeyRing.load(folder, "mainpc")

    assert command in _remedy(caught)


def test_missing_and_malformed_files(folder: Path, tmp_path: Path) -> None:
    """Each case names the file and what to run."""
    with pytest.raises(ConfigError, match=r"nowhere.*does not exist"):
        KeyRing.load(tmp_path / "nowhere", "mainpc")
    with pytest.raises(ConfigError, match=r"other\.secret.*missing"):
        KeyRing.load(folder, "other")
    with pytest.raises(ConfigError, match=r"third\.public.*missing"):
        KeyRing.load(folder, "mainpc").public("third")
    for text in ("short", "x" * 41, "\\" * 40, "\0" * 40, "é" * 20):
        (folder / "mainpc.secret").write_text(text)
        with pytest.raises(ConfigError, match="not a key"):
            KeyRing.load(folder, "mainpc")


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    """A symbolic link in place of a key file is refused."""
    (folder / "mainpc.secret").rename(tmp_path / "secret")
    (folder / "mainpc.secret").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match="plain file"):
        KeyRing.load(folder, "mainpc")


@pytest.mark.parametrize("machine", ["", "../x", "a/b", ".hidden", "a\0b"])
def test_names_cannot_leave_the_folder(folder: Path, machine: str) -> None:
    """A machine name is a file name."""
    with pytest.raises(ConfigError, match="machine name"):
        KeyRing.create(folder, machine)
    with pytest.raises(ConfigError, match="machine name"):
        add_public_key(folder, machine, KeyRing.load(folder, "pc2").public("pc2"))


def test_refresh_sees_changes(folder: Path, tmp_path: Path) -> None:
    """Added keys are admitted, removed ones are not, and a broken folder admits nobody."""
    ring = KeyRing.load(folder, "mainpc")
    assert not ring.refresh()
    third = KeyRing.create(tmp_path / "third", "third").public("third")
    add_public_key(folder, "third", third)
    assert ring.refresh()
    assert ring.machine_of(third) == "third"
    (folder / "third.public").unlink()
    assert ring.refresh()
    assert ring.machine_of(third) is None
    (folder / "broken.public").write_text("broken")
    assert ring.refresh()
    assert ring.allowed() == frozenset()


def test_adding_a_public_key(folder: Path, tmp_path: Path) -> None:
    """A key belongs to one machine; replacing a machine's own key is allowed."""
    key = KeyRing.create(tmp_path / "third", "third").public("third")
    add_public_key(folder, "third", key)
    add_public_key(folder, "third", key)
    with pytest.raises(ConfigError, match="third has this key"):
        add_public_key(folder, "fourth", key)
    with pytest.raises(ConfigError, match="not a key"):
        add_public_key(folder, "fifth", "nonsense")

    assert sorted(KeyRing.load(folder, "mainpc")) == ["mainpc", "pc2", "third"]
    assert os.listdir(folder)
