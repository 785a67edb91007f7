"""What clumsy and hostile clients send: each gets its status, and Trello hears nothing of it."""

import asyncio
import socket

import pytest

from proxy.demo.standin import StandIn
from proxy.edge import bodies, connection
from tests.edge.conftest import MakeProxy, Proxy, RawUpstream

CARD = "/1/members/me"


def is_problem(fields: dict[str, str]) -> bool:
    return fields.get("content-type") == "application/problem+json"


TARGETS = {
    "absolute-form naming another host": "http://evil.example/1/members/me",
    "absolute-form naming this host": "http://127.0.0.1/1/members/me",
    "a leading double slash": "//evil.example/1/members/me",
    "dot segments": "/1/cards/../../admin",
    "dot segments that leave /1": "/../1/members/me",
    "one dot": "/1/./members/me",
    "encoded dot segments": "/1/cards/%2e%2e/%2E%2e/admin",
    "half-encoded dot segments": "/1/cards/.%2e/admin",
    "an encoded slash": "/1/cards%2Fabc",
    "an encoded slash in lower case": "/1/cards%2fabc",
    "an encoded backslash": "/1/cards%5Cabc",
    "a backslash": "/1/cards\\abc",
    "an encoded NUL": "/1/cards/%00",
    "an encoded line feed": "/1/cards/x%0a.css",
    "an encoded carriage return": "/1/cards/x%0d%0aX-Evil:1",
    "bytes that are no UTF-8": "/1/cards/%ff",
    "a fragment": "/1/members/me?fields=id#&x",
    "authority-form": "evil.example:443",
    "an asterisk": "*",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
async def test_an_ambiguous_target_is_400_and_goes_nowhere(
    proxy: Proxy, standin: StandIn, target: str
) -> None:
    heard = await proxy.get(target)
    assert heard.status == 400
    assert is_problem(heard.fields)
    assert standin.asked.total == 0


HEADS = {
    "two Hosts": "GET {t} HTTP/1.1\r\nHost: {h}\r\nHost: evil.example\r\n\r\n",
    "no Host": "GET {t} HTTP/1.1\r\n\r\n",
    "Content-Length and Transfer-Encoding": (
        "POST {t} HTTP/1.1\r\nHost: {h}\r\nContent-Length: 5\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two Content-Lengths": (
        "POST {t} HTTP/1.1\r\nHost: {h}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
    ),
    "a Content-Length with a sign": (
        "POST {t} HTTP/1.1\r\nHost: {h}\r\nContent-Length: +2\r\n\r\nab"
    ),
    "a Transfer-Encoding that only looks chunked": (
        "POST {t} HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
    ),
    "a bare line feed": "GET {t} HTTP/1.1\nHost: {h}\n\n",
    "a folded line": "GET {t} HTTP/1.1\r\nHost: {h}\r\nX-A: 1\r\n folded\r\n\r\n",
    "a space before the colon": "GET {t} HTTP/1.1\r\nHost : {h}\r\n\r\n",
    "a NUL in a field": "GET {t} HTTP/1.1\r\nHost: {h}\r\nX-A: a\0b\r\n\r\n",
    "a method in lower case": "get {t} HTTP/1.1\r\nHost: {h}\r\n\r\n",
    "a raw byte in the target": "GET {t}\xe9 HTTP/1.1\r\nHost: {h}\r\n\r\n",
    "another protocol": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a field of 40 kB": "GET {t} HTTP/1.1\r\nHost: {h}\r\nX-Long: " + "x" * 40_000 + "\r\n\r\n",
    "a target of 40 kB": "GET {t}?fields=" + "x" * 40_000 + " HTTP/1.1\r\nHost: {h}\r\n\r\n",
    "200 fields": (
        "GET {t} HTTP/1.1\r\nHost: {h}\r\n"
        + "".join(f"X-{n}: {n}\r\n" for n in range(200))
        + "\r\n"
    ),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
async def test_what_is_not_http_is_400_and_ends_the_connection(
    proxy: Proxy, standin: StandIn, head: str
) -> None:
    wire = await proxy.connect()
    wire.send(head.replace("{t}", CARD).replace("{h}", proxy.host).encode("latin-1"))
    heard = await wire.hear()
    assert heard.status == 400
    assert is_problem(heard.fields)
    assert b"evil" not in heard.raw
    assert heard.fields["connection"] == "close"
    assert await wire.ended()
    assert standin.asked.total == 0


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "CONNECT", "PROPFIND", "PURGE"])
@pytest.mark.parametrize("target", [CARD, "/metrics", "/healthz"])
async def test_a_method_trello_does_not_have_is_405(
    proxy: Proxy, standin: StandIn, method: str, target: str
) -> None:
    heard = await proxy.ask(method, target, {"Authorization": "OAuth junk", "X-Mark": "m4rk"})
    assert heard.status in ({400, 405} if method == "CONNECT" else {405})
    assert is_problem(heard.fields)
    assert b"m4rk" not in heard.raw
    assert standin.asked.total == 0


@pytest.mark.parametrize("target", ["/", "/admin", "/2/members/me", "/favicon.ico", "/%31/x"])
async def test_outside_the_url_space_nothing_is_asked_of_trello(
    proxy: Proxy, standin: StandIn, target: str
) -> None:
    heard = await proxy.get(target)
    assert heard.status == (200 if target == "/" else 404)
    assert standin.asked.total == 0


@pytest.mark.parametrize(
    "query", ["key=a;token=b", "key=a;token=b&fields=id", "fields=id;token=b", "%6bey=a&TOKEN=b"]
)
async def test_credentials_are_found_behind_any_separator(
    proxy: Proxy, standin: StandIn, query: str
) -> None:
    assert (await proxy.get(f"{CARD}?{query}")).status == 200
    (seen,) = standin.asked.requests
    assert seen.credential == "header"
    assert "token" not in seen.query.lower()
    assert "ey=a" not in seen.query


async def test_the_rest_of_a_header_is_waited_for_only_so_long(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.15)
    wire = await proxy.connect()

    async def drip() -> None:
        for byte in proxy.request("GET", CARD):
            wire.send(bytes([byte]))
            await asyncio.sleep(0.01)  # a client that drips, in its own time

    dripping = asyncio.gather(drip())
    assert await wire.ended()
    dripping.cancel()


async def test_a_second_header_that_drips_ends_the_connection_too(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.15)
    wire = await proxy.connect()
    wire.send(proxy.request("GET", CARD))
    assert (await wire.hear()).status == 200
    wire.send(b"GET /1/memb")
    assert await wire.ended()


async def test_a_header_in_single_bytes_is_understood(proxy: Proxy) -> None:
    wire = await proxy.connect()
    for byte in proxy.request("GET", CARD):
        wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.hear()).status == 200


