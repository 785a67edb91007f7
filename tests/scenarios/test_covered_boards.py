"""While webhooks deliver the changes of every board in use, polls are rare."""

import pytest

from proxy.changes.board_poller import COVERED_INTERVAL_S
from proxy.changes.webhook_manager import DELIVERY_WAIT_S, DISTRUST_S, STEP_INTERVAL_S
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.callback_proxy import WayIn
from tests.scenarios.conftest import Proxy, StartProxy, turns, until

EVERY_S = 10
POLLS = "/1/members/me/boards"


class Office:
    """A proxy with webhooks, and what it asks of Trello."""

    def __init__(self, proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str) -> None:
        self.proxy = proxy
        self.path = f"/1/boards/{board}?fields=name"
        self._standin = standin
        self._clock = clock
        self._board = board

    async def rename(self, name: str) -> None:
        """Rename the board in Trello, and wait until that was delivered or has failed."""
        self._standin.trello.edit("PUT", f"/1/boards/{self._board}", {"name": name})
        await self._standin.deliveries.settled()

    async def name(self) -> str:
        """The board's name, as the proxy serves it."""
        return str((await self.proxy.get(self.path)).json["name"])

    async def passes(self, seconds: float, step_s: float = EVERY_S) -> int:
        """Let time pass, in steps; the number of polls since the last call."""
        while seconds > 0:
            await self._rests()
            self._clock.advance(min(step_s, seconds))
            seconds -= step_s
        await self._rests()
        polls = self._standin.request_log.count("GET", POLLS)
        self._standin.request_log.reset()
        return polls

    async def invalidations(self, cause: str) -> float:
        """Their number by cause."""
        return await self.proxy.metric(f'trello_proxy_invalidations_total{{cause="{cause}"}}')

    async def _rests(self) -> None:
        await turns(100)
        sent = self._standin.request_log.requests
        await until(lambda: all(each.status is not None for each in sent))
        await turns(100)


@pytest.fixture
async def office(
    start_proxy: StartProxy, way_in: WayIn, standin: FakeTrello, clock: FakeClock, board: str
) -> Office:
    """One board in use, whose webhook has delivered something."""
    proxy = way_in.proxy = await start_proxy(
        f"credentials: {{secret: demo-secret}}\nfreshness: {{webhook_url: '{way_in.url}'}}",
        freshness={"watch_s": EVERY_S},
    )
    made = Office(proxy, standin, clock, board)
    await made.name()
    await made.passes(2 * STEP_INTERVAL_S)
    assert await made.passes(3 * EVERY_S) == 3, "nothing was delivered yet"
    await made.rename("Delivered")
    assert await made.name() == "Delivered"
    await made.passes(EVERY_S)
    return made


async def test_polls_are_rare_while_deliveries_come(office: Office) -> None:
    assert await office.passes(COVERED_INTERVAL_S - EVERY_S) == 0
    assert await office.passes(EVERY_S) == 1
    assert (await office.proxy.get(office.path)).cache.startswith("hit; ttl=")
    assert await office.passes(2 * COVERED_INTERVAL_S) == 2
    assert (await office.proxy.get("/readyz")).status == 200


async def test_a_delivery_refetches_what_is_in_use_and_no_poll_repeats_that(office: Office) -> None:
    await office.name()
    polled, delivered = [await office.invalidations(each) for each in ("poll", "webhook")]
    await office.rename("Again")
    while not (await office.proxy.get(office.path)).cache.startswith("hit; ttl=600"):
        pass
    assert await office.name() == "Again"
    assert await office.passes(COVERED_INTERVAL_S) == 1
    assert await office.invalidations("poll") == polled
    assert await office.invalidations("webhook") == delivered + 1


async def test_a_lost_delivery_shows_at_the_next_poll_and_makes_polls_frequent(
    office: Office, way_in: WayIn
) -> None:
    way_in.is_open = False
    await office.rename("Lost")
    assert await office.name() == "Delivered"
    assert await office.passes(COVERED_INTERVAL_S) == 1
    assert await office.name() == "Lost"
    await office.passes(DELIVERY_WAIT_S + STEP_INTERVAL_S)
    assert await office.passes(COVERED_INTERVAL_S) == COVERED_INTERVAL_S / EVERY_S
    way_in.is_open = True
    await office.rename("Found")
    await office.name()
    await office.passes(DISTRUST_S, step_s=100)
    assert await office.passes(COVERED_INTERVAL_S) == 1


async def test_a_change_after_the_last_that_was_delivered_shows_at_the_next_poll(
    office: Office, way_in: WayIn
) -> None:
    await office.rename("Told")
    assert await office.name() == "Told"
    await office.passes(EVERY_S)
    way_in.is_open = False
    await office.rename("Not told")
    assert await office.name() == "Told"
    await office.passes(COVERED_INTERVAL_S - EVERY_S)
    assert await office.name() == "Not told"


async def test_a_board_without_a_webhook_makes_polls_frequent_until_it_has_one(
    office: Office, other_board: str
) -> None:
    await office.passes(EVERY_S)
    await office.proxy.get(f"/1/boards/{other_board}?fields=name")
    assert await office.passes(EVERY_S) == 1
    await office.passes(2 * STEP_INTERVAL_S)
    assert await office.passes(COVERED_INTERVAL_S) <= 2


async def test_what_a_write_purged_is_refetched_without_a_poll(office: Office, board: str) -> None:
    for _ in range(2):
        await office.name()
    await office.passes(EVERY_S)
    await office.proxy("PUT", f"/1/boards/{board}", params={"name": "Ours"})
    assert await office.name() == "Ours"
    assert await office.passes(EVERY_S) == 0
