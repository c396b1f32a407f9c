"""Secrets: references that are resolved late, and a wrapper that never shows its value."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from aisys.errors import ConfigError, Problem
from aisys.logs import register_secret

PREFIX = "secret:"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}\Z")
_MAX_BYTES = 64 * 1024
_MASK = "**********"


class Secret:
    """A text that must not be shown, or a reference (`secret:NAME`) to one.

    Printing, formatting and comparing it never shows the value; a reference shows its name, which
    is no secret. It cannot be pickled or turned to JSON by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def is_reference(self) -> bool:
        """Whether this names a secret kept elsewhere."""
        return self._text.startswith(PREFIX)

    def get_secret_value(self) -> str:
        """The text as it was given: the value, or the reference itself."""
        return self._text

    def __str__(self) -> str:
        return self._text if self.is_reference else _MASK

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Secret cannot be pickled: send its reference and resolve it on the other side"
        )


def is_secret_name(name: str) -> bool:
    """Whether a name may stand behind `secret:`; names cannot leave their folder."""
    return _NAME.match(name) is not None


def resolve_secret(
    ref: str | Secret,
    *,
    data_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
    where: str = "",
) -> str:
    """Find the value behind a reference; a text that is no reference is returned as it is.

    The value is registered with `aisys.logs`, which keeps it out of the logs from then on.

    `secret:NAME` is looked up as the variable NAME, the file that NAME_FILE names, the file
    `$CREDENTIALS_DIRECTORY/NAME` (systemd), and `<data_dir>/secrets/NAME`, in this order.

    Args:
        ref: the reference.
        data_dir: the data folder of the fleet, see `data_dir`.
        environ: the environment, the process's own by default.
        where: the place of the setting, for the error.

    Raises:
        ConfigError: the name is not valid, nothing holds the secret, or others can read its file.
    """
    text = ref.get_secret_value() if isinstance(ref, Secret) else ref
    is_reference = text.startswith(PREFIX)
    value = _look_up(text, data_dir, environ, where) if is_reference else text
    if is_reference or isinstance(ref, Secret):
        register_secret(value)
    return value


def _look_up(
    text: str, data_dir: Path | None, environ: Mapping[str, str] | None, where: str
) -> str:
    name = text[len(PREFIX) :]
    if not is_secret_name(name):
        what = "is not a secret's name"
        raise ConfigError([Problem(where, text, what, "Use letters, digits, _ . -")])
    env = os.environ if environ is None else environ
    if name in env:
        return env[name]
    private = data_dir / "secrets" / name if data_dir is not None else None
    candidates: list[Path] = []
    if named := env.get(f"{name}_FILE"):
        candidates.append(Path(named))
    if folder := env.get("CREDENTIALS_DIRECTORY"):
        candidates.append(Path(folder) / name)
    if private is not None:
        candidates.append(private)
    for path in candidates:
        value = _read(path, where, text, must_be_private=path == private)
        if value is not None:
            return value
    remedy = f"Set the variable {name} or {name}_FILE"
    if private is not None:
        remedy += f", or write the value to {private} (mode 0600)"
    raise ConfigError([Problem(where, text, "the secret is nowhere to be found", remedy)])


def _read(path: Path, where: str, setting: str, *, must_be_private: bool) -> str | None:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror or error}"
        raise ConfigError([Problem(where, setting, what, "Check its permissions")]) from None
    if must_be_private and mode & 0o077:
        what = f"{path} can be read by other users"
        raise ConfigError([Problem(where, setting, what, f"Run: chmod 600 {path}")])
    if len(data) > _MAX_BYTES:
        what = f"{path} is larger than {_MAX_BYTES} bytes"
        raise ConfigError([Problem(where, setting, what, "Name the right file")])
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError([Problem(where, setting, f"{path} is not UTF-8", "Encode it")]) from None
