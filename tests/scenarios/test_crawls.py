"""A client that reads one card after the other gets the next ones in batches."""

import asyncio

import pytest

from proxy.cache.recent_reads import CRAWL_LENGTH, CRAWL_PAUSE_S
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from proxy.trello.batch_codec import MAX_PARTS
from tests.scenarios.conftest import Proxy

CARDS = CRAWL_LENGTH - 1 + 2 * MAX_PARTS
QUERY = "fields=all&checklists=all"


@pytest.fixture
async def cards(proxy: Proxy, standin: FakeTrello, other_board: str) -> list[str]:
    """The ids of a board's cards, as a client that is about to copy them all has read them."""
    edit, request = standin.trello.edit, standin.trello.request
    (own_list, *_) = request(f"/1/boards/{other_board}/lists?fields=id")
    for each in request(f"/1/boards/{other_board}/cards?fields=id"):
        edit("DELETE", f"/1/cards/{each['id']}")
    for number in range(CARDS):
        edit("POST", "/1/cards", {"idList": own_list["id"], "name": f"Card {number}"})
    listed = await proxy.get(f"/1/boards/{other_board}/cards?fields=name")
    standin.request_log.reset()
    return [each["id"] for each in listed.json]


async def _read(proxy: Proxy, card: str) -> str:
    heard = await proxy.get(f"/1/cards/{card}?{QUERY}")
    assert heard.status == 200
    return str(heard.json["id"])


async def test_a_crawl_is_served_in_batches(
    proxy: Proxy, standin: FakeTrello, cards: list[str]
) -> None:
    assert [await _read(proxy, card) for card in cards] == cards
    assert standin.request_log.count("GET", "/1/batch") == 2
    assert standin.request_log.total == CRAWL_LENGTH - 1 + 2


async def test_a_crawl_backwards_and_by_several_connections_is_served_in_batches(
    proxy: Proxy, standin: FakeTrello, cards: list[str]
) -> None:
    begun, rest = cards[::-1][:CRAWL_LENGTH], cards[::-1][CRAWL_LENGTH:]
    for card in begun:
        await _read(proxy, card)
    assert await asyncio.gather(*(_read(proxy, card) for card in rest)) == rest
    assert standin.request_log.total < CARDS / 2


async def test_some_reads_are_no_crawl_and_neither_are_slow_ones(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, cards: list[str]
) -> None:
    for card in cards[: CRAWL_LENGTH - 1] * 2:
        await _read(proxy, card)
    clock.advance(CRAWL_PAUSE_S + 1)
    for card in cards[CRAWL_LENGTH : 2 * CRAWL_LENGTH - 1]:
        await _read(proxy, card)
    assert standin.request_log.count("GET", "/1/batch") == 0


async def test_what_is_in_use_is_not_read_ahead(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, cards: list[str]
) -> None:
    for card in cards[: CRAWL_LENGTH - 1]:
        await _read(proxy, card)
    for number in range(CARDS):
        standin.trello.edit("PUT", f"/1/cards/{cards[number]}", {"name": "New"})
    clock.advance(100)  # past every lifetime
    standin.request_log.reset()
    for card in cards[: CRAWL_LENGTH - 1] * 2:
        await _read(proxy, card)
    assert standin.request_log.count("GET", "/1/batch") == 0


async def test_a_card_that_is_gone_is_answered_by_trello_itself(
    proxy: Proxy, standin: FakeTrello, cards: list[str]
) -> None:
    gone = cards[CRAWL_LENGTH + 1]
    standin.trello.edit("DELETE", f"/1/cards/{gone}")
    for card in cards[: CRAWL_LENGTH + 1]:
        await _read(proxy, card)
    heard = await proxy.get(f"/1/cards/{gone}?{QUERY}")
    assert (heard.status, heard.body) == (404, b"The requested resource was not found.")


async def test_where_the_batch_fails_each_read_is_sent_by_itself(
    proxy: Proxy, standin: FakeTrello, cards: list[str]
) -> None:
    standin.faults.add(Fault("status", "/1/batch", status=403, times=None))
    assert [await _read(proxy, card) for card in cards[:8]] == cards[:8]
    assert standin.request_log.count("GET", "/1/batch") == 8 // CRAWL_LENGTH


async def test_a_write_between_is_seen(proxy: Proxy, standin: FakeTrello, cards: list[str]) -> None:
    for card in cards[:CRAWL_LENGTH]:
        await _read(proxy, card)
    later = cards[CRAWL_LENGTH + 3]
    await proxy("PUT", f"/1/cards/{later}", params={"name": "Ours"})
    assert (await proxy.get(f"/1/cards/{later}?{QUERY}")).json["name"] == "Ours"
