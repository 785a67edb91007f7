"""The proxy's own webhooks: made for the boards it serves, repaired, removed; no other's."""

import json
from typing import Any

import pytest

from proxy.cache.boards import IDLE_S
from proxy.changes.webhook_manager import MISSED_REVIEW_S, REVIEW_S, SKIP_S, STEP_INTERVAL_S
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.callback_proxy import WayIn
from tests.scenarios.conftest import (
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    UNPROVEN,
    Proxy,
    StartProxy,
    until,
)

ELSEWHERE = "http://127.0.0.1:9/another-program"
REGISTERED = "trello_proxy_webhooks"


class Trello:
    """What Trello has, and how it is asked, as the proxy's next call comes."""

    def __init__(self, fake_trello: FakeTrello, clock: FakeClock) -> None:
        self._standin = fake_trello
        self._clock = clock

    @property
    def webhooks(self) -> list[dict[str, Any]]:
        return [dict(each) for each in self._standin.trello.webhooks.all()]

    @property
    def models(self) -> list[str]:
        return [each["idModel"] for each in self.webhooks]

    def make(self, url: str, model: str) -> str:
        """As somebody else with the same token, or an earlier process of ours."""
        wanted = {"callbackURL": url, "idModel": model, "description": "theirs"}
        path = f"/1/tokens/{TOKEN}/webhooks"
        return str(self._standin.trello.edit("POST", path, wanted)["id"])

    def cards_of(self, board: str) -> list[str]:
        return [each["id"] for each in self._standin.trello.cards.of(board)]

    def calls(self) -> list[str]:
        """Those about webhooks since this was asked last."""
        seen = [each for each in self._standin.request_log.requests if "/webhooks" in each.path]
        self._standin.request_log.reset()
        return [f"{each.method} {each.path.removeprefix('/1/')}" for each in seen]

    async def turn(self, seconds: float = STEP_INTERVAL_S) -> list[str]:
        """Let so much time pass; what the proxy asked of webhooks then."""
        await self.rest()
        self._clock.advance(seconds)
        await self.rest()
        return self.calls()

    async def rest(self) -> None:
        """Return when the proxy's call, if it made one, was answered."""
        await until(lambda: self._clock.sleepers == len(("webhooks", "proof", "upkeep")))


@pytest.fixture
def trello(standin: FakeTrello, clock: FakeClock) -> Trello:
    return Trello(standin, clock)


LISTED = "GET tokens/***/webhooks"


async def test_a_board_that_is_read_gets_a_webhook(
    hooked: Proxy, way_in: WayIn, trello: Trello, clock: FakeClock, board: str
) -> None:
    await trello.rest()
    assert trello.calls() == [LISTED]
    await hooked.get(f"/1/boards/{board}/lists")
    assert await trello.turn() == ["POST webhooks"]
    made = trello.webhooks[0]
    assert (made["idModel"], made["callbackURL"]) == (board, way_in.url)
    assert (made["description"], made["active"]) == ("trello-proxy", True)
    assert await hooked.metric(REGISTERED) == 1
    assert await trello.turn() == []


async def test_and_from_then_on_changes_are_told(
    hooked: Proxy, trello: Trello, standin: FakeTrello, board: str, card: str
) -> None:
    await hooked.get(f"/1/boards/{board}/lists")
    await trello.turn()
    await hooked.get(f"/1/cards/{card}")
    standin.trello.edit("PUT", f"/1/cards/{card}", {"name": "Elsewhere"})
    await standin.deliveries.settled()
    assert (await hooked.get(f"/1/cards/{card}")).json["name"] == "Elsewhere"


async def test_a_single_card_that_is_read_is_reason_enough(
    hooked: Proxy, trello: Trello, card: str, board: str
) -> None:
    await hooked.get(f"/1/cards/{card}")
    await trello.turn()
    assert trello.models == [board]


async def test_a_board_whose_id_is_not_known_and_members_get_none(
    hooked: Proxy, trello: Trello, short_board: str
) -> None:
    for target in (f"/1/boards/{short_board}/name", "/1/members/me", "/1/members/me/cards"):
        await hooked.get(target)
    assert [*await trello.turn(), *await trello.turn()] == [LISTED]
    assert trello.models == []


async def test_what_a_client_reads_in_its_own_name_is_none_of_ours(
    start_proxy: StartProxy, way_in: WayIn, trello: Trello, standin: FakeTrello, board: str
) -> None:
    standin.trello.add_token(OTHER_TOKEN, standin.trello.me["id"], key=OTHER_KEY)
    way_in.proxy = await start_proxy(
        f"credentials: {{secret: demo-secret}}\nclients: {{credentials: forward}}\n"
        f"freshness: {{webhook_url: '{way_in.url}'}}",
        limits=UNPROVEN,
    )
    target = f"/1/boards/{board}?key={OTHER_KEY}&token={OTHER_TOKEN}"
    assert (await way_in.proxy.get(target)).status == 200
    assert [*await trello.turn(), *await trello.turn()] == [LISTED]


