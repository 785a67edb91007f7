"""Shared key of the fleet: what nodes authenticate each other with.

It is `fleet.key`, or one that the first node leaves in Redis. What reads that Redis can then act
as a node; with `fleet.key` it cannot.
"""

from collections.abc import Callable

from proxy.cache.store.redis_connection import RedisConnection
from proxy.errors import StoreError
from proxy.fleet.channel import ChannelClosed
from proxy.fleet.timing import RETRY_S
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

KEY_BYTES = 32
LEAVE_KEY = """#!lua flags=allow-oom
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
"""
"""KEYS: the key. ARGV: a new one; passes while Redis is out of memory."""


class SharedKey:
    """The key, once it is known."""

    def __init__(
        self,
        configured: str | None,
        connect: Callable[[], RedisConnection],
        *,
        name: str,
        random: Callable[[int], bytes],
        clock: Clock,
    ) -> None:
        """`name`: that of the fleet."""
        self._key = configured.encode() if configured else b""
        self._connect = connect
        self._field = f"{{{name}}}:key"
        self._random = random
        self._clock = clock
        self._tasks = TaskSet()

    def get(self) -> bytes:
        """The key; ChannelClosed while it is not known."""
        if not self._key:
            raise ChannelClosed
        return self._key

    def start(self) -> None:
        """Read it from Redis, or leave one there."""
        if not self._key:
            self._tasks.spawn(self._read_until_known())

    async def stop(self) -> None:
        """Read it no more."""
        await self._tasks.stop()

    async def _read_until_known(self) -> None:
        while not self._key:
            connection = self._connect()
            try:
                await connection.open()
                self._key = await self._read(connection)
            except StoreError:
                await self._clock.sleep(RETRY_S)
            finally:
                await connection.close()

    async def _read(self, connection: RedisConnection) -> bytes:
        new = self._random(KEY_BYTES).hex()
        found: bytes = await connection.script(LEAVE_KEY, [self._field], new)
        return found
