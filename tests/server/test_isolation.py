"""Isolation: nothing that Trello or its users made runs in the origin of the proxy."""

import asyncio

import pytest

from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import (
    Heard,
    MakeProxy,
    Proxy,
    Start,
    says,
)
from tests.server.raw_upstream import (
    BODY,
    JSON,
    READ,
    RawUpstream,
    answer,
)

ME = "/1/members/me"
HTML = b"Content-Type: text/html; charset=utf-8\r\n"
PAGE = b"<!doctype html><script>document.title = 'ran'</script>"
GONE = b"HTTP/1.1 410 Gone\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\n"


def is_isolated(heard: Heard) -> bool:
    """Not sniffed, without scripts and origin, and for pages of this origin only."""
    return (
        heard.fields["x-content-type-options"] == "nosniff"
        and heard.fields["content-security-policy"].startswith("default-src 'none'")
        and "sandbox" in heard.fields["content-security-policy"]
        and heard.fields["cross-origin-resource-policy"] == "same-origin"
        and len(heard.field_list) == len(heard.fields)
    )


async def test_every_response_below_1_is_isolated(proxy: Proxy, standin: FakeTrello) -> None:
    card, board = standin.trello.example_card, standin.trello.example_board
    asked = [
        ("GET", ME, {}),
        ("GET", ME, {}),
        ("GET", ME, {}),
        ("HEAD", ME, {}),
        ("GET", ME, {"Accept-Encoding": "gzip"}),
        ("GET", ME, {"Cache-Control": "no-cache"}),
        ("GET", f"/1/boards/{board}/cards", {}),
        ("GET", f"/1/cards/{card}/name", {}),
        ("GET", f"/1/batch?urls=/members/me,/boards/{board}", {}),
        ("GET", f"/1/cards/{'0' * 24}", {}),
        ("GET", "/1/cards/x!", {}),
        ("GET", "/1/nowhere", {}),
        ("GET", "/1/..", {}),
        ("GET", f"{ME}?callback=x", {}),
        ("GET", f"/1/cards/{card}?_method=PUT", {}),
        ("GET", ME, {"Host": "evil.example"}),
        ("GET", ME, {"Origin": "http://evil.example"}),
        ("GET", "/1/authorize", {}),
        ("PUT", f"/1/cards/{card}?name=x", {}),
        ("BREW", ME, {}),
        ("OPTIONS", ME, {}),
        ("GET", standin.trello.example_attachment_path.replace("/download/", "/nowhere/"), {}),
        ("GET", standin.trello.example_attachment_path, {"Range": "bytes=999999999-"}),
        ("GET", "/metrics", {}),
        ("GET", "/-/nothing", {}),
        ("GET", "/-/style.css", {}),
    ]
    for method, target, fields in asked:
        assert is_isolated(await proxy.ask(method, target, fields)), (method, target, fields)
    assert is_isolated(await proxy.say(b"no HTTP\r\n\r\n"))


async def test_a_planned_hit_is_isolated_too(proxy: Proxy) -> None:
    wire = await proxy.connect()
    for expected in ("uri-miss", "; hit", "; hit", "; hit"):
        wire.send(proxy.request("GET", ME))
        heard = await wire.hear()
        assert expected in heard.fields["cache-status"]
        assert is_isolated(heard)


async def test_what_has_not_changed_keeps_the_fields_it_came_with(
    proxy: Proxy, standin: FakeTrello
) -> None:
    for target in (ME, standin.trello.example_attachment_path):
        first = await proxy.get(target)
        same = await proxy.get(target, {"If-None-Match": first.fields["etag"]})
        assert same.status == 304
        assert "cross-origin-resource-policy" not in same.fields


async def test_client_js_and_pictures_are_for_any_page(proxy: Proxy, standin: FakeTrello) -> None:
    svg = standin.trello.upload(standin.trello.example_card, File("a.svg", "image/svg+xml", b"<"))
    drawn = str(svg["url"]).partition("trello.com")[2]
    for target in ("/1/client.js", standin.trello.example_attachment_path, drawn):
        for _ in range(3):
            heard = await proxy.get(target)
            assert heard.fields["cross-origin-resource-policy"] == "cross-origin"
            assert heard.fields["x-content-type-options"] == "nosniff"


async def test_pages_of_ours_are_for_pages_of_ours(proxy: Proxy) -> None:
    for target in ("/", "/c/ZZZZZZZZ", "/1/.."):
        page = await proxy.get(target, {"Sec-Fetch-Mode": "navigate"})
        assert page.fields["content-type"].startswith("text/html")
        assert page.fields["cross-origin-resource-policy"] == "same-origin"
        assert page.fields["content-security-policy"].startswith("default-src 'none'; style-src")


