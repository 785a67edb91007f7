"""Holders in Redis: which nodes have a complete copy of a file (D82).

Key `holders:{id}`: a set of texts, each with digest, length, address and media type. A failure of
Redis means that none is known.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from proxy.cache.store.redis_connection import RedisConnection
from proxy.errors import StoreError
from proxy.runtime.tasks import TaskSet

MAX_HOLDERS = 8
"""Of one file; beyond, one of them is replaced."""
KEEP_S = 7 * 86_400
"""After the last node has stored the file."""
_MAX_NOTES = 64
"""On their way to Redis; beyond, a node is not noted."""
_HOLDER = re.compile(r"([0-9a-f]{64}) ([0-9]{1,15}) (\S+) (.*)")

NOTE = f"""#!lua
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then
  if redis.call('SCARD', KEYS[1]) >= {MAX_HOLDERS} then redis.call('SPOP', KEYS[1]) end
  redis.call('SADD', KEYS[1], ARGV[1])
end
redis.call('EXPIRE', KEYS[1], {KEEP_S})
"""
"""KEYS: holders of a file. ARGV: a holder."""

FIND = "return redis.call('SMEMBERS', KEYS[1])"
"""KEYS: holders of a file."""


class FileHolder(NamedTuple):
    """A node that has a file."""

    digest: str
    length: int
    address: str
    content_type: str


class RedisHolders:
    """The holders of all files."""

    def __init__(self, connect: Callable[[], RedisConnection], *, name: str, address: str) -> None:
        """`name`: of the fleet. `address`: of this node."""
        self._connection = connect()
        self._name = name
        self._address = address
        self._tasks = TaskSet()

    async def stop(self) -> None:
        """Note nothing any more."""
        await self._tasks.stop()
        await self._connection.close()

    def note(self, file_id: str, digest: str, length: int, content_type: str) -> None:
        """This node has stored the file; returns at once."""
        if len(self._tasks) < _MAX_NOTES:
            holder = f"{digest} {length} {self._address} {content_type}"
            self._tasks.spawn(self._note(file_id, holder))

    async def find(self, file_id: str) -> list[FileHolder]:
        """The other nodes that have it."""
        texts: list[bytes] = []
        with suppress(StoreError):
            texts = await self._run(FIND, file_id)
        parsed = [_HOLDER.fullmatch(text.decode("utf-8", "replace")) for text in sorted(texts)]
        found = [FileHolder(each[1], int(each[2]), each[3], each[4]) for each in parsed if each]
        return [each for each in found if each.address != self._address]

    async def _note(self, file_id: str, holder: str) -> None:
        with suppress(StoreError):
            await self._run(NOTE, file_id, holder)

    async def _run(self, script: str, file_id: str, *arguments: str) -> list[bytes]:
        key = f"{{{self._name}}}:holders:{file_id}"
        try:
            if not self._connection.is_open:
                await self._connection.open()
            found: list[bytes] = await self._connection.script(script, [key], *arguments)
        except StoreError:
            await self._connection.close()  # the next one connects anew, and to the master
            raise
        return found
