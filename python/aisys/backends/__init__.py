"""Stores for state: one contract over memory, a file and Redis.

`State` is what an agent sees as `self.state`; `Backend` is the contract below it; `open_backend`
turns one line of configuration into a backend. `RedisBackend` loads the client library when it
connects, so that nobody else pays for it.
"""

from aisys.backends.base import Backend as Backend
from aisys.backends.base import Durability as Durability
from aisys.backends.errors import BackendError as BackendError
from aisys.backends.errors import CorruptStore as CorruptStore
from aisys.backends.errors import WrongKind as WrongKind
from aisys.backends.file import FileBackend as FileBackend
from aisys.backends.memory import MemoryBackend as MemoryBackend
from aisys.backends.opening import open_backend as open_backend
from aisys.backends.redis import RedisBackend as RedisBackend
from aisys.backends.state import State as State

__all__ = [
    "Backend",
    "BackendError",
    "CorruptStore",
    "Durability",
    "FileBackend",
    "MemoryBackend",
    "RedisBackend",
    "State",
    "WrongKind",
    "open_backend",
]
