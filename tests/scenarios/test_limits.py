"""Trello's limits, kept on real sockets: who waits, who is refused and how, what is told."""

import asyncio
from typing import Any

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.model import Rate
from proxy.runtime.clock import FakeClock
from proxy.server import connection
from tests.scenarios.conftest import (
    OTHER_KEY,
    OTHER_TOKEN,
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)

STALE_S = 100
TEN: dict[str, Any] = {"token": Rate(10, 10.0)}
TIGHT: dict[str, Any] = {**TEN, "wait_s": 0.0}


async def spend(proxy: Proxy, count: int, **options: Any) -> None:
    """So many questions nobody asked before."""
    for number in range(count):
        heard = await proxy.get(f"/1/members/me/boards?fields=name&_={number}", **options)
        assert heard.status == 200


async def test_nobody_hears_of_a_limit_that_only_has_to_be_waited_for(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    standin.limits.on = True
    proxy = await start_proxy(limits={"token": Rate(100, 10.0), "key": Rate(300, 10.0)})
    asking = asyncio.gather(*(proxy.get(f"/1/boards/{board}?_={n}") for n in range(130)))
    while not asking.done():
        await turns(20)
        clock.advance(0.1)
    assert {heard.status for heard in await asking} == {200}
    assert standin.request_log.refused == 0


async def test_a_refusal_is_trellos_own_with_the_proxys_mark(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(limits=TIGHT)
    await spend(proxy, 5)
    asked = len(standin.request_log.requests)
    heard = await proxy.get(f"/1/boards/{board}")
    assert (heard.status, heard.fields["Retry-After"]) == (429, "1")
    assert heard.json == {"error": "API_TOKEN_LIMIT_EXCEEDED", "message": "Rate limit exceeded"}
    assert heard.fields["Proxy-Status"] == "trello-proxy; error=http_request_denied"
    assert len(standin.request_log.requests) == asked
    assert await proxy.metric('trello_proxy_rate_limit_rejected_total{priority="api"}') == 1
    assert await proxy.metric('trello_proxy_errors_total{type="rate-limited"}') == 1


async def test_a_person_hears_of_it_on_a_page(start_proxy: StartProxy, card: str) -> None:
    proxy = await start_proxy(limits=TIGHT)
    await spend(proxy, 5)
    heard = await proxy.get(f"/1/cards/{card}", headers={"Accept": "text/html"})
    assert heard.status == 429
    assert b"rate limit is used up" in heard.body
    assert b"Try again in 1 s" in heard.body
    program = await proxy.get(f"/1/cards/{card}", headers={"Accept": JAVA})
    assert (program.status, program.json["error"]) == (429, "API_TOKEN_LIMIT_EXCEEDED")


async def test_a_stale_answer_is_better_than_a_refusal_and_hits_notice_nothing(
    start_proxy: StartProxy, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy(limits=TIGHT)
    before = await proxy.get(f"/1/boards/{board}")
    clock.advance(STALE_S)
    await proxy.get("/1/members/me/boards")
    await spend(proxy, 4)
    stale = await proxy.get(f"/1/boards/{board}")
    assert (stale.status, stale.body) == (200, before.body)
    assert stale.cache == "fwd=stale; fwd-status=429; detail=stale-if-error"
    assert (await proxy.get("/1/members/me/boards")).cache.startswith("hit")


async def test_a_write_that_is_refused_was_not_sent_and_invalidates_nothing(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(limits=TIGHT)
    await proxy.get(f"/1/boards/{board}")
    await spend(proxy, 4)
    heard = await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    assert heard.status == 429
    assert standin.request_log.count("PUT", f"/1/boards/{board}") == 0
    assert (await proxy.get(f"/1/boards/{board}")).cache.startswith("hit")


async def test_every_answer_that_was_asked_for_tells_what_is_left(
    start_proxy: StartProxy, board: str
) -> None:
    proxy = await start_proxy(limits={"token": Rate(100, 10.0), "key": Rate(300, 10.0)})
    heard = await proxy.get(f"/1/boards/{board}")
    assert heard.fields["RateLimit-Policy"] == '"key";q=300;w=10, "token";q=100;w=10'
    assert heard.fields["RateLimit"] == '"key";r=290;t=10, "token";r=96;t=10'
    heard = await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    assert '"token";r=95' in heard.fields["RateLimit"]
    heard = await proxy.get("/1/members/me")
    assert '"members";r=96;t=900' in heard.fields["RateLimit"]
    assert "RateLimit" not in (await proxy.get("/1/members/me")).fields
    assert await proxy.metric('trello_proxy_rate_limit_remaining{limit="token"}') == 94


async def test_the_figures_have_trellos_names_too_and_are_the_proxys_own(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(limits={"token": Rate(50, 10.0), "key": Rate(300, 10.0)})
    prefix = "X-Rate-Limit-Api-"
    remaining = {}
    for name, method, target in (
        ("a miss", "GET", f"/1/boards/{board}"),
        ("a write", "PUT", f"/1/boards/{board}?name=After"),
        ("what is not stored", "GET", "/1/inventions"),
    ):
        heard = await proxy(method, target)
        assert heard.fields.getall(f"{prefix}Token-Max") == ["50"]
        assert heard.fields[f"{prefix}Key-Max"] == "300"
        assert heard.fields[f"{prefix}Token-Interval-Ms"] == "10000"
        (remaining[name],) = heard.fields.getall(f"{prefix}Token-Remaining")
    assert remaining == {"a miss": "48", "a write": "47", "what is not stored": "46"}
    assert await proxy.metric('trello_proxy_rate_limit_remaining{limit="token"}') == 46
    await proxy.get(f"/1/boards/{board}/lists")
    hit = await proxy.get(f"/1/boards/{board}/lists")
    assert hit.cache.startswith("hit")
    assert not [name for name in hit.fields if name.startswith("X-Rate-Limit-")]


async def test_trellos_429_passes_and_nothing_is_sent_until_its_window_is_over(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy(limits={"wait_s": 0.0})
    said = '{"error":"API_TOKEN_LIMIT_EXCEEDED","message":"Rate limit exceeded"}'
    standin.faults.add(Fault("status", status=429, body=said))
    heard = await proxy.get(f"/1/boards/{board}")
    assert (heard.status, heard.body) == (429, said.encode())
    assert "Proxy-Status" not in heard.fields
    asked = len(standin.request_log.requests)
    heard = await proxy.get(f"/1/boards/{board}")
    assert (heard.status, len(standin.request_log.requests)) == (429, asked)
    assert int(heard.fields["Retry-After"]) in {10, 11}
    clock.advance(11)
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert await proxy.metric('trello_proxy_upstream_throttled_total{limit="token"}') == 1


async def test_a_question_that_is_too_large_is_no_throttle(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(limits={"wait_s": 0.0})
    for status in (403, 429):
        body = '{"error":"API_TOO_MANY_CARDS_REQUESTED"}'
        standin.faults.add(Fault("status", status=status, body=body))
        assert (await proxy.get(f"/1/boards/{board}")).status == status
        assert (await proxy.get(f"/1/boards/{board}?_={status}")).status == 200


async def test_a_client_who_leaves_ends_its_wait_and_trello_is_not_asked(
    start_proxy: StartProxy,
    standin: FakeTrello,
    clock: FakeClock,
    board: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HALF_OPEN_S", 0.01)
    proxy = await start_proxy(limits=TEN)
    await spend(proxy, 5)
    asked = len(standin.request_log.requests)
    for method in (b"GET", b"PUT"):
        raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
        await raw.send(b"%b /1/boards/%b?name=x HTTP/1.1\r\n" % (method, board.encode()))
        await raw.send(b"Host: %b\r\n\r\n" % proxy.host.encode())
        await until(lambda: len(proxy.app.components.upstream.limiter.queued) == 1)
        await raw.close()
        await until(lambda: not proxy.app.components.upstream.limiter.queued)
    clock.advance(10)
    await turns()
    assert len(standin.request_log.requests) == asked
    await until(lambda: [line["status"] for line in proxy.logged("request")][-2:] == [499, 499])


async def test_a_client_who_leaves_a_shared_wait_harms_nobody(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy(limits=TEN)
    await spend(proxy, 5)
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    head = f"GET /1/boards/{board} HTTP/1.1\r\nHost: {proxy.host}\r\n\r\n"
    await raw.send(head.encode())
    await until(lambda: len(proxy.app.components.upstream.limiter.queued) == 1)
    other = asyncio.gather(proxy.get(f"/1/boards/{board}"))
    await turns()
    await raw.close()
    await turns()
    clock.advance(10)
    (heard,) = await other
    assert (heard.status, standin.request_log.count("GET", f"/1/boards/{board}")) == (200, 1)


async def test_a_renewal_waits_behind_people_and_no_client_waits_for_it(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy(limits=TEN)
    await proxy.get(f"/1/boards/{board}")
    clock.advance(40)
    await spend(proxy, 5)
    assert (await proxy.get(f"/1/boards/{board}")).cache == "hit; ttl=-11"
    await until(lambda: len(proxy.app.components.upstream.limiter.queued) == 1)
    assert proxy.app.components.upstream.limiter.queued[0].priority.label == "background"
    assert await proxy.metric('trello_proxy_rate_limit_queue_length{priority="background"}') == 1
    clock.advance(1)
    await until(lambda: standin.request_log.count("GET", f"/1/boards/{board}") == 2)
    await turns()
    assert (await proxy.get(f"/1/boards/{board}")).cache.startswith("hit; ttl=2")


async def test_tokens_of_clients_have_budgets_of_their_own(start_proxy: StartProxy) -> None:
    proxy = await start_proxy("clients: {credentials: forward}", limits=TIGHT)
    await spend(proxy, 5)
    theirs = f"&key={OTHER_KEY}&token={OTHER_TOKEN}"
    for number in range(5):
        heard = await proxy.get(f"/1/members/me/boards?_={number}{theirs}")
        assert heard.status == 401
    assert (await proxy.get(f"/1/members/me/boards?_=9{theirs}")).status == 429


JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
"""What Java's own client sends where its program says nothing."""
WHO = {
    "a browser that opens it": ({"Sec-Fetch-Mode": "navigate"}, "interactive"),
    "a page that shows it": ({"Sec-Fetch-Mode": "no-cors"}, "interactive"),
    "one that opens it over plain http": (
        {"Accept": "text/html,application/xhtml+xml"},
        "interactive",
    ),
    "a page that shows it over plain http": ({"Accept": "image/webp,*/*;q=0.8"}, "interactive"),
    "a script": ({"Accept": "*/*"}, "api"),
    "warm": ({"User-Agent": "trello-proxy-warm/1"}, "prefetch"),
}


@pytest.mark.parametrize(("headers", "urgency"), WHO.values(), ids=WHO.keys())
async def test_a_file_is_for_a_person_when_a_browser_asks(
    proxy: Proxy, standin: FakeTrello, headers: dict[str, str], urgency: str
) -> None:
    target = standin.trello.example_attachment_path
    assert (await proxy.get(target, headers=headers)).status == 200
    waits = "trello_proxy_rate_limit_wait_seconds_count"
    assert await proxy.metric(f'{waits}{{priority="{urgency}"}}') == 2
    assert await proxy.metric("trello_proxy_rate_limit_queue_oldest_seconds") == 0


async def test_a_page_is_for_a_person(proxy: Proxy, short: str) -> None:
    await proxy.get(f"/c/{short}")
    waits = 'trello_proxy_rate_limit_wait_seconds_count{priority="interactive"}'
    assert await proxy.metric(waits) == 2
