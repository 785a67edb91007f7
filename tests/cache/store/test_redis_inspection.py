"""What `check --online` says of a Redis, and what is found and deleted under a name."""

import pytest

from proxy.cache.store.redis_inspection import (
    delete_values,
    inspect_redis,
    judge,
    stored_values,
)
from proxy.config.fields import Count
from proxy.config.schema import Redis
from proxy.runtime.clock import FakeClock
from tests.redis_server import RedisServer, needs_redis

MIB = 1 << 20
SETTINGS = Redis(memory_bytes=512 * MIB, replicas=Count(1))
GOOD = {
    "redis_version": "7.0.15",
    "maxmemory_policy": "noeviction",
    "maxmemory": 600 * MIB,
    "connected_slaves": 1,
}


def test_a_sound_redis_is_described() -> None:
    report = judge(GOOD | {"aof_enabled": 1}, SETTINGS)
    assert report.is_usable
    assert report.lines == (
        "redis:   Redis 7.0.15, master",
        "memory:  600 MiB, noeviction",
        "persistence: append-only file",
    )


BAD = {
    "an old Redis": ({"redis_version": "6.2.14"}, False, "fault: Redis 7.0 or later is needed"),
    "an old Valkey": ({"valkey_version": "7.1.0"}, False, "fault: Valkey 7.2 or later is needed"),
    "eviction": (
        {"maxmemory_policy": "allkeys-lru"},
        True,
        "warning: allkeys-lru evicts epochs too; set maxmemory-policy noeviction",
    ),
    "little memory": (
        {"maxmemory": 100 * MIB},
        True,
        "warning: maxmemory is too little for redis.memory; set 576MiB or more",
    ),
    "no replica": (
        {"connected_slaves": 0},
        False,
        "fault: 0 of 1 replicas (redis.replicas): no node can lead",
    ),
}


@pytest.mark.parametrize(("info", "is_usable", "line"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_said(info: dict[str, object], line: str, *, is_usable: bool) -> None:
    report = judge(GOOD | info, SETTINGS)
    assert report.is_usable is is_usable
    assert report.lines[-1] == line


@needs_redis
async def test_a_running_redis_is_asked(shared_redis: RedisServer) -> None:
    report = await inspect_redis(shared_redis.url, Redis(), FakeClock())
    assert report.is_usable
    assert report.lines[1:] == (
        "memory:  unlimited, noeviction",
        "persistence: no append-only file",
    )


async def test_a_redis_that_does_not_reply_is_a_fault() -> None:
    report = await inspect_redis("redis://u:secret@127.0.0.1:1", SETTINGS, FakeClock())
    assert not report.is_usable
    assert "secret" not in report.lines[0]


@needs_redis
async def test_values_of_one_name_are_found_and_deleted(shared_redis: RedisServer) -> None:
    with shared_redis.client() as client:
        client.set("{a}:r:1", "one")
        client.hset("{a}:meta", "field", "two")
        client.zadd("{a}:order", {"three": 1})
        client.set("{b}:r:1", "other")
        found = [data async for _, data in stored_values(shared_redis.url, "a", FakeClock())]
        assert {b"one", b"field", b"two", b"three", b"{a}:r:1"} <= set(found)
        assert b"other" not in found
        await delete_values(shared_redis.url, "a", FakeClock())
        assert client.keys("*") == [b"{b}:r:1"]
