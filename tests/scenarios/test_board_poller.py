"""The watcher: what changes in Trello itself is seen at the next question about all boards."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.model import Rate
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    BREATH_S,
    OTHER_KEY,
    OTHER_TOKEN,
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)
from tests.scenarios.page import BROWSER, page_of

EVERY_S = 10
LATE_S = 26
"""Longer than two and a half intervals."""
BOARDS = "/1/members/me/boards"
_PROBES = re.compile(r"^trello_proxy_board_polls_total\{.*\} (.*)$", re.MULTILINE)


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await is_so():  # noqa: ASYNC110 - any change, anywhere
            await asyncio.sleep(BREATH_S)


async def _asked(proxy: Proxy) -> float:
    """How many questions of the watcher's have been answered, one way or another."""
    text = (await proxy.get("/metrics")).body.decode()
    return sum(float(number) for number in _PROBES.findall(text))


async def _heard(proxy: Proxy, number: float) -> None:
    async def is_heard() -> bool:
        return await _asked(proxy) >= number

    await _until(is_heard)


async def _questions(fake_trello: FakeTrello, number: int) -> None:
    """Return when Trello has been asked about all boards so often."""

    async def are_asked() -> bool:
        return fake_trello.request_log.count("GET", BOARDS) >= number

    await _until(are_asked)


async def _look(proxy: Proxy, clock: FakeClock, after_s: float = EVERY_S) -> None:
    """Let time pass, and the watcher ask once and hear the answer."""
    number = await _asked(proxy)
    clock.advance(after_s)
    await _heard(proxy, number + 1)


@pytest.fixture
async def watched(start_proxy: StartProxy) -> Proxy:
    """A proxy whose watcher has seen the boards."""
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(proxy, 1)
    return proxy


async def test_an_edit_is_seen_at_the_next_look_and_not_before(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}?fields=name"
    await watched.get(path)
    async with watched.session.post(
        f"{standin.url}/-/demo/edit",
        json={"method": "PUT", "path": f"/1/boards/{board}", "params": {"name": "Renamed"}},
    ) as response:
        assert response.status == 200
    clock.advance(EVERY_S - 1)
    await turns()
    old = await watched.get(path)
    assert (old.json["name"] != "Renamed", old.cache) == (True, f"hit; ttl={600 - EVERY_S + 1}")
    await _look(watched, clock, 1)
    new = await watched.get(path)
    assert new.json["name"] == "Renamed"
    assert await watched.metric("trello_proxy_board_changes_total") == 1
    assert await watched.metric('trello_proxy_invalidations_total{cause="poll"}') == 1


async def test_a_page_of_a_watched_board_is_as_of_the_last_look(
    watched: Proxy, clock: FakeClock, board: str
) -> None:
    for _ in range(3):
        page = page_of(await watched.get(f"/b/{board}", headers=BROWSER))
        moment = datetime.fromtimestamp(clock.now(), UTC)
        assert page.all("time")[0]["datetime"] == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        await _look(watched, clock)


async def test_after_a_write_the_watcher_looks_at_once_and_what_is_asked_then_stays(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str, card: str
) -> None:
    clock.advance(1)  # the shortest pause
    await turns()
    await watched("PUT", f"/1/cards/{card}", data={"name": "Ours"})
    await _heard(watched, 2)
    path = f"/1/boards/{board}?fields=name"
    await watched.get(path)
    await _look(watched, clock)
    assert (await watched.get(path)).cache == f"hit; ttl={600 - EVERY_S}"


