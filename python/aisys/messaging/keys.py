"""The CURVE keys of a fleet: one pair for each machine, in files that only their owner can read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from aisys.errors import ConfigError, Problem

__all__ = ["KeyRing", "add_public_key"]

PUBLIC = ".public"
SECRET = ".secret"  # noqa: S105 - a file name ending
KEY_CHARS = 40
KEY_REMEDY = "run: aisys keys init"
MAX_FILE_BYTES = 256
# The characters of Z85, RFC 32 of ZeroMQ.
Z85 = frozenset(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
)


class KeyRing:
    """This machine's secret key and the public keys of all machines that may connect.

    A public key file in the folder admits its machine; removing the file revokes it, which
    `refresh` notices.

    Attributes:
        machine: the machine this ring belongs to.
        secret: its secret key, Z85; not shown by `repr`.
    """

    __slots__ = ("_dir", "_machines", "_publics", "_seen", "machine", "secret")

    def __init__(self, directory: Path, machine: str, secret: str, publics: dict[str, str]) -> None:
        self._dir = directory
        self._seen: tuple[object, ...] = ()
        self._publics: dict[str, str] = {}
        self._machines: dict[str, str] = {}
        self.machine = machine
        self.secret = secret
        self._set(publics)

    @classmethod
    def create(cls, directory: Path, machine: str) -> KeyRing:
        """Make a key pair and write `<machine>.public` and `<machine>.secret`.

        Raises:
            ConfigError: the machine has a key already, or the folder is open to others.
        """
        from aisys.messaging.zmq_socket import new_key_pair

        _check_name(directory, machine)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(directory)
        public, secret = new_key_pair()
        with _locked(directory):
            path = directory / f"{machine}{SECRET}"
            if path.exists():
                raise _problem(
                    path,
                    f"{machine} has a key already",
                    "remove both of its files first if it is to be replaced",
                )
            # The secret comes last: whoever sees it finds the public key too.
            _write(directory / f"{machine}{PUBLIC}", public, 0o644)
            _write(path, secret, 0o600)
        return cls.load(directory, machine)

    @classmethod
    def load(cls, directory: Path, machine: str) -> KeyRing:
        """Read the keys.

        Raises:
            ConfigError: a file is missing, malformed, or readable by others; it names the command
                to run.
        """
        _check_name(directory, machine)
        _check_folder(directory)
        path = directory / f"{machine}{SECRET}"
        _check_secret_file(path)
        ring = cls(directory, machine, _read_key(path), {})
        ring._seen = ring._state()
        ring._set(_read_publics(directory))
        if machine not in ring._publics:
            raise _problem(
                directory / f"{machine}{PUBLIC}",
                "is missing",
                f"run: aisys keys init --machine {machine}",
            )
        return ring

    def _set(self, publics: dict[str, str]) -> None:
        self._publics = publics
        self._machines = {key: machine for machine, key in publics.items()}

    def public(self, machine: str) -> str:
        """The Z85 public key of a machine.

        Raises:
            ConfigError: its file is not in the folder.
        """
        key = self._publics.get(machine)
        if key is None:
            raise _problem(
                self._dir / f"{machine}{PUBLIC}",
                f"the public key of {machine} is missing",
                f"copy {machine}{PUBLIC} from that machine",
            )
        return key

    def allowed(self) -> frozenset[str]:
        """The keys that may connect."""
        return frozenset(self._machines)

    def machine_of(self, key: str) -> str | None:
        """The machine that a key belongs to, None if it may not connect."""
        return self._machines.get(key)

    def refresh(self) -> bool:
        """Look for added and removed public keys; cheap when nothing changed.

        Returns:
            Whether the keys have changed. A folder that cannot be read, or a malformed file in it,
            admits nobody.
        """
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        before = self._publics
        try:
            self._set(_read_publics(self._dir))
        except (OSError, ConfigError):
            self._set({})
        return self._publics != before

    def _state(self) -> tuple[object, ...]:
        try:
            facts = [(entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(self._dir)]
        except OSError:
            return ()
        return tuple(sorted(facts))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._publics))

    def __repr__(self) -> str:
        return f"KeyRing({str(self._dir)!r}, {self.machine!r}, machines={sorted(self._publics)})"


def _read_publics(directory: Path) -> dict[str, str]:
    publics: dict[str, str] = {}
    for path in sorted(directory.glob(f"*{PUBLIC}")):
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o022:
            raise _problem(
                path, "can be changed by others, or is not a plain file", f"run: chmod 644 {path}"
            )
        key = _read_key(path)
        if key in publics.values():
            raise _problem(
                path, "holds a key that another machine has too", "make a key for each machine"
            )
        publics[path.name.removesuffix(PUBLIC)] = key
    return publics


def _read_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES).decode("ascii").strip()
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}", KEY_REMEDY) from error
    except UnicodeDecodeError as error:
        raise _problem(path, "is not a key", KEY_REMEDY) from error
    if len(text) != KEY_CHARS or not Z85.issuperset(text):
        raise _problem(path, f"is not a key of {KEY_CHARS} Z85 characters", KEY_REMEDY)
    return text


def add_public_key(directory: Path, machine: str, key: str) -> None:
    """Admit another machine: write its public key into the folder.

    Raises:
        ConfigError: that is not a key, another machine has it, or the folder is open to others.
    """
    _check_name(directory, machine)
    path = directory / f"{machine}{PUBLIC}"
    if len(key) != KEY_CHARS or not Z85.issuperset(key):
        raise _problem(path, f"{key!r} is not a key of {KEY_CHARS} Z85 characters", KEY_REMEDY)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_folder(directory)
    with _locked(directory):
        others = {name for name, known in _read_publics(directory).items() if known == key}
        if others - {machine}:
            raise _problem(path, f"{min(others)} has this key", "make a key for each machine")
        _write(path, key, 0o644)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time changes the folder."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(directory / ".lock", flags, 0o600), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, key: str, mode: int) -> None:
    """Put a key file in place at once, so that nobody reads half of one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, mode), "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _check_name(directory: Path, machine: str) -> None:
    if not machine or machine.startswith(".") or "/" in machine or "\0" in machine:
        raise _problem(directory, f"{machine!r} is not a machine name", "")


def _check_folder(directory: Path) -> None:
    try:
        facts = directory.lstat()
    except FileNotFoundError:
        raise _problem(directory, "the folder of keys does not exist", KEY_REMEDY) from None
    if not stat.S_ISDIR(facts.st_mode):
        raise _problem(directory, "is not a folder", "")
    if facts.st_uid != os.getuid():
        raise _problem(
            directory, f"belongs to user {facts.st_uid}", f"run: chown {os.getuid()} {directory}"
        )
    if facts.st_mode & 0o077:
        raise _problem(directory, "is open to other users", f"run: chmod 700 {directory}")


def _check_secret_file(path: Path) -> None:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        raise _problem(
            path, "is missing", f"run: aisys keys init --machine {path.name.removesuffix(SECRET)}"
        ) from None
    if not stat.S_ISREG(facts.st_mode):
        raise _problem(path, "is not a plain file", "")
    if facts.st_uid != os.getuid():
        raise _problem(path, f"belongs to user {facts.st_uid}", f"run: chown {os.getuid()} {path}")
    if facts.st_mode & 0o077:
        raise _problem(path, "can be read by other users", f"run: chmod 600 {path}")


def _problem(path: Path, what: str, remedy: str) -> ConfigError:
    return ConfigError(
        [Problem(where=str(path), setting="security.keys_dir", what=what, remedy=remedy)]
    )
