"""Stage of a campaign: three nodes, one Redis, the watched Trello, and which has a fault."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import SystemClock
from tests.fleet.campaign.findings import Findings
from tests.fleet.campaign.truth import WatchedTrello
from tests.fleet.nodes import ROOT, NodeGroup, NodeProcess, now
from tests.redis_server import RedisServer
from tests.scenarios.conftest import KEY, TOKEN

TIMEOUT_S = 30.0
"""Longer than a node lets a request wait for a leader and its turn."""
_SETTINGS = """\
upstream: {{url: '{url}', read_timeout: 15s, storage_hosts: ['{storage}']}}
links: {{rewrite: false}}
limits: {{token: 2000/10s, key: 2000/10s, {limits}}}
routes: [{{match: '/boards/**', lifetime: 1h}}, {{match: '/cards/**', lifetime: 1h}}]
"""


@dataclass(slots=True)
class Stage:
    """All that takes part."""

    group: NodeGroup
    trello: WatchedTrello
    redis: RedisServer
    findings: Findings
    chance: Random
    boards: list[str]
    cards: list[str]
    impaired: dict[NodeProcess, float] = field(default_factory=dict)
    """Until when each node has a fault, or is excused for one; infinity: it has one."""

    def is_impaired(self, node: NodeProcess, since: float) -> bool:
        """Whether it has, or had since then, a fault of its own."""
        return self.impaired.get(node, 0.0) >= since

    def a_node(self) -> NodeProcess:
        """One at random, as a load balancer that mostly knows which are gone."""
        well = [each for each in self.group.nodes if not self.is_impaired(each, now())]
        return self.chance.choice(well if well and self.chance.random() < 0.9 else self.group.nodes)


def targets_of(boards: list[str], cards: list[str]) -> list[str]:
    """What clients read."""
    found = list[str]()
    for card in cards:
        found += [f"/1/cards/{card}", f"/1/cards/{card}?fields=name,desc,idList"]
        found += [f"/1/cards/{card}/name", f"/1/cards/{card}/attachments?fields=name,bytes"]
        found += [f"/1/cards/{card}/actions?filter=commentCard&limit=5"]
    for board in boards:
        found += [f"/1/boards/{board}/cards?fields=name,idList", f"/1/boards/{board}?fields=name"]
        found += [f"/1/boards/{board}?cards=open&card_fields=name,desc&lists=open"]
        found += [f"/1/boards/{board}/lists?fields=name", f"/1/boards/{board}/lists?cards=open"]
    return found


def stage_of(group: NodeGroup, trello: WatchedTrello, redis: RedisServer, seed: int) -> Stage:
    """The stage on a settled fleet whose nodes have `settings_for(trello)`."""
    boards, cards = _things(trello)
    trello.watch(targets_of(boards, cards), Random(seed))  # noqa: S311 - the same waits each time
    chance = Random(seed)  # noqa: S311 - the same faults each time
    return Stage(group, trello, redis, Findings(), chance, boards, cards)


def settings_for(trello: FakeTrello, limits: str = "") -> str:
    """Settings by which a response is compared as it is, and much is stored."""
    return _SETTINGS.format(url=trello.url, storage=trello.storage_host, limits=limits)


@asynccontextmanager
async def staged(
    seed: int, directory: Path | None = None, older: Path | None = None
) -> AsyncIterator[Stage]:
    """A settled fleet; everything is ended at last.

    `directory`: keeps the logs. `older`: one node runs the program that is there.
    """
    async with AsyncExitStack() as stack:
        if directory is None:
            temporary = tempfile.TemporaryDirectory(prefix="trello-proxy-")
            directory = Path(stack.enter_context(temporary))
        trello = WatchedTrello(SystemClock(), key=KEY, token=TOKEN)
        fill(trello.trello)
        await trello.start()
        stack.push_async_callback(trello.stop)
        redis = RedisServer(directory / "redis")
        redis.start()
        stack.callback(redis.kill)
        settings, session = settings_for(trello), await stack.enter_async_context(_session())
        nodes = [NodeProcess(directory / str(n), redis.url, settings, session) for n in range(3)]
        nodes[0].program = older or ROOT
        for node in nodes:
            stack.push_async_callback(node.kill)
        group = NodeGroup(nodes)
        await group.start()
        yield stage_of(group, trello, redis, seed)


def _things(trello: WatchedTrello) -> tuple[list[str], list[str]]:
    """Two boards and four cards."""
    found: list[Any] = trello.trello.request("/1/members/me/boards?fields=id")
    boards = [str(each["id"]) for each in found[:2]]
    cards = [
        str(card["id"])
        for board in boards
        for card in trello.trello.request(f"/1/boards/{board}/cards?fields=id")[:2]
    ]
    return boards, cards


def _session() -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
    )
    session._retry_connection = False  # it would send a PUT or DELETE twice
    return session
