"""Three nodes as processes: what clients see while nodes and Redis come and go."""

import asyncio
import json
import signal
from functools import partial
from typing import Any

import aiohttp
import pytest

from proxy.config.schema import Redis
from proxy.fake_trello.faults import Fault
from proxy.fleet.timing import HEARTBEAT_S, LEASE_S
from tests.fleet.campaign.__main__ import play
from tests.fleet.campaign.stage import stage_of
from tests.fleet.campaign.truth import WatchedTrello
from tests.fleet.conftest import SEARCHES
from tests.fleet.nodes import NodeGroup, NodeProcess, now, until
from tests.fleet.traffic import Traffic
from tests.redis_server import RedisServer, needs_redis

pytestmark = [pytest.mark.slow, needs_redis, pytest.mark.asyncio(loop_scope="module")]


EVERYTHING = ["everything"]
"""Tags of an intent."""
BOUND_S = 15.0
"""Much more than the 2.5 s that are promised: this machine has other work."""


async def has_all(leader: NodeProcess) -> bool:
    """Whether Redis has everything that this leader acknowledged."""
    return await leader.metric("trello_proxy_fleet_behind") == 0


def intents_in(redis: RedisServer) -> list[list[str]]:
    """The tags of each."""
    with redis.client() as client:
        values: Any = client.hvals(f"{{{Redis().name}}}:intents")
    return [json.loads(each) for each in values]


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
    heard = await asyncio.gather(*(group.nodes[n % 3].get(target) for n in range(200)))
    assert {each.status for each in heard} == {200}
    trello.faults.clear()
    sent = trello.request_log.count("GET", target.partition("?")[0])
    assert sent <= 2  # a fleet that began without memory invalidates everything each 5 s


async def test_a_leader_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(
    group: NodeGroup, traffic: Traffic, trello: WatchedTrello
) -> None:
    leader = await group.settled()
    follower, _ = await group.followers()
    for number in range(SEARCHES):
        assert (await leader.get(f"/1/search?query=n{number}")).status == 200
    async with traffic.running():
        await traffic.goes_on()
        traffic.avoided = leader
        await leader.kill()
        before = now()
        assert (await follower.get("/1/members/me?fields=id")).status == 200
        assert now() - before < BOUND_S
        beyond = await follower.get("/1/search?query=beyond")
        assert (beyond.status, trello.request_log.count("GET", "/1/search")) == (429, SEARCHES)
        await traffic.goes_on()
        await leader.start()
    assert not traffic.wrong
    assert not traffic.failed_reads
    assert len(traffic.failed_writes) <= 1  # the one that was on its way


async def test_a_leader_that_is_stopped_for_seconds_gives_nothing_out_afterwards(
    group: NodeGroup, traffic: Traffic, redis: RedisServer
) -> None:
    leader, stored = await group.settled(), "/1/members/me?fields=username"
    followers = await group.followers()

    async def is_warm() -> bool:
        return EVERYTHING not in intents_in(redis)

    await until(is_warm)  # else the next leader, too, begins with nothing valid
    async with traffic.running():
        assert (await leader.get(stored)).status == 200
        await traffic.goes_on()
        await until(partial(has_all, leader))
        leader.send_signal(signal.SIGSTOP)
        await group.settled(followers)
        assert (await followers[0].get(stored)).cache.startswith("hit")  # stored by the last one
        leader.send_signal(signal.SIGCONT)
        await traffic.goes_on()
    assert await group.settled() is not leader
    assert not traffic.wrong
    assert not traffic.failed_reads
    assert len(traffic.failed_writes) <= 2  # each follower notices for itself


