"""Random walks of a client with a scope, of others, and of Trello's own users, on moving cards."""

from collections.abc import Awaitable, Callable
from random import Random
from urllib.parse import quote

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Heard, Proxy, StartProxy
from tests.scenarios.scoped_world import (
    AS_CLIENT,
    Member,
    World,
    filled,
    is_refusal,
    make_world,
    operations,
    scoped_to,
)
from tests.scenarios.test_scopes_differential import OF_BOARDS, OF_CARDS, PERSONAL, known_to_all

QUERIES = ("", "?fields=all", "?fields=name", f"?{OF_BOARDS}", f"?{OF_CARDS}&fields=name")


class Walk:
    """One walk; `card` moves between the visible board and a hidden one."""

    def __init__(
        self, proxy: Proxy, standin: FakeTrello, world: World, clock: FakeClock, seed: int
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - a walk, no secret
        self.proxy = proxy
        self.member = Member(proxy.session, standin.url)
        self.world = world
        self.clock = clock
        self.moved_at = clock.now() - 3600
        self.compared = 0

    async def step(self) -> None:
        steps: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (12, self.read), (3, self.batch), (2, self.write), (3, self.others_read),
            (1, self.move), (1, self.move_at_trello), (2, self.wait),
        ]  # fmt: skip
        weights = [weight for weight, _ in steps]
        await self.random.choices([step for _, step in steps], weights)[0]()

    def target(self) -> tuple[str, str]:
        template = self.random.choice(operations("GET"))
        ids = self.random.choice((self.world.visible, self.world.visible, self.world.hidden))
        if self.random.random() < 0.3:
            ids = ids | {"member": "me"}
        return template, filled(template, ids) + self.random.choice(QUERIES)

    async def read(self) -> None:
        template, target = self.target()
        own = await self.proxy.get(target, headers=AS_CLIENT)
        self.check(own, target)
        if is_refusal(own) or PERSONAL.fullmatch(template) or self.is_unsettled:
            return
        theirs = await self.member("GET", target)
        assert (own.status, known_to_all(own)) == (theirs.status, known_to_all(theirs)), target
        self.compared += 1

    async def batch(self) -> None:
        targets = [self.target()[1].removeprefix("/1") for _ in range(self.random.randint(1, 5))]
        parts = ",".join(quote(each, safe="/?=&") for each in targets if "," not in each)
        target = f"/1/batch?urls={quote(parts, safe='')}"
        self.check(await self.proxy.get(target, headers=AS_CLIENT), target)

    async def others_read(self) -> None:
        await self.proxy.get(self.target()[1])

    async def write(self) -> None:
        card = self.world.visible["card"]
        values = {"name": f"n{self.random.random()}"}
        method, target = self.random.choice((
            ("PUT", f"/1/cards/{card}"), ("POST", f"/1/boards/{self.world.visible['board']}/lists"),
            ("PUT", f"/1/cards/{self.world.hidden['card']}"),
        ))  # fmt: skip
        if self.random.random() < 0.3:
            values["idBoard"] = self.world.hidden["board"]
        self.check(await self.proxy(method, target, headers=AS_CLIENT, data=values), str(values))

    async def move(self) -> None:
        await self.proxy("PUT", f"/1/cards/{self.world.visible['card']}", data=self.elsewhere())

    async def move_at_trello(self) -> None:
        card = self.world.visible["card"]
        self.world.trello.edit("PUT", f"/1/cards/{card}", self.elsewhere())

    async def wait(self) -> None:
        self.clock.advance(self.random.choice((1, 12, 40, 600, 600)))

    @property
    def is_unsettled(self) -> bool:
        """Whether responses of before a move may still be fresh."""
        return self.clock.now() - self.moved_at < 400

    def elsewhere(self) -> dict[str, str]:
        self.moved_at = self.clock.now()
        ids = self.random.choice((self.world.visible, self.world.hidden))
        return {"idBoard": ids["board"]}

    def check(self, heard: Heard, target: str) -> None:
        assert heard.status != 500, target
        assert not self.world.traces_in(heard, target), (target, heard.body)


@pytest.mark.seeds(6)
async def test_no_walk_comes_across_another_board(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, seed: int
) -> None:
    world = make_world(standin.trello)
    yaml = f"{scoped_to(world.visible['board'])}\nlinks: {{rewrite: false}}"
    proxy = await start_proxy(yaml)
    walk = Walk(proxy, standin, world, clock, seed)
    for _ in range(120):
        await walk.step()
    assert walk.compared or seed > 1