async def test_what_trello_says_of_browsers_does_not_pass(
    before: Start, raw_upstream: RawUpstream
) -> None:
    theirs = (
        b"Content-Security-Policy: script-src *\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
        b"Content-Security-Policy-Report-Only: default-src *\r\nX-Content-Type-Options: none\r\n"
        b"Cross-Origin-Opener-Policy: unsafe-none\r\nX-Note: Content-Security-Policy: none\r\n"
    )
    proxy = await before(answer(BODY, JSON + theirs))
    for _ in range(3):
        heard = await proxy.get(READ)
        assert (heard.status, heard.body) == (200, BODY)
        assert is_isolated(heard)
        assert not [name for name in heard.fields if "opener" in name or "report-only" in name]


WORDLESS = {
    "a 404": (NOT_FOUND, HTML, PAGE),
    "a 400": (b"HTTP/1.1 400 Bad Request\r\n", HTML, PAGE),
    "a 401": (b"HTTP/1.1 401 Unauthorized\r\n", HTML, b"invalid token"),
    "a 403": (b"HTTP/1.1 403 Forbidden\r\n", HTML, PAGE),
    "a 410 in XHTML": (GONE, b"Content-Type: application/xhtml+xml\r\n", b""),
    "a 404 that says it is text": (NOT_FOUND, b"Content-Type: text/plain\r\n", b"\n<HTML>"),
    "a 404 of no type": (NOT_FOUND, b"", PAGE),
}


class TestPages:
    """HTML in the place of what Trello says."""

    @pytest.mark.parametrize(("status", "head", "body"), WORDLESS.values(), ids=WORDLESS.keys())
    async def test_a_refusal_that_is_a_page_is_an_upstream_failure(
        self, before: Start, raw_upstream: RawUpstream, status: bytes, head: bytes, body: bytes
    ) -> None:
        proxy = await before(answer(body, head, status))
        for target in (READ, f"/1/batch?urls={READ[2:]},/members/me"):
            heard = await proxy.get(target)
            assert says(heard, 502, "invalid-response")
            assert b"<script" not in heard.raw
        raw_upstream.said = answer()
        assert "fwd=uri-miss" in (await proxy.get(READ)).fields["cache-status"]

    @pytest.mark.parametrize(("status", "head", "body"), WORDLESS.values(), ids=WORDLESS.keys())
    async def test_what_is_stored_stays_in_use(
        self, before: Start, raw_upstream: RawUpstream, status: bytes, head: bytes, body: bytes
    ) -> None:
        proxy = await before(answer())
        await proxy.get(READ)
        raw_upstream.said = answer(body, head, status)
        for fields in ({"Cache-Control": "no-cache"}, {}):
            heard = await proxy.get(READ, fields)
            assert (heard.status, heard.body) == (200, BODY)
            assert ("stale-if-error" if fields else "; hit") in heard.fields["cache-status"]

    async def test_a_write_refused_by_a_page_may_have_been_made(
        self, before: Start, raw_upstream: RawUpstream
    ) -> None:
        proxy = await before(answer())
        await proxy.get(READ)
        raw_upstream.said = answer(PAGE, HTML, b"HTTP/1.1 403 Forbidden\r\n")
        heard = await proxy.ask("PUT", READ, {}, b"name=x")
        assert says(heard, 502, "invalid-response")
        assert (await proxy.get(READ)).status == 502

    async def test_a_sentence_is_trellos_word(self, before: Start) -> None:
        said = b"The requested resource was not found."
        proxy = await before(
            answer(said, b"Content-Type: text/plain; charset=utf-8\r\n", NOT_FOUND)
        )
        heard = await proxy.get(READ)
        assert (heard.status, heard.body) == (404, said)

    async def test_where_nothing_is_known_a_page_passes_and_cannot_run(self, before: Start) -> None:
        proxy = await before(answer(PAGE, HTML, NOT_FOUND))
        heard = await proxy.get("/1/nowhere")
        assert (heard.status, heard.body) == (404, PAGE)
        assert is_isolated(heard)

    async def test_a_503_keeps_its_status_and_cannot_run(self, before: Start) -> None:
        proxy = await before(answer(PAGE, HTML, b"HTTP/1.1 503 Service Unavailable\r\n"))
        heard = await proxy.get(READ)
        assert heard.status == 503
        assert is_isolated(heard)

    async def test_a_files_refusal_is_not_shown_as_a_page(
        self, make_proxy: MakeProxy, raw_upstream: RawUpstream
    ) -> None:
        async def speak(
            _: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
        ) -> None:
            if b"/download" in header.split(b"\r\n")[0]:
                writer.write(answer(PAGE, HTML, NOT_FOUND))
            else:
                writer.write(answer(b'{"id":"5e94756a8ed68535838d852d","isUpload":true,"bytes":3}'))

        raw_upstream.said = speak
        proxy = await make_proxy(raw_upstream.url)
        file = "/1/cards/5e9310df53f23017628a8011/attachments/5e94756a8ed68535838d852d/download/a"
        assert says(await proxy.get(file), 502, "invalid-response")
