"""Where a fleet keeps its data, its sockets and its keys."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aisys.errors import ConfigError, Problem

if TYPE_CHECKING:
    from aisys.config.fleet import Fleet

MAX_SOCKET_PATH_BYTES = 104


def data_dir(fleet: Fleet, *, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of what must survive: `AISYS_DATA_DIR`, else the XDG data folder. Made if missing.

    Raises:
        ConfigError: it cannot be made, or belongs to somebody else.
    """
    env = os.environ if environ is None else environ
    setting = "AISYS_DATA_DIR"
    if named := env.get(setting):
        base = _absolute(named)
    elif xdg := _xdg(env, "XDG_DATA_HOME"):
        base, setting = xdg / "aisys", "XDG_DATA_HOME"
    else:
        base, setting = Path.home() / ".local" / "share" / "aisys", "AISYS_DATA_DIR"
    return _private(base / _folder(fleet), f"${setting}")


def runtime_dir(fleet: Fleet, *, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of sockets: `AISYS_RUNTIME_DIR`, else XDG's, else `/tmp/aisys-<uid>`.

    It is made with mode 0700 and must belong to this user alone, since whoever may write there may
    speak for the fleet.

    Raises:
        ConfigError: it cannot be made, belongs to somebody else, or is open to others.
    """
    env = os.environ if environ is None else environ
    setting = "AISYS_RUNTIME_DIR"
    if named := env.get(setting):
        base = _absolute(named)
    elif (xdg := _xdg(env, "XDG_RUNTIME_DIR")) is not None and xdg.is_dir():
        base, setting = xdg / "aisys", "XDG_RUNTIME_DIR"
    else:
        # The name can be guessed, so a folder that somebody else put there must be found out.
        base = _private(Path(tempfile.gettempdir()) / f"aisys-{os.geteuid()}", f"${setting}")
    return _private(base / _folder(fleet), f"${setting}")


def socket_path(fleet: Fleet, host_id: str, *, environ: Mapping[str, str] | None = None) -> Path:
    """The unix socket of a host (`machine/name`).

    Raises:
        ConfigError: the path is longer than a socket's may be, or the folder is not safe.
    """
    machine, _, name = host_id.partition("/")
    return _socket(fleet, machine, name, environ)


def control_socket(fleet: Fleet, machine: str, *, environ: Mapping[str, str] | None = None) -> Path:
    """The unix socket of a machine's supervisor.

    Raises:
        ConfigError: the path is longer than a socket's may be, or the folder is not safe.
    """
    return _socket(fleet, machine, "supervisor", environ)


def keys_dir(fleet: Fleet, *, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the keys: `security.keys_dir`, else `keys` in the data folder. Not made.

    Raises:
        ConfigError: the data folder cannot be used.
    """
    named = fleet.settings.security.keys_dir
    if named is not None:
        return (fleet.config_dir / named.expanduser()).resolve()
    return data_dir(fleet, environ=environ) / "keys"


def _folder(fleet: Fleet) -> str:
    offset = fleet.settings.port_offset
    return f"{fleet.name}-{offset}" if offset else fleet.name


def _absolute(text: str) -> Path:
    return (Path.cwd() / Path(text).expanduser()).resolve()


def _xdg(env: Mapping[str, str], name: str) -> Path | None:
    """An XDG folder; the specification says that relative ones are ignored."""
    text = env.get(name, "")
    return Path(text) if text.startswith("/") else None


def _private(path: Path, setting: str) -> Path:
    """Make a folder with mode 0700, or check that it is ours alone."""
    remedy = "Name another folder with the variable"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        what = f"{path} cannot be made: {error.strerror or error}"
        raise ConfigError([Problem(setting, "", what, remedy)]) from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError([Problem(setting, "", f"{path} is not a folder", remedy)])
    if found.st_uid != os.geteuid():
        what = f"{path} belongs to user {found.st_uid}, not to user {os.geteuid()}"
        raise ConfigError([Problem(setting, "", what, remedy)])
    if found.st_mode & 0o077:
        what = f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):o})"
        raise ConfigError([Problem(setting, "", what, f"Run: chmod 700 {path}")])
    return path


def _socket(fleet: Fleet, machine: str, name: str, environ: Mapping[str, str] | None) -> Path:
    folder = runtime_dir(fleet, environ=environ)
    path = folder / machine / f"{name}.sock"
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH_BYTES:
        what = f"the socket path {path} has {size} bytes, at most {MAX_SOCKET_PATH_BYTES} work"
        remedy = "Set AISYS_RUNTIME_DIR to a shorter folder, such as /tmp/a"
        raise ConfigError([Problem("$AISYS_RUNTIME_DIR", "", what, remedy)])
    _private(folder / machine, "$AISYS_RUNTIME_DIR")
    return path
