"""Inspection of Redis by commands: its version and settings, and everything stored under a name."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from proxy.cache.store.redis_connection import RedisConnection
from proxy.config.schema import Redis as Settings
from proxy.config.units import size_text
from proxy.errors import StoreError
from proxy.runtime.clock import Clock

_LEAST = {"Redis": (7, 0), "Valkey": (7, 2)}
_OVERHEAD_BYTES = 64 * 1024 * 1024
"""Of Redis itself, and of what is stored besides responses."""


@dataclass(frozen=True, slots=True)
class RedisReport:
    """Result of the inspection, as lines to print."""

    lines: tuple[str, ...]
    is_usable: bool


async def inspect_redis(url: str, settings: Settings, clock: Clock) -> RedisReport:
    """Version, memory, persistence and replicas of a Redis."""
    connection = RedisConnection(url, clock)
    try:
        await connection.open()
        command: Callable[[], Any] = connection.client.info
        info: dict[str, Any] = await connection.run(command)
    except StoreError as error:
        return RedisReport((f"redis:   {error}",), is_usable=False)
    finally:
        await connection.close()
    return judge(info, settings)


def judge(info: Mapping[str, Any], settings: Settings) -> RedisReport:
    """The report on what INFO says; a warning for each setting that costs hits."""
    memory_bytes = settings.memory_bytes
    product = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    policy, limit_bytes = str(info.get("maxmemory_policy")), int(info.get("maxmemory", 0))
    limit = f"{limit_bytes // 1024 // 1024} MiB" if limit_bytes else "unlimited"
    keeps = bool(info.get("aof_enabled"))
    lines = [
        f"redis:   {product} {version}, master",
        f"memory:  {limit}, {policy}",
        f"persistence: {'append-only file' if keeps else 'no append-only file'}",
    ]
    least = _LEAST[product]
    is_usable = tuple(int(each) for each in version.split(".")[:2]) >= least
    if not is_usable:
        lines.append(f"fault: {product} {'.'.join(map(str, least))} or later is needed")
    found, wanted = int(info.get("connected_slaves", 0)), settings.replicas
    if found < wanted:
        is_usable = False
        lines.append(f"fault: {found} of {wanted} replicas (redis.replicas): no node can lead")
    if policy != "noeviction":
        lines.append(f"warning: {policy} evicts epochs too; set maxmemory-policy noeviction")
    if 0 < limit_bytes < memory_bytes + _OVERHEAD_BYTES:
        size = size_text(memory_bytes + _OVERHEAD_BYTES)
        lines.append(f"warning: maxmemory is too little for redis.memory; set {size} or more")
    return RedisReport(tuple(lines), is_usable)


async def stored_values(url: str, name: str, clock: Clock) -> AsyncIterator[tuple[str, bytes]]:
    """Location and bytes of every key and value under a name; StoreError."""
    connection = RedisConnection(url, clock)
    try:
        await connection.open()
        async for key in _keys(connection, name):
            yield "the name of a key in Redis", key.encode()
            async for value in _values(connection, key):
                yield f"a value of {key.rpartition(':')[0]} in Redis", value
    finally:
        await connection.close()


async def delete_values(url: str, name: str, clock: Clock) -> None:
    """Delete every key under a name; StoreError."""
    connection = RedisConnection(url, clock)
    try:
        await connection.open()
        async for key in _keys(connection, name):
            await connection.run(partial(connection.client.unlink, key))
    finally:
        await connection.close()


async def _keys(connection: RedisConnection, name: str) -> AsyncIterator[str]:
    cursor = 0
    while True:
        scan: Callable[[], Any] = partial(
            connection.client.scan, cursor, match=f"{{{name}}}:*", count=1_000
        )
        cursor, found = await connection.run(scan)
        for key in found:
            yield key.decode()
        if cursor == 0:
            return


async def _values(connection: RedisConnection, key: str) -> AsyncIterator[bytes]:
    read_type: Callable[[], Any] = partial(connection.client.type, key)
    read: Callable[[], Any] = partial(connection.client.get, key)
    kind = await connection.run(read_type)
    if kind == b"string":
        yield await connection.run(read) or b""
    elif kind == b"hash":
        async for field, value in connection.pairs(key):
            yield field
            yield value
    elif kind == b"zset":
        async for page in connection.members(key):
            for member in page:
                yield member
