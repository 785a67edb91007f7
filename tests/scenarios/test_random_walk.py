"""A random walk: reads in every spelling beside writes and edits, each held against the truth."""

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.model import Secret
from proxy.runtime.clock import FakeClock
from tests.redis_server import RedisServer, needs_redis
from tests.scenarios.conftest import (
    Proxy,
    StartProxy,
    until,
)
from tests.scenarios.fleet import started_fleet

EVERY_S = 10
BOARDS = "/1/members/me/boards"
STEPS = 60
CARD_FIELDS = ("name", "desc", "due", "idList", "idLabels", "closed", "idBoard", "pos", "labels")
BOARD_FIELDS = ("name", "desc", "closed", "shortLink", "url")


class Walk:
    """Who asks and changes at random, by every name that things have."""

    def __init__(self, fake_trello: FakeTrello, seed: int) -> None:
        self._trello = fake_trello.trello
        self._draw = random.Random(seed)  # noqa: S311 — any walk
        self._boards = [each["id"] for each in self._asked("/1/members/me/boards?fields=id")]

    def _asked(self, target: str) -> Any:
        return self._trello.request(target)

    def _name(self, kind: str, id_: str) -> str:
        """The thing's id, or its shortLink."""
        if self._draw.random() < 0.5:
            return id_
        return str(self._asked(f"/1/{kind}/{id_}?fields=shortLink")["shortLink"])

    def _cards(self) -> list[dict[str, Any]]:
        board = self._draw.choice(self._boards)
        cards = self._asked(f"/1/boards/{board}/cards/open?fields=idList,idBoard,shortLink")
        return cards or self._cards()

    def _fields(self, names: tuple[str, ...]) -> str:
        return ",".join(self._draw.sample(names, self._draw.randint(1, 4)))

    def target(self) -> str:
        """Something to read."""
        card = self._draw.choice(self._cards())
        board = self._name("boards", card["idBoard"])
        named = self._name("cards", card["id"])
        makes: list[Callable[[], str]] = [
            lambda: f"/1/cards/{named}",
            lambda: f"/1/cards/{named}?fields={self._fields(CARD_FIELDS)}",
            lambda: f"/1/cards/{named}?fields={self._fields(CARD_FIELDS)}&checklists=all",
            lambda: f"/1/cards/{named}/{self._draw.choice(('name', 'desc', 'idList', 'closed'))}",
            lambda: f"/1/cards/{named}/checklists?fields=name",
            lambda: f"/1/cards/{named}/actions?filter=commentCard",
            lambda: f"/1/boards/{board}?fields={self._fields(BOARD_FIELDS)}",
            lambda: f"/1/boards/{board}?lists=open&cards=open&card_fields=name,idList",
            lambda: f"/1/boards/{board}/lists",
            lambda: f"/1/boards/{board}/lists?fields=name",
            lambda: f"/1/boards/{board}/cards?fields={self._fields(CARD_FIELDS)}",
            lambda: f"/1/boards/{board}/cards",
            lambda: f"/1/lists/{card['idList']}/cards?fields={self._fields(CARD_FIELDS)}",
            lambda: f"/1/lists/{card['idList']}?fields=name,closed",
            lambda: f"/1/boards/{board}/actions?limit=10",
        ]
        return self._draw.choice(makes)()

    def change(self) -> tuple[str, str, dict[str, str]]:
        """Method, path and parameters of something to change."""
        card = self._draw.choice(self._cards())
        named, word = self._name("cards", card["id"]), f"w{self._draw.randrange(10**6)}"
        lists = self._asked(f"/1/boards/{card['idBoard']}/lists?fields=id")
        makes: list[tuple[str, str, dict[str, str]]] = [
            ("PUT", f"/1/cards/{named}", {"name": word}),
            ("PUT", f"/1/cards/{named}", {"desc": word, "closed": "false"}),
            ("PUT", f"/1/cards/{named}", {"idList": self._draw.choice(lists)["id"]}),
            ("PUT", f"/1/cards/{named}", {"pos": str(self._draw.randrange(1, 10**6))}),
            ("POST", f"/1/cards/{named}/actions/comments", {"text": word}),
            ("POST", f"/1/cards/{named}/checklists", {"name": word}),
            ("POST", "/1/cards", {"idList": card["idList"], "name": word}),
            ("PUT", f"/1/lists/{card['idList']}", {"name": word}),
            ("PUT", f"/1/boards/{card['idBoard']}", {"name": word}),
            ("POST", f"/1/boards/{card['idBoard']}/labels", {"name": word, "color": "red"}),
        ]
        if len(self._boards) > 1 and self._draw.random() < 0.1:
            board = self._draw.choice(self._boards)
            return ("PUT", f"/1/cards/{named}", {"idBoard": board})
        return self._draw.choice(makes)

    async def hold(self, proxy: Proxy, count: int) -> None:
        """Read that many things, some in a batch; every answer is what is true now."""
        targets = [self.target() for _ in range(count)]
        if self._draw.random() < 0.3:
            urls = ",".join(quote(each.removeprefix("/1"), safe="/?=&") for each in targets)
            items = (await proxy.get(f"/1/batch?urls={quote(urls, safe='')}")).json
            got = [item["200"] for item in items]
        else:
            got = [(await proxy.get(target)).json for target in targets]
        for target, response in zip(targets, got, strict=True):
            assert response == self._asked(target), target

    async def stir(self, proxy: Proxy) -> None:
        """Read without looking: whatever is stored now is what a later answer is made of."""
        for _ in range(self._draw.randint(0, 6)):
            assert (await proxy.get(self.target())).status == 200

    def coin(self) -> bool:
        return self._draw.random() < 0.5


