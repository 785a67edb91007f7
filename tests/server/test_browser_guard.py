"""Who may ask from a browser: the proxy holds a credential, and pages of any site are near it."""

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import (
    Heard,
    MakeProxy,
    Proxy,
)

ME = "/1/members/me"
APP = "http://app.example:3000"
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
DELIBERATE = {"X-Requested-With": "XMLHttpRequest"}


@pytest.fixture
async def guarded(make_proxy: MakeProxy, standin: FakeTrello) -> Proxy:
    yaml = (
        "public_url: http://trello.internal:8080\n"
        f"clients: {{hosts: [tools.internal], origins: ['{APP}']}}"
    )
    return await make_proxy(standin.url, yaml, storage=(standin.storage_host,))


def refused(heard: Heard, status: int, slug: str) -> bool:
    return heard.status == status and heard.json["type"] == f"urn:trello-proxy:{slug}"


OURS = [
    "localhost",
    "localhost:8080",
    "LOCALHOST:80",
    "127.0.0.1",
    "[::1]:8080",
    "trello.internal",
    "trello.internal:8080",
    "Trello.Internal",
    "tools.internal:1",
]


@pytest.mark.parametrize("host", OURS)
async def test_names_of_ours_are_answered_on_any_port(guarded: Proxy, host: str) -> None:
    assert (await guarded.get(ME, {"Host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "xlocalhost",
        "trello.internal.",
        "0.0.0.0",  # noqa: S104 — refused
        "127.0.0.2",
        "2130706433",
        "api.trello.com",
        "evil.example@localhost",
        "localhost:8080@evil.example",
        "localhost, evil.example",
    ],
)
async def test_a_rebound_name_reaches_nothing(
    guarded: Proxy, standin: FakeTrello, host: str
) -> None:
    for target in (ME, "/", "/metrics", "/healthz", "/1/client.js"):
        heard = await guarded.get(target, {"Host": host})
        assert refused(heard, 421, "host-not-allowed")
    for method in ("OPTIONS", "POST", "HEAD"):
        assert (await guarded.ask(method, ME, {"Host": host})).status == 421
    assert standin.request_log.total == 0


async def test_a_rebound_name_is_refused_even_what_others_have_just_been_given(
    guarded: Proxy,
) -> None:
    for _ in range(3):
        assert (await guarded.get(ME)).status == 200
    for _ in range(3):
        assert (await guarded.get(ME, {"Host": "evil.example"})).status == 421


async def test_tools_send_neither_origin_nor_fetch_metadata_and_are_unaffected(
    guarded: Proxy, standin: FakeTrello
) -> None:
    assert (await guarded.get(ME)).status == 200
    path = f"/1/cards/{standin.trello.example_card}"
    assert (await guarded.ask("PUT", path, {}, b"name=x")).status == 200


FOREIGN = {
    "another origin": {"Origin": "http://evil.example"},
    "another origin that says it is same-site": {
        "Origin": "http://evil.example",
        "Sec-Fetch-Site": "same-origin",
    },
    "an opaque origin": {"Origin": "null"},
    "an allowed name on another scheme": {"Origin": APP.replace("http", "https")},
    "an allowed name on another port": {"Origin": "http://app.example"},
    "a name that begins like an allowed one": {"Origin": APP + ".evil.example"},
    "several origins": {"Origin": f"{APP} http://evil.example"},
    "another port of this host": {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
    "a page without an origin": CROSS,
    "a page of a sister site": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "an image": {**CROSS, "Sec-Fetch-Dest": "image"},
    "a script": {**CROSS, "Sec-Fetch-Dest": "script"},
    "a frame's sandbox": {**CROSS, "Origin": "null"},
    "a page over plain http": {"Referer": "http://evil.example/page?x"},
    "a page over plain http, in capitals": {"Referer": "HTTP://Evil.Example"},
    "a page on another port over plain http": {"Referer": "http://127.0.0.1:1/"},
    "a page that was redirected on its way": {**CROSS, "Referer": "http://trello.internal/"},
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
async def test_a_cross_origin_page_is_refused_and_nothing_is_sent_upstream(
    guarded: Proxy, standin: FakeTrello, fields: dict[str, str], method: str
) -> None:
    heard = await guarded.ask(method, ME, fields)
    assert heard.status == 403
    assert "access-control-allow-origin" not in heard.fields
    if method != "HEAD":
        assert refused(heard, 403, "cross-origin-denied")
    assert standin.request_log.total == 0


async def test_a_page_elsewhere_cannot_purge(guarded: Proxy) -> None:
    for fields in FOREIGN.values():
        assert (await guarded.ask("POST", "/-/purge", fields)).status == 403


async def test_a_page_elsewhere_gets_no_hit_either(guarded: Proxy) -> None:
    evil = {"Origin": "http://evil.example"}
    for _ in range(3):
        await guarded.get(ME)
        await guarded.get(ME, {"Origin": APP})
        assert (await guarded.get(ME, evil)).status == 403


async def test_a_form_posted_from_elsewhere_is_refused(guarded: Proxy, standin: FakeTrello) -> None:
    navigates = {
        "Origin": "http://evil.example",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert (await guarded.ask("POST", "/1/cards", navigates, b"name=x")).status == 403
    del navigates["Origin"]
    assert (await guarded.ask("POST", "/1/cards", navigates, b"name=x")).status == 403
    assert standin.request_log.total == 0


TUNNELS = [
    "_method=DELETE",
    "_METHOD=PUT&name=x",
    "_method=put",
    "x&%5fmethod=delete",
    "_%6Dethod=PUT&name=x",
    "_method=GET&_method=DELETE",
    "_method%5B%5D=DELETE",
    "_method=%20delete",
]
OPENED = {
    "a link on a page elsewhere": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    "a link in a mail": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    "a link over plain http": {"Accept": BROWSER, "Referer": "http://evil.example/"},
    "a link in a mail over plain http": {"Accept": BROWSER},
    "a link, whatever else comes along": {"Accept": BROWSER, **DELIBERATE},
    "a link on a page of ours": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"},
    "what an address bar asks ahead": {"Sec-Fetch-Site": "none", **DELIBERATE},
    "an image over plain http": {"Accept": "image/webp,*/*;q=0.8"},
    "an image on a page of an allowed origin": {"Referer": f"{APP}/"},
    "an image in an app": {"X-Requested-With": "com.example.app"},
    "an image behind a login": {"Authorization": "Basic eDp5"},
    "an image behind a login of another kind": {"Authorization": "Bearer x.y.z"},
    "what is fetched blindly": {"Content-Type": "text/plain", "Cache-Control": "no-cache"},
    "a program that says nothing of itself": {},
}


@pytest.mark.parametrize("fields", OPENED.values(), ids=OPENED.keys())
async def test_what_any_page_or_mail_can_send_writes_nothing(
    guarded: Proxy, standin: FakeTrello, fields: dict[str, str]
) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    for query in TUNNELS:
        for method in ("GET", "HEAD"):
            assert (await guarded.ask(method, f"{card}?{query}", fields)).status == 403
    assert standin.request_log.total == 0


TUNNELLED = {
    "a page of an allowed origin": {"Origin": APP},
    "a page of an allowed origin, over https": {"Origin": APP, "Sec-Fetch-Site": "cross-site"},
    "a script of ours": DELIBERATE,
    "a program with its own key and token": {"Authorization": 'OAuth oauth_token="x"'},
    "a program that sends JSON": {"Content-Type": "application/json; charset=utf-8"},
}


@pytest.mark.parametrize("fields", TUNNELLED.values(), ids=TUNNELLED.keys())
async def test_a_program_may_still_tunnel_a_write(
    guarded: Proxy, standin: FakeTrello, fields: dict[str, str]
) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    heard = await guarded.get(f"{card}?_method=PUT&name=Tunnelled", fields)
    assert (heard.status, heard.json["name"]) == (200, "Tunnelled")


async def test_a_tunnel_that_is_refused_names_the_remedy(guarded: Proxy) -> None:
    heard = await guarded.get(f"{ME}?_method=PUT")
    assert refused(heard, 403, "tunnel-denied")
    assert "X-Requested-With: XMLHttpRequest" in heard.json["detail"]


@pytest.mark.parametrize("target", ["/", ME, "/metrics", "/healthz"])
async def test_a_link_from_elsewhere_may_be_followed(guarded: Proxy, target: str) -> None:
    for clicked in (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Accept": BROWSER, "Referer": "http://wiki.internal/page"},
    ):
        assert (await guarded.get(target, clicked)).status == 200


async def test_a_referer_of_our_own_says_nothing(guarded: Proxy) -> None:
    for referrer in (f"http://{guarded.host}/b/x", f"https://{guarded.host}", "-", "about:blank"):
        assert (await guarded.get(ME, {"Referer": referrer})).status == 200


SCRIPTS = {
    "a script elsewhere": {**CROSS, "Sec-Fetch-Dest": "script"},
    "a script elsewhere, over plain http": {"Referer": "http://evil.example/"},
    "a script of an allowed origin": {"Referer": f"{APP}/"},
    "a program": {},
}


@pytest.mark.parametrize("fields", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_json_cannot_be_read_as_a_script(
    guarded: Proxy, standin: FakeTrello, fields: dict[str, str]
) -> None:
    for query in ("callback=steal", "fields=id&CALLBACK=steal", "%63allback=x", "callback[]=x"):
        heard = await guarded.get(f"{ME}?{query}", fields)
        assert heard.status == 403
        assert b"steal(" not in heard.body
    assert standin.request_log.total == 0


async def test_a_jsonp_call_that_is_refused_names_the_remedy(guarded: Proxy) -> None:
    heard = await guarded.get(f"{ME}?callback=x")
    assert refused(heard, 403, "jsonp-denied")
    assert "clients.origins" in heard.json["detail"]


async def test_where_it_is_allowed_a_call_is_for_pages_of_allowed_origins(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, f"clients: {{origins: ['{APP}'], jsonp: allow}}")
    call = f"{ME}?callback=show"
    script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}
    for fields in ({"Referer": f"{APP}/x"}, {"Referer": f"{APP}/", **script}):
        heard = await proxy.get(call, fields)
        assert (heard.status, heard.body[:9]) == (200, b"/**/ show")
        assert heard.fields["cross-origin-resource-policy"] == "cross-origin"
    blind = await proxy.get(call)
    assert blind.status == 200
    assert blind.fields["cross-origin-resource-policy"] == "same-origin"
    for fields in ({"Referer": "http://evil.example/"}, script):
        assert (await proxy.get(call, fields)).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
@pytest.mark.parametrize("destination", ["script", "style", "worker", "serviceworker", "xslt"])
async def test_a_file_is_never_run(
    guarded: Proxy, standin: FakeTrello, destination: str, site: str
) -> None:
    runs = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": destination, "Sec-Fetch-Mode": "no-cors"}
    for target in (standin.trello.example_attachment_path, ME):
        assert refused(await guarded.get(target, runs), 403, "cross-origin-denied")
    assert standin.request_log.total == 0


async def test_our_own_pages_load_what_is_theirs(guarded: Proxy) -> None:
    for target, destination in (("/-/style.css", "style"), ("/-/page.js", "script")):
        loads = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": destination}
        assert (await guarded.get(target, loads)).status == 200


async def test_a_page_of_ours_may_call(guarded: Proxy, standin: FakeTrello) -> None:
    ours = {"Origin": f"http://{guarded.host}", "Sec-Fetch-Site": "same-origin"}
    assert (await guarded.get(ME, ours)).status == 200
    card = f"/1/cards/{standin.trello.example_card}"
    assert (await guarded.ask("PUT", card, ours, b"name=x")).status == 200


async def test_an_allowed_origin_may_read_the_response(guarded: Proxy) -> None:
    page = {"Origin": APP, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    for expected in ("fwd=uri-miss", "hit", "hit"):
        heard = await guarded.get(ME, page)
        assert heard.status == 200
        assert expected in heard.fields["cache-status"]
        assert heard.fields["access-control-allow-origin"] == APP
        assert "Origin" in heard.fields["vary"]
        assert "access-control-allow-credentials" not in heard.fields
    plain = await guarded.get(ME)
    assert "access-control-allow-origin" not in plain.fields


async def test_an_allowed_origin_may_read_errors_and_304s_too(guarded: Proxy) -> None:
    page = {"Origin": APP}
    missing = await guarded.get("/1/nowhere", page)
    bad = await guarded.get("/1/..", page)
    first = await guarded.get(ME, page)
    same = await guarded.get(ME, {**page, "If-None-Match": first.fields["etag"]})
    assert [missing.status, bad.status, same.status] == [404, 400, 304]
    for heard in (missing, bad, same):
        assert heard.fields["access-control-allow-origin"] == APP


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_preflight_is_answered_here(
    guarded: Proxy, standin: FakeTrello, method: str
) -> None:
    asks = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    allowed = await guarded.ask("OPTIONS", ME, {"Origin": APP, **asks})
    assert (allowed.status, allowed.body) == (204, b"")
    assert allowed.fields["access-control-allow-origin"] == APP
    assert method in allowed.fields["access-control-allow-methods"]
    assert allowed.fields["access-control-allow-headers"] == "content-type, authorization"
    refused = await guarded.ask("OPTIONS", ME, {"Origin": "http://evil.example", **asks})
    assert refused.status == 403
    assert not [name for name in refused.fields if name.startswith("access-control-")]
    assert standin.request_log.total == 0


async def test_an_allowed_origin_is_granted_what_it_asks_for(guarded: Proxy) -> None:
    wanted = "x-requested-with,baggage,sentry-trace,x-trello-client-identifier,cookie"
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": wanted}
    heard = await guarded.ask("OPTIONS", ME, {"Origin": APP, **asks})
    granted = heard.fields["access-control-allow-headers"]
    assert granted == "x-requested-with, baggage, sentry-trace, x-trello-client-identifier"


async def test_options_without_a_preflight_say_what_there_is(
    guarded: Proxy, standin: FakeTrello
) -> None:
    heard = await guarded.ask("OPTIONS", ME)
    assert heard.status == 204
    assert heard.fields["allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS"
    assert standin.request_log.total == 0


async def test_client_js_may_be_a_script_of_any_page(guarded: Proxy) -> None:
    script = {**CROSS, "Sec-Fetch-Dest": "script", "Referer": "http://evil.example/"}
    for target in ("/1/client.js", "/1/client.js?key=x"):
        heard = await guarded.get(target, script)
        assert heard.status == 200
        assert "javascript" in heard.fields["content-type"]
        assert b"http://trello.internal:8080" in heard.body
        assert b"https://api.trello.com" not in heard.body


@pytest.mark.parametrize("told", [{**CROSS, "Sec-Fetch-Dest": "image"}, {}], ids=["https", "http"])
async def test_an_attachment_may_be_an_image_of_any_page(
    guarded: Proxy, standin: FakeTrello, told: dict[str, str]
) -> None:
    image = {**told, "Referer": "http://wiki.internal/"}
    heard = await guarded.get(standin.trello.example_attachment_path, image)
    assert heard.status == 200
    assert heard.fields["content-type"].startswith("image/")
    assert heard.fields["cross-origin-resource-policy"] == "cross-origin"
    assert heard.fields["content-disposition"].startswith("inline;")
    assert "access-control-allow-origin" not in heard.fields


@pytest.mark.parametrize(
    "target",
    [
        "/1/client.jsx",
        "/1/client.js/..",
        "/1/members/me/client.js",
        "/1/members/me?x=/1/client.js",
        "/1/cards/x/attachments",
        "/1/cards/x?y=/attachments/z/download",
        "/1/cards/x/attachments/z?y=/download",
    ],
)
async def test_nothing_else_may_be_embedded(
    guarded: Proxy, standin: FakeTrello, target: str
) -> None:
    assert (await guarded.get(target, CROSS)).status == 403
    assert standin.request_log.total == 0


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_what_may_be_embedded_may_only_be_read(
    guarded: Proxy, standin: FakeTrello, method: str
) -> None:
    for target in ("/1/client.js", standin.trello.example_attachment_path):
        assert (await guarded.ask(method, target, CROSS)).status == 403
        assert (await guarded.get(f"{target}?_method={method}", CROSS)).status == 403
    assert standin.request_log.total == 0
