"""A batch: part by part from the store, one question for the rest, each part kept as a read is."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Heard,
    Proxy,
    StartProxy,
    turns,
)

LATE_S = 1.0
MISSING = "0" * 24


async def direct(proxy: Proxy, fake_trello: FakeTrello, target: str) -> bytes:
    """What the stand-in says when it is asked without the proxy, but for the links."""
    credential = f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"'
    heard = await proxy.session.get(fake_trello.url + target, headers={"Authorization": credential})
    assert heard.status == 200
    return (await heard.read()).replace(
        b"https://trello.com/1/cards/", b"%b/1/cards/" % proxy.url.encode()
    )


def lists_asked(fake_trello: FakeTrello) -> list[str]:
    """The queries of the batches that Trello was asked."""
    return [seen.query for seen in fake_trello.request_log.requests if seen.path == "/1/batch"]


@pytest.fixture
def urls(board: str, card: str) -> list[str]:
    """Three sub-URLs."""
    return [f"/boards/{board}?fields=name", f"/cards/{card}", f"/boards/{board}/lists"]


@pytest.fixture
def batch(urls: list[str]) -> str:
    return f"/1/batch?urls={','.join(urls)}"


async def test_asked_in_one_question_and_then_from_the_store(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str
) -> None:
    expected = await direct(proxy, standin, batch)
    standin.request_log.reset()
    heard = [await proxy.get(batch) for _ in range(2)]
    clock.advance(7)
    heard.append(await proxy.get(batch))
    assert standin.request_log.total == 1
    assert {each.body for each in heard} == {expected}
    assert [(each.cache, each.fields["Age"]) for each in heard] == [
        ("fwd=uri-miss; fwd-status=200; stored; detail=fetched-3-of-3", "0"),
        ("hit; ttl=30", "0"),
        ("hit; ttl=23", "7"),
    ]
    assert heard[0].fields["Content-Type"] == "application/json; charset=utf-8"
    assert heard[0].fields.getall("Cache-Control") == ["private, no-cache"]


async def test_what_a_batch_brought_a_plain_read_has(
    proxy: Proxy, standin: FakeTrello, batch: str, urls: list[str]
) -> None:
    items = (await proxy.get(batch)).json
    for url, item in zip(urls, items, strict=True):
        heard = await proxy.get(f"/1{url}")
        assert heard.cache == "hit; ttl=30"
        assert heard.body == await direct(proxy, standin, f"/1{url}")
        assert item == {"200": heard.json}
        assert heard.fields["Content-Type"] == "application/json; charset=utf-8"
    assert len(lists_asked(standin)) == 1


async def test_what_plain_reads_brought_a_batch_has(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str, urls: list[str]
) -> None:
    for url in urls:
        await proxy.get(f"/1{url}")
        clock.advance(2)
    heard = await proxy.get(batch)
    assert (heard.cache, heard.fields["Age"]) == ("hit; ttl=24", "6")
    assert heard.body == await direct(proxy, standin, batch)
    assert len(lists_asked(standin)) == 1


async def test_only_what_is_missing_is_asked_for(
    proxy: Proxy, standin: FakeTrello, batch: str, urls: list[str]
) -> None:
    await proxy.get(f"/1{urls[1]}")
    heard = await proxy.get(batch)
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored; detail=fetched-2-of-3"
    assert lists_asked(standin) == [f"urls={quote(f'{urls[0]},{urls[2]}', safe='')}"]
    assert heard.body == await direct(proxy, standin, batch)


async def test_one_that_is_missing_is_read_by_itself(
    proxy: Proxy, standin: FakeTrello, batch: str, urls: list[str]
) -> None:
    for url in urls[1:]:
        await proxy.get(f"/1{url}")
    heard = await proxy.get(batch)
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored; detail=fetched-1-of-3"
    assert lists_asked(standin) == []
    assert heard.body == await direct(proxy, standin, batch)


async def test_one_that_is_missing_joins_whoever_reads_it(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    standin.faults.add(Fault("late", path, delay_s=LATE_S))
    reader = asyncio.ensure_future(proxy.get(path))
    await turns()
    lister = asyncio.ensure_future(proxy.get(f"/1/batch?urls=/boards/{board}"))
    await turns()
    clock.advance(LATE_S)
    read, listed = await asyncio.gather(reader, lister)
    assert listed.body == b'[{"200":%b}]' % read.body
    assert listed.cache == "fwd=uri-miss; fwd-status=200; stored; collapsed; detail=fetched-1-of-1"
    assert standin.request_log.total == 1


async def test_the_same_twice_is_asked_for_once(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    url = f"/boards/{board}?fields=name"
    heard = await proxy.get(f"/1/batch?urls={url},/boards/{board}/lists,{url}")
    assert [list(item) for item in heard.json] == [["200"]] * 3
    assert heard.json[0] == heard.json[2]
    (asked,) = lists_asked(standin)
    assert asked.count("fields") == 1


SPELLINGS = {
    "values, then the list": lambda urls: quote(
        ",".join(url.replace(",", "%2C") for url in urls), safe=""
    ),
    "each, then the list": lambda urls: quote(
        ",".join(quote(url, safe="") for url in urls), safe=""
    ),
    "each, then raw commas": lambda urls: ",".join(quote(quote(url, safe="")) for url in urls),
    "an & that is not encoded": lambda urls: ",".join(
        quote(url.replace(",", "%2C"), safe="/?=&") for url in urls
    ),
    "no leading slash": lambda urls: quote(
        ",".join(url[1:].replace(",", "%2C") for url in urls), safe=""
    ),
    "the singular": lambda urls: quote(
        ",".join(url.replace("ds/", "d/").replace(",", "%2C") for url in urls), safe=""
    ),
}


@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_every_spelling_of_a_list_is_one(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, spelt: Any
) -> None:
    urls = [f"/boards/{board}?fields=name,url&lists=open", f"/cards/{card}?fields=name,closed"]
    plain = [await proxy.get(f"/1{url}") for url in urls]
    heard = await proxy.get(f"/1/batch?urls={spelt(urls)}")
    assert heard.cache == "hit; ttl=30"
    assert heard.body == b'[{"200":%b},{"200":%b}]' % (plain[0].body, plain[1].body)
    assert set(heard.json[0]["200"]) == {"id", "name", "url", "lists"}
    assert standin.request_log.total == 2


async def test_commas_and_ampersands_reach_trello_as_they_were_meant(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    urls = [f"/boards/{board}?fields=name,url&lists=open", f"/cards/{card}?fields=name,closed"]
    heard = await proxy.get(f"/1/batch?urls={SPELLINGS['an & that is not encoded'](urls)}")
    assert [set(item["200"]) for item in heard.json] == [
        {"id", "name", "url", "lists"},
        {"id", "name", "closed"},
    ]
    for url in urls:
        assert (await proxy.get(f"/1{url}")).cache == "hit; ttl=30"


async def test_failures_come_in_their_order_and_are_not_stored(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    target = f"/1/batch?urls=/cards/{MISSING},/boards/{board},/cards/no-id,/boards/{board}/lists"
    heard = await proxy.get(target)
    assert heard.body == await direct(proxy, standin, target)
    assert [item.get("statusCode") for item in heard.json] == [404, None, 400, None]
    assert heard.cache == "fwd=uri-miss; fwd-status=200; detail=fetched-4-of-4"
    assert (await proxy.get(target)).cache == "fwd=uri-miss; fwd-status=200; detail=fetched-2-of-4"
    missing = await proxy.get(f"/1/cards/{MISSING}")
    assert missing.cache == "fwd=uri-miss; fwd-status=404; stored"
    assert missing.body == b"The requested resource was not found."


async def test_a_failure_that_was_read_by_itself_is_the_same_item(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    await proxy.get(f"/1/boards/{board}")
    for url in (f"/cards/{MISSING}", "/cards/no-id"):
        target = f"/1/batch?urls=/boards/{board},{url}"
        expected = await direct(proxy, standin, target)
        assert [(await proxy.get(target)).body for _ in range(2)] == [expected] * 2
    assert standin.request_log.count("GET", f"/1/cards/{MISSING}") == 1
    assert standin.request_log.count("GET", "/1/cards/no-id") == 2


async def test_what_trello_says_twice_is_gone_is_forgotten(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str, board: str
) -> None:
    target = f"/1/batch?urls=/cards/{card},/boards/{board}"
    await proxy.get(target)
    clock.advance(100)
    standin.trello.edit("DELETE", f"/1/cards/{card}")
    for status in (200, 503):
        assert (await proxy.get(target)).json[0]["statusCode"] == 404
        clock.advance(100)
        standin.faults.add(Fault("status", status=503))
        assert (await proxy.get(f"/1/cards/{card}")).status == status


FORWARDED = {
    "eleven": "urls=" + ",".join(["/members/me"] * 11),
    "no list": "",
    "an empty list": "urls=",
    "an empty item": "urls=/members/me,,/members/me",
    "a batch in a batch": "urls=/members/me,/batch?urls=/members/me",
    "an unknown path": "urls=/members/me,/nowhere",
    "a version that does not belong there": "urls=/1/members/me",
    "a token's path": "urls=/members/me,/tokens/x",
    "an encoded slash": "urls=/members%252Fme",
    "a parameter more": "urls=/members/me&fields=x",
}


@pytest.mark.parametrize("query", FORWARDED.values(), ids=FORWARDED.keys())
async def test_what_is_no_list_of_plain_reads_passes_as_it_was_sent(
    proxy: Proxy, standin: FakeTrello, query: str
) -> None:
    await proxy.get("/1/members/me")
    standin.request_log.reset()
    heard = [await proxy.get(f"/1/batch?{query}") for _ in range(2)]
    assert lists_asked(standin) == [query] * 2
    assert {each.cache for each in heard} == {"fwd=bypass"}
    assert standin.request_log.total == 2


async def test_trellos_own_error_passes(proxy: Proxy) -> None:
    heard = await proxy.get("/1/batch?urls=" + ",".join(["/members/me"] * 11))
    assert (heard.status, heard.body) == (400, b"invalid value for urls")


def items(*made: str) -> Fault:
    """A batch's answer, made up."""
    body = f"[{','.join(made)}]"
    return Fault("status", "/1/batch", status=200, body=body, content_type="application/json")


