"""A cached GET: answered from what is stored, and saying so (RFC 9111 §4, RFC 9211)."""

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Proxy,
    StartProxy,
)

LIFETIME_S = 30


async def test_asked_once_served_often(proxy: Proxy, standin: FakeTrello, board: str) -> None:
    heard = [await proxy.get(f"/1/boards/{board}") for _ in range(10)]
    assert standin.request_log.total == 1
    assert {each.body for each in heard} == {heard[0].body}
    assert heard[0].json == standin.trello.request(f"/1/boards/{board}")
    assert heard[0].cache == "fwd=uri-miss; fwd-status=200; stored"
    assert {each.cache for each in heard[1:]} == {"hit; ttl=30"}


async def test_age_counts_up(proxy: Proxy, clock: FakeClock, board: str) -> None:
    seen = []
    for _ in range(4):
        heard = await proxy.get(f"/1/boards/{board}")
        seen.append((heard.fields["Age"], heard.cache))
        clock.advance(7)
    assert seen == [
        ("0", "fwd=uri-miss; fwd-status=200; stored"),
        ("7", "hit; ttl=23"),
        ("14", "hit; ttl=16"),
        ("21", "hit; ttl=9"),
    ]


async def test_fresh_for_its_lifetime_and_not_a_second_longer(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy()
    await proxy.get(f"/1/search?query=plan&idBoards={board}")
    clock.advance(4)
    assert (await proxy.get(f"/1/search?query=plan&idBoards={board}")).cache == "hit; ttl=1"
    clock.advance(1)
    heard = await proxy.get(f"/1/search?query=plan&idBoards={board}")
    assert heard.cache == "fwd=stale; fwd-status=200; stored"
    assert standin.request_log.total == 2


async def test_a_clients_if_none_match_gets_304(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    first = await proxy.get(f"/1/boards/{board}")
    clock.advance(3)
    for condition in (first.fields["ETag"], f'"x", W/{first.fields["ETag"]}', "*"):
        heard = await proxy.get(f"/1/boards/{board}", headers={"If-None-Match": condition})
        assert (heard.status, heard.body) == (304, b"")
        assert heard.fields["ETag"] == first.fields["ETag"]
        assert (heard.fields["Age"], heard.cache) == ("3", "hit; ttl=27")
    heard = await proxy.get(f"/1/boards/{board}", headers={"If-None-Match": '"another"'})
    assert (heard.status, heard.body) == (200, first.body)
    assert standin.request_log.total == 1


async def test_a_changed_answer_has_another_etag_and_is_sent_in_full(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    first = await proxy.get(f"/1/boards/{board}?fields=name")
    await proxy("PUT", f"/1/boards/{board}", params={"name": "Renamed"})
    heard = await proxy.get(
        f"/1/boards/{board}?fields=name", headers={"If-None-Match": first.fields["ETag"]}
    )
    assert (heard.status, heard.json["name"]) == (200, "Renamed")
    assert heard.fields["ETag"] != first.fields["ETag"]


SPELLINGS = {
    "a doubled slash": "/1//boards/{board}?fields=name,url",
    "a trailing slash": "/1/boards/{board}/?fields=name,url",
    "the singular": "/1/board/{board}?fields=name,url",
    "another case": "/1/Boards/{board}?fields=name,url",
    "an encoded comma": "/1/boards/{board}?fields=name%2Curl",
    "a dummy credential": "/1/boards/{board}?key=x&fields=name,url&token=y",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_two_spellings_of_one_read_share_one_stored_response(
    proxy: Proxy, standin: FakeTrello, board: str, spelling: str
) -> None:
    first = await proxy.get(f"/1/boards/{board}?fields=name,url")
    heard = await proxy.get(spelling.format(board=board))
    assert (heard.cache, heard.body) == ("hit; ttl=30", first.body)
    assert standin.request_log.total == 1


async def test_a_parameter_in_a_gets_body_is_one_of_its_query(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    body = {"fields": "name,url", "key": "dummy", "token": "dummy"}
    in_body = await proxy.get(f"/1/boards/{board}", json=body)
    in_query = await proxy.get(f"/1/boards/{board}?fields=name,url")
    assert set(in_body.json) == {"id", "name", "url"}
    assert (in_query.body, in_query.cache) == (in_body.body, "hit; ttl=30")
    assert standin.request_log.total == 1


async def test_another_credential_never_sees_it(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    stranger = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, stranger, key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"})
    mine = await proxy.get(f"/1/boards/{board}?key={KEY}&token={TOKEN}")
    theirs = await proxy.get(f"/1/boards/{board}?key={OTHER_KEY}&token={OTHER_TOKEN}")
    assert (mine.status, theirs.status) == (200, 401)
    assert theirs.cache == "fwd=uri-miss; fwd-status=401; detail=status-not-stored"
    assert standin.request_log.count("GET", f"/1/boards/{board}") == 2
    again = await proxy.get(f"/1/boards/{board}?key={KEY}&token={TOKEN}")
    assert (again.cache, again.body) == ("hit; ttl=30", mine.body)


async def test_nothing_of_trellos_that_concerns_caches_cookies_or_origins_passes(
    proxy: Proxy, board: str
) -> None:
    for _ in range(2):
        heard = await proxy.get(f"/1/boards/{board}")
        assert heard.fields.getall("Cache-Control") == ["private, no-cache"]
        for name in ("Set-Cookie", "Pragma", "Expires", "Surrogate-Control", "Server"):
            assert name not in heard.fields
        assert not [name for name in heard.fields if name.startswith("Access-Control")]
        assert heard.fields["Content-Type"] == "application/json; charset=utf-8"
    hit = await proxy.get(f"/1/boards/{board}")
    assert hit.cache.startswith("hit")
    assert not [name for name in hit.fields if name.lower().startswith("x-rate-limit")]


async def test_a_head_is_answered_as_its_get_without_the_body(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    asked = await proxy("HEAD", f"/1/boards/{board}")
    got = await proxy.get(f"/1/boards/{board}")
    again = await proxy("HEAD", f"/1/boards/{board}")
    assert (asked.status, asked.body, again.body) == (200, b"", b"")
    assert asked.fields["Content-Length"] == got.fields["Content-Length"] == str(len(got.body))
    assert asked.fields["ETag"] == again.fields["ETag"] == got.fields["ETag"]
    assert (got.cache, again.cache) == ("hit; ttl=30", "hit; ttl=30")
    assert standin.request_log.total == 1


async def test_options_are_told_here(proxy: Proxy, standin: FakeTrello, board: str) -> None:
    heard = await proxy("OPTIONS", f"/1/boards/{board}")
    assert (heard.status, heard.body) == (204, b"")
    assert heard.fields["Allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS"
    assert standin.request_log.total == 0


async def test_a_read_that_trello_must_answer_each_time_is_not_stored(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(clients={"jsonp": "allow"})
    for _ in range(2):
        heard = await proxy.get(f"/1/boards/{board}?callback=show")
        assert heard.body.startswith(b"/**/ show(")
        assert heard.cache == "fwd=bypass"
    assert standin.request_log.total == 2


async def test_a_404_is_kept_for_seconds(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    missing = "/1/cards/" + "0" * 24
    seen = []
    for pause_s in (4, 1, 0):
        heard = await proxy.get(missing)
        assert heard.status == 404
        assert heard.body == b"The requested resource was not found."
        seen.append(heard.cache)
        clock.advance(pause_s)
    assert seen == [
        "fwd=uri-miss; fwd-status=404; stored",
        "hit; ttl=1",
        "fwd=stale; fwd-status=404; stored",
    ]


async def test_client_js_speaks_to_the_proxy_and_holds_no_key(
    proxy: Proxy, standin: FakeTrello
) -> None:
    for target in ("/1/client.js", "/1/client.js?key=dummy"):
        heard = await proxy.get(target)
        assert f'"apiEndpoint":"{proxy.url}"'.encode() in heard.body
        assert b"https://api.trello.com" not in heard.body
        assert b'"authEndpoint":"https://trello.com"' in heard.body
        assert KEY.encode() not in heard.body
        assert heard.fields["Content-Type"] == "application/javascript; charset=utf-8"
    assert (await proxy.get("/1/client.js")).cache == "hit; ttl=3600"
    assert standin.request_log.total == 1


@pytest.mark.parametrize("path", ["/1/authorize?key=x", "/1/OAuthAuthorizeToken", "/1/authorize/"])
async def test_no_token_is_needed_here(proxy: Proxy, standin: FakeTrello, path: str) -> None:
    heard = await proxy.get(path)
    assert (heard.status, heard.fields["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"No token is needed here" in heard.body
    assert b"https://trello.com/1/authorize" in heard.body
    assert standin.request_log.total == 0


GRANTS = [
    ("GET", "/1/OAuthGetRequestToken"),
    ("POST", "/1/OAuthGetRequestToken?oauth_callback=oob"),
    ("GET", "/1/oauthgetaccesstoken/"),
    ("POST", "/1/token/approve"),
]


@pytest.mark.parametrize(("method", "path"), GRANTS)
async def test_a_program_that_asks_for_a_token_is_told_to_stop(
    proxy: Proxy, standin: FakeTrello, method: str, path: str
) -> None:
    heard = await proxy(method, path)
    assert (heard.status, heard.problem) == (403, "no-token-given")
    assert heard.json["detail"].startswith("None is needed: call the API without OAuth")
    assert standin.request_log.total == 0


async def test_the_metrics_and_the_log_tell_hits_from_misses(proxy: Proxy, board: str) -> None:
    for _ in range(3):
        await proxy.get(f"/1/boards/{board}")
    sample = 'trello_proxy_requests_total{{cache="{}",method="GET",route="/boards/{{id}}",{}}}'
    assert await proxy.metric(sample.format("miss", 'status="200"')) == 1
    assert await proxy.metric(sample.format("hit", 'status="200"')) == 2
    await proxy.app.stop()
    lines = [line for line in proxy.logged("request") if line["route"] == "/boards/{id}"]
    assert [line["cache"] for line in lines] == ["miss", "hit", "hit"]
    assert len({line["id"] for line in lines}) == 3
