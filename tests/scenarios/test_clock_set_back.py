"""A clock that is set back makes nothing young: what was stored before is stale, and stays so."""

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Proxy,
    StartProxy,
    until,
)
from tests.scenarios.test_board_poller import (
    EVERY_S,
    LATE_S,
    _heard,
    _look,
)
from tests.scenarios.test_fast_path import (
    Connect,
    _header,
    _learnt,
)

HOUR_S = 3600.0
EVENT = "clock set back"


async def test_what_was_stored_in_the_future_is_stale(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    standin.trello.edit("PUT", path, {"name": "After"})
    clock.set_back(HOUR_S)
    heard = await proxy.get(path)
    assert (heard.json["name"], heard.cache) == ("After", "fwd=stale; fwd-status=200; stored")
    assert (await proxy.get(path)).cache == "hit; ttl=30"


@pytest.mark.parametrize(
    "path", ["/1/boards/{board}?fields=name", "/1/cards/ffffffffffffffffffffffff"]
)
async def test_a_hit_that_is_answered_without_being_parsed_is_none_either(
    proxy: Proxy, connect: Connect, clock: FakeClock, board: str, path: str
) -> None:
    raw = await connect()
    header = _header(proxy, path.format(board=board))
    await _learnt(raw, header)
    clock.set_back(HOUR_S)
    await raw.send(header)
    _, fields, _ = await raw.answer()
    assert any(field.startswith(b"Cache-Status: trello-proxy; fwd=stale") for field in fields)


async def test_nothing_grows_fresh_again_when_the_clock_has_caught_up(
    proxy: Proxy, clock: FakeClock, board: str, other_board: str
) -> None:
    paths = [f"/1/boards/{each}" for each in (board, other_board)]
    for path in paths:
        await proxy.get(path)
    clock.advance(20)
    clock.set_back(HOUR_S)
    await proxy.get(paths[0])
    clock.advance(HOUR_S - 15)
    for path in paths:
        assert (await proxy.get(path)).cache.startswith("fwd=stale")
    await until(lambda: bool(proxy.logged(EVENT)))
    (line,) = proxy.logged(EVENT)
    assert (line["level"], line["by_s"]) == ("warning", HOUR_S - 20)
    assert await proxy.metric('trello_proxy_invalidations_total{cause="clock"}') == 1


async def test_it_is_noticed_though_nothing_stored_is_in_the_future(
    proxy: Proxy, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    clock.advance(HOUR_S)
    await proxy.get("/")
    await until(lambda: len(proxy.logged("request")) == 2)  # and so the clock was looked at
    clock.set_back(HOUR_S - 10)
    await until(lambda: bool(proxy.logged(EVENT)))
    assert (await proxy.get(path)).cache.startswith("fwd=stale")


async def test_it_is_noticed_at_the_start(
    start_proxy: StartProxy, clock: FakeClock, board: str, other_board: str
) -> None:
    proxy = await start_proxy()
    await proxy.get(f"/1/boards/{board}")
    clock.advance(HOUR_S)
    await proxy.get(f"/1/boards/{other_board}")
    await proxy.app.stop()
    clock.set_back(HOUR_S - 10)
    proxy = await start_proxy()
    assert (await proxy.get(f"/1/boards/{board}")).cache.startswith("fwd=stale")
    await until(lambda: len(proxy.logged(EVENT)) == 1)


async def test_a_clock_that_is_kept_in_step_ends_nothing(
    proxy: Proxy, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    clock.advance(2)
    clock.set_back(0.9)
    assert (await proxy.get(path)).cache == "hit; ttl=28"
    assert await proxy.metric('trello_proxy_invalidations_total{cause="clock"}') == 0


async def test_while_trello_is_down_it_may_still_be_given(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    first = await proxy.get(path)
    clock.set_back(HOUR_S)
    standin.faults.add(Fault("status", status=503, body="down", times=None))
    heard = await proxy.get(path)
    assert (heard.status, heard.body) == (200, first.body)
    assert heard.cache == "fwd=stale; fwd-status=503; detail=stale-if-error"


async def test_the_watcher_begins_to_count_anew(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(proxy, 1)
    await proxy.get(f"/1/boards/{board}")
    clock.set_back(HOUR_S)
    await proxy.get(f"/1/boards/{board}")
    assert await proxy.metric("trello_proxy_boards_watched") == 0
    await _look(proxy, clock)
    assert await proxy.metric("trello_proxy_boards_watched") > 0
    standin.faults.add(Fault("status", status=503, body="down", times=None))
    clock.set_back(HOUR_S)
    await proxy.get(f"/1/boards/{board}")
    clock.advance(LATE_S)
    assert await proxy.metric("trello_proxy_board_poll_lag_seconds") == LATE_S
