"""Who may ask from a browser: the proxy holds a credential, and pages of any site are near it."""

import pytest

from proxy.demo.standin import StandIn
from tests.edge.conftest import Heard, MakeProxy, Proxy

ME = "/1/members/me"
APP = "http://app.example:3000"
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}


@pytest.fixture
async def guarded(make_proxy: MakeProxy, standin: StandIn) -> Proxy:
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
async def test_a_rebound_name_reaches_nothing(guarded: Proxy, standin: StandIn, host: str) -> None:
    for target in (ME, "/", "/metrics", "/healthz", "/1/client.js"):
        heard = await guarded.get(target, {"Host": host})
        assert refused(heard, 421, "host-not-allowed")
    for method in ("OPTIONS", "POST", "HEAD"):
        assert (await guarded.ask(method, ME, {"Host": host})).status == 421
    assert standin.asked.total == 0


async def test_a_rebound_name_is_refused_even_what_others_have_just_been_given(
    guarded: Proxy,
) -> None:
    for _ in range(3):
        assert (await guarded.get(ME)).status == 200
    for _ in range(3):
        assert (await guarded.get(ME, {"Host": "evil.example"})).status == 421


async def test_tools_send_neither_origin_nor_fetch_metadata_and_are_unaffected(
    guarded: Proxy, standin: StandIn
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
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
async def test_a_page_elsewhere_is_refused_and_trello_hears_nothing(
    guarded: Proxy, standin: StandIn, fields: dict[str, str], method: str
) -> None:
    heard = await guarded.ask(method, ME, fields)
    assert heard.status == 403
    assert "access-control-allow-origin" not in heard.fields
    if method != "HEAD":
        assert refused(heard, 403, "cross-site")
    assert standin.asked.total == 0


async def test_a_page_elsewhere_cannot_purge(guarded: Proxy) -> None:
    for fields in FOREIGN.values():
        assert (await guarded.ask("POST", "/-/purge", fields)).status == 403


async def test_a_page_elsewhere_gets_no_hit_either(guarded: Proxy) -> None:
    evil = {"Origin": "http://evil.example"}
    for _ in range(3):
        await guarded.get(ME)
        await guarded.get(ME, {"Origin": APP})
        assert (await guarded.get(ME, evil)).status == 403


async def test_a_form_posted_from_elsewhere_is_refused(guarded: Proxy, standin: StandIn) -> None:
    navigates = {
        "Origin": "http://evil.example",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert (await guarded.ask("POST", "/1/cards", navigates, b"name=x")).status == 403
    del navigates["Origin"]
    assert (await guarded.ask("POST", "/1/cards", navigates, b"name=x")).status == 403
    assert standin.asked.total == 0


async def test_a_link_that_writes_is_refused(guarded: Proxy, standin: StandIn) -> None:
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    card = f"/1/cards/{standin.trello.example_card}"
    for query in ("_method=DELETE", "x&%5fmethod=delete", "_%6Dethod=PUT&name=x&callback=y"):
        assert (await guarded.get(f"{card}?{query}", clicked)).status == 403
    assert standin.asked.total == 0


async def test_a_link_from_elsewhere_may_be_followed(guarded: Proxy) -> None:
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await guarded.get("/", clicked)).status == 200
    assert (await guarded.get(ME, clicked)).status == 200


async def test_json_cannot_be_read_as_a_script(guarded: Proxy) -> None:
    script = {**CROSS, "Sec-Fetch-Dest": "script"}
    heard = await guarded.get(f"{ME}?callback=steal", script)
    assert heard.status == 403


async def test_a_page_of_ours_may_call(guarded: Proxy, standin: StandIn) -> None:
    ours = {"Origin": f"http://{guarded.host}", "Sec-Fetch-Site": "same-origin"}
    assert (await guarded.get(ME, ours)).status == 200
    card = f"/1/cards/{standin.trello.example_card}"
    assert (await guarded.ask("PUT", card, ours, b"name=x")).status == 200


async def test_an_allowed_origin_may_read_the_answer(guarded: Proxy) -> None:
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
async def test_a_preflight_is_answered_here(guarded: Proxy, standin: StandIn, method: str) -> None:
    asks = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    allowed = await guarded.ask("OPTIONS", ME, {"Origin": APP, **asks})
    assert (allowed.status, allowed.body) == (204, b"")
    assert allowed.fields["access-control-allow-origin"] == APP
    assert method in allowed.fields["access-control-allow-methods"]
    assert "Content-Type" in allowed.fields["access-control-allow-headers"]
    refused = await guarded.ask("OPTIONS", ME, {"Origin": "http://evil.example", **asks})
    assert refused.status == 403
    assert not [name for name in refused.fields if name.startswith("access-control-")]
    assert standin.asked.total == 0


async def test_options_without_a_preflight_say_what_there_is(
    guarded: Proxy, standin: StandIn
) -> None:
    heard = await guarded.ask("OPTIONS", ME)
    assert heard.status == 204
    assert heard.fields["allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS"
    assert standin.asked.total == 0


async def test_client_js_may_be_a_script_of_any_page(guarded: Proxy) -> None:
    script = {**CROSS, "Sec-Fetch-Dest": "script", "Referer": "http://evil.example/"}
    for target in ("/1/client.js", "/1/client.js?key=x"):
        heard = await guarded.get(target, script)
        assert heard.status == 200
        assert "javascript" in heard.fields["content-type"]
        assert b"http://trello.internal:8080" in heard.body
        assert b"https://api.trello.com" not in heard.body


async def test_an_attachment_may_be_an_image_of_any_page(guarded: Proxy, standin: StandIn) -> None:
    image = {**CROSS, "Sec-Fetch-Dest": "image", "Referer": "http://wiki.internal/"}
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
async def test_nothing_else_may_be_embedded(guarded: Proxy, standin: StandIn, target: str) -> None:
    assert (await guarded.get(target, CROSS)).status == 403
    assert standin.asked.total == 0


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_what_may_be_embedded_may_only_be_read(
    guarded: Proxy, standin: StandIn, method: str
) -> None:
    for target in ("/1/client.js", standin.trello.example_attachment_path):
        assert (await guarded.ask(method, target, CROSS)).status == 403
        assert (await guarded.get(f"{target}?_method={method}", CROSS)).status == 403
    assert standin.asked.total == 0
