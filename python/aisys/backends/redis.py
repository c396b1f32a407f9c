"""A store in Redis or a server that speaks its protocol: shared by all machines of a fleet."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aisys.backends.base import (
    INT64_MAX,
    INT64_MIN,
    Backend,
    Durability,
    check_key,
    check_max_items,
    check_ttl,
)
from aisys.backends.errors import BackendError, WrongKind
from aisys.errors import Indefinite, Refused, Unreachable

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.connection import AbstractConnection

SCAN_COUNT: Final = 200
SCAN_REMEMBERED: Final = 1_000_000

# Redis' own INCR takes "+1" and " 1" for no number as well, so the check of the spelling is left to
# it.
_COMPARE_AND_SET: Final = """
local held = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
  if held then return 0 end
elseif held ~= ARGV[2] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('UNLINK', KEYS[1])
elseif ARGV[5] == '' then
  redis.call('SET', KEYS[1], ARGV[4])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
end
return 1
"""
_SCRIPT_SHA: Final = hashlib.sha1(_COMPARE_AND_SET.encode(), usedforsecurity=False).hexdigest()

_Argument = str | bytes | int


class RedisBackend(Backend):
    """One Redis server, reached by `redis://`, `rediss://` or `unix:///path/to.sock?db=0`.

    Nothing is retried behind the caller's back. A command that was not sent raises `Unreachable`;
    one that was sent and not answered raises `Indefinite`, because it may have been done. A
    cancelled command closes its connection, so that its late answer can never be taken for another
    one's.

    Args:
        url: the server; a password in it is never shown.
        prefix: put before each key.
        timeout_s: the limit of each command and of each connection attempt.
        max_connections: how many may be open; more commands than that wait for a free one.
    """

    def __init__(
        self, url: str, *, prefix: str = "", timeout_s: float = 5.0, max_connections: int = 16
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._pool: BlockingConnectionPool | None = None
        self._closed = False
        self._durability: Durability = "process"
        parts = urlsplit(url)
        self.where = (
            parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        )

    @property
    def durability(self) -> Durability:
        """As the server said when it was opened: `disk` with AOF always, `memory` without AOF."""
        return self._durability

    async def open(self) -> None:
        """Connect, and learn how durable the server is.

        Raises:
            Unreachable: no connection.
            Refused: the server may throw acknowledged keys away (`maxmemory-policy` is not
                `noeviction`).
        """
        replies = await self._run(
            ("CONFIG", "GET", "maxmemory-policy"),
            ("CONFIG", "GET", "appendonly"),
            ("CONFIG", "GET", "appendfsync"),
            check=False,
        )
        policy, appendonly, fsync = (_setting(reply) for reply in replies)
        if policy not in ("noeviction", None):
            raise Refused(
                f"Redis at {self.where} would evict acknowledged keys (maxmemory-policy {policy}): "
                "set it to noeviction",
                reason="unsafe_server",
            )
        if appendonly == "no":
            self._durability = "memory"
        elif appendonly == "yes" and fsync == "always":
            self._durability = "disk"

    async def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""
        value: bytes | None = await self._one("GET", self._key(key))
        return value

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store `value`."""
        await self._one(*self._set_command(key, value, ttl_s))

    async def delete(self, *keys: str) -> int:
        """Remove the keys; return how many existed."""
        if not keys:
            return 0
        return int(await self._one("UNLINK", *[self._key(key) for key in keys]))

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`."""
        if not keys:
            return []
        return list(await self._one("MGET", *[self._key(key) for key in keys]))

    async def mset(self, items: Mapping[str, bytes], *, ttl_s: float | None = None) -> None:
        """Store all items, or none."""
        if items:
            commands = [self._set_command(key, value, ttl_s) for key, value in items.items()]
            await self._run(("MULTI",), *commands, ("EXEC",))

    async def incr(self, key: str, amount: int = 1) -> int:
        """Add `amount`; return the new number."""
        full_key = self._key(key)
        if not INT64_MIN <= amount <= INT64_MAX:
            raise WrongKind(f"{key!r} would leave 64 bits: the amount is {amount}")
        return int(await self._one("INCRBY", full_key, amount))

    async def compare_and_set(
        self, key: str, expected: bytes | None, new: bytes | None, *, ttl_s: float | None = None
    ) -> bool:
        """Store `new` only if the key holds `expected`."""
        check_ttl(ttl_s)
        arguments: tuple[_Argument, ...] = (
            1,
            self._key(key),
            "0" if expected is None else "1",
            b"" if expected is None else expected,
            "0" if new is None else "1",
            b"" if new is None else new,
            "" if ttl_s is None else _milliseconds(ttl_s),
        )
        (reply,) = await self._run(("EVALSHA", _SCRIPT_SHA, *arguments), check=False)
        if isinstance(reply, Exception):
            if "NOSCRIPT" not in f"{type(reply).__name__.upper()} {reply}":
                raise self._explain_reply(reply)
            reply = await self._one("EVAL", _COMPARE_AND_SET, *arguments)
        return bool(reply)

    async def scan(self, prefix: str = "") -> AsyncIterator[str]:
        """The keys that begin with `prefix`.

        Raises:
            Refused: there are more than a million of them.
        """
        start = self._prefix + prefix
        pattern = _escape_pattern(start) + "*"
        cut = len(self._prefix.encode())
        cursor: bytes | int = 0
        seen: set[bytes] = set()
        while True:
            cursor, keys = await self._one("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            for key in keys:
                # SCAN may give a key twice while the server resizes its table.
                if key not in seen:
                    seen.add(key)
                    yield key[cut:].decode()
            if len(seen) > SCAN_REMEMBERED:
                raise Refused(
                    f"more than {SCAN_REMEMBERED} keys begin with {prefix!r}: scan a longer prefix",
                    reason="too_large",
                )
            if int(cursor) == 0:
                return

    async def append(
        self, key: str, values: Sequence[bytes], *, max_items: int | None = None
    ) -> int:
        """Add values to the end of the list."""
        check_max_items(max_items)
        full_key = self._key(key)
        if not values:
            return int(await self._one("LLEN", full_key))
        push: tuple[_Argument, ...] = ("RPUSH", full_key, *values)
        if max_items is None:
            return int(await self._one(*push))
        replies = await self._run(("MULTI",), push, ("LTRIM", full_key, -max_items, -1), ("EXEC",))
        return min(int(replies[-1][0]), max_items)

    async def read_list(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The items `start:stop`."""
        full_key = self._key(key)
        if stop == 0:
            start, stop = 1, 1
        # LRANGE takes the last item, not the one after it. A start before the list is its
        # beginning, in both.
        last = -1 if stop is None else stop - 1
        return list(await self._one("LRANGE", full_key, start, last))

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._pool is not None:
            await self._pool.disconnect()
            self._pool = None

    def _key(self, key: str) -> bytes:
        check_key(key)
        return (self._prefix + key).encode()

    def _set_command(self, key: str, value: bytes, ttl_s: float | None) -> tuple[_Argument, ...]:
        check_ttl(ttl_s)
        if ttl_s is None:
            return ("SET", self._key(key), bytes(value))
        return ("SET", self._key(key), bytes(value), "PX", _milliseconds(ttl_s))

    async def _one(self, *command: _Argument) -> Any:
        return (await self._run(command))[0]

    async def _run(self, *commands: tuple[_Argument, ...], check: bool = True) -> list[Any]:
        """Send the commands on one connection; return their replies.

        With `check` the first reply that is an error is raised, else errors are among the replies.
        """
        pool = self._connections()
        connection = await self._connect(pool)
        try:
            replies = await self._exchange(connection, commands)
        finally:
            await pool.release(connection)
        if check:
            for reply in replies:
                # EXEC gives a list, in which each command of the transaction has its reply.
                for part in reply if isinstance(reply, list) else (reply,):
                    if isinstance(part, Exception):
                        raise self._explain_reply(part)
        return replies

    def _connections(self) -> BlockingConnectionPool:
        if self._closed:
            raise Refused(
                f"the connection to Redis at {self.where} is closed", reason="shutting_down"
            )
        if self._pool is None:
            self._pool = self._make_pool()
        return self._pool

    def _make_pool(self) -> BlockingConnectionPool:
        try:
            from redis.asyncio import BlockingConnectionPool
        except ImportError as error:
            raise BackendError(
                "the Redis backend needs the package redis: pip install 'redis[hiredis]'"
            ) from error
        return BlockingConnectionPool.from_url(
            self._url,
            max_connections=self._max_connections,
            timeout=self._timeout_s,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=None,
            retry_on_error=[],
            client_name="aisys",
            health_check_interval=0,
        )

    async def _connect(self, pool: Any) -> AbstractConnection:
        from redis.exceptions import AuthenticationError, RedisError

        try:
            connection: AbstractConnection = await pool.get_connection()
        except AuthenticationError as error:
            raise Refused(
                f"Redis at {self.where} refused the user or password: {error}",
                reason="unauthorised",
            ) from error
        except (RedisError, OSError) as error:
            raise Unreachable(f"no connection to Redis at {self.where}: {error}") from error
        return connection

    async def _exchange(
        self, connection: AbstractConnection, commands: Sequence[tuple[_Argument, ...]]
    ) -> list[Any]:
        from redis.exceptions import RedisError, ResponseError

        replies: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except ResponseError as error:
                    replies.append(error)
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise Indefinite(
                f"the connection to Redis at {self.where} broke ({error}): "
                "the command may or may not have been done"
            ) from error
        except BaseException:
            # Cancelled: the answer is still to come, and must not meet the next command.
            await connection.disconnect(nowait=True)
            raise
        return replies

    def _explain_reply(self, error: Exception) -> Exception:
        text = str(error)
        if "WRONGTYPE" in text or "wrong kind" in text:
            return WrongKind("the key holds something else: a list, or a value instead of a list")
        if "not an integer" in text or "overflow" in text:
            return WrongKind(f"the key cannot be counted up: {text}")
        if "OOM" in text or "maxmemory" in text:
            return Refused(f"Redis at {self.where} is full: {text}", reason="storage_full")
        return BackendError(f"Redis at {self.where}: {text}")


def _milliseconds(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))


def _setting(reply: Any) -> str | None:
    """The value in a CONFIG GET reply, or None where the server does not tell (managed servers)."""
    if isinstance(reply, dict):
        reply = [part for pair in reply.items() for part in pair]
    if not isinstance(reply, list) or len(reply) < 2:
        return None
    return bytes(reply[1]).decode()


def _escape_pattern(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\^-" else char for char in text)