async def test_calls_come_one_at_a_time_and_a_few_a_minute(
    hooked: Proxy, trello: Trello, board: str, other_board: str
) -> None:
    for each in (board, other_board):
        await hooked.get(f"/1/boards/{each}")
    calls = [await trello.turn() for _ in range(4)]
    assert calls == [[LISTED, "POST webhooks"], ["POST webhooks"], [], []]
    assert sorted(trello.models) == sorted([board, other_board])


async def test_a_start_takes_over_what_the_last_one_left_and_stops_leave_it(
    start_proxy: StartProxy, way_in: WayIn, trello: Trello, hooked: Proxy, board: str
) -> None:
    await hooked.get(f"/1/boards/{board}")
    await trello.turn()
    before = trello.webhooks
    await hooked.app.stop()
    assert trello.webhooks == before
    yaml = f"credentials: {{secret: demo-secret}}\nfreshness: {{webhook_url: '{way_in.url}'}}"
    way_in.proxy = again = await start_proxy(yaml, limits=UNPROVEN)
    calls = [call for _ in range(3) for call in await trello.turn()]
    assert calls == [LISTED]
    assert trello.webhooks == before
    await again.get(f"/1/boards/{board}/lists")
    assert await trello.turn() == []


async def test_a_silent_one_is_repaired(
    hooked: Proxy, trello: Trello, standin: FakeTrello, board: str
) -> None:
    await hooked.get(f"/1/boards/{board}")
    await trello.turn()
    webhook = trello.webhooks[0]["id"]
    standin.trello.webhooks.get(webhook)["active"] = False
    assert await trello.turn(REVIEW_S) == [LISTED]
    assert await hooked.metric(REGISTERED) == 0
    assert await trello.turn() == [f"PUT webhooks/{webhook}"]
    assert trello.webhooks[0]["active"] is True
    assert await hooked.metric(REGISTERED) == 1


async def test_one_that_is_gone_is_made_again(
    hooked: Proxy, trello: Trello, standin: FakeTrello, board: str
) -> None:
    await hooked.get(f"/1/boards/{board}")
    await trello.turn()
    first = trello.webhooks[0]["id"]
    standin.trello.webhooks.drop(standin.trello.webhooks.get(first))
    assert await trello.turn(REVIEW_S) == [LISTED]
    assert await trello.turn() == ["POST webhooks"]
    assert trello.models == [board]


async def test_one_that_nobody_needs_for_a_day_is_removed(
    hooked: Proxy, trello: Trello, board: str, other_board: str
) -> None:
    for each in (board, other_board):
        await hooked.get(f"/1/boards/{each}")
    await trello.turn()
    await trello.turn()
    await trello.turn(IDLE_S / 2)
    await hooked.get(f"/1/boards/{other_board}")
    idle = next(each["id"] for each in trello.webhooks if each["idModel"] == board)
    assert await trello.turn(IDLE_S / 2) == [LISTED]
    assert await trello.turn() == [f"DELETE webhooks/{idle}"]
    assert trello.models == [other_board]


async def test_other_programs_webhooks_are_never_touched(
    way_in: WayIn, trello: Trello, start_proxy: StartProxy, board: str, other_board: str
) -> None:
    theirs = [trello.make(url, board) for url in (ELSEWHERE, f"{way_in.url}/", f"{way_in.url}?a")]
    trello.make(way_in.url, other_board)
    yaml = f"credentials: {{secret: demo-secret}}\nfreshness: {{webhook_url: '{way_in.url}'}}"
    way_in.proxy = await start_proxy(yaml, limits=UNPROVEN)
    before = [each for each in trello.webhooks if each["id"] in theirs]
    calls = [*await trello.turn(IDLE_S), *await trello.turn(), *await trello.turn()]
    assert len([call for call in calls if call.startswith("DELETE")]) == 1
    assert trello.webhooks == before


async def test_trello_not_reaching_us_is_said_clearly_and_tried_ever_more_slowly(
    hooked: Proxy, way_in: WayIn, trello: Trello, board: str
) -> None:
    way_in.is_open = False
    await hooked.get(f"/1/boards/{board}")
    waits: list[float] = []
    for _ in range(4):
        while not any("POST" in call for call in await trello.turn()):
            waits[-1] += STEP_INTERVAL_S
        waits.append(STEP_INTERVAL_S)
    assert waits[:3] == [30, 60, 120]
    said = hooked.logged("Trello cannot reach freshness.webhook_url")
    assert len(said) == 4
    assert "/-/webhook" in said[0]["advice"]
    way_in.is_open = True
    assert await trello.turn(REVIEW_S) == [LISTED]
    assert await trello.turn(STEP_INTERVAL_S * 2**4) == ["POST webhooks"]
    assert trello.models == [board]


async def test_a_board_that_is_refused_keeps_no_other_from_its_webhook(
    hooked: Proxy, trello: Trello, standin: FakeTrello, board: str, other_board: str
) -> None:
    for each in (board, other_board):
        await hooked.get(f"/1/boards/{each}")
    standin.faults.add(Fault("status", method="POST", path="/1/webhooks", status=403))
    assert (await trello.turn(), await trello.turn()) == (
        [LISTED, "POST webhooks"],
        ["POST webhooks"],
    )
    assert trello.models == [other_board]
    assert await trello.turn() == []
    await hooked.get(f"/1/boards/{board}/lists")
    await trello.turn(SKIP_S)
    await trello.turn()
    assert sorted(trello.models) == sorted([board, other_board])