async def test_a_body_nobody_read_is_never_the_next_request(proxy: Proxy, standin: StandIn) -> None:
    smuggled = proxy.request("DELETE", f"/1/cards/{standin.trello.example_card}")
    wire = await proxy.connect()
    refused = {"Host": "evil.example", "Content-Length": str(len(smuggled))}
    wire.send(proxy.request("POST", CARD, refused, smuggled))
    assert (await wire.hear()).status == 421
    wire.send(proxy.request("GET", CARD))
    assert (await wire.hear()).status == 200
    assert [seen.method for seen in standin.asked.requests] == ["GET"]


async def test_a_get_may_have_a_body_and_the_connection_goes_on(
    proxy: Proxy, standin: StandIn
) -> None:
    wire = await proxy.connect()
    for body in (b"fields=id", b'{"fields":"id"}', b"\0\1\2\3", proxy.request("GET", "/1/x")):
        wire.send(proxy.request("GET", f"{CARD}?fields=username", {}, body))
        assert (await wire.hear()).status == 200
    wire.send(proxy.request("GET", f"{CARD}?fields=username"))
    assert (await wire.hear()).json["username"] == "demo"
    assert {seen.path for seen in standin.asked.requests} == {CARD}


async def test_a_gets_body_never_poisons_the_bare_read(proxy: Proxy) -> None:
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    form = b'--b\r\nContent-Disposition: form-data; name="fields"\r\n\r\nusername\r\n--b--\r\n'
    shaped = await proxy.ask("GET", CARD, multipart, form)
    await proxy.ask("GET", CARD, {"Content-Type": "text/csv"}, b"\0fields")
    plain = await proxy.get(CARD)
    assert "fullName" not in shaped.json
    assert plain.fields["cache-status"] == "trello-proxy; fwd=uri-miss; fwd-status=200; stored"
    assert "fullName" in plain.json


async def test_a_field_of_30_kb_is_taken(proxy: Proxy) -> None:
    assert (await proxy.get(CARD, {"X-Long": "x" * 30_000})).status == 200


async def test_pipelined_requests_are_answered_in_their_order(
    proxy: Proxy, standin: StandIn
) -> None:
    targets = [f"{CARD}?fields={name}" for name in ("id", "username", "fullName", "id")]
    wire = await proxy.connect()
    wire.send(b"".join(proxy.request("GET", target) for target in targets))
    bodies = [(await wire.hear()).json for _ in targets]
    assert [list(body) for body in bodies[:3]] == [
        ["id"],
        ["id", "username"],
        ["id", "fullName"],
    ]
    assert bodies[3] == bodies[0]
    assert standin.asked.total == 3


