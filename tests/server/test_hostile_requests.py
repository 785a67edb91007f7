"""Hostile requests: each gets its status, and nothing is sent to Trello."""

import json
from urllib.parse import quote

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import (
    MakeProxy,
    Proxy,
    says,
)

CARD = "/1/members/me"


TARGETS = {
    "absolute-form naming another host": "http://evil.example/1/members/me",
    "absolute-form naming Trello": "https://api.trello.com/1/members/me",
    "absolute-form naming this host with a user": "http://u@127.0.0.1/1/members/me",
    "absolute-form and a double slash": "http://127.0.0.1//evil.example/1/members/me",
    "absolute-form and dot segments": "http://127.0.0.1/1/cards/../../admin",
    "absolute-form of another scheme": "ftp://127.0.0.1/1/members/me",
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
    proxy: Proxy, standin: FakeTrello, target: str
) -> None:
    heard = await proxy.get(target)
    assert heard.status == 400
    assert heard.is_problem
    assert standin.request_log.total == 0


HEADS = {
    "two Hosts": "GET {t} HTTP/1.1\r\nHost: {h}\r\nHost: evil.example\r\n\r\n",
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
    "another protocol": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
UNPARSABLE = {
    "no Host": (400, "malformed-request", "Send a Host field", "GET {t} HTTP/1.1\r\n\r\n"),
    "a target of 33 kB": (
        414,
        "uri-too-long",
        "32 KiB at most",
        "GET {t}?fields=" + "x" * 33_000 + " HTTP/1.1\r\nHost: {h}\r\n\r\n",
    ),
    "a field of 33 kB": (
        431,
        "header-fields-too-large",
        "32000 bytes at most",
        "GET {t} HTTP/1.1\r\nHost: {h}\r\nCookie: /" + "x" * 33_000 + "\r\n\r\n",
    ),
    "150 fields": (
        431,
        "header-fields-too-large",
        "128 header fields at most",
        "GET {t} HTTP/1.1\r\nHost: {h}\r\n"
        + "".join(f"X-{n}: {n}\r\n" for n in range(150))
        + "\r\n",
    ),
    "a raw letter in the path": (
        400,
        "invalid-target",
        "percent-encode",
        "GET {t}\xc3\xbc HTTP/1.1\r\nHost: {h}\r\n\r\n",
    ),
    "a raw letter in the query": (
        400,
        "invalid-target",
        "percent-encode",
        "GET {t}?q=\xfc HTTP/1.1\r\nHost: {h}\r\n\r\n",
    ),
    "a raw space": (
        400,
        "malformed-request",
        "percent-encoded (%20)",
        "GET {t}?q=a b HTTP/1.1\r\nHost: {h}\r\n\r\n",
    ),
    "TLS": (400, "malformed-request", "without TLS", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
}


@pytest.mark.parametrize(
    ("status", "slug", "sentence", "head"), UNPARSABLE.values(), ids=UNPARSABLE.keys()
)
async def test_a_request_that_cannot_be_parsed_gets_the_remedy(
    proxy: Proxy, standin: FakeTrello, status: int, slug: str, sentence: str, head: str
) -> None:
    wire = await proxy.connect()
    wire.send(head.replace("{t}", CARD).replace("{h}", proxy.host).encode("latin-1"))
    heard = await wire.hear()
    assert says(heard, status, slug)
    assert sentence in heard.json["detail"]
    assert heard.fields["connection"] == "close"
    assert await wire.ended()
    assert standin.request_log.total == 0


CODINGS = ["gzip, chunked", "identity, chunked", "chunked, chunked", "identity"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_no_transfer_coding_but_chunked_is_accepted(
    proxy: Proxy, standin: FakeTrello, coding: str, method: str
) -> None:
    body = b"9\r\nfields=id\r\n0\r\n\r\n"
    wire = await proxy.connect()
    wire.send(proxy.request(method, CARD, {"Transfer-Encoding": coding}) + body)
    heard = await wire.hear(method)
    assert says(heard, 400, "malformed-request")
    assert standin.request_log.total == 0


@pytest.mark.parametrize("name", ["Content-Type", "Content-Encoding", "Transfer-Encoding"])
async def test_two_fields_that_say_how_to_read_a_body_are_refused(
    proxy: Proxy, standin: FakeTrello, name: str
) -> None:
    value = {"Content-Type": "text/plain", "Content-Encoding": "identity"}.get(name, "chunked")
    for other in (name, name.lower()):
        lines = f"Host: {proxy.host}\r\n{name}: {value}\r\n{other}: {value}\r\n"
        body = "Content-Length: 2\r\n\r\n{}"
        if name == "Transfer-Encoding":
            body = "\r\n2\r\n{}\r\n0\r\n\r\n"
        heard = await proxy.say(f"PUT {CARD} HTTP/1.1\r\n{lines}{body}".encode(), "PUT")
        assert says(heard, 400, "malformed-request")
    assert standin.request_log.total == 0


@pytest.mark.parametrize("target", ["/healthz", CARD])
async def test_http_1_0_needs_no_host(proxy: Proxy, target: str) -> None:
    heard = await proxy.say(f"GET {target} HTTP/1.0\r\n\r\n".encode())
    assert heard.status == 200
    evil = await proxy.say(f"GET {target} HTTP/1.0\r\nHost: evil.example\r\n\r\n".encode())
    assert evil.status == 421


OWN_AUTHORITIES = {
    "as in Host": ("http://{h}", "{h}"),
    "in capitals, and another port": ("HTTP://LOCALHOST:1", "localhost"),
    "https, ended in front": ("https://{h}", "{h}"),
}
OTHER_HOSTS = ["evil.example", "hooks.example", "localhost", "\xff", "", "{h}, evil.example"]


@pytest.mark.parametrize(("origin", "host"), OWN_AUTHORITIES.values(), ids=OWN_AUTHORITIES)
async def test_absolute_form_with_our_own_name_is_served(
    proxy: Proxy, origin: str, host: str
) -> None:
    origin, host = origin.replace("{h}", proxy.host), host.replace("{h}", proxy.host)
    for target, status in ((f"{CARD}?fields=id", 200), ("/healthz", 200), ("/nowhere", 404)):
        heard = await proxy.ask("GET", origin + target, {"Host": host})
        assert heard.status == status
    assert (await proxy.ask("GET", origin, {"Host": host})).status == 200
    assert (
        (await proxy.ask("GET", f"{origin}{CARD}?fields=id", {"Host": host}))
        .fields["cache-status"]
        .startswith("trello-proxy; hit")
    )


@pytest.mark.parametrize("host", OTHER_HOSTS)
async def test_absolute_form_and_host_name_one_host(
    make_proxy: MakeProxy, standin: FakeTrello, host: str
) -> None:
    hooks = "freshness: {webhook_url: 'https://hooks.example/-/webhook'}"
    proxy = await make_proxy(standin.url, f"credentials: {{secret: {{file: {'5' * 32}}}}}\n{hooks}")
    for target in (f"{CARD}?fields=id", "/metrics", "/-/webhook"):
        for authority, named in ((proxy.host, host), (host or "hooks.example", proxy.host)):
            field = named.replace("{h}", proxy.host)
            heard = await proxy.ask("GET", f"http://{authority}{target}", {"Host": field})
            assert says(heard, 400, "invalid-target")
    assert not [each for each in standin.request_log.requests if "fields=id" in each.target]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "http://api.trello.com/1/members/me"),
        ("GET", "https://trello.com/1/members/me"),
        ("POST", "http://evil.example/"),
        ("CONNECT", "api.trello.com:443"),
    ],
)
async def test_clients_of_a_forward_proxy_get_an_error_that_says_this_is_none(
    proxy: Proxy, standin: FakeTrello, method: str, target: str
) -> None:
    heard = await proxy.ask(method, target, {"Host": "api.trello.com"})
    assert heard.status == (403 if method == "CONNECT" else 400)
    assert "no forward proxy" in heard.json["detail"]
    assert standin.request_log.total == 0


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
async def test_what_is_not_http_is_400_and_ends_the_connection(
    proxy: Proxy, standin: FakeTrello, head: str
) -> None:
    wire = await proxy.connect()
    wire.send(head.replace("{t}", CARD).replace("{h}", proxy.host).encode("latin-1"))
    heard = await wire.hear()
    assert heard.status == 400
    assert heard.is_problem
    assert b"evil" not in heard.raw
    assert heard.fields["connection"] == "close"
    assert await wire.ended()
    assert standin.request_log.total == 0


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "CONNECT", "PROPFIND", "COPY"])
@pytest.mark.parametrize("target", [CARD, "/metrics", "/healthz"])
async def test_a_method_trello_does_not_have_is_405(
    proxy: Proxy, standin: FakeTrello, method: str, target: str
) -> None:
    heard = await proxy.ask(method, target, {"Authorization": "OAuth junk", "X-Mark": "m4rk"})
    assert heard.status in ({400, 403} if method == "CONNECT" else {405})
    assert heard.is_problem
    assert b"m4rk" not in heard.raw
    assert standin.request_log.total == 0


