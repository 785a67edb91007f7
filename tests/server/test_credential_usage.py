"""Clients that still send a key or a token: counted, logged, listed; the value is nowhere."""

import json

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.lru import IDLE_S
from proxy.server.credential_usage import MAX_CLIENTS
from tests.server.conftest import KEY, TOKEN, Heard, MakeProxy, Proxy

ME = "/1/members/me"
THEIR_KEY, THEIR_TOKEN = "beef" + "1" * 28, "ATTA" + "07be2a" * 12
OAUTH = f'OAuth oauth_consumer_key="{THEIR_KEY}", oauth_token="{THEIR_TOKEN}"'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}

Request = tuple[str, str, dict[str, str], bytes]

SENT: dict[str, tuple[Request, set[tuple[str, str]]]] = {
    "another's in the query": (
        ("GET", f"{ME}?key={THEIR_KEY}&token={THEIR_TOKEN}", {}, b""),
        {("query", "foreign")},
    ),
    "the stored one in the query": (
        ("GET", f"{ME}?key={KEY}&token={TOKEN}", {}, b""),
        {("query", "own")},
    ),
    "the stored token beside another's key": (
        ("GET", f"{ME}?key={THEIR_KEY}&token={TOKEN}", {}, b""),
        {("query", "own")},
    ),
    "in a batch's URLs": (
        ("GET", f"/1/batch?urls=/members/me%3Fkey%3D{THEIR_KEY}", {}, b""),
        {("query", "foreign")},
    ),
    "an empty one": (("GET", f"{ME}?key=", {}, b""), {("query", "unknown")}),
    "in a header": (("GET", ME, {"Authorization": OAUTH}, b""), {("header", "foreign")}),
    "another kind of header": (
        ("GET", ME, {"Authorization": "Bearer x"}, b""),
        {("header", "unknown")},
    ),
    "in a form": (
        ("PUT", ME, FORM, f"token={TOKEN}&bio=x".encode()),
        {("body", "own")},
    ),
    "in JSON": (
        ("PUT", ME, JSON, json.dumps({"token": THEIR_TOKEN, "bio": "x"}).encode()),
        {("body", "foreign")},
    ),
    "in the path": (("GET", f"/1/tokens/{THEIR_TOKEN}", {}, b""), {("path", "foreign")}),
    "in two locations": (
        ("GET", f"{ME}?key={KEY}", {"Authorization": OAUTH}, b""),
        {("query", "own"), ("header", "foreign")},
    ),
    "none at all": (("GET", ME, {}, b""), set()),
    "what scripts send for none": (("GET", ME, {"Authorization": "null"}, b""), set()),
    "the placeholder": (("GET", "/1/tokens/-", {}, b""), set()),
}


async def listed(proxy: Proxy) -> list[dict[str, str | int]]:
    heard = await proxy.get("/-/client-credentials", {"Accept": "application/json"})
    assert heard.fields["content-type"] == "application/json"
    return list(heard.json["clients"])


def is_deprecated(heard: Heard) -> bool:
    link = '</>; rel="deprecation"; type="text/html"'
    return ("deprecation", "@1795219200") in heard.field_list and (
        "link",
        link,
    ) in heard.field_list


@pytest.mark.parametrize(("request_", "locations"), SENT.values(), ids=SENT.keys())
async def test_location_and_owner_are_reported(
    proxy: Proxy, request_: Request, locations: set[tuple[str, str]]
) -> None:
    method, target, fields, body = request_
    heard = await proxy.ask(method, target, {**fields, "User-Agent": "old-tool/1.2"}, body)
    rows = await listed(proxy)
    assert {(row["location"], row["owner"]) for row in rows} == locations
    assert {row["client"] for row in rows} <= {"old-tool"}
    assert is_deprecated(heard) == bool(locations)
    metrics = (await proxy.get("/metrics")).body.decode()
    for location, owner in locations:
        labels = f'{{client="old-tool",location="{location}",owner="{owner}"}}'
        assert f"trello_proxy_client_credentials_total{labels} 1.0" in metrics
    assert metrics.count("trello_proxy_client_credentials_total{") == len(locations)
    await proxy.stop()
    assert proxy.log.count(b"client sent credential") == len(locations)


async def test_a_fast_path_hit_is_counted_and_marked_too(proxy: Proxy) -> None:
    target = f"{ME}?fields=username&key={THEIR_KEY}"
    heard = [await proxy.get(target) for _ in range(5)]
    assert [each.status for each in heard] == [200] * 5
    assert ["; hit" in each.fields["cache-status"] for each in heard] == [False] + [True] * 4
    assert all(map(is_deprecated, heard))
    assert [row["requests"] for row in await listed(proxy)] == [5]
    plain = [await proxy.get(f"{ME}?fields=username") for _ in range(3)]
    assert not any(map(is_deprecated, plain))
    assert [row["requests"] for row in await listed(proxy)] == [5]


