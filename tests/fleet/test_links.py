"""Three nodes as processes while the network between them fails."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import partial
from io import BytesIO
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from tests.fleet.campaign.truth import WatchedTrello
from tests.fleet.links import Network
from tests.fleet.nodes import NodeGroup, NodeProcess, now, until
from tests.fleet.requests import REQUESTS, check_equal
from tests.fleet.test_file_copies import attach, is_whole
from tests.fleet.traffic import Traffic
from tests.redis_server import RedisServer, needs_redis

pytestmark = [pytest.mark.slow, needs_redis, pytest.mark.asyncio(loop_scope="module")]
HAS_LINKS = True
BOUND_S = 8.0
"""Two times what is promised, and more: this machine has other work."""


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def healed(network: Network, group: NodeGroup) -> AsyncIterator[None]:
    """Each test begins and ends with a network that works."""
    yield
    network.heal()
    await group.settled()


async def through(node: NodeProcess, at: NodeProcess | None = None) -> str:
    """The follower by which `node` reaches the leader, as that node or another one shows it."""
    state = await (at or node).state()
    rows: list[dict[str, Any]] = state.get("members", [])
    return "".join(row["through"] for row in rows if row["address"] == node.address)


async def until_through(node: NodeProcess, fellow: str) -> None:
    async def holds() -> bool:
        state = await node.state()
        return bool(state) and state["role"] == "follower" and await through(node) == fellow

    await until(holds)


async def is_apart(node: NodeProcess) -> bool:
    return (await node.state()).get("role") == "apart"


async def test_a_slow_network_between_two_nodes_is_no_reason_for_another_leader(
    group: NodeGroup, network: Network, traffic: Traffic
) -> None:
    leader = await group.settled()
    slow, _ = await group.followers()
    async with traffic.running():
        network.delay(leader.name, slow.name, 0.15)
        before = now()
        for number in range(2):
            assert (await slow.get(f"/1/cards/{traffic.card}?fields=name&n={number}")).status == 200
        assert now() - before > 0.5
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads, traffic.failed_writes) == ([], [], [])


async def test_a_follower_that_hears_nothing_of_the_leader_relays_through_another_one(
    group: NodeGroup, network: Network, trello: FakeTrello, traffic: Traffic
) -> None:
    leader = await group.settled()
    cut, fellow = await group.followers()
    async with traffic.running():
        network.hold(leader.name, cut.name)
        await until_through(cut, fellow.address)
        assert await through(cut, at=leader) == fellow.address
        assert await through(cut, at=fellow) == ""
        ready = await cut.get("/readyz")
        assert ready.json["fleet"] == f"follower of {leader.address} through {fellow.address}"
    for name in REQUESTS:
        await check_equal(name, trello, leader, cut)
    await check_bodies(trello, cut)
    async with traffic.running():
        network.heal()
        await until_through(cut, "")
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads) == ([], [])
    assert len(traffic.failed_writes) <= 1  # the one whose response was on its way


async def check_bodies(trello: FakeTrello, node: NodeProcess) -> None:
    """Long bodies pass in both directions, and so does one in chunks."""
    card = f"/1/cards/{trello.trello.example_card}"
    content, form = secrets.token_bytes(2_000_000), aiohttp.FormData()
    form.add_field("file", BytesIO(content), filename="large.bin")
    made = await node("POST", f"{card}/attachments", data=form)
    assert (made.status, made.json["bytes"]) == (200, len(content))
    path = f"{card}/attachments/{made.json['id']}/download/large.bin"
    is_whole = (await node.get(path)).body == content
    assert is_whole

    async def chunks() -> AsyncIterator[bytes]:
        yield b"desc="
        yield b"in+chunks"

    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    heard = await node("PUT", card, data=chunks(), headers=fields)
    assert (heard.status, heard.json["desc"]) == (200, "in chunks")


async def test_connections_that_are_reset_cost_no_read_and_no_second_write(
    group: NodeGroup, network: Network, trello: FakeTrello, traffic: Traffic
) -> None:
    leader = await group.settled()
    cut, fellow = await group.followers()
    trello.request_log.reset()
    async with traffic.running():
        network.reset(leader.name, cut.name)
        await until_through(cut, fellow.address)
    assert await group.settled() is leader
    assert (traffic.wrong, traffic.failed_reads) == ([], [])
    assert len(traffic.failed_writes) <= 2  # each follower notices for itself
    assert trello.request_log.count("PUT", f"/1/cards/{traffic.card}") <= traffic.written


async def test_a_leader_that_is_cut_off_from_everything_is_replaced_and_comes_back(
    group: NodeGroup, network: Network, redis: RedisServer, traffic: Traffic
) -> None:
    leader = await group.settled()
    others = await group.followers()
    target = f"/1/cards/{traffic.card}"
    traffic.avoided = leader
    async with traffic.running():
        network.cut(leader.name, [each.name for each in others])
        await asyncio.to_thread(redis.refuse, leader.name)
        await asyncio.sleep(0.1)
        before = now()
        for _ in range(2):  # the second may be relayed to a node that does not act any more
            await others[0].get(target)
        assert now() - before < BOUND_S
    await until(partial(is_apart, leader))
    heard = await leader.get(target)
    assert (heard.status, heard.cache.endswith("detail=apart")) == (200, True)
    refused = await leader("PUT", target, data={"name": "v0"})
    assert (refused.status, refused.problem) == (503, "apart")
    network.heal()
    await asyncio.to_thread(redis.accept, leader.name)
    assert await group.settled() is not leader
    assert (await leader.get(target)).json["name"] == f"v{traffic.acknowledged}"
    assert (traffic.wrong, traffic.failed_reads) == ([], [])
    assert len(traffic.failed_writes) <= 2  # each follower notices for itself


async def test_a_reader_goes_on_after_every_reset_as_long_as_it_gets_further(
    group: NodeGroup, network: Network, trello: WatchedTrello
) -> None:
    leader, (follower, _) = await group.settled(), await group.followers()
    target, body = attach(trello)
    slow = Fault("slow", "/files/*", times=None, bytes_per_s=len(body) // 6, every_s=0.1)
    trello.faults.add(slow)
    reading = asyncio.ensure_future(follower.get(target))
    for _ in range(7):
        await asyncio.sleep(0.7)
        network.reset(leader.name, follower.name)
        await asyncio.sleep(0.02)
        network.heal()
    assert is_whole(await reading, body)
    trello.faults.clear()