@pytest.mark.parametrize("target", ["/", "/admin", "/2/members/me", "/nothing.ico", "/%31/x"])
async def test_outside_the_url_space_nothing_is_asked_of_trello(
    proxy: Proxy, standin: FakeTrello, target: str
) -> None:
    heard = await proxy.get(target)
    assert heard.status == (200 if target == "/" else 404)
    assert standin.request_log.total == 0


@pytest.mark.parametrize("query", ["key=a&token=b", "%6bey=a&TOKEN=b", "key=a;token=b&fields=id"])
async def test_credentials_are_found_however_they_are_spelt(
    proxy: Proxy, standin: FakeTrello, query: str
) -> None:
    assert (await proxy.get(f"{CARD}?{query}")).status == 200
    (seen,) = standin.request_log.requests
    assert seen.credential == "header"
    assert "token" not in seen.query.lower()
    assert "ey=a" not in seen.query


async def test_a_semicolon_separates_nothing_and_reaches_trello_as_data(
    proxy: Proxy, standin: FakeTrello
) -> None:
    await proxy.get("/1/search?query=key;token=5")
    (seen,) = standin.request_log.requests
    assert (seen.credential, seen.query) == ("header", "query=key%3Btoken%3D5")


async def test_a_form_keeps_its_semicolons(proxy: Proxy, standin: FakeTrello) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    desc = b"desc=Host=a;Key=b;Port=1"
    path = f"/1/cards/{standin.trello.example_card}"
    assert (await proxy.ask("PUT", path, form, desc + b"&key=k")).status == 200
    assert standin.trello.request(path)["desc"] == "Host=a;Key=b;Port=1"