async def _look(proxy: Proxy, fake_trello: FakeTrello, clock: FakeClock) -> None:
    """Let the watcher ask once more, and hear."""

    async def heard() -> float:
        return await proxy.metric('trello_proxy_board_polls_total{result="good"}')

    number = await heard()
    clock.advance(EVERY_S)
    while await heard() == number:
        pass
    await until(lambda: fake_trello.request_log.requests[-1].status is not None)


@pytest.mark.seeds(1)
async def test_nothing_is_read_that_was_written_over_nor_what_the_watcher_has_seen_change(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, seed: int
) -> None:
    proxy = await start_proxy("links: {rewrite: false}\n", freshness={"watch_s": EVERY_S})
    await _walk(proxy, standin, clock, seed)


@needs_redis
async def test_nor_where_everything_is_read_from_redis(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, shared_redis: RedisServer
) -> None:
    cache = {"backend": "redis", "redis": Secret(shared_redis.url), "memory_bytes": 1024}
    freshness = {"watch_s": EVERY_S}
    proxy = await start_proxy("links: {rewrite: false}\n", freshness=freshness, cache=cache)
    await _walk(proxy, standin, clock, seed=4)
    assert await proxy.metric("trello_proxy_redis_errors_total") == 0


@needs_redis
async def test_nor_where_each_request_is_sent_to_any_node_of_a_fleet(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, shared_redis: RedisServer
) -> None:
    yaml, freshness = "links: {rewrite: false}\n", {"watch_s": EVERY_S}
    fleet = await started_fleet(start_proxy, shared_redis, clock, 3, yaml, freshness=freshness)
    await _walk(fleet, standin, clock, seed=3, steps=STEPS // 3)
    fleet.check()


async def _walk(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, seed: int, steps: int = STEPS
) -> None:
    walk = Walk(standin, seed)
    await _look(proxy, standin, clock)
    for _ in range(steps):
        await walk.stir(proxy)
        method, path, params = walk.change()
        if walk.coin():
            written = await proxy(method, path, params=params)
            assert written.status == 200, written.body
        else:
            standin.trello.edit(method, path, params)
            await walk.stir(proxy)
            await _look(proxy, standin, clock)
        await walk.hold(proxy, 5)
