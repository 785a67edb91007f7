"""Three nodes as processes, which all tests of a module use one after another."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from proxy.runtime.clock import SystemClock
from tests.fleet.campaign.stage import settings_for
from tests.fleet.campaign.truth import WatchedTrello
from tests.fleet.links import Network, process_of
from tests.fleet.nodes import NodeGroup, NodeProcess
from tests.fleet.traffic import Traffic
from tests.redis_server import RedisServer
from tests.samples import fill
from tests.scenarios.conftest import KEY, TOKEN

NAMES = ("node-0", "node-1", "node-2")
SEARCHES = 5
"""The limit of searches; the others are so high that nothing waits for its turn."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trello() -> AsyncIterator[WatchedTrello]:
    made = WatchedTrello(SystemClock(), key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    """With a user for each node, so that one can be refused."""
    may_all = ("on", "nopass", "~*", "&*", "+@all")
    users = [word for name in NAMES for word in ("--user", name, *may_all)]
    return RedisServer(tmp_path_factory.mktemp("redis"), *users)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    made = Network()
    yield made
    await made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def group(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    trello: WatchedTrello,
    redis: RedisServer,
    network: Network,
) -> AsyncIterator[NodeGroup]:
    redis.start()
    tmp_path = tmp_path_factory.mktemp("nodes")
    settings = settings_for(trello, f"search: {SEARCHES}/900s")
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        nodes = [
            NodeProcess(
                tmp_path / name, redis.url.replace("//", f"//{name}@"), settings, session, name
            )
            for name in NAMES
        ]
        if getattr(request.module, "HAS_LINKS", False):
            await link(network, nodes)
        made = NodeGroup(nodes)
        try:
            await made.start(getattr(request.module, "SETTINGS", ""))
            yield made
        finally:
            for node in nodes:
                await node.kill()
            redis.kill()


async def link(network: Network, nodes: list[NodeProcess]) -> None:
    """Put a link in front of each node."""

    def opener(own: tuple[str, int], other: tuple[str, int]) -> str:
        by_pid = {node.pid: node.name for node in nodes if node.is_running}
        return by_pid.get(process_of(own, other, by_pid) or 0, "")

    for node in nodes:
        port = await network.link(node.name, node.fleet_port, opener)
        node.address = f"127.0.0.1:{port}"


@pytest_asyncio.fixture(loop_scope="module")
async def traffic(group: NodeGroup, trello: WatchedTrello) -> Traffic:
    """For a settled fleet; its first write is made."""
    await group.settled()
    made = Traffic(group, trello.trello.example_card)
    heard = await group.nodes[0]("PUT", f"/1/cards/{made.card}", data={"name": "v0"})
    assert heard.status == 200
    return made
