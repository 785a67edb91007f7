"""`/metrics/boards`: figures of boards, for which a watched board is not requested again."""

import asyncio
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from proxy.status import board_metrics
from proxy.status.board_metrics import BOARD_METRICS
from tests.scenarios.conftest import Proxy, StartProxy, until
from tests.scenarios.test_active_refresh import BOARDS, EVERY_S

NAME = "Release 4.2"
HOUR_S = 3600
BEYOND_A_LIFETIME_S = 660
Figures = dict[tuple[str, ...], float]


async def scrape(proxy: Proxy) -> Figures:
    """Values by name and labels."""
    heard = await proxy.get("/metrics/boards")
    assert heard.status == 200
    families = list(text_string_to_metric_families(heard.body.decode()))
    assert [each.name for each in families] == [each.name for each in BOARD_METRICS]
    return {
        (sample.name.removeprefix("trello_board_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


async def polled(proxy: Proxy, standin: FakeTrello, clock: FakeClock) -> None:
    """Let time pass until the poller has polled once more."""
    before = standin.request_log.count("GET", BOARDS)
    good = 'trello_proxy_board_polls_total{result="good"}'
    count = await proxy.metric(good)
    clock.advance(EVERY_S)
    await until(lambda: standin.request_log.count("GET", BOARDS) > before)
    while await proxy.metric(good) <= count:
        pass


@pytest.fixture
async def proxy(start_proxy: StartProxy, standin: FakeTrello, short_board: str) -> Proxy:
    """A proxy that has polled once."""
    made = await start_proxy(
        f"metrics: {{boards: [{short_board}]}}", freshness={"watch_s": EVERY_S}
    )
    while await made.metric('trello_proxy_board_polls_total{result="good"}') < 1:
        pass
    return made


async def test_a_board_has_its_figures(proxy: Proxy, board: str, clock: FakeClock) -> None:
    figures = await scrape(proxy)
    cards = (await proxy.get(f"/1/boards/{board}/cards?fields=idList,due,dueComplete")).json
    by_list = {key[2]: value for key, value in figures.items() if key[0] == "cards"}
    assert sum(by_list.values()) == len(cards)
    lists = (await proxy.get(f"/1/boards/{board}/lists?fields=name")).json
    assert by_list == {
        each["name"]: sum(card["idList"] == each["id"] for card in cards) for each in lists
    }
    assert figures["up", NAME] == 1
    assert figures["requested_timestamp_seconds", NAME] == clock.now()
    open_due = sum(bool(card["due"]) and not card["dueComplete"] for card in cards)
    clock.advance(365 * 86_400)
    assert (await scrape(proxy))["cards_overdue", NAME] == open_due


async def test_a_watched_board_is_not_requested_again(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    await scrape(proxy)
    standin.request_log.counts.clear()
    for _ in range(BEYOND_A_LIFETIME_S // EVERY_S):
        await polled(proxy, standin, clock)
        assert (await scrape(proxy))["up", NAME] == 1
    assert set(standin.request_log.counts) == {f"GET {BOARDS}"}


async def test_a_change_is_in_the_next_figures(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str, board: str
) -> None:
    before = [await scrape(proxy) for _ in range(2)][-1]
    names = {
        each["id"]: each["name"] for each in standin.trello.edit("GET", f"/1/boards/{board}/lists")
    }
    left = standin.trello.edit("GET", f"/1/cards/{card}")["idList"]
    to = next(each for each in names if each != left)
    standin.trello.edit("PUT", f"/1/cards/{card}", {"idList": to})
    await polled(proxy, standin, clock)
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    async with asyncio.timeout(5):
        while (await scrape(proxy))["cards", NAME, names[to]] == before["cards", NAME, names[to]]:
            pass
    assert standin.request_log.count("GET", f"/1/boards/{board}/cards") <= 1


async def test_a_board_that_is_not_there_is_down(start_proxy: StartProxy) -> None:
    proxy = await start_proxy("metrics: {boards: [AbCd1234]}")
    assert await scrape(proxy) == {("up", "AbCd1234"): 0}


async def test_no_name_hides_the_figures_of_another_board(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    edit = standin.trello.edit
    boards = [edit("POST", "/1/boards", {"name": "A"})["id"] for _ in range(3)]
    for last in (0, 2):
        edit("PUT", f"/1/boards/{boards[last]}", {"name": f"A ({boards[1]})"})
        proxy = await start_proxy(f"metrics: {{boards: [{', '.join(boards)}]}}")
        assert sum(key[0] == "up" for key in await scrape(proxy)) == 3
        edit("PUT", f"/1/boards/{boards[last]}", {"name": "A"})


async def test_while_trello_fails_the_last_figures_stay(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, short_board: str
) -> None:
    proxy = await start_proxy(f"metrics: {{boards: [{short_board}]}}")
    first = await scrape(proxy)
    standin.faults.add(Fault("status", status=503, times=None))
    clock.advance(HOUR_S)
    later = await scrape(proxy)
    assert later["requested_timestamp_seconds", NAME] == first["requested_timestamp_seconds", NAME]
    assert {key for key in later if key[0] == "cards"} == {
        key for key in first if key[0] == "cards"
    }


async def test_a_scrape_waits_for_no_slow_board(
    start_proxy: StartProxy,
    standin: FakeTrello,
    short_board: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_metrics, "WAIT_S", 0.01)
    standin.faults.add(Fault("hang", "/1/boards/*/cards"))
    proxy = await start_proxy(f"metrics: {{boards: [{short_board}]}}")
    assert await scrape(proxy) == {("up", short_board): 0}


async def test_it_is_the_operators(start_proxy: StartProxy, standin: FakeTrello) -> None:
    proxy = await start_proxy("metrics: {boards: []}")
    assert re.match(rb"# HELP trello_board_up ", (await proxy.get("/metrics/boards")).body)
    refused = await proxy.get("/metrics/boards", headers={"X-Forwarded-For": "192.0.2.1"})
    assert refused.problem == "admin-only"
    assert (await proxy("POST", "/metrics/boards")).status == 405
    assert standin.request_log.total == 0
