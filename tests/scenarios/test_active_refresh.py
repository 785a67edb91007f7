"""What is read again and again of a board is asked again, in one question, when the board moved."""

import asyncio

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    OTHER_KEY,
    OTHER_TOKEN,
    Proxy,
    StartProxy,
    until,
)

EVERY_S = 10
BOARDS = "/1/members/me/boards"


@pytest.fixture
async def watched(start_proxy: StartProxy, standin: FakeTrello) -> Proxy:
    """A proxy whose watcher has seen the boards."""
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _looked(proxy, standin, 1)
    return proxy


async def _looked(proxy: Proxy, fake_trello: FakeTrello, number: int) -> None:
    """Return when the watcher has heard so many answers."""
    await until(lambda: fake_trello.request_log.count("GET", BOARDS) >= number)
    while await proxy.metric('trello_proxy_board_polls_total{result="good"}') < number:
        pass


async def _moved(proxy: Proxy, fake_trello: FakeTrello, clock: FakeClock, board: str) -> None:
    """The board is renamed in Trello, and the watcher has seen it."""
    looks = fake_trello.request_log.count("GET", BOARDS)
    fake_trello.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed"})
    fake_trello.request_log.counts.clear()
    clock.advance(EVERY_S)
    await until(lambda: fake_trello.request_log.count("GET", BOARDS) == 1)
    while await proxy.metric('trello_proxy_board_polls_total{result="good"}') < looks + 1:
        pass


async def _is_read(proxy: Proxy, target: str, cache: str) -> None:
    """Return when a read of the target is served so."""
    async with asyncio.timeout(5):
        while (await proxy.get(target)).cache != cache:
            pass


def _targets(board: str) -> list[str]:
    return [
        f"/1/boards/{board}?fields=name",
        f"/1/boards/{board}/actions?limit=5",
        f"/1/boards/{board}/labels?limit=7",
        f"/1/boards/{board}/lists?fields=name",
    ]


async def test_what_was_used_is_asked_again_in_one_question(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    for target in _targets(board) * 2:
        await watched.get(target)
    await _moved(watched, standin, clock, board)
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    await until(lambda: standin.request_log.requests[-1].status == 200)
    heard = [await watched.get(target) for target in _targets(board)]
    assert heard[0].json["name"] == "Renamed"
    assert [each.cache.partition(";")[0] for each in heard] == ["hit"] * 4
    assert standin.request_log.counts == {f"GET {BOARDS}": 1, "GET /1/batch": 1}


async def test_what_was_not_used_since_it_came_is_not_asked_again(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    for target in _targets(board):
        await watched.get(target)
    await _moved(watched, standin, clock, board)
    assert standin.request_log.counts == {f"GET {BOARDS}": 1}
    assert (await watched.get(_targets(board)[0])).cache.startswith("fwd=stale")


async def test_one_that_was_used_alone_is_asked_by_itself(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    for _ in range(2):
        await watched.get(f"/1/boards/{board}?fields=name")
    await _moved(watched, standin, clock, board)
    await until(lambda: standin.request_log.count("GET", f"/1/boards/{board}") == 1)
    assert standin.request_log.count("GET", "/1/batch") == 0


async def test_where_it_fails_whoever_reads_next_asks(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    for target in _targets(board) * 2:
        await watched.get(target)
    standin.faults.add(Fault("status", "/1/batch", status=503))
    await _moved(watched, standin, clock, board)
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    heard = await watched.get(_targets(board)[0])
    assert (heard.json["name"], heard.cache[:9]) == ("Renamed", "fwd=stale")


async def test_what_another_account_used_is_not_asked_again(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    member = standin.trello.request("/1/members/me?fields=id")["id"]
    standin.trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"}, freshness={"watch_s": EVERY_S})
    await _looked(proxy, standin, 1)
    theirs = f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    heard = [await proxy.get(f"{target}&{theirs}") for target in _targets(board) * 2]
    assert heard[-1].cache.startswith("hit")
    await _moved(proxy, standin, clock, board)
    assert standin.request_log.counts == {f"GET {BOARDS}": 1}


async def test_what_a_write_purged_is_asked_again_too(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    for target in _targets(board) * 2:
        await watched.get(target)
    clock.advance(1)
    standin.request_log.counts.clear()
    await watched("PUT", f"/1/boards/{board}", params={"name": "Renamed"})
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    await until(lambda: standin.request_log.requests[-1].status == 200)
    heard = [await watched.get(target) for target in _targets(board)]
    assert heard[0].json["name"] == "Renamed"
    assert [each.cache.partition(";")[0] for each in heard] == ["hit"] * 4


async def test_boards_that_changed_together_share_a_batch(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str, other_board: str
) -> None:
    for target in (f"/1/boards/{each}?fields=name" for each in (board, other_board) * 2):
        await watched.get(target)
    standin.trello.edit("PUT", f"/1/boards/{other_board}", {"name": "Renamed"})
    await _moved(watched, standin, clock, board)
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    await until(lambda: standin.request_log.requests[-1].status == 200)
    heard = [await watched.get(f"/1/boards/{each}?fields=name") for each in (board, other_board)]
    assert [(each.json["name"], each.cache[:3]) for each in heard] == [("Renamed", "hit")] * 2
    assert standin.request_log.counts == {f"GET {BOARDS}": 1, "GET /1/batch": 1}


async def test_what_can_be_cut_out_of_another_response_is_not_asked_for(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    for target in (f"{path}/name", f"{path}?fields=name,desc") * 2:
        await watched.get(target)
    await _moved(watched, standin, clock, board)
    await until(lambda: standin.request_log.count("GET", path) == 1)
    await until(lambda: standin.request_log.requests[-1].status == 200)
    assert (await watched.get(f"{path}/name")).json == {"_value": "Renamed"}
    assert standin.request_log.counts == {f"GET {BOARDS}": 1, f"GET {path}": 1}


async def test_a_batch_is_filled_with_what_would_expire_soon(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str, other_board: str
) -> None:
    soon, later = f"/1/boards/{other_board}/labels", f"/1/boards/{other_board}?fields=name"
    for target in (f"/1/boards/{board}?fields=name", soon, later) * 2:
        await watched.get(target)
    clock.advance(EVERY_S)
    await _looked(watched, standin, 2)
    clock.advance(EVERY_S)
    await _looked(watched, standin, 3)
    await _moved(watched, standin, clock, board)  # half a minute of the labels' minute is over
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    await _is_read(watched, soon, "hit; ttl=60")
    assert (await watched.get(later)).cache == "hit; ttl=570"


async def test_what_expired_takes_along_what_would_expire_soon(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy()
    feed, name = f"/1/boards/{board}/actions?limit=5", f"/1/boards/{board}?fields=name"
    for target in (feed, name) * 2:
        await proxy.get(target)
    standin.request_log.counts.clear()
    clock.advance(20)
    assert (await proxy.get(feed)).cache == "hit; ttl=-6"
    await until(lambda: standin.request_log.count("GET", "/1/batch") == 1)
    await _is_read(proxy, feed, "hit; ttl=15")
    assert (await proxy.get(name)).cache == "hit; ttl=30"
    assert standin.request_log.counts == {"GET /1/batch": 1}


async def test_what_expired_alone_is_requested_by_itself(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy, feed = await start_proxy(), f"/1/boards/{board}/actions?limit=5"
    for _ in range(2):
        await proxy.get(feed)
    standin.request_log.counts.clear()
    clock.advance(20)
    await proxy.get(feed)
    await until(lambda: standin.request_log.count("GET", f"/1/boards/{board}/actions") == 1)
    assert standin.request_log.count("GET", "/1/batch") == 0
