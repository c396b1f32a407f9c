"""Data, runtime and key folders, and the sockets in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aisys.config import control_socket, data_dir, keys_dir, runtime_dir, socket_path
from aisys.errors import ConfigError
from support.config_folder import Folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_named_folders(folder: Folder, tmp_path: Path) -> None:
    """AISYS_DATA_DIR and AISYS_RUNTIME_DIR place everything, private to the user."""
    environ = {"AISYS_DATA_DIR": str(tmp_path / "d"), "AISYS_RUNTIME_DIR": str(tmp_path / "r")}
    fleet = folder.load()
    assert data_dir(fleet, environ=environ) == tmp_path / "d" / "small"
    assert runtime_dir(fleet, environ=environ) == tmp_path / "r" / "small"
    assert socket_path(fleet, "one/pair", environ=environ) == tmp_path / "r/small/one/pair.sock"
    assert control_socket(fleet, "two", environ=environ) == tmp_path / "r/small/two/supervisor.sock"
    assert keys_dir(fleet, environ=environ) == tmp_path / "d/small/keys"
    for name in ("d", "d/small", "r", "r/small", "r/small/one"):
        assert mode(tmp_path / name) == 0o700


def test_fleets_with_different_offsets_do_not_share(folder: Folder, tmp_path: Path) -> None:
    """The offset is part of the folder's name."""
    environ = {"AISYS_DATA_DIR": str(tmp_path), "AISYS_RUNTIME_DIR": str(tmp_path / "r")}
    fleet = folder.load(port_offset=100)
    assert data_dir(fleet, environ=environ).name == "small-100"
    assert runtime_dir(fleet, environ=environ).name == "small-100"


def test_xdg_folders(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names of our own the XDG folders are used; relative ones and missing ones are not."""
    fleet = folder.load()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "run").mkdir()
    environ = {"XDG_DATA_HOME": str(tmp_path / "x"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert data_dir(fleet, environ=environ) == tmp_path / "x/aisys/small"
    assert runtime_dir(fleet, environ=environ) == tmp_path / "run/aisys/small"
    environ = {"XDG_DATA_HOME": "relative", "XDG_RUNTIME_DIR": str(tmp_path / "gone")}
    assert data_dir(fleet, environ=environ) == tmp_path / "home/.local/share/aisys/small"
    assert runtime_dir(fleet, environ=environ) == tmp_path / f"aisys-{os.geteuid()}" / "small"


def test_relative_folders_are_made_absolute(folder: Folder, tmp_path: Path) -> None:
    """A relative AISYS_DATA_DIR counts from the working directory."""
    assert data_dir(folder.load(), environ={"AISYS_DATA_DIR": "d"}) == tmp_path / "d/small"


def test_long_socket_paths_are_refused(folder: Folder, tmp_path: Path) -> None:
    """A path that bind would refuse is refused before, with its length and the remedy."""
    environ = {"AISYS_RUNTIME_DIR": str(tmp_path / ("x" * 100))}
    with pytest.raises(
        ConfigError, match=r"\$AISYS_RUNTIME_DIR: the socket path .* at most 104"
    ) as caught:
        socket_path(folder.load(), "one/pair", environ=environ)
    assert "Set AISYS_RUNTIME_DIR to a shorter folder" in str(caught.value)


def test_an_open_folder_is_refused(folder: Folder, tmp_path: Path) -> None:
    """Sockets in a folder that others may enter are no use; the error says what to run."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "small").mkdir(mode=0o755)
    (tmp_path / "r" / "small").chmod(0o755)
    with pytest.raises(ConfigError, match="Run: chmod 700"):
        runtime_dir(folder.load(), environ={"AISYS_RUNTIME_DIR": str(tmp_path / "r")})


def test_a_link_planted_in_tmp_is_refused(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name below /tmp can be guessed, so a link put there is not followed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"aisys-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is not a folder"):
        runtime_dir(folder.load(), environ={})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_folder_is_refused(folder: Folder, tmp_path: Path) -> None:
    """A folder of another user is not used."""
    (tmp_path / "small").mkdir(mode=0o700)
    os.chown(tmp_path / "small", 65534, 65534)
    with pytest.raises(ConfigError, match="belongs to user 65534"):
        data_dir(folder.load(), environ={"AISYS_DATA_DIR": str(tmp_path)})


def test_a_file_in_the_way(folder: Folder, tmp_path: Path) -> None:
    """What cannot be made is a problem, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        data_dir(folder.load(), environ={"AISYS_DATA_DIR": str(tmp_path / "file")})


def test_keys_dir_is_relative_to_the_configuration(folder: Folder) -> None:
    """`security.keys_dir` counts from the configuration folder."""
    fleet = folder.load(security__keys_dir="../keys")
    assert keys_dir(fleet, environ={}) == (folder.path / "../keys").resolve()
