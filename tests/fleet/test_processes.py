"""Three nodes as processes: what clients see while nodes and Redis come and go."""

import asyncio
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from proxy.runtime.clock import SystemClock
from tests.fleet.campaign.__main__ import play
from tests.fleet.campaign.stage import settings_for, stage_of
from tests.fleet.campaign.truth import WatchedTrello
from tests.fleet.nodes import NodeGroup, NodeProcess, now
from tests.fleet.traffic import Traffic
from tests.redis_server import RedisServer, needs_redis
from tests.samples import fill
from tests.scenarios.conftest import KEY, TOKEN

SEARCHES = 5
pytestmark = [pytest.mark.slow, needs_redis, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trello() -> AsyncIterator[WatchedTrello]:
    made = WatchedTrello(SystemClock(), key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    return RedisServer(tmp_path_factory.mktemp("redis"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def group(
    tmp_path_factory: pytest.TempPathFactory, trello: WatchedTrello, redis: RedisServer
) -> AsyncIterator[NodeGroup]:
    """Three nodes that all tests of this module use, one after another."""
    redis.start()
    tmp_path = tmp_path_factory.mktemp("nodes")
    settings = settings_for(trello, f"search: {SEARCHES}/900s")
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        made = NodeGroup(
            [NodeProcess(tmp_path / str(n), redis.url, settings, session) for n in range(3)]
        )
        try:
            await made.start()
            yield made
        finally:
            for node in made.nodes:
                await node.kill()
            redis.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def traffic(group: NodeGroup, trello: WatchedTrello) -> Traffic:
    """For a settled fleet; its first write is made."""
    await group.settled()
    made = Traffic(group, trello.trello.example_card)
    heard = await group.nodes[0]("PUT", f"/1/cards/{made.card}", data={"name": "v0"})
    assert heard.status == 200
    return made


async def test_every_node_serves_what_the_leader_has_stored(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    target = f"/1/cards/{trello.trello.example_card}"
    answers = [await node.get(target) for node in group.nodes]
    assert {each.status for each in answers} == {200}
    assert len({each.body for each in answers}) == 1
    hits = [each.fields["Cache-Status"].startswith("trello-proxy; hit") for each in answers]
    assert hits == [False, True, True]


async def test_a_herd_over_all_nodes_is_one_request_to_trello(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    target = f"/1/boards/{trello.trello.example_board}/cards?fields=name,desc"
    trello.faults.latency_s = 0.15
    trello.request_log.reset()
    heard = await asyncio.gather(*(group.nodes[n % 3].get(target) for n in range(500)))
    assert {each.status for each in heard} == {200}
    trello.faults.clear()
    assert trello.request_log.count("GET", target.partition("?")[0]) == 1


async def test_a_leader_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(
    group: NodeGroup, traffic: Traffic, trello: WatchedTrello
) -> None:
    leader = await group.settled()
    for number in range(SEARCHES):
        assert (await leader.get(f"/1/search?query=n{number}")).status == 200
    async with traffic.running():
        await asyncio.sleep(0.5)
        traffic.avoided = leader
        await leader.kill()
        before = now()
        follower = next(each for each in group.nodes if each is not leader)
        assert (await follower.get("/1/members/me?fields=id")).status == 200
        assert now() - before < 3.5
        beyond = await follower.get("/1/search?query=beyond")
        assert (beyond.status, trello.request_log.count("GET", "/1/search")) == (429, SEARCHES)
        await asyncio.sleep(0.5)
        await leader.start()
    assert not traffic.wrong
    assert not traffic.failed_reads
    assert len(traffic.failed_writes) <= 1  # the one that was on its way


async def test_a_leader_that_is_stopped_for_seconds_gives_nothing_out_afterwards(
    group: NodeGroup, traffic: Traffic
) -> None:
    leader = await group.settled()
    async with traffic.running():
        await asyncio.sleep(0.3)
        leader.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4.0)
        leader.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.5)
    assert await group.settled() is not leader
    assert not traffic.wrong
    assert not traffic.failed_reads
    assert len(traffic.failed_writes) <= 2  # each follower notices for itself


async def test_redis_that_is_killed_is_not_noticed(
    group: NodeGroup, traffic: Traffic, redis: RedisServer
) -> None:
    leader = await group.settled()
    async with traffic.running():
        await asyncio.sleep(0.3)
        redis.kill()
        await asyncio.sleep(2.5)
        await asyncio.to_thread(redis.start)
        await asyncio.sleep(1.0)
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads, traffic.failed_writes) == ([], [], [])
    assert traffic.slowest_read_s < 1.5
    assert traffic.slowest_write_s < 1.5


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
async def test_redis_without_memory_is_not_noticed(
    group: NodeGroup, traffic: Traffic, redis: RedisServer, policy: str
) -> None:
    leader = await group.settled()
    with redis.client() as client:
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", "1mb")
        async with traffic.running():
            await asyncio.sleep(1.0)
        client.config_set("maxmemory", 0)
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads) == ([], [])
    assert len(traffic.failed_writes) <= (policy != "noeviction")  # the first, before all promise


async def test_a_leader_that_is_told_to_stop_hands_over_without_a_failed_request(
    group: NodeGroup, traffic: Traffic
) -> None:
    leader = await group.settled()
    follower, _ = await group.followers()
    async with traffic.running():
        await asyncio.sleep(0.3)
        traffic.avoided = leader
        await asyncio.sleep(0.1)
        queued = asyncio.gather(
            *(follower.get(f"/1/cards/{traffic.card}?fields=id&n={n}") for n in range(20))
        )
        await asyncio.sleep(0.05)
        leader.send_signal(signal.SIGTERM)
        assert await leader.ended() == 0
        await asyncio.sleep(0.3)
        assert {each.status for each in await queued} == {200}
    assert (traffic.wrong, traffic.failed_reads, traffic.failed_writes) == ([], [], [])
    assert traffic.slowest_read_s < 1.5


async def test_random_faults_show_no_client_anything_wrong(
    group: NodeGroup, trello: WatchedTrello, redis: RedisServer
) -> None:
    """Here one; `python -m tests.fleet.campaign` causes a thousand."""
    for node in group.nodes:
        if not node.is_running:
            await node.start()
    await group.settled()
    findings = await play(stage_of(group, trello, redis, seed=1), faults=1)
    assert findings.compared > 20
    assert (findings.wrong, findings.two_leaders, findings.unhealed) == ([], [], [])
