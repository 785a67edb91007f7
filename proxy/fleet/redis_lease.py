"""Lease in Redis, with the register of members and the write intents; scripts in Lua.

Keys, all with the hash tag of `redis.name`: `leader` (hash: term, beat, holder, address, free),
`members` (hash: address to instance), `intents` (hash: name to tags as JSON). The lease has a
connection of its own, so that no batch delays a renewal.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from proxy.cache.store.redis_connection import RedisConnection
from proxy.errors import StoreError
from proxy.fleet.lease import MAX_MEMBERS, Record, Renewal, Sighting
from proxy.fleet.timing import TIMEOUT_S
from proxy.model import Tag
from proxy.runtime.tasks import TaskSet

MAX_INTENTS = 10_000
"""Of all leaders; one more write is refused."""

LOOK = f"""#!lua flags=allow-oom
local is_new = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0
if is_new and redis.call('HLEN', KEYS[2]) >= {MAX_MEMBERS} then return redis.error_reply('FULL') end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 0 then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'term', 0, 'beat', string.format('%d%06d', time[1], time[2]))
end
local found = redis.call('HMGET', KEYS[1], 'term', 'beat', 'address', 'free')
return {{found[1], found[2], found[3], found[4], redis.call('HKEYS', KEYS[2])}}
"""
"""KEYS: leader, members. ARGV: own address, instance.

A lease that is missing becomes one that no node holds, with a number of its own: if Redis loses
the lease twice, the second loss is seen.
"""

ACQUIRE = """#!lua flags=allow-oom
local found = redis.call('HMGET', KEYS[1], 'term', 'beat')
if (found[1] or '0') ~= ARGV[1] or (found[2] or '0') ~= ARGV[2] then return '' end
local time_ms = tonumber(redis.call('TIME')[1]) * 1000
local term = string.format('%.0f', math.max(tonumber(ARGV[1]), tonumber(ARGV[3]), time_ms) + 1)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'term', term, 'beat', 0, 'address', ARGV[4], 'holder', ARGV[5])
return term
"""
"""KEYS: leader. ARGV: term and beat as seen, largest term known, own address, instance."""

RENEW = """#!lua flags=allow-oom
local found = redis.call('HMGET', KEYS[1], 'term', 'beat', 'holder', 'free')
local term, mine = tonumber(found[1] or '0'), tonumber(ARGV[1])
if term > mine or (term == mine and (found[3] ~= ARGV[4] or found[4])) then return false end
if term < mine then redis.call('DEL', KEYS[1]) end
if term < mine or tonumber(found[2]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'term', ARGV[1], 'beat', ARGV[2], 'address', ARGV[3],
    'holder', ARGV[4])
end
local first = 6 + tonumber(ARGV[5])
for i = first, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
for i = 6, first - 1 do redis.call('HSETNX', KEYS[2], ARGV[i], '') end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return redis.call('HKEYS', KEYS[2])
"""
"""KEYS: leader, members.

ARGV: term, beat, own address, instance, number of members; members; addresses to remove.
"""

RELEASE = """#!lua flags=allow-oom
local found = redis.call('HMGET', KEYS[1], 'term', 'holder')
if found[1] == ARGV[1] and found[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'free', ARGV[3])
  if ARGV[4] ~= '' then redis.call('HDEL', KEYS[2], ARGV[4]) end