READ_BODIES = {
    "an empty object": ("application/json", b"{}"),
    "an array": ("application/json", b"[]"),
    "an empty string": ("application/json", b'""'),
    "null": ("application/json", b"null"),
    "a pair in JSON": ("application/json", b'{"key": "k", "token": "t"}'),
    "a pair in a form": ("application/x-www-form-urlencoded", b"key=k&token=t"),
    "a form of no type": ("", b"key=k"),
    "multipart of nothing": ("multipart/form-data; boundary=b", b"--b--\r\n"),
    "multipart without its boundary": ("multipart/form-data", b"--b--\r\n"),
    "anything": ("text/csv", b"\0fields"),
}


@pytest.mark.parametrize(("content_type", "body"), READ_BODIES.values(), ids=READ_BODIES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_reads_body_is_not_sent_and_makes_no_other_key(
    proxy: Proxy, standin: FakeTrello, method: str, content_type: str, body: bytes
) -> None:
    with_body = await proxy.ask(method, CARD, {"Content-Type": content_type}, body)
    bare = await proxy.get(CARD)
    assert (with_body.status, bare.status) == (200, 200)
    assert "; hit" in bare.fields["cache-status"]
    (seen,) = standin.request_log.requests
    assert (seen.method, seen.query) == ("GET", "")
    assert {"content-type", "content-length", "transfer-encoding"}.isdisjoint(seen.fields)


PARAMETERS_IN_BODIES = {
    "a form": ("application/x-www-form-urlencoded", b"fields=username%2Curl&key=k", ""),
    "JSON": ("application/json", b'{"token": "t", "fields": "username,url"}', ""),
    "a list in JSON": ("application/json", b'{"fields": ["username", "url"]}', ""),
    "multipart": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="fields"\r\n\r\nusername,url\r\n--b--',
        "",
    ),
    "one that the query has": ("application/json", b'{"fields": "all"}', "?fields=username,url"),
}


