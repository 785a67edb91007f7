"""Stale answers: at once while the background asks, and when Trello cannot (RFC 5861)."""

import asyncio
from dataclasses import replace

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Proxy,
    StartProxy,
    turns,
    until,
)

REVALIDATED_S = 40
"""Into stale-while-revalidate: fresh for 30 s, then usable for 60 s while somebody asks."""
STALE_S = 100
"""Past it; for a day only trouble is a reason to use the answer."""
THROTTLED_S = 11
"""After this a 429 is over."""
DAY_S = 24 * 3600
JSON = "application/json; charset=utf-8"


async def test_stale_while_revalidate_answers_at_once_with_one_question_in_the_background(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    before = await proxy.get(path)
    standin.trello.edit("PUT", path, {"name": "Renamed in Trello"})
    clock.advance(REVALIDATED_S)
    standin.faults.add(Fault("late", path))
    heard = await asyncio.gather(*(proxy.get(path) for _ in range(50)))
    assert {each.body for each in heard} == {before.body}
    assert {(each.cache, each.fields["Age"]) for each in heard} == {("hit; ttl=-11", "40")}
    await until(lambda: standin.request_log.count("GET", path) == 2)
    clock.advance(1)
    await until(lambda: standin.request_log.requests[-1].status == 200)
    await turns()
    now = await proxy.get(path)
    assert (now.json["name"], now.cache) == ("Renamed in Trello", "hit; ttl=29")
    assert standin.request_log.count("GET", path) == 2


async def test_the_last_second_of_the_window_and_the_first_after_it(
    proxy: Proxy, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    clock.advance(30)
    assert (await proxy.get(f"{path}?_=1")).cache.startswith("fwd=uri-miss")
    assert (await proxy.get(path)).cache == "hit; ttl=-1"
    await turns()
    clock.advance(89)
    assert (await proxy.get(path)).cache == "hit; ttl=-60"
    await turns()
    clock.advance(90)
    assert (await proxy.get(path)).cache == "fwd=stale; fwd-status=200; stored"


async def test_a_failure_in_the_background_is_nobodys_and_the_next_caller_has_it_asked_again(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    before = await proxy.get(path)
    clock.advance(REVALIDATED_S)
    for asked, fault in enumerate(
        (Fault("status", path), Fault("html", path), Fault("cut", path)), start=2
    ):
        standin.faults.add(fault)
        heard = await proxy.get(path)
        assert (heard.status, heard.body, heard.cache) == (200, before.body, "hit; ttl=-11")
        await until(lambda expected=asked: standin.request_log.count("GET", path) == expected)  # type: ignore[misc]
        await turns()
    assert (await proxy.get(path)).cache == "hit; ttl=-11"
    await until(lambda: standin.request_log.count("GET", path) == 5)
    await turns()
    assert (await proxy.get(path)).cache == "hit; ttl=30"


TROUBLE = {
    "a reset": (Fault("reset"), 502, "connection-terminated"),
    "silence": (Fault("hang"), 504, "upstream-timeout"),
    "500": (Fault("status", status=500), 500, ""),
    "503": (Fault("status", status=503), 503, ""),
    "429": (Fault("status", status=429), 429, ""),
    "a gateway's page with 200": (Fault("html"), 502, "invalid-response"),
    "a body cut in its first bytes": (Fault("cut"), 502, "incomplete-response"),
    "a body cut before its last byte": (Fault("cut", after_bytes=-1), 502, "incomplete-response"),
    "an empty body": (Fault("cut", after_bytes=0), 502, "incomplete-response"),
    "a length that is never reached": (Fault("too_long"), 502, "incomplete-response"),
    "half a body under its own length": (
        Fault("status", status=200, body='{"id":"5","members":[{"id":"6"}', content_type=JSON),
        502,
        "invalid-response",
    ),
    "a length that is too short": (Fault("too_short"), 502, "in"),
}
TARGETS = {
    "identity": "/1/boards/{board}?fields=name",
    "gzip": "/1/boards/{board}?lists=all",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
async def test_upstream_trouble_is_a_stale_answer_or_an_error_and_never_a_404(
    start_proxy: StartProxy,
    standin: FakeTrello,
    clock: FakeClock,
    board: str,
    trouble: tuple[Fault, int, str],
    target: str,
) -> None:
    """Nothing short looks complete, and nothing of it is stored."""
    fault, status, problem = trouble
    target = target.format(board=board)
    proxy = await start_proxy(limits={"wait_s": 0.0})
    before = await proxy.get(target)
    clock.advance(STALE_S)
    standin.faults.add(replace(fault, times=None))
    for _ in range(2):
        stale = await proxy.get(target)
        assert (stale.status, stale.body, stale.fields["Age"]) == (200, before.body, "100")
        assert stale.cache == f"fwd=stale; fwd-status={status}; detail=stale-if-error"
    with_no_answer_stored = await proxy.get(f"{target}&actions=none")
    assert with_no_answer_stored.status == status
    assert with_no_answer_stored.problem.startswith(problem)
    standin.faults.clear()
    clock.advance(THROTTLED_S)
    assert (await proxy.get(target)).cache == "fwd=stale; fwd-status=200; stored"
    assert (await proxy.get(f"{target}&actions=none")).cache.startswith("fwd=uri-miss")


async def test_a_refused_connection_is_a_stale_answer_or_502(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    before = await proxy.get(f"/1/boards/{board}")
    clock.advance(STALE_S)
    await standin.stop()
    stale = await proxy.get(f"/1/boards/{board}")
    assert (stale.status, stale.body) == (200, before.body)
    assert stale.cache == "fwd=stale; fwd-status=502; detail=stale-if-error"
    heard = await proxy.get(f"/1/boards/{board}/lists")
    assert (heard.status, heard.problem) == (502, "upstream-refused")
    assert heard.fields["Proxy-Status"] == "trello-proxy; error=connection_refused"
    assert int(heard.fields["Retry-After"]) > 0


async def test_a_stale_answer_has_an_end(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    await proxy.get(f"/1/boards/{board}")
    standin.faults.add(Fault("status", times=None))
    clock.advance(30 + DAY_S - 1)
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    clock.advance(1)
    assert (await proxy.get(f"/1/boards/{board}")).status == 503


async def test_that_the_stored_token_is_broken_is_trouble(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    before = await proxy.get(f"/1/boards/{board}")
    clock.advance(STALE_S)
    standin.trello.revoke(next(iter(standin.trello.tokens)))
    stale = await proxy.get(f"/1/boards/{board}")
    assert (stale.status, stale.body) == (200, before.body)
    assert stale.cache == "fwd=stale; fwd-status=401; detail=stale-if-error"
    heard = await proxy.get(f"/1/boards/{board}/lists")
    assert (heard.status, heard.problem) == (502, "token-refused")


REFUSALS = {"401": 401, "403": 403, "410": 410}


@pytest.mark.parametrize("status", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_is_trellos_word_and_ends_the_old_answer(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, status: int
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    clock.advance(STALE_S)
    standin.faults.add(Fault("status", status=status, body="unauthorized permission requested"))
    heard = await proxy.get(path)
    assert (heard.status, heard.body) == (status, b"unauthorized permission requested")
    clock.advance(10)
    standin.faults.add(Fault("status", status=503, body="down"))
    assert (await proxy.get(path)).status == 503


async def test_one_404_makes_the_old_answer_stale_and_does_not_end_it(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path, anew = f"/1/boards/{board}", {"Cache-Control": "no-cache"}
    first = await proxy.get(path)
    standin.faults.add(Fault("status", status=404, body="not found"))
    missing = await proxy.get(path, headers=anew)
    assert (missing.status, missing.body) == (404, b"not found")
    assert missing.cache == "fwd=request; fwd-status=404; stored"
    again = await proxy.get(path)
    assert (again.status, again.cache) == (404, "hit; ttl=5")
    clock.advance(5)
    standin.faults.add(Fault("status", status=503, body="down"))
    stale = await proxy.get(path)
    assert (stale.status, stale.body) == (200, first.body)
    assert stale.cache == "fwd=stale; fwd-status=503; detail=stale-if-error"
    back = await proxy.get(path)
    assert (back.status, back.cache) == (200, "fwd=stale; fwd-status=200; stored")
    assert (await proxy.get(path)).cache == "hit; ttl=30"


async def test_while_a_404_is_fresh_nobody_asks_and_nobody_reads_the_old_answer(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    clock.advance(STALE_S)
    standin.faults.add(Fault("status", status=404, body="not found", times=None))
    asked = standin.request_log.total
    for pause_s in (0, 4, 1, 4, 1):
        clock.advance(pause_s)
        assert (await proxy.get(path)).status == 404
    assert standin.request_log.total == asked + 3


@pytest.mark.parametrize("pause_s", [4, 5])
async def test_a_second_404_seconds_later_ends_the_old_answer(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, pause_s: int
) -> None:
    path, anew = f"/1/boards/{board}", {"Cache-Control": "no-cache"}
    await proxy.get(path)
    standin.faults.add(Fault("status", status=404, body="not found", times=2))
    assert (await proxy.get(path)).status == 200
    assert (await proxy.get(path, headers=anew)).status == 404
    clock.advance(pause_s)
    assert (await proxy.get(path, headers=anew)).status == 404
    clock.advance(STALE_S)
    standin.faults.add(Fault("status", status=503, body="down"))
    assert (await proxy.get(path)).status == (503 if pause_s == 5 else 200)


async def test_what_a_404_made_stale_stays_so_after_a_restart(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    path, anew = f"/1/boards/{board}", {"Cache-Control": "no-cache"}
    proxy = await start_proxy()
    await proxy.get(path)
    standin.faults.add(Fault("status", status=404, body="not found"))
    assert (await proxy.get(path, headers=anew)).status == 404
    await proxy.app.stop()
    proxy = await start_proxy()
    assert (await proxy.get(path)).status == 404
    assert (await proxy.get(path, headers=anew)).status == 200


NEVER_STORED = (400, 401, 403, 409, 429, 500, 502, 503, 504)


@pytest.mark.parametrize("status", NEVER_STORED)
async def test_only_answers_and_404s_are_stored(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, status: int
) -> None:
    path = f"/1/boards/{board}"
    standin.faults.add(Fault("status", status=status, body="not now", times=2))
    for _ in range(2):
        clock.advance(THROTTLED_S)
        heard = await proxy.get(path)
        assert (heard.status, heard.body) == (status, b"not now")
        assert heard.cache == f"fwd=uri-miss; fwd-status={status}; detail=status-not-stored"
    clock.advance(THROTTLED_S)
    assert (await proxy.get(path)).status == 200
    assert standin.request_log.count("GET", path) == 3


async def test_what_a_write_removed_is_not_read_again_even_while_trello_is_down(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, other_board: str
) -> None:
    await proxy.get(f"/1/boards/{board}")
    await proxy.get(f"/1/boards/{other_board}")
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    standin.faults.add(Fault("status", times=None))
    assert (await proxy.get(f"/1/boards/{board}")).status == 503
    clock.advance(STALE_S)
    assert (await proxy.get(f"/1/boards/{other_board}")).status == 200


async def test_lifetimes_are_the_operators_to_set(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy(
        "routes:\n"
        "  - {match: /boards/*, lifetime: 2s, stale_while_revalidate: 0s, stale_if_error: 3s}\n"
        "  - {match: /boards/**, lifetime: 0s}\n"
    )
    await proxy.get(f"/1/boards/{board}")
    clock.advance(2)
    standin.faults.add(Fault("status", f"/1/boards/{board}", times=2))
    assert (await proxy.get(f"/1/boards/{board}")).cache.endswith("detail=stale-if-error")
    clock.advance(3)
    assert (await proxy.get(f"/1/boards/{board}")).status == 503
    for _ in range(2):
        assert (await proxy.get(f"/1/boards/{board}/lists")).cache == "fwd=bypass"