async def test_the_accounts_list_of_boards_is_watched_and_other_lists_are_not(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    member = standin.trello.request("/1/members/me?fields=id")["id"]
    paths = f"{BOARDS}?fields=name", f"/1/members/{member}/boards/open?fields=name"
    for path in paths:
        await watched.get(path)
    heard = [await watched.get(path) for path in paths]
    assert [each.cache for each in heard] == ["hit; ttl=300", "hit; ttl=30"]
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed"})
    await _look(watched, clock)
    (changed,) = [each for each in (await watched.get(paths[0])).json if each["id"] == board]
    assert changed["name"] == "Renamed"


async def test_writes_make_it_look_no_more_than_once_a_second(
    watched: Proxy, clock: FakeClock, card: str
) -> None:
    for number in range(5):
        await watched("PUT", f"/1/cards/{card}", data={"name": f"Ours {number}"})
    await turns()
    assert await _asked(watched) == 1
    clock.advance(1)
    await _heard(watched, 2)
    clock.advance(1)
    await turns()
    assert await _asked(watched) == 2


@pytest.mark.parametrize(("looks", "left_s"), [(59, EVERY_S), (60, -1)])
async def test_a_board_nobody_touched_keeps_its_answers_for_the_watched_lifetime(
    watched: Proxy,
    standin: FakeTrello,
    clock: FakeClock,
    other_board: str,
    *,
    looks: int,
    left_s: int,
) -> None:
    path = f"/1/boards/{standin.trello.example_board}"
    await watched.get(path)
    standin.trello.edit("PUT", f"/1/boards/{other_board}", {"name": "Renamed"})
    for _ in range(looks):
        await _look(watched, clock)
    assert (await watched.get(path)).cache == f"hit; ttl={left_s}"


async def test_a_part_of_a_card_is_watched_once_its_board_is_known(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    part = f"/1/cards/{card}/checklists?fields=name"
    await watched.get(f"/1/cards/{card}")
    await watched.get(part)
    assert (await watched.get(part)).cache == "hit; ttl=600"
    standin.trello.edit("POST", f"/1/cards/{card}/checklists", {"name": "More"})
    await _look(watched, clock)
    assert b"More" in (await watched.get(part)).body


async def test_a_board_that_was_learned_before_it_was_watched_is_not_believed(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    standin.faults.add(Fault("status", path="/1/members/me/boards", status=503))
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(proxy, 1)
    await proxy.get(f"/1/cards/{card}")
    await _look(proxy, clock)
    part = f"/1/cards/{card}/checklists?fields=name"
    await proxy.get(part)
    assert (await proxy.get(part)).cache == "hit; ttl=30"


SIGNALS: dict[str, tuple[str, str, dict[str, str], bool]] = {
    "a card's name": ("PUT", "/1/cards/{card}", {"name": "New"}, True),
    "a card's place": ("PUT", "/1/cards/{card}", {"pos": "1"}, False),
    "a new label": ("POST", "/1/boards/{board}/labels", {"name": "n", "color": "red"}, False),
    "a preference": ("PUT", "/1/boards/{board}/prefs/selfJoin", {"value": "true"}, False),
    "a comment": ("POST", "/1/cards/{card}/actions/comments", {"text": "Said"}, True),
}


@pytest.mark.parametrize("counted", [True, False], ids=["ixUpdate", "dateLastActivity"])
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_what_moves_a_board(
    start_proxy: StartProxy,
    standin: FakeTrello,
    clock: FakeClock,
    card: str,
    signal: tuple[str, str, dict[str, str], bool],
    *,
    counted: bool,
) -> None:
    """Trello's count of updates tells everything; the date of activity does not."""
    (method, path, params, is_activity), board = signal, standin.trello.example_board
    standin.trello.hidden = frozenset() if counted else frozenset({"ixUpdate"})
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(proxy, 1)
    targets = (f"/1/cards/{card}?fields=name,idBoard", f"/1/boards/{board}/cards")
    for target in targets:
        await proxy.get(target)
    clock.advance(1)
    standin.trello.edit(method, path.format(card=card, board=board), params)
    await _look(proxy, clock, EVERY_S - 1)
    seen = counted or is_activity
    for target in targets:
        assert (await proxy.get(target)).cache.startswith("fwd=stale" if seen else "hit; ttl=590")


LISTS = ("/1/members/me/boards?fields=name", "/1/members/me?fields=idBoards")


async def test_a_board_that_appears_or_vanishes_is_seen_in_the_lists_of_boards(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, other_board: str
) -> None:
    mine = [(await watched.get(target)).body for target in LISTS]
    made = standin.trello.edit("POST", "/1/boards", {"name": "Brand new"})["id"]
    await _look(watched, clock)
    more = [await watched.get(target) for target in LISTS]
    assert [made.encode() in each.body for each in more] == [True, True]
    standin.trello.edit("DELETE", f"/1/boards/{made}")
    await _look(watched, clock)
    assert [(await watched.get(target)).body for target in LISTS] == mine
    assert (await watched.get(f"/1/boards/{other_board}")).status == 200


TROUBLE = {
    "503": (Fault("status", status=503), "refused"),
    "401": (Fault("status", status=401, body="invalid token"), "refused"),
    "a gateway's page": (Fault("html"), "unusable"),
    "a short list under its own length": (
        Fault("status", status=200, body='[{"id":"5', content_type="application/json"),
        "unusable",
    ),
    "a body cut short": (Fault("cut"), "failed"),
    "a reset": (Fault("reset"), "failed"),
}


@pytest.mark.parametrize(("fault", "result"), TROUBLE.values(), ids=TROUBLE)
async def test_a_watcher_that_is_cut_off_is_late_says_so_and_comes_back(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str, fault: Fault, result: str
) -> None:
    path = f"/1/boards/{board}/lists"
    await watched.get(path)
    fault.path, fault.times = BOARDS, None
    fault = Fault(**{name: getattr(fault, name) for name in Fault.__slots__})
    standin.faults.add(fault)
    await _look(watched, clock)
    await _look(watched, clock)
    assert (await watched.get(path)).cache == "hit; ttl=580"
    assert (await watched.get("/readyz")).json["board_poll"] == "ok"
    clock.advance(LATE_S - 2 * EVERY_S)
    await turns()
    assert (await watched.get(path)).cache == f"hit; ttl={30 - LATE_S}"
    ready = (await watched.get("/readyz")).json
    assert (ready["status"], ready["board_poll"][:4]) == ("degraded", "late")
    assert await watched.metric("trello_proxy_board_poll_lag_seconds") == LATE_S
    assert await watched.metric("trello_proxy_boards_watched") == 0
    assert await watched.metric(f'trello_proxy_board_polls_total{{result="{result}"}}') == 2
    standin.faults.clear()
    await _look(watched, clock, 4 * EVERY_S - LATE_S)
    ready = (await watched.get("/readyz")).json
    assert (ready["status"], ready["store"], ready["board_poll"]) == ("ready", "ok", "ok")
    assert (await watched.get(path)).cache == f"hit; ttl={600 - 4 * EVERY_S}"
    assert standin.request_log.count("GET", path) == 1


async def test_a_throttled_watcher_asks_again_when_its_limit_has_rested(
    watched: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    standin.faults.add(Fault("status", BOARDS, status=429))
    await _look(watched, clock)
    assert await watched.metric('trello_proxy_board_polls_total{result="refused"}') == 1
    assert await watched.metric('trello_proxy_upstream_throttled_total{limit="token"}') == 1
    clock.advance(EVERY_S)
    await turns()
    clock.advance(1)
    await _heard(watched, 3)
    assert await watched.metric('trello_proxy_board_polls_total{result="good"}') == 2
    assert standin.request_log.count("GET", BOARDS) == 3


async def test_what_changed_while_it_was_cut_off_is_seen_when_it_is_back(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}?fields=name"
    await watched.get(path)
    standin.faults.add(Fault("status", BOARDS, times=None))
    await _look(watched, clock)
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed"})
    await _look(watched, clock)
    standin.faults.clear()
    await _look(watched, clock, 2 * EVERY_S)
    assert (await watched.get(path)).json["name"] == "Renamed"


async def test_a_planned_answer_is_no_longer_given_when_the_watcher_is_late(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    raw = Raw(*await asyncio.open_connection("127.0.0.1", watched.app.port))
    header = f"GET /1/boards/{board} HTTP/1.1\r\nHost: {watched.host}\r\n\r\n".encode()

    async def told() -> bytes:
        await raw.send(header)
        _, fields, _ = await raw.answer()
        (cache,) = [each for each in fields if each.startswith(b"Cache-Status")]
        return cache.removeprefix(b"Cache-Status: trello-proxy; ")

    assert await told() == b"fwd=uri-miss; fwd-status=200; stored"
    for seconds in range(0, 50, EVERY_S):
        assert await told() == b"hit; ttl=%d" % (600 - seconds)
        await _look(watched, clock)
    standin.faults.add(Fault("status", BOARDS, times=None))
    await _look(watched, clock)
    assert await told() == b"hit; ttl=540"
    clock.advance(LATE_S - EVERY_S)
    assert await told() == b"hit; ttl=-47"
    await raw.close()


async def test_what_was_asked_before_the_first_look_arrived_is_not_watched(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str, other_board: str
) -> None:
    """The look may have been made before the answer, and a change between them goes unseen."""
    standin.faults.add(Fault("late", BOARDS, applied=True))
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _questions(standin, 1)
    await until(lambda: clock.sleepers > 0)
    await proxy.get(f"/1/boards/{board}")
    await _look(proxy, clock, 1)
    assert (await proxy.get(f"/1/boards/{board}")).cache == "hit; ttl=29"
    await proxy.get(f"/1/boards/{other_board}")
    assert (await proxy.get(f"/1/boards/{other_board}")).cache == "hit; ttl=600"


async def test_what_an_earlier_process_stored_is_not_watched(
    start_proxy: StartProxy, clock: FakeClock, board: str
) -> None:
    first = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(first, 1)
    await first.get(f"/1/boards/{board}")
    assert (await first.get(f"/1/boards/{board}")).cache == "hit; ttl=600"
    await first.app.stop()
    clock.advance(1)
    second = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(second, 1)
    assert (await second.get(f"/1/boards/{board}")).cache == "hit; ttl=29"


async def test_a_soft_purge_survives_a_restart(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    first = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(first, 1)
    before = await first.get(path)
    standin.trello.edit("PUT", path, {"name": "Renamed"})
    await _look(first, clock)
    await first.app.stop()
    second = await start_proxy()
    standin.faults.add(Fault("status", path))
    stale = await second.get(path)
    assert (stale.body, stale.cache) == (
        before.body,
        "fwd=stale; fwd-status=503; detail=stale-if-error",
    )
    assert (await second.get(path)).json["name"] == "Renamed"


async def test_a_board_that_does_not_say_when_it_was_active_is_not_watched(
    start_proxy: StartProxy, standin: FakeTrello, board: str, other_board: str
) -> None:
    shown = [
        {"id": board, "ixUpdate": "7"},
        {"id": other_board, "dateLastActivity": "2026-11-21T10:00:00.000Z"},
    ]
    body, kind = json.dumps(shown), "application/json"
    fault = Fault("status", BOARDS, status=200, body=body, content_type=kind, times=None)
    standin.faults.add(fault)
    proxy = await start_proxy(freshness={"watch_s": EVERY_S})
    await _heard(proxy, 1)
    assert await proxy.metric("trello_proxy_boards_watched") == 1
    for each, ttl_s in ((board, 30), (other_board, 600)):
        await proxy.get(f"/1/boards/{each}")
        assert (await proxy.get(f"/1/boards/{each}")).cache == f"hit; ttl={ttl_s}"


async def test_nobody_reads_nobody_asks_and_the_first_reader_wakes_it(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    async def is_idle() -> bool:
        return b"idle; there are no requests" in (await watched.get("/readyz")).body

    await watched.get(f"/1/boards/{board}")
    clock.advance(15 * 60)
    await _until(is_idle)
    asked = standin.request_log.count("GET", BOARDS)
    clock.advance(3_600)
    await turns()
    assert standin.request_log.count("GET", BOARDS) == asked
    assert await watched.metric("trello_proxy_board_poll_lag_seconds") == 0
    ready = (await watched.get("/readyz")).json
    assert ready["status"] == "ready"
    number = await _asked(watched)
    assert (await watched.get(f"/1/boards/{board}")).cache.startswith("fwd=stale")
    await _heard(watched, number + 1)
    assert (await watched.get("/readyz")).json["board_poll"] == "ok"


async def test_another_identity_has_plain_lifetimes_and_hears_of_every_change(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    standin.trello.add_token(OTHER_TOKEN, standin.trello.me["id"], key=OTHER_KEY)
    proxy = await start_proxy(freshness={"watch_s": EVERY_S}, clients={"credentials": "forward"})
    await _heard(proxy, 1)
    theirs = f"/1/boards/{board}?key={OTHER_KEY}&token={OTHER_TOKEN}"
    await proxy.get(theirs)
    assert (await proxy.get(theirs)).cache == "hit; ttl=30"
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed"})
    await _look(proxy, clock)
    heard = await proxy.get(theirs)
    assert (heard.json["name"], heard.cache[:9]) == ("Renamed", "fwd=stale")


async def test_the_watchers_own_answers_are_not_stored(
    watched: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    await _look(watched, clock)
    target = standin.request_log.requests[-1]
    assert target.path == BOARDS
    query = "filter=all&fields=dateLastActivity,ixUpdate,shortLink"
    assert (await watched.get(f"{BOARDS}?{query}")).cache.startswith("fwd=uri-miss")


async def test_a_write_through_the_proxy_is_not_undone_by_a_look_that_was_under_way(
    watched: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    await watched.get(path)
    standin.faults.add(Fault("late", BOARDS, applied=True))
    number, looks = await _asked(watched), standin.request_log.count("GET", BOARDS)
    clock.advance(EVERY_S)
    await _questions(standin, looks + 1)
    await until(lambda: clock.sleepers > 0)
    await watched("PUT", path, params={"name": "Mine"})
    assert (await watched.get(path)).json["name"] == "Mine"
    clock.advance(1)
    await _heard(watched, number + 2)  # the write has it look once more
    assert (await watched.get(path)).json["name"] == "Mine"


async def test_it_tells_once_that_it_is_late_and_once_that_it_is_back(
    watched: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    standin.faults.add(Fault("status", BOARDS, times=None))
    for after_s in (10, 10, 20, 40):
        await _look(watched, clock, after_s)
    standin.faults.clear()
    for after_s in (60, 10):
        await _look(watched, clock, after_s)
    await until(lambda: bool(watched.logged("board poll recovered")))
    assert (
        len(watched.logged("board poll late")) == len(watched.logged("board poll recovered")) == 1
    )


async def test_it_takes_a_fifth_of_the_limit_at_most(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock
) -> None:
    proxy = await start_proxy(limits={"token": Rate(1, 10.0)}, freshness={"watch_s": EVERY_S})
    await _heard(proxy, 1)
    for _ in range(4):
        clock.advance(EVERY_S)
        await turns()
    assert standin.request_log.count("GET", BOARDS) == 1
    await _look(proxy, clock)
    assert standin.request_log.count("GET", BOARDS) == 2


async def test_when_it_is_off_nothing_is_asked_and_nothing_is_watched(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    await proxy.get(f"/1/boards/{board}")
    clock.advance(EVERY_S)
    await turns()
    assert (await proxy.get(f"/1/boards/{board}")).cache == f"hit; ttl={30 - EVERY_S}"
    assert standin.request_log.count("GET", BOARDS) == 0
    ready = (await proxy.get("/readyz")).json
    assert (ready["status"], ready["board_poll"]) == ("ready", "off")