async def test_a_follower_that_is_stopped_delays_one_write_and_shows_it_afterwards(
    group: NodeGroup, traffic: Traffic
) -> None:
    leader, (stopped, other) = await group.settled(), await group.followers()
    target = f"/1/cards/{traffic.card}?fields=name"

    async def keeps(node: NodeProcess) -> bool:
        await node.get(target)
        kept = (await node.get("/metrics")).body.split(b"\ntrello_proxy_near_responses ")[1]
        return not kept.startswith(b"0.0") and (await node.get(target)).cache.startswith("hit")

    for node in (stopped, other):
        await until(partial(keeps, node))
    stopped.send_signal(signal.SIGSTOP)
    began = now()
    heard = await leader("PUT", f"/1/cards/{traffic.card}", data={"name": "while it was stopped"})
    assert heard.status == 200
    assert 1.5 < now() - began < BOUND_S  # until its trust is over
    assert (await other.get(target)).json["name"] == "while it was stopped"
    stopped.send_signal(signal.SIGCONT)
    assert (await stopped.get(target)).json["name"] == "while it was stopped"


async def test_redis_that_is_killed_is_not_noticed(
    group: NodeGroup, traffic: Traffic, redis: RedisServer
) -> None:
    leader = await group.settled()
    async with traffic.running():
        await traffic.goes_on()
        redis.kill()
        await asyncio.sleep(LEASE_S + HEARTBEAT_S)
        await traffic.goes_on()
        await asyncio.to_thread(redis.start)
        await until(partial(has_all, leader))
        await traffic.goes_on()
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads, traffic.failed_writes) == ([], [], [])
    assert max(traffic.slowest_read_s, traffic.slowest_write_s) < BOUND_S


async def test_redis_has_again_what_writes_may_yet_change_after_it_lost_everything(
    group: NodeGroup, traffic: Traffic, trello: WatchedTrello, redis: RedisServer
) -> None:
    leader, target = await group.settled(), f"/1/cards/{traffic.card}"
    trello.faults.add(Fault("late", target, "PUT", delay_s=30.0))
    trello.request_log.reset()

    async def is_sent() -> bool:
        return trello.request_log.count("PUT", target) == 1

    async def has_tag_of_card() -> bool:
        return any(f"card:{traffic.card}" in tags for tags in intents_in(redis))

    with redis.client() as client:
        write = asyncio.ensure_future(leader("PUT", target, data={"name": "late"}))
        await until(is_sent)
        client.flushall()
        await until(has_tag_of_card)
        await leader.kill()
        client.flushall()
        with pytest.raises(aiohttp.ClientError):
            await write
        await group.settled()
        assert EVERYTHING in intents_in(redis)
    trello.faults.clear()
    await leader.start()
    await group.settled()


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
async def test_redis_without_memory_is_not_noticed(
    group: NodeGroup, traffic: Traffic, redis: RedisServer, policy: str
) -> None:
    leader = await group.settled()
    with redis.client() as client:
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", "1mb")
        async with traffic.running():
            await traffic.goes_on(reads=30, writes=6)
        client.config_set("maxmemory", 0)
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads) == ([], [])
    assert len(traffic.failed_writes) <= (policy != "noeviction")  # the first, before all promise


async def knows_nothing_of(node: NodeProcess, other: NodeProcess) -> bool:
    members = (await node.state()).get("members", [])
    return other.address not in {each["address"] for each in members}


async def test_a_leader_that_is_told_to_stop_hands_over_without_a_failed_request(
    group: NodeGroup, traffic: Traffic
) -> None:
    leader = await group.settled()
    follower, _ = await group.followers()
    async with traffic.running():
        await traffic.goes_on()
        await traffic.leave(leader)
        queued = asyncio.gather(
            *(follower.get(f"/1/cards/{traffic.card}?fields=id&n={n}") for n in range(20))
        )
        await asyncio.sleep(0.05)
        leader.send_signal(signal.SIGTERM)
        assert await leader.ended() == 0
        await traffic.goes_on()
        assert {each.status for each in await queued} == {200}
    for node in group.nodes:  # the one that ended is needed for nothing any more
        await until(partial(knows_nothing_of, node, leader))
    assert (traffic.wrong, traffic.failed_reads, traffic.failed_writes) == ([], [], [])
    assert traffic.slowest_read_s < BOUND_S


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
