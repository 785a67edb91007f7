"""Connections to Redis: bounded in number and time, to a master, never with a URL in an error.

Commands run in tasks of their own: a caller that is cancelled leaves its command to end, so no
connection is left between a command and its reply.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from proxy.cache.store.redis_stats import RedisStats
from proxy.errors import StoreError
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

TIMEOUT_S = 0.4
"""To connect, for each reply, and for a command with both."""
REPLICATE_MS = 200
"""For replicas to confirm what was written; less than TIMEOUT_S."""
MAX_CONNECTIONS = 8
MAX_COMMANDS = 256
"""Running or waiting for a connection; beyond it a read is a miss at once."""
_SENTINEL_PORT = 26379
_CLOSE_S = 1.0
_SCAN_ENTRIES = 2_000

_T = TypeVar("_T")


class RedisFull(StoreError):
    """Redis has reached its `maxmemory` and evicts nothing."""


class RedisConnection:
    """Runs commands, and counts them."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.stats = RedisStats()
        self.run_id = ""
        """Of the server connected to; empty where INFO is refused."""
        self.ahead_s = 0.0
        """How far this machine's clock was ahead of the server's when they were connected."""
        self._url = url
        self._clock = clock
        self._redis: Redis | None = None
        self._sentinel: Sentinel | None = None
        self._scripts: dict[str, Any] = {}
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._tasks = TaskSet()

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed."""
        return self._redis is not None

    @property
    def is_busy(self) -> bool:
        """Whether too many commands wait already."""
        return len(self._tasks) >= MAX_COMMANDS

    async def open(self) -> None:
        """Connect anew, and to whichever server is the master now."""
        await self.close()
        self._redis, self._sentinel = self._client()
        await self.run(self._redis.ping)

    async def close(self) -> None:
        """End the commands and the connections."""
        await self._tasks.stop()
        redis, self._redis = self._redis, None
        sentinel, self._sentinel = self._sentinel, None
        self._scripts, self.run_id = {}, ""
        for client in (redis, *(sentinel.sentinels if sentinel else ())):
            if client is not None:
                await _closed(client)

    @property
    def client(self) -> Redis:
        """What commands are called on; StoreError before `open`."""
        if self._redis is None:
            raise StoreError("not open")
        return self._redis

    async def script(self, text: str, keys: Sequence[str], *arguments: str | bytes | float) -> Any:
        """The reply of a Lua script."""
        found = self._script(text)
        return await self.run(lambda: found(keys=keys, args=arguments))

    async def replicated(
        self, replicas: int, text: str, keys: Sequence[str], *arguments: str | bytes | float
    ) -> Any:
        """As `script`; StoreError unless `replicas` have what it wrote, or it replied nothing.

        A master that others have replaced, and that does not know it yet, has none.
        """
        pipeline = self.client.pipeline(transaction=False)  # WAIT is about its own connection
        await self._script(text)(keys=keys, args=arguments, client=pipeline)
        pipeline.wait(replicas, REPLICATE_MS)
        reply, number = await self.run(pipeline.execute)
        if reply and number < replicas:
            raise StoreError("Redis: too few replicas")
        return reply

    async def run(self, command: Callable[[], Awaitable[_T]]) -> _T:
        """The reply to a command, within TIMEOUT_S; StoreError without one."""
        task, caller = self._tasks.spawn(self._timed(command)), asyncio.current_task()
        with self._translate_errors():
            async with asyncio.timeout(TIMEOUT_S):
                try:
                    return await asyncio.shield(task)
                except asyncio.CancelledError:
                    if caller is None or caller.cancelling():
                        raise
                    raise StoreError("Redis: connection closed") from None  # by `close`

    async def pairs(self, key: str) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every field of a hash with its value, some thousands at a time."""
        client, cursor = self.client, 0
        while True:
            scan: Callable[[], Any] = partial(client.hscan, key, cursor, count=_SCAN_ENTRIES)
            cursor, found = await self.run(scan)
            for pair in found.items():
                yield pair
            if cursor == 0:
                return

    async def members(self, key: str) -> AsyncIterator[list[bytes]]:
        """Every member of a sorted set, some thousands at a time."""
        client, cursor = self.client, 0
        while True:
            scan: Callable[[], Any] = partial(client.zscan, key, cursor, count=_SCAN_ENTRIES)
            cursor, found = await self.run(scan)
            yield [member for member, _ in found]
            if cursor == 0:
                return

    async def _timed(self, command: Callable[[], Awaitable[_T]]) -> _T:
        async with self._slots:
            began = self._clock.monotonic()
            reply = await command()
        self.stats.durations.observe(self._clock.monotonic() - began)
        self.stats.is_up = True
        return reply

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Every failure is a StoreError. It names no value: a server may repeat a password."""
        try:
            yield
        except OutOfMemoryError as error:
            self.stats.errors += 1
            raise RedisFull("Redis is full") from error
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            self.stats.errors += 1
            self.stats.is_up = isinstance(error, ResponseError)
            raise StoreError(f"Redis: {_reason(error)}") from None

    def _script(self, text: str) -> Any:
        found = self._scripts.get(text)
        if found is None:
            found = self._scripts[text] = self.client.register_script(text)
        return found

    def _client(self) -> tuple[Redis, Sentinel | None]:
        url = urlsplit(self._url)
        options: dict[str, Any] = _options() | {
            "username": unquote(url.username) if url.username else None,
            "password": unquote(url.password) if url.password else None,
            "redis_connect_func": self._on_connect,
        }
        if url.scheme == "redis+sentinel":
            name, _, database = url.path.strip("/").partition("/")
            options["db"] = int(database or 0)
            sentinel = Sentinel(_addresses(url), sentinel_kwargs=_options())  # type: ignore[no-untyped-call]
            pool = SentinelConnectionPool(name, sentinel, **options)  # type: ignore[no-untyped-call]
            return Redis(connection_pool=pool), sentinel
        if url.scheme == "rediss":
            options |= {"connection_class": SSLConnection, "ssl_cert_reqs": "required"}
            options["ssl_check_hostname"] = True
        options |= {"host": url.hostname, "port": url.port or 6379}
        options["db"] = int(url.path.strip("/") or 0)
        return Redis(connection_pool=ConnectionPool(**options)), None

    async def _on_connect(self, connection: AbstractConnection) -> None:
        """Refuse a replica, and a server that is another run than was opened."""
        await connection.on_connect()
        await connection.send_command("ROLE")
        role = await connection.read_response()
        if role[0] != b"master":
            raise RedisConnectionError("not a master")
        sent_at = self._clock.now()
        info = await _server_info(connection)
        run_id = info.get(b"run_id", b"").decode()
        if self.run_id not in ("", run_id):
            raise RedisConnectionError("another run of the server")
        self.run_id = run_id
        if server_us := info.get(b"server_time_usec"):
            ahead_s = (sent_at + self._clock.now()) / 2 - int(server_us) / 1e6
            self.ahead_s = round(ahead_s * 1024) / 1024  # so that adding undoes subtracting


def _options() -> dict[str, Any]:
    """Of every connection: redis-py would retry for seconds, and say who it is."""
    return {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": 4 * MAX_CONNECTIONS,
        "protocol": 2,
        "driver_info": None,
    }


def _addresses(url: SplitResult) -> list[tuple[str, int]]:
    """Host and port of each Sentinel."""
    addresses = []
    for each in url.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{each}")
        addresses.append((one.hostname or "", one.port or _SENTINEL_PORT))
    return addresses


async def _server_info(connection: AbstractConnection) -> dict[bytes, bytes]:
    """What the server says of itself; nothing where INFO is refused."""
    await connection.send_command("INFO", "server")
    try:
        text = await connection.read_response()
    except ResponseError:
        return {}
    return dict(line.partition(b":")[::2] for line in text.splitlines())


async def _closed(client: Redis) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await client.aclose(close_connection_pool=True)
    except (RedisError, OSError, TimeoutError):
        return


def _reason(error: BaseException) -> str:
    """What is wrong in words that hold no argument of a command and no URL."""
    code = str(error).partition(" ")[0]
    if isinstance(error, ResponseError) and code.isalpha() and code.isupper():
        return code
    cause = error.__cause__ or error.__context__
    if isinstance(error, RedisConnectionError) and isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(error).__name__