async def test_an_error_is_marked_too(proxy: Proxy, standin: FakeTrello) -> None:
    await standin.stop()
    heard = await proxy.get(f"{ME}?key={THEIR_KEY}")
    assert heard.status == 502
    assert is_deprecated(heard)


async def test_it_is_logged_once_for_each_client_and_location(proxy: Proxy) -> None:
    for _ in range(3):
        await proxy.get(f"{ME}?key={THEIR_KEY}", {"User-Agent": "old-tool/1"})
        await proxy.get(f"{ME}?key={KEY}", {"User-Agent": "old-tool/1"})
        await proxy.get(ME, {"User-Agent": "old-tool/1", "Authorization": OAUTH})
    await proxy.stop()
    lines = [json.loads(line) for line in proxy.log.splitlines()]
    events = [line for line in lines if line["message"] == "client sent credential"]
    assert [(line["client"], line["location"], line["owner"]) for line in events] == [
        ("old-tool", "query", "foreign"),
        ("old-tool", "header", "foreign"),
    ]


async def test_a_rejected_request_is_counted(make_proxy: MakeProxy, standin: FakeTrello) -> None:
    proxy = await make_proxy(standin.url, "clients: {credentials: reject}")
    heard = await proxy.get(f"{ME}?key={THEIR_KEY}")
    assert heard.status == 400
    assert is_deprecated(heard)
    assert [row["requests"] for row in await listed(proxy)] == [1]


async def test_where_clients_credentials_are_used_they_are_not_deprecated(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    standin.trello.add_token(THEIR_TOKEN, standin.trello.me["id"], key=THEIR_KEY)
    proxy = await make_proxy(standin.url, "clients: {credentials: forward}")
    heard = await proxy.get(f"{ME}?key={THEIR_KEY}&token={THEIR_TOKEN}")
    assert heard.status == 200
    assert not is_deprecated(heard)
    assert [row["requests"] for row in await listed(proxy)] == [1]
    await proxy.stop()
    assert b"client sent credential" not in proxy.log


async def test_clients_are_bounded(proxy: Proxy) -> None:
    letters = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    for name in letters:
        await proxy.get(f"{ME}?fields=id&key=x", {"User-Agent": f"{name}/1"})
    rows = await listed(proxy)
    assert len(rows) == MAX_CLIENTS + 1
    others = [row["requests"] for row in rows if row["client"] == "other"]
    assert others == [len(letters) - MAX_CLIENTS]


async def test_the_report_is_a_page_and_a_text_too(proxy: Proxy) -> None:
    empty = await proxy.get("/-/client-credentials")
    assert empty.body.startswith(b"No client has sent a key or a token")
    await proxy.get(f"{ME}?key={THEIR_KEY}&token={THEIR_TOKEN}", {"User-Agent": "old-tool/1"})
    text = (await proxy.get("/-/client-credentials")).body.decode()
    assert text.startswith("old-tool: in the query, another, 1 request, last ")
    page = await proxy.get("/-/client-credentials", {"Accept": "text/html"})
    assert page.fields["content-type"].startswith("text/html")
    assert b">old-tool</th>" in page.body
    for heard in (page, await proxy.get("/-/client-credentials", {"Accept": "application/json"})):
        assert THEIR_KEY.encode() not in heard.raw
        assert THEIR_TOKEN.encode() not in heard.raw


async def test_idle_clients_make_room(proxy: Proxy) -> None:
    letters = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"][:MAX_CLIENTS]
    for name in letters:
        await proxy.get(f"{ME}?fields=id&key=x", {"User-Agent": f"{name}/1"})
    await proxy.get(f"{ME}?fields=id&key=x", {"User-Agent": "late/1"})
    proxy.clock.advance(IDLE_S / 2)
    for _ in range(3):  # the last one on the fast path
        await proxy.get(f"{ME}?fields=id&key=x", {"User-Agent": "aa/1"})
    proxy.clock.advance(IDLE_S / 2 + 1)
    await proxy.get(f"{ME}?fields=id&key=x", {"User-Agent": "new/1"})
    clients = {row["client"]: row["requests"] for row in await listed(proxy)}
    assert (clients["new"], clients["aa"], clients["other"]) == (1, 4, 1)
    assert len(clients) == MAX_CLIENTS + 1