async def test_pipelined_hits_are_answered_in_their_order(proxy: Proxy) -> None:
    targets = [f"{CARD}?fields={name}" for name in ("id", "username")]
    wire = await proxy.connect()
    for target in targets * 2:
        wire.send(proxy.request("GET", target))
        await wire.hear()
    wire.send(proxy.request("GET", targets[1]) + proxy.request("GET", targets[0]))
    wire.send(proxy.request("GET", targets[1]))
    heard = [await wire.hear() for _ in range(3)]
    assert ["username" in each.json for each in heard] == [True, False, True]
    assert all("; hit;" in each.fields["cache-status"] for each in heard)


async def test_a_rejected_request_behind_a_hit_is_still_rejected(
    proxy: Proxy, standin: StandIn
) -> None:
    wire = await proxy.connect()
    for _ in range(3):
        wire.send(proxy.request("GET", CARD))
        assert (await wire.hear()).status == 200
    wire.send(proxy.request("GET", CARD) + proxy.request("GET", CARD, {"Host": "evil.example"}))
    assert [(await wire.hear()).status for _ in range(2)] == [200, 421]
    assert standin.asked.total == 1


async def test_expect_100_continue_is_answered_before_the_body(
    proxy: Proxy, standin: StandIn
) -> None:
    body = b'{"text":"after the go-ahead"}'
    fields = {
        "Expect": "100-continue",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    wire = await proxy.connect()
    wire.send(
        proxy.request("POST", f"/1/cards/{standin.trello.example_card}/actions/comments", fields)
    )
    assert (await wire.hear()).status == 100
    wire.send(body)
    heard = await wire.hear("POST")
    assert heard.json["data"]["text"] == "after the go-ahead"


async def test_who_is_refused_is_not_asked_for_the_body(proxy: Proxy) -> None:
    fields = {"Host": "evil.example", "Expect": "100-continue", "Content-Length": "1000000"}
    wire = await proxy.connect()
    wire.send(proxy.request("POST", "/1/cards", fields))
    assert (await wire.hear("POST")).status == 421


async def test_http_1_0_is_answered_and_the_connection_ends(proxy: Proxy) -> None:
    for fields in (f"Host: {proxy.host}\r\n", f"Host: {proxy.host}\r\nConnection: keep-alive\r\n"):
        wire = await proxy.connect()
        wire.send(f"GET {CARD} HTTP/1.0\r\n{fields}\r\n".encode())
        heard = await wire.hear()
        assert heard.status == 200
        assert "transfer-encoding" not in heard.fields
        assert await wire.ended()


async def test_a_newer_version_is_never_claimed(proxy: Proxy) -> None:
    wire = await proxy.connect()
    wire.send(f"GET {CARD} HTTP/2.0\r\nHost: {proxy.host}\r\n\r\n".encode())
    heard = await wire.hear()
    assert heard.line.startswith(b"HTTP/1.1 ")
    assert heard.status in {200, 400, 505}


async def test_connection_close_is_kept(proxy: Proxy) -> None:
    for _ in range(3):  # the last is a hit
        wire = await proxy.connect()
        wire.send(proxy.request("GET", CARD, {"Connection": "close"}))
        heard = await wire.hear()
        assert (heard.status, heard.fields["connection"]) == (200, "close")
        assert await wire.ended()


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_an_upgrade_is_ignored_and_goes_no_further(
    proxy: Proxy, standin: StandIn, protocol: str
) -> None:
    fields = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": protocol,
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert (await proxy.get(CARD, fields)).status == 200
    (seen,) = standin.asked.requests
    assert not {"upgrade", "sec-websocket-key", "http2-settings"} & set(seen.fields)


async def test_no_field_of_a_reader_shapes_what_trello_is_asked(
    proxy: Proxy, standin: StandIn
) -> None:
    fields = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Original-URL": "/admin",
        "X-HTTP-Method-Override": "DELETE",
        "Accept": "text/evil",
        "Accept-Language": "evil",
        "Cookie": "dsc=evil",
        "Range": "bytes=0-0",
        "If-None-Match": '"evil"',
        "Connection": "X-Named",
        "X-Named": "evil",
        "TE": "trailers",
    }
    assert (await proxy.get(CARD, fields)).status == 200
    (seen,) = standin.asked.requests
    assert seen.method == "GET"
    assert set(seen.fields) == {
        "accept",
        "accept-encoding",
        "authorization",
        "host",
        "user-agent",
        "via",
    }
    assert "evil" not in str(seen.fields)


@pytest.mark.parametrize("path", ["x.css", "avatar.png", ";x.css", "%3bx.js", "x%2ejpg"])
async def test_what_a_path_ends_in_never_makes_it_storable(
    proxy: Proxy, standin: StandIn, path: str
) -> None:
    for _ in range(2):
        heard = await proxy.get(f"/1/members/me/unknown/{path}")
        assert heard.status == 404
        assert "hit" not in heard.fields["cache-status"]