end
"""
"""KEYS: leader, members. ARGV: term, instance, run id of the server, own address if it leaves."""

LEAVE = """#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
"""
"""KEYS: members. ARGV: own address, instance."""

PUT_INTENTS = f"""#!lua flags=allow-oom
for i = 1, #ARGV, 2 do
  local is_new = redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0
  if is_new and redis.call('HLEN', KEYS[1]) >= {MAX_INTENTS} then
    return redis.error_reply('FULL')
  end
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
"""
"""KEYS: intents. ARGV: name and tags of each."""

REMOVE_INTENTS = """#!lua flags=allow-oom
for i = 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
"""
"""KEYS: intents. ARGV: names."""


class RedisLease:
    """A LeaseStore."""

    def __init__(
        self,
        connect: Callable[[], RedisConnection],
        *,
        name: str,
        address: str,
        instance: str,
        replicas: int = 0,
    ) -> None:
        """`connect`: a connection that is not open yet. `name`: that of the fleet.

        `replicas`: how many must have an acquisition or a renewal for it to count.
        """
        self._replicas = replicas
        self._connect = connect
        self._connection = connect()
        self._closing = TaskSet()
        self._leader, self._members = f"{{{name}}}:leader", f"{{{name}}}:members"
        self._address = address
        self._instance = instance

    async def look(self) -> Record:
        """As LeaseStore.look."""
        keys = self._leader, self._members
        term, beat, address, free, members = await self._run(
            LOOK, keys, self._address, self._instance
        )
        return Record(
            run_id=self._connection.run_id,
            term=int(term or 0),
            beat=int(beat or 0),
            address=(address or b"").decode(),
            free_on=(free or b"").decode(),
            members=frozenset(each.decode() for each in members),
        )

    async def acquire(self, seen: Sighting, known_term: int) -> int | None:
        """As LeaseStore.acquire."""
        if self._connection.run_id != seen.run_id:
            return None
        mine = known_term, self._address, self._instance
        term = await self._run(
            ACQUIRE, [self._leader], seen.term, seen.beat, *mine, replicas=self._replicas
        )
        return int(term) if term else None

    async def renew(
        self, term: int, beat: int, members: Collection[str], forgotten: Collection[str]
    ) -> Renewal | None:
        """As LeaseStore.renew."""
        keys, others = (self._leader, self._members), (*members, *forgotten)
        mine = term, beat, self._address, self._instance, len(members)
        found = await self._run(RENEW, keys, *mine, *others, replicas=self._replicas)
        if found is None:
            return None
        return Renewal(self._connection.run_id, frozenset(each.decode() for each in found))

    async def release(self, term: int, *, leaves: bool = False) -> None:
        """As LeaseStore.release."""
        keys, address = [self._leader, self._members], self._address if leaves else ""
        await self._run(RELEASE, keys, term, self._instance, self._connection.run_id, address)

    async def close(self) -> None:
        """As LeaseStore.close."""
        try:
            if self._connection.is_open:
                await self._run(LEAVE, [self._members], self._address, self._instance)
        finally:
            await self._connection.close()
            await asyncio.gather(*self._closing, return_exceptions=True)  # each has its own bound

    async def _run(
        self, script: str, keys: Collection[str], *arguments: str | int, replicas: int = 0
    ) -> Any:
        """The reply; after a failure the next command has a new connection, to the master."""
        connection = self._connection
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if not connection.is_open:
                    await _open(connection)
                if replicas:
                    return await connection.replicated(replicas, script, [*keys], *arguments)
                return await connection.script(script, [*keys], *arguments)
        except (StoreError, TimeoutError) as error:
            self._connection = self._connect()
            self._closing.spawn(connection.close())
            raise StoreError(str(error)) from None


async def _open(connection: RedisConnection) -> None:
    await connection.open()
    if not connection.run_id:
        raise StoreError("Redis does not show its run id: allow INFO")


class RedisIntents:
    """An IntentStore."""

    def __init__(self, connection: Callable[[], RedisConnection], *, name: str) -> None:
        self._connection = connection
        self._intents = f"{{{name}}}:intents"

    async def put(self, intents: Mapping[str, Collection[Tag]]) -> None:
        """As IntentStore.put."""
        pairs = [(name, json.dumps(sorted(tags))) for name, tags in intents.items()]
        await self._run(PUT_INTENTS, *(text for pair in pairs for text in pair))

    async def remove(self, names: Collection[str]) -> None:
        """As IntentStore.remove."""
        if names:
            await self._run(REMOVE_INTENTS, *names)

    async def all(self) -> Mapping[str, Collection[Tag]]:
        """As IntentStore.all."""
        pairs = self._connection().pairs(self._intents)
        return {name.decode(): [Tag(tag) for tag in json.loads(tags)] async for name, tags in pairs}

    async def _run(self, script: str, *arguments: str) -> None:
        await self._connection().script(script, [self._intents], *arguments)
