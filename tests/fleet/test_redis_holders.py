"""Holders of files in a real Redis: few for each file, for some days, and none while it is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cache.store.redis_connection import RedisConnection
from proxy.fleet.redis_holders import KEEP_S, MAX_HOLDERS, FileHolder, RedisHolders
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import SystemClock
from proxy.server.fleet.held_copies import HeldCopies
from proxy.server.fleet.peer_client import PeerClient
from tests.fleet.nodes import until
from tests.redis_server import RedisServer, needs_redis

pytestmark = needs_redis
DIGEST = "ab" * 32
KEY = "{fleet}:holders:id/preview"


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    return RedisServer(tmp_path / "redis")


@pytest.fixture
async def nodes(server: RedisServer) -> AsyncIterator[list[RedisHolders]]:
    await asyncio.to_thread(server.start)
    made = [
        RedisHolders(
            lambda: RedisConnection(server.url, SystemClock()),
            name="fleet",
            address=f"10.0.0.{n}:9",
        )
        for n in range(MAX_HOLDERS + 3)
    ]
    yield made
    for each in made:
        await each.stop()
    server.kill()


async def test_a_node_finds_the_others_that_have_a_file(nodes: list[RedisHolders]) -> None:
    first, second = nodes[:2]
    assert await first.find("id/preview") == []
    first.note("id/preview", DIGEST, 5, "text/plain; charset=utf-8")

    async def is_found() -> bool:
        return await second.find("id/preview") != []

    await until(is_found)
    holder = FileHolder(DIGEST, 5, "10.0.0.0:9", "text/plain; charset=utf-8")
    assert await second.find("id/preview") == [holder]
    assert await first.find("id/preview") == []
    assert await second.find("id") == []


async def test_the_holders_of_a_file_are_few_and_forgotten_after_some_days(
    nodes: list[RedisHolders], server: RedisServer
) -> None:
    for each in nodes:
        each.note("id/preview", DIGEST, 5, "image/png")
    for each in nodes:
        await asyncio.gather(*each._tasks)
    with server.client() as client:
        assert client.scard(KEY) == MAX_HOLDERS
        assert 0 < client.ttl(KEY) <= KEEP_S
        client.delete(KEY)
        client.sadd(KEY, "no holder", b"\xff", f"{DIGEST} 1 10.0.0.99:9 ")
    assert await nodes[0].find("id/preview") == [FileHolder(DIGEST, 1, "10.0.0.99:9", "")]


async def test_only_members_are_asked_and_only_for_a_file_of_the_right_length(
    nodes: list[RedisHolders],
) -> None:
    for each in nodes[:3]:
        each.note("id", DIGEST, 5, "image/png")
        await asyncio.gather(*each._tasks)
    client = PeerClient(bytes, bytes)
    members = {"10.0.0.1:9", "10.0.0.3:9"}
    held = HeldCopies(nodes[3], client, lambda: members, Metrics())
    for length in (None, 5):
        assert [each._address async for each in held.of("id", length)] == ["10.0.0.1:9"]
    assert [each async for each in held.of("id", 6)] == []


async def test_while_redis_is_away_none_is_known_and_afterwards_they_are(
    nodes: list[RedisHolders], server: RedisServer
) -> None:
    first, second = nodes[:2]
    assert await first.find("id/preview") == []
    server.kill()
    first.note("id/preview", DIGEST, 5, "image/png")
    assert await second.find("id/preview") == []
    await asyncio.gather(*first._tasks)
    await asyncio.to_thread(server.start)
    first.note("id/preview", DIGEST, 5, "image/png")
    await asyncio.gather(*first._tasks)
    assert len(await second.find("id/preview")) == 1