async def test_a_creation_without_an_answer_is_looked_for_before_it_is_tried_again(
    hooked: Proxy, trello: Trello, standin: FakeTrello, board: str
) -> None:
    await hooked.get(f"/1/boards/{board}")
    standin.faults.add(Fault("reset", method="POST", path="/1/webhooks", applied=True))
    assert await trello.turn() == [LISTED, "POST webhooks"]
    calls = [call for _ in range(6) for call in await trello.turn()]
    assert calls == [LISTED]
    assert (trello.models, await hooked.metric(REGISTERED)) == ([board], 1)
    assert hooked.logged("webhook sync failed")


TROUBLES: dict[str, dict[str, Any]] = {
    "down": {"kind": "status"},
    "a gateway's page": {"kind": "html"},
    "throttled": {"kind": "status", "status": 429, "body": "API_KEY_LIMIT_EXCEEDED"},
    "a broken connection": {"kind": "cut"},
}


@pytest.mark.parametrize("name", TROUBLES)
async def test_trouble_when_listing_is_waited_out(
    start_proxy: StartProxy, way_in: WayIn, trello: Trello, standin: FakeTrello, name: str
) -> None:
    standin.faults.add(Fault(path="/1/tokens/*", times=2, **TROUBLES[name]))
    theirs = trello.make(ELSEWHERE, standin.trello.example_board)
    yaml = f"credentials: {{secret: demo-secret}}\nfreshness: {{webhook_url: '{way_in.url}'}}"
    way_in.proxy = proxy = await start_proxy(yaml, limits=UNPROVEN)
    calls = [call for _ in range(8) for call in await trello.turn()]
    assert calls == [LISTED] * 3
    assert [each["id"] for each in trello.webhooks] == [theirs]
    assert len(proxy.logged("webhook sync failed")) == 2


async def test_a_missed_delivery_is_counted_and_its_webhook_looked_at(
    hooked: Proxy,
    clock: FakeClock,
    trello: Trello,
    standin: FakeTrello,
    board: str,
    other_board: str,
) -> None:
    webhook_manager = hooked.app.components.changes.webhook_manager
    assert webhook_manager is not None
    await hooked.get(f"/1/boards/{board}")
    await trello.turn()
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "New"})
    await standin.deliveries.settled()
    webhook_manager.on_board_change(
        {board, other_board}, since=clock.now() - 1
    )  # told, and without a webhook
    standin.trello.webhooks.all()[0]["active"] = False
    assert await trello.turn(STEP_INTERVAL_S * 5) == []
    assert await hooked.metric("trello_proxy_webhooks_missed_total") == 0
    webhook_manager.on_board_change({board}, since=clock.now() - 1)
    assert await trello.turn() == []
    assert await hooked.metric("trello_proxy_webhooks_missed_total") == 0, "it may still come"
    assert await trello.turn(STEP_INTERVAL_S * 5) == []
    assert await hooked.metric("trello_proxy_webhooks_missed_total") == 1
    assert await trello.turn(MISSED_REVIEW_S) == [LISTED]
    await trello.turn()
    assert trello.webhooks[0]["active"] is True


async def test_the_token_is_in_no_log_line_and_no_metric(
    start_proxy: StartProxy, way_in: WayIn, trello: Trello, board: str
) -> None:
    yaml = (
        f"credentials: {{secret: demo-secret}}\nlog: {{level: debug}}\n"
        f"freshness: {{webhook_url: '{way_in.url}'}}"
    )
    way_in.proxy = proxy = await start_proxy(yaml, limits=UNPROVEN)
    await proxy.get(f"/1/boards/{board}")
    await trello.turn()
    text = (await proxy.get("/metrics")).body.decode()
    assert 'route="/tokens/{token}/webhooks"' in text
    changed = proxy.logged("webhook changed")
    assert [each["step"] for each in changed] == ["create"]
    told = json.dumps([*changed, *proxy.logged("invalidated")]) + text
    assert TOKEN not in told
    assert "demo-secret" not in told


async def test_a_board_that_the_proxy_does_not_expose_gets_none(
    way_in: WayIn, start_proxy: StartProxy, trello: Trello, board: str, other_board: str
) -> None:
    way_in.proxy = await start_proxy(
        f"credentials: {{secret: demo-secret}}\nclients: {{boards: [{board}]}}\n"
        f"freshness: {{webhook_url: '{way_in.url}'}}",
        limits=UNPROVEN,
    )
    cards = trello.cards_of(other_board)
    for _ in range(3):
        assert (await way_in.proxy.get(f"/1/cards/{cards[0]}")).status == 401
        assert (await way_in.proxy.get(f"/1/boards/{board}")).status == 200
        await trello.turn()
    assert trello.models == [board]