async def test_a_stalled_body_is_408_and_ends_the_connection(
    proxy: Proxy, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "IDLE_S", 0.1)
    wire = await proxy.connect()
    wire.send(proxy.request("POST", "/1/cards", {"Content-Length": "100"}) + b"name=")
    heard = await wire.hear("POST")
    assert heard.status == 408
    assert is_problem(heard.fields)
    assert standin.asked.total == 0


async def test_a_form_too_large_to_hold_is_413(proxy: Proxy, standin: StandIn) -> None:
    heard = await proxy.ask("POST", "/1/cards", {}, b"desc=" + b"x" * bodies.HELD_BYTES)
    assert heard.status == 413
    assert is_problem(heard.fields)
    assert standin.asked.total == 0


async def test_the_way_a_request_came_is_told_upstream(
    make_proxy: MakeProxy, raw_upstream: RawUpstream
) -> None:
    raw_upstream.said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    proxy = await make_proxy(raw_upstream.url)
    for method in ("GET", "POST"):
        await proxy.ask(method, CARD, {"Via": "1.0 first, 1.1 second"})
        assert b"\r\nvia: 1.0 first, 1.1 second\r\nvia: 1.1 trello-proxy-" in (
            raw_upstream.asked[-1].lower()
        )


async def test_a_request_that_has_been_here_before_is_508(proxy: Proxy, standin: StandIn) -> None:
    await proxy.get(CARD)
    (seen,) = standin.asked.requests
    heard = await proxy.get(f"{CARD}?fields=id", {"Via": f"1.1 a, {seen.fields['via']}, 1.0 b"})
    assert heard.status == 508
    assert heard.fields["proxy-status"] == "trello-proxy; error=proxy_loop_detected"
    assert standin.asked.total == 1


async def test_a_proxy_pointed_at_itself_says_so(make_proxy: MakeProxy, standin: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = await make_proxy(f"http://127.0.0.1:{port}", port=port)
    heard = await proxy.get(CARD)
    assert heard.status == 508


async def test_two_proxies_pointed_at_each_other_say_so(make_proxy: MakeProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    there = await make_proxy(f"http://127.0.0.1:{port}")
    here = await make_proxy(f"http://{there.host}", port=port)
    assert (await here.get(CARD)).status == 508


NOT_UTF8 = {
    "Authorization": 'OAuth oauth_consumer_key="\xff", oauth_token="\xfe"',
    "Content-Type": "text/\xff",
    "User-Agent": "caf\xe9",
    "Origin": "http://\xff",
    "X-Request-Id": "\xff",
    "Cookie": "\xff",
    "Cache-Control": "\xff",
    "If-None-Match": '"\xff"',
    "Accept-Encoding": "\xff",
    "Via": "\xff",
    "X-Trello-Client-Identifier": "\xff",
    "Host": "\xff",
}


@pytest.mark.parametrize("name", NOT_UTF8)
@pytest.mark.parametrize("mode", ["replace", "forward"])
async def test_bytes_that_are_no_utf8_in_a_field_are_no_fault_of_ours(
    make_proxy: MakeProxy, standin: StandIn, name: str, mode: str
) -> None:
    yaml = f"cache: {{backend: memory}}\nclients: {{credentials: {mode}}}"
    proxy = await make_proxy(standin.url, yaml)
    field = {name: NOT_UTF8[name]}
    for method, body in (("GET", b""), ("GET", b"\0"), ("POST", b"name=x")):
        heard = await proxy.ask(method, CARD, field, body)
        assert heard.status < 500
    assert (await proxy.ask("POST", "/-/purge", field)).status < 500


BAD_ORIGINS = [
    "http://[::1",
    "http://[",
    "http://]",
    "//",
    "null",
    "\t",
    "http://a:b:c",
    "x" * 9000,
]


@pytest.mark.parametrize("origin", BAD_ORIGINS)
async def test_an_origin_that_is_none_is_refused(proxy: Proxy, origin: str) -> None:
    heard = await proxy.get(CARD, {"Origin": origin})
    assert heard.status == (200 if not origin.strip() else 403)


BAD_HOSTS = ["", "a b", "../../x", "u@x", "127.0.0.1:99999999", "[::1", "127.0.0.1.evil.example"]


@pytest.mark.parametrize("host", BAD_HOSTS)
async def test_a_host_that_is_none_is_refused(proxy: Proxy, host: str) -> None:
    assert (await proxy.get(CARD, {"Host": host})).status == 421


async def test_http_0_9_gets_nothing(proxy: Proxy, standin: StandIn) -> None:
    wire = await proxy.connect()
    wire.send(f"GET {CARD}\r\n\r\n".encode())
    assert (await wire.hear()).status == 421
    assert await wire.ended()
    assert standin.asked.total == 0
