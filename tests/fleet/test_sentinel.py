"""A fleet above a Redis that fails over: the former master's writes make no leader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from proxy.cache.store.redis_connection import RedisConnection
from proxy.errors import StoreError
from proxy.fake_trello.server import FakeTrello
from proxy.fleet.redis_lease import RedisLease
from proxy.runtime.clock import SystemClock
from tests.fleet.nodes import NodeGroup, NodeProcess
from tests.fleet.traffic import Traffic
from tests.redis_server import needs_redis
from tests.samples import fill
from tests.scenarios.conftest import KEY, TOKEN
from tests.sentinel import WatchedRedis, is_so

pytestmark = [pytest.mark.slow, needs_redis]


def lease_of(redis: WatchedRedis, address: str) -> RedisLease:
    def connect() -> RedisConnection:
        return RedisConnection(redis.url, SystemClock())

    return RedisLease(connect, name="test", address=address, instance=address, replicas=1)


async def test_a_former_master_renews_no_lease_and_gives_none(watched_redis: WatchedRedis) -> None:
    redis = watched_redis
    one, other = lease_of(redis, "A"), lease_of(redis, "B")
    try:
        seen = await one.look()
        term = await one.acquire(seen.sighting, 0)
        assert term is not None
        assert await one.renew(term, 1, [], []) is not None
        seen = await other.look()
        redis.second.pause()  # as cut off from the first server, which has no replica now
        with pytest.raises(StoreError):
            await one.renew(term, 2, [], [])
        with pytest.raises(StoreError):
            await other.acquire((await other.look()).sighting, term)
        redis.second.resume()
        await is_so(lambda: redis.replicas() == 1)
        seen = await other.look()
        later = await other.acquire(seen.sighting, term)
        assert later is not None
        assert await one.renew(term, 3, [], []) is None
    finally:
        await one.close()
        await other.close()


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[tuple[NodeGroup, WatchedRedis, Traffic]]:
    """Three nodes, three Sentinels, two servers."""
    async with AsyncExitStack() as stack:
        redis = WatchedRedis(tmp_path / "redis", sentinels=3)
        stack.callback(redis.kill)
        await redis.start()
        trello = FakeTrello(SystemClock(), key=KEY, token=TOKEN)
        fill(trello.trello)
        await trello.start()
        stack.push_async_callback(trello.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        upstream = f"upstream: {{url: '{trello.url}'}}\nredis: {{replicas: 1}}\n"
        nodes = [NodeProcess(tmp_path / str(n), redis.url, upstream, session) for n in range(3)]
        for node in nodes:
            stack.push_async_callback(node.kill)
        group = NodeGroup(nodes)
        await group.start()
        yield group, redis, Traffic(group, trello.trello.example_card)


async def test_a_fail_over_loses_nothing_acknowledged_though_the_former_master_takes_writes(
    fleet: tuple[NodeGroup, WatchedRedis, Traffic],
) -> None:
    group, redis, traffic = fleet
    heard = await group.nodes[0]("PUT", f"/1/cards/{traffic.card}", data={"name": "v0"})
    assert heard.status == 200
    async with traffic.running():
        await asyncio.sleep(0.3)
        redis.first.pause()
        await redis.failed_over()
        redis.first.resume()  # it is a master still, and takes writes, until it is made a replica
        before = traffic.acknowledged
        await is_so(lambda: redis.replicas() == 1)
        await asyncio.sleep(0.5)
        assert traffic.acknowledged > before
        leader = await group.settled()
        traffic.avoided = leader
        await leader.kill()
        await group.settled()
        await asyncio.sleep(0.5)
    assert not traffic.wrong
    assert not traffic.failed_reads
    assert len(traffic.failed_writes) <= 2