@pytest.mark.parametrize(
    ("content_type", "body", "query"), PARAMETERS_IN_BODIES.values(), ids=PARAMETERS_IN_BODIES
)
async def test_parameters_in_a_reads_body_are_parameters_of_its_query(
    proxy: Proxy, standin: FakeTrello, content_type: str, body: bytes, query: str
) -> None:
    shaped = await proxy.ask("GET", CARD + query, {"Content-Type": content_type}, body)
    in_query = await proxy.get(f"{CARD}?fields=username,url")
    assert shaped.json.keys() == {"id", "username", "url"}
    assert "; hit" in in_query.fields["cache-status"]
    assert [seen.query for seen in standin.request_log.requests] == ["fields=username,url"]


async def test_a_reads_body_is_as_long_as_a_target_may_be(
    proxy: Proxy, standin: FakeTrello
) -> None:
    assert (await proxy.ask("GET", CARD, {}, b"fields=" + b"x" * 33_000)).status == 413
    assert standin.request_log.total == 0


async def test_a_field_of_30_kb_is_taken(proxy: Proxy) -> None:
    assert (await proxy.get(CARD, {"X-Long": "x" * 30_000})).status == 200


async def test_no_field_of_a_reader_shapes_what_trello_is_asked(
    proxy: Proxy, standin: FakeTrello
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
    (seen,) = standin.request_log.requests
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


async def test_the_name_of_a_browser_extension_goes_with_reads_and_writes(
    proxy: Proxy, standin: FakeTrello
) -> None:
    named = {"X-Trello-User-Agent-Extension": "Exporter 1.2"}
    card = standin.trello.example_card
    await proxy.get(f"/1/cards/{card}", named)
    await proxy.ask("PUT", f"/1/cards/{card}?name=After", named)
    told = [
        seen.fields.get("x-trello-user-agent-extension") for seen in standin.request_log.requests
    ]
    assert told == ["Exporter 1.2"] * 2


@pytest.mark.parametrize("path", ["x.css", "avatar.png", ";x.css", "%3bx.js", "x%2ejpg"])
async def test_what_a_path_ends_in_never_makes_it_storable(
    proxy: Proxy, standin: FakeTrello, path: str
) -> None:
    for _ in range(2):
        heard = await proxy.get(f"/1/members/me/unknown/{path}")
        assert heard.status == 404
        assert "hit" not in heard.fields["cache-status"]


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
    make_proxy: MakeProxy, standin: FakeTrello, name: str, mode: str
) -> None:
    yaml = f"clients: {{credentials: {mode}}}"
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


async def test_no_client_lengthens_what_trello_is_sent(proxy: Proxy, standin: FakeTrello) -> None:
    fields = {"Via": "1.1 a" + "x" * 20_000, "User-Agent": "y" * 20_000}
    card = f"/1/cards/{standin.trello.example_card}"
    for method, body in (("GET", b""), ("PUT", b"name=x")):
        assert (await proxy.ask(method, card, fields, body)).status == 200
        seen = standin.request_log.requests[-1]
        assert sum(len(value) for value in seen.fields.values()) < 2000
        assert "xxx" not in seen.fields["via"]


@pytest.mark.parametrize("kind", ["json", "form"])
async def test_the_longest_description_is_taken(
    proxy: Proxy, standin: FakeTrello, kind: str
) -> None:
    text = "\U0001f4a9,;&" * 4096
    content_type, body = {
        "json": ("application/json", json.dumps({"desc": text, "token": "x"}).encode()),
        "form": (
            "application/x-www-form-urlencoded",
            b"token=x&desc=" + quote(text, safe="").encode(),
        ),
    }[kind]
    card = f"/1/cards/{standin.trello.example_card}"
    heard = await proxy.ask("PUT", card, {"Content-Type": content_type}, body)
    assert heard.status == 200
    assert (await proxy.get(f"{card}?fields=desc")).json["desc"] == text