THROTTLED_S = 11
"""After this a 429 is over."""
THROTTLED = '{"name":"TooManyRequests","message":"Rate limit exceeded","statusCode":429}'


async def test_a_part_that_was_throttled_is_told_and_not_stored(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    target = f"/1/batch?urls=/boards/{board},/boards/{board}/lists"
    standin.faults.add(items(THROTTLED, '{"200":[]}'))
    heard = await proxy.get(target)
    assert heard.body == b'[%b,{"200":[]}]' % THROTTLED.encode()
    assert heard.cache == "fwd=uri-miss; fwd-status=200; detail=fetched-2-of-2"
    again = await proxy.get(target)
    assert again.json[0]["200"]["id"] == board
    assert again.cache == "fwd=uri-miss; fwd-status=200; stored; detail=fetched-1-of-2"


async def test_a_part_that_was_throttled_is_the_last_good_one(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    target = f"/1/batch?urls=/boards/{board},/boards/{board}/lists"
    first = await proxy.get(target)
    clock.advance(100)
    standin.faults.add(items(THROTTLED, '{"200":[]}'))
    heard = await proxy.get(target)
    assert heard.json == [first.json[0], {"200": []}]
    assert heard.cache == "fwd=stale; fwd-status=200; detail=stale-if-error"
    assert heard.fields["Age"] == "100"


FAILURES = {
    "a server error": (Fault("status", status=503), 503, ""),
    "throttled": (Fault("status", status=429), 429, ""),
    "a reset": (Fault("reset"), 502, "connection-terminated"),
    "silence": (Fault("hang"), 504, "upstream-timeout"),
    "a gateway's page": (Fault("html"), 502, "invalid-response"),
    "an item too few": (items('{"200":[]}'), 502, "invalid-response"),
    "no items": (items('{"200":[]},{"200":[]}]x['), 502, "invalid-response"),
}


@pytest.fixture(params=[*FAILURES.values()], ids=[*FAILURES])
def failure(request: pytest.FixtureRequest, standin: FakeTrello) -> Any:
    """Makes batches fail, and says how a client hears of it."""
    fault, status, problem = request.param

    def fail() -> tuple[int, str]:
        made = Fault(fault.kind, "/1/batch", status=fault.status, body=fault.body, times=None)
        made.content_type = fault.content_type
        standin.faults.add(made)
        return status, problem

    return fail


async def test_a_batch_that_fails_is_that_failure_and_never_made_of_some_parts(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, urls: list[str], batch: str, failure: Any
) -> None:
    await proxy.get(f"/1{urls[0]}")
    clock.advance(100)
    status, problem = failure()
    heard = await proxy.get(batch)
    assert (heard.status, heard.problem) == (status, problem)
    standin.faults.clear()
    clock.advance(THROTTLED_S)
    assert (await proxy.get(batch)).status == 200


async def test_a_batch_that_fails_is_stale_where_every_part_is_there(
    proxy: Proxy, clock: FakeClock, batch: str, failure: Any
) -> None:
    first = await proxy.get(batch)
    clock.advance(100)
    status, _ = failure()
    heard = await proxy.get(batch)
    assert (heard.status, heard.body) == (200, first.body)
    assert heard.cache == f"fwd=stale; fwd-status={status}; detail=stale-if-error"
    assert heard.fields["Age"] == "100"


async def test_one_part_that_fails_alone_is_stale_or_fails_the_whole(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    target = f"/1/batch?urls=/boards/{board}"
    first = await proxy.get(target)
    clock.advance(100)
    standin.faults.add(Fault("status", f"/1/boards/{board}*", status=429, times=None))
    stale = await proxy.get(target)
    assert (stale.body, stale.cache) == (
        first.body,
        "fwd=stale; fwd-status=429; detail=stale-if-error",
    )
    clock.advance(THROTTLED_S)
    heard = await proxy.get(f"/1/batch?urls=/boards/{board}/lists")
    assert (heard.status, heard.body) == (429, b"Service Unavailable")


async def test_while_it_is_asked_for_the_last_answer_is_used(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str
) -> None:
    first = await proxy.get(batch)
    clock.advance(40)
    heard = await proxy.get(batch)
    assert (heard.body, heard.cache) == (first.body, "hit; ttl=-11")
    await turns()
    assert (await proxy.get(batch)).cache == "hit; ttl=30"
    assert len(lists_asked(standin)) == standin.request_log.total == 2


async def test_what_is_stale_is_renewed_with_what_is_missing(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str, urls: list[str]
) -> None:
    await proxy.get(f"/1{urls[0]}")
    clock.advance(40)
    await proxy.get(f"/1{urls[1]}")
    heard = await proxy.get(batch)
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored; detail=fetched-2-of-3"
    assert (await proxy.get(batch)).cache == "hit; ttl=30"
    assert len(lists_asked(standin)) == 1


async def test_the_clients_directives_are_each_parts(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str, urls: list[str]
) -> None:
    heard = await proxy.get(batch, headers={"Cache-Control": "only-if-cached"})
    assert (heard.status, heard.problem) == (504, "not-in-cache")
    heard = await proxy.get(batch, headers={"Cache-Control": "no-store"})
    assert heard.cache == "fwd=uri-miss; fwd-status=200; detail=fetched-3-of-3"
    await proxy.get(batch)
    heard = await proxy.get(batch, headers={"Cache-Control": "only-if-cached"})
    assert heard.cache == "hit; ttl=30"
    heard = await proxy.get(batch, headers={"Cache-Control": "no-cache"})
    assert heard.cache == "fwd=request; fwd-status=200; stored; detail=fetched-3-of-3"
    clock.advance(10)
    await proxy.get(f"/1{urls[0]}", headers={"Cache-Control": "no-cache"})
    heard = await proxy.get(batch, headers={"Cache-Control": "max-age=5"})
    assert heard.cache == "fwd=request; fwd-status=200; stored; detail=fetched-2-of-3"
    assert len(lists_asked(standin)) == 4


async def all_of(proxy: Proxy, target: str, count: int) -> "list[asyncio.Task[Heard]]":
    tasks = [asyncio.ensure_future(proxy.get(target)) for _ in range(count)]
    await turns()
    return tasks


async def test_a_hundred_callers_one_question_to_trello(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str
) -> None:
    standin.faults.add(Fault("late", "/1/batch", delay_s=LATE_S))
    callers = await all_of(proxy, batch, 100)
    clock.advance(LATE_S)
    heard = await asyncio.gather(*callers)
    assert standin.request_log.total == 1
    assert {(each.status, each.body) for each in heard} == {(200, heard[0].body)}
    assert sorted(each.cache for each in heard) == [
        "fwd=uri-miss; fwd-status=200; stored; collapsed; detail=fetched-3-of-3"
    ] * 99 + ["fwd=uri-miss; fwd-status=200; stored; detail=fetched-3-of-3"]


async def test_who_refuses_what_is_stored_asks_alone(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, batch: str
) -> None:
    standin.faults.add(Fault("late", "/1/batch", delay_s=LATE_S))
    callers = await all_of(proxy, batch, 1)
    heard = await proxy.get(batch, headers={"Cache-Control": "no-cache"})
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored; detail=fetched-3-of-3"
    clock.advance(LATE_S)
    await asyncio.gather(*callers)
    assert len(lists_asked(standin)) == 2


async def test_the_same_in_another_order_is_the_same_question(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, urls: list[str]
) -> None:
    standin.faults.add(Fault("late", "/1/batch", delay_s=LATE_S))
    callers = await all_of(proxy, f"/1/batch?urls={','.join(urls)}", 1)
    callers += await all_of(proxy, f"/1/batch?urls={','.join(reversed(urls))}", 1)
    clock.advance(LATE_S)
    one, other = await asyncio.gather(*callers)
    assert one.json == list(reversed(other.json))
    assert standin.request_log.total == 1


async def test_an_answer_older_than_a_write_is_neither_stored_nor_shared(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, batch: str
) -> None:
    standin.faults.add(Fault("late", "/1/batch", applied=True, delay_s=LATE_S))
    early = await all_of(proxy, batch, 2)
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    late = await proxy.get(batch)
    assert late.json[0]["200"]["name"] == "After"
    clock.advance(LATE_S)
    names = [heard.json[0]["200"]["name"] for heard in await asyncio.gather(*early)]
    assert sorted(names) == ["After", "Release 4.2"]
    assert (await proxy.get(batch)).json == late.json


async def test_a_write_forgets_the_part_it_touches(
    proxy: Proxy, standin: FakeTrello, card: str, other_board: str
) -> None:
    target = f"/1/batch?urls=/boards/{other_board},/cards/{card}?fields=name"
    await proxy.get(target)
    await proxy("PUT", f"/1/cards/{card}", params={"name": "After"})
    heard = await proxy.get(target)
    assert heard.json[1]["200"]["name"] == "After"
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored; detail=fetched-1-of-2"


async def test_a_part_never_brings_an_identity_of_its_own(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    other = f"key={OTHER_KEY}%26token={OTHER_TOKEN}"
    heard = await proxy.get(
        f"/1/batch?urls=/boards/{board}?{other},/members/me?fields=username%26{other}"
    )
    assert [list(item) for item in heard.json] == [["200"], ["200"]]
    assert heard.json[1]["200"]["username"] == "demo"
    assert (await proxy.get(f"/1/boards/{board}")).cache == "hit; ttl=30"
    assert (await proxy.get("/1/members/me?fields=username")).cache == "hit; ttl=300"
    assert {seen.credential for seen in standin.request_log.requests} == {"header"}


async def test_in_forward_mode_every_part_is_the_askers(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    stranger = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, stranger, key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"})
    mine = f"/1/batch?urls=/boards/{board},/members/me?fields=username"
    assert [list(item) for item in (await proxy.get(mine)).json] == [["200"], ["200"]]
    theirs = await proxy.get(f"{mine}&key={OTHER_KEY}&token={OTHER_TOKEN}")
    assert theirs.json[0]["statusCode"] == 401
    assert theirs.json[1]["200"]["username"] == "sam"
    assert theirs.cache == "fwd=uri-miss; fwd-status=200; detail=fetched-2-of-2"
    own = await proxy.get(f"/1/members/me?fields=username&key={OTHER_KEY}&token={OTHER_TOKEN}")
    assert (own.json["username"], own.cache) == ("sam", "hit; ttl=300")
    assert (await proxy.get(mine)).cache == "hit; ttl=30"


async def test_links_in_a_part_lead_to_the_proxy_whoever_asked(proxy: Proxy, card: str) -> None:
    heard = await proxy.get(f"/1/batch?urls=/cards/{card}/attachments,/cards/{card}?fields=name")
    assert b"https://trello.com/1/cards" not in heard.body
    assert f"{proxy.url}/1/cards/{card}/attachments/".encode() in heard.body
    plain = await proxy.get(f"/1/cards/{card}/attachments")
    assert plain.cache.startswith("hit")
    assert heard.body.startswith(b'[{"200":%b},' % plain.body)


async def test_a_clients_if_none_match_gets_304(proxy: Proxy, batch: str, board: str) -> None:
    first = await proxy.get(batch)
    fields = {"If-None-Match": first.fields["ETag"]}
    heard = await proxy.get(batch, headers=fields)
    assert (heard.status, heard.body, heard.cache) == (304, b"", "hit; ttl=30")
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    for _ in range(2):
        heard = await proxy.get(batch, headers=fields)
        assert (heard.status, heard.json[0]["200"]["name"]) == (200, "After")


async def test_a_long_part_is_kept_packed_as_trello_sends_it(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    standin.trello.edit("PUT", f"/1/cards/{card}", {"desc": "long " * 30_000})
    target = f"/1/batch?urls=/cards/{card},/boards/{board}?fields=name"
    heard = [await proxy.get(target) for _ in range(2)]
    assert {each.body for each in heard} == {await direct(proxy, standin, target)}
    assert heard[1].cache == "hit; ttl=30"
    packed = await proxy.get(f"/1/cards/{card}", headers={"Accept-Encoding": "gzip"})
    assert (packed.fields["Content-Encoding"], packed.cache) == ("gzip", "hit; ttl=30")
    assert len(packed.body) < len(heard[0].body) // 10
    short = await proxy.get(f"/1/boards/{board}?fields=name", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in short.fields


async def test_a_batch_too_long_to_hold_passes_as_it_was_sent(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    body = f'[{{"200":"{"x" * (16 << 20)}"}},{{"200":[]}}]'
    for _ in range(2):
        standin.faults.add(items(body[1:-1]))
    target = f"/1/batch?urls=/boards/{board},/boards/{board}/lists"
    heard = await proxy.get(target)
    assert (heard.status, heard.body, heard.cache) == (200, body.encode(), "fwd=bypass")
    assert lists_asked(standin)[1] == target.partition("?")[2]


async def test_parts_that_are_too_long_together_are_asked_for_as_they_came(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    urls = [f"/boards/{board}", f"/boards/{board}/lists"]
    for url in urls:
        body = f'"{"x" * (9 << 20)}"'
        kind = "application/json"
        standin.faults.add(Fault("status", f"/1{url}", status=200, body=body, content_type=kind))
        assert (await proxy.get(f"/1{url}")).cache.endswith("stored")
    heard = await proxy.get(f"/1/batch?urls={','.join(urls)}")
    assert heard.cache == "fwd=bypass"
    assert heard.body == await direct(proxy, standin, f"/1/batch?urls={','.join(urls)}")


async def test_a_read_that_is_never_stored_is_asked_for_each_time(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    target = f"/1/batch?urls=/boards/{board},/boards/{board}/deltas"
    standin.faults.add(items('{"200":{"name":"x"}}', '{"200":[1]}'))
    first = await proxy.get(target)
    assert first.cache == "fwd=uri-miss; fwd-status=200; detail=fetched-2-of-2"
    path = f"/1/boards/{board}/deltas"
    response = Fault("status", path, status=200, body="[2]", content_type="application/json")
    standin.faults.add(response)
    again = await proxy.get(target)
    assert again.json == [first.json[0], {"200": [2]}]
    assert again.cache == "fwd=uri-miss; fwd-status=200; detail=route-not-stored"
    assert standin.request_log.count("GET", path) == 1


async def test_a_head_is_answered_as_its_get_without_the_body(
    proxy: Proxy, standin: FakeTrello, batch: str
) -> None:
    asked = await proxy("HEAD", batch)
    got = await proxy.get(batch)
    assert (asked.status, asked.body) == (200, b"")
    assert asked.fields["Content-Length"] == got.fields["Content-Length"] == str(len(got.body))
    assert (got.cache, standin.request_log.total) == ("hit; ttl=30", 1)


async def test_it_is_one_request_to_trello_in_the_metrics_and_a_hit_is_one_in_the_log(
    proxy: Proxy, batch: str
) -> None:
    for _ in range(3):
        await proxy.get(batch)
    upstream = 'trello_proxy_upstream_requests_total{method="GET",route="/batch",status="200"}'
    assert await proxy.metric(upstream) == 1
    sample = 'trello_proxy_requests_total{{cache="{}",method="GET",route="/batch",status="200"}}'
    assert await proxy.metric(sample.format("miss")) == 1
    assert await proxy.metric(sample.format("hit")) == 2
    await proxy.app.stop()
    lines = [line for line in proxy.logged("request") if line["route"] == "/batch"]
    assert [line["cache"] for line in lines] == ["miss", "hit", "hit"]
