"""A file's link: whom it opens for, what it leads to, and how a browser may show it."""

import json
from typing import Any

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
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
from tests.scenarios.test_files import (
    BODY,
    attach,
    metadata_of,
    stored,
)


def metadata(fake_trello: FakeTrello, attachment: str) -> dict[str, Any]:
    """What Trello says of it, to be changed."""
    found = fake_trello.trello.attachments.find(attachment)
    assert found is not None
    return found


async def _kept(proxy: Proxy, fake_trello: FakeTrello, card: str) -> str:
    path = attach(fake_trello, card)
    await stored(proxy, path)
    return path


class TestPermission:
    async def test_a_link_opens_without_any_credential(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        heard = await proxy.get(await _kept(proxy, standin, card))
        assert (heard.status, heard.body) == (200, BODY)
        said = str(heard.fields) + "".join(map(str, proxy.logged("request")))
        assert not [
            word for word in (KEY, TOKEN, "X-Signature", standin.storage_host) if word in said
        ]

    async def test_the_card_may_be_named_by_its_short_link(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = await _kept(proxy, standin, card)
        short = standin.trello.request(f"/1/cards/{card}")["shortLink"]
        assert (await proxy.get(path.replace(card, short))).cache == "hit"
        assert standin.request_log.downloads == 1

    async def test_the_name_decides_nothing(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = await _kept(proxy, standin, card)
        start = metadata_of(path)
        for name in (
            "/download/other.html",
            "/download/..%20x",
            "/download",
            "/download/%F0%9F%90%88",
            "/download/Bill%2012%2F24.pdf",
            "/download/a%5Cb",
            "/download/%E4.png",
            "/download/a%0Ab%00c",
        ):
            heard = await proxy.get(start + name)
            assert (heard.status, heard.fields["Content-Type"]) == (200, "image/png")
            assert 'filename="a.png"' in heard.fields["Content-Disposition"]
        assert standin.request_log.downloads == 1

    async def test_trello_is_sent_its_own_name_of_the_file(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = attach(standin, card)
        other = f"{metadata_of(path)}/download/Bill%2012%2F24.pdf?x=1"
        assert (await proxy.get(other)).status == 200
        assert path in [seen.target for seen in standin.request_log.requests]

    async def test_what_was_deleted_is_gone_within_its_lifetime(
        self, proxy: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path = await _kept(proxy, standin, card)
        standin.trello.edit("DELETE", metadata_of(path))
        clock.advance(200)
        heard = await proxy.get(path)
        assert (heard.status, heard.problem) == (410, "attachment-deleted")

    async def test_what_was_deleted_through_the_proxy_is_gone_at_once(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str
    ) -> None:
        proxy = await start_proxy()
        path = await _kept(proxy, standin, card)
        assert (await proxy("DELETE", metadata_of(path))).status == 200
        assert (await proxy.get(path)).status == 410
        await proxy.app.stop()
        assert (await (await start_proxy()).get(path)).status == 410

    async def test_only_who_read_a_file_learns_that_it_was_deleted(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        proxy = await start_proxy("clients: {credentials: forward}")
        path = await _kept(proxy, standin, card)
        member = standin.trello.add_member("sam", "Sam Stranger")
        standin.trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
        board = standin.trello.request(f"/1/cards/{card}/idBoard")["_value"]
        standin.trello.edit("PUT", f"/1/boards/{board}/members/{member}", {"type": "normal"})
        standin.trello.edit("DELETE", metadata_of(path))
        clock.advance(200)
        other = await proxy.get(f"{path}?key={OTHER_KEY}&token={OTHER_TOKEN}")
        assert (other.status, other.problem) == (404, "")
        assert (await proxy.get(path)).problem == "attachment-deleted"

    async def test_what_never_was_is_not_found(self, proxy: Proxy, card: str) -> None:
        heard = await proxy.get(f"/1/cards/{card}/attachments/{'0' * 24}/download/a.png")
        assert (heard.status, heard.problem) == (404, "")

    async def test_another_card_s_file_is_not_found(
        self, proxy: Proxy, standin: FakeTrello, card: str, board: str
    ) -> None:
        path = await _kept(proxy, standin, card)
        cards = standin.trello.request(f"/1/boards/{board}/cards?fields=id")
        other = next(each["id"] for each in cards if each["id"] != card)
        assert (await proxy.get(path.replace(card, other))).status == 404

    async def test_each_caller_needs_a_permission_of_their_own(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str
    ) -> None:
        proxy = await start_proxy(clients={"credentials": "forward"})
        stranger = standin.trello.add_member("stranger", "A Stranger")
        standin.trello.add_token(OTHER_TOKEN, stranger, key=OTHER_KEY)
        path = await _kept(proxy, standin, card)
        theirs = f"{path}?key={OTHER_KEY}&token={OTHER_TOKEN}"
        refused = await proxy.get(theirs)
        assert refused.status in {401, 404}
        assert BODY[:100] not in refused.body
        assert (await proxy.get(f"{path}?key={KEY}&token={TOKEN}")).cache == "hit"

    async def test_while_trello_is_down_a_kept_file_opens_and_says_so(
        self, proxy: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path, cold = await _kept(proxy, standin, card), attach(standin, card)
        clock.advance(3600)
        standin.faults.add(Fault("status", "/1/*", status=503, times=None))
        heard = await proxy.get(path)
        assert (heard.status, heard.body) == (200, BODY)
        assert heard.cache == "fwd=stale; fwd-status=503; detail=stale-if-error"
        assert (await proxy.get(cold)).status == 503
        standin.faults.clear()
        standin.faults.add(Fault("reset", "/1/*", times=None))
        assert (await proxy.get(cold)).status == 502

    async def test_nothing_is_asked_for_who_wants_only_what_is_stored(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = attach(standin, card)
        await proxy.get(metadata_of(path))
        heard = await proxy.get(path, headers={"Cache-Control": "only-if-cached"})
        assert (heard.status, heard.problem) == (504, "not-in-cache")
        await proxy.get(path)
        kept = await proxy.get(path, headers={"Cache-Control": "only-if-cached"})
        assert kept.body == BODY


class TestWhatItLeadsTo:
    async def test_previews_are_files_of_their_own(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        shown = standin.trello.request(f"/1/cards/{card}?attachments=true")["attachments"]
        picture = next(each for each in shown if each["previews"])
        etags = set()
        for preview in picture["previews"]:
            path = preview["url"].removeprefix("https://trello.com")
            for spelling in (path, path.rpartition("/")[0]):
                heard = await proxy.get(spelling)
                assert (heard.status, heard.fields["Content-Type"]) == (200, "image/png")
                etags.add(heard.fields["ETag"])
        assert len(etags) == len(picture["previews"]) == standin.request_log.downloads

    async def test_a_preview_may_have_a_name_instead(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        shown = standin.trello.request(f"/1/cards/{card}?attachments=true")["attachments"]
        picture = next(each for each in shown if each["previews"])
        start = f"/1/cards/{card}/attachments/{picture['id']}/previews"
        for name in ("preview2x/download/x.webp", "preview2x/download"):
            heard = await proxy.get(f"{start}/{name}")
            assert (heard.status, heard.body[:4]) == (200, b"\x89PNG")
        assert (await proxy.get(f"{start}/nonsense/download")).status == 404

    async def test_a_link_attachment_names_its_address_and_is_not_fetched(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        url = "http://169.254.169.254/latest?a=<b>"
        made = standin.trello.edit("POST", f"/1/cards/{card}/attachments", {"url": url})
        heard = await proxy.get(f"/1/cards/{card}/attachments/{made['id']}/download/x")
        assert (heard.status, heard.problem) == (404, "attachment-is-link")
        assert url in heard.json["detail"]

    async def test_a_malicious_file_is_refused(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = attach(standin, card)
        metadata(standin, metadata_of(path).rpartition("/")[2])["isMalicious"] = True
        heard = await proxy.get(path)
        assert (heard.status, heard.problem) == (403, "malicious-file")
        assert standin.request_log.downloads == 0

    async def test_trello_may_give_the_file_itself(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        standin.faults.direct_downloads = True
        path = await _kept(proxy, standin, card)
        assert (await proxy.get(path)).cache == "hit"
        assert standin.request_log.downloads == 0


REDIRECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "to a host that is not listed": ("http://example.com/x", ()),
    "to this machine, not listed": ("http://127.0.0.1:1/x", ()),
    "to a machine inside that fits a pattern": ("http://{storage}/x", ("*.0.0.1",)),
    "to no address": ("http://[::1/x", ()),
    "to another scheme": ("file:///etc/passwd", ()),
    "with a user": ("http://127.0.0.1:1@example.com/x", ("127.0.0.1:1",)),
}


@pytest.mark.parametrize(("location", "hosts"), REDIRECTS.values(), ids=REDIRECTS.keys())
async def test_a_redirect_is_followed_to_listed_hosts_only(
    start_proxy: StartProxy, standin: FakeTrello, card: str, location: str, hosts: tuple[str, ...]
) -> None:
    proxy = await start_proxy(upstream={"storage_hosts": hosts or ("files.trello.com",)})
    path = attach(standin, card)
    where = location.format(storage=standin.storage_host)
    fields = (("Location", where),)
    standin.faults.add(Fault("status", "*/download/*", status=302, fields=fields, times=None))
    heard = await proxy.get(path)
    assert (heard.status, heard.problem) == (502, "invalid-response")
    assert standin.request_log.downloads == 0
    assert where not in heard.body.decode()


async def test_nothing_of_ours_goes_along_to_the_storage(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    fields = {
        "Cookie": "a=b",
        "Referer": "http://x/",
        "Authorization": "OAuth x",
        "Range": "bytes=1-",
    }
    path = attach(standin, card)
    assert (await proxy.get(path, headers=fields)).status == 206
    storage = next(seen for seen in standin.request_log.requests if seen.host == "storage")
    assert set(storage.fields) <= {"host", "accept", "accept-encoding"}


EMBEDDED = ("image/", "video/", "text/plain", "application/pdf")
SHOWN: dict[str, tuple[str, str, str]] = {
    "a picture": ("a.png", "image/png", "inline"),
    "plain text": ("a.txt", "text/plain; charset=utf-8", "inline"),
    "a PDF": ("a.pdf", "application/pdf", "inline"),
    "a film": ("a.mp4", "video/mp4", "inline"),
    "HTML": ("a.html", "text/html", "attachment"),
    "HTML called a picture": ("a.png", "text/html", "attachment"),
    "a picture called HTML": ("a.html", "image/png", "inline"),
    "a drawing with scripts": ("a.svg", "image/svg+xml", "attachment"),
    "XML": ("a.xml", "application/xml", "attachment"),
    "a script": ("a.js", "text/javascript", "attachment"),
    "something of no type": ("a", "", "attachment"),
    "a type that is none": ("a", "image/png\r\nX-Evil: 1", "attachment"),
}


@pytest.mark.parametrize(("name", "kind", "how"), SHOWN.values(), ids=SHOWN.keys())
async def test_only_passive_types_are_shown_and_none_has_rights(
    proxy: Proxy, standin: FakeTrello, card: str, name: str, kind: str, how: str
) -> None:
    body = b"<script>alert(1)</script>"
    path = attach(standin, card, body, name, kind if "\r" not in kind else "")
    if "\r" in kind:
        metadata(standin, metadata_of(path).rpartition("/")[2])["mimeType"] = kind
    heard = await proxy.get(path)
    assert heard.body == body
    assert heard.fields["Content-Disposition"].startswith(f"{how}; ")
    assert heard.fields["X-Content-Type-Options"] == "nosniff"
    is_embedded = kind.startswith(EMBEDDED) and "\r" not in kind
    whose = "cross-origin" if is_embedded else "same-origin"
    assert heard.fields["Cross-Origin-Resource-Policy"] == whose
    policy = heard.fields["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy or kind == "application/pdf"
    assert "X-Evil" not in heard.fields
    saved = await proxy.get(path + "?download")
    assert saved.fields["Content-Disposition"].startswith("attachment; ")


NAMES = {
    "a path": "../../etc/passwd",
    "a path, backwards": "..\\..\\boot.ini",
    "the end of a line": "a\r\nSet-Cookie: x=1\r\n.png",
    "a quote": 'a".exe".png',
    "right to left": "photo_\u202egpj.exe",
    "nothing but dots": "..",
    "nul": "a\x00.png",
    "long": "x" * 3000 + ".png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
async def test_a_hostile_name_is_harmless(
    proxy: Proxy, standin: FakeTrello, card: str, name: str
) -> None:
    made = standin.trello.upload(card, File("a.png", "image/png", b"x"))
    metadata(standin, made["id"])["fileName"] = name
    standin.faults.direct_downloads = True
    heard = await proxy.get(f"/1/cards/{card}/attachments/{made['id']}/download")
    assert (heard.status, heard.body) == (200, b"x")
    field = heard.fields["Content-Disposition"]
    assert "Set-Cookie" not in heard.fields
    assert field.count('"') == 2
    assert not set(field) & set("/\\\r\n\x00\u202e")
    assert len(field) < 1000


async def test_pages_of_listed_origins_may_read_a_file_and_any_page_may_show_it(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    proxy = await start_proxy(clients={"origins": ("https://tools.internal",)})
    path = attach(standin, card)
    heard = await proxy.get(
        path, headers={"Origin": "https://tools.internal", "Range": "bytes=0-1"}
    )
    assert heard.fields["Access-Control-Allow-Origin"] == "https://tools.internal"
    assert "Content-Range" in heard.fields["Access-Control-Expose-Headers"]
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert (await proxy.get(path, headers=image)).status == 200
    assert (await proxy.get(path, headers={"Origin": "https://evil.example"})).status == 403


async def test_an_export_is_streamed_and_not_kept(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    made: dict[str, Any] = standin.trello.edit("POST", f"/1/boards/{board}/exports")
    path = f"/1/boards/{board}/exports/{made['id']}/download"
    for _ in range(2):
        heard = await proxy.get(path)
        assert json.loads(heard.body)["id"] == board
    assert (await proxy("HEAD", path)).status == 200
    assert standin.request_log.downloads == 3
    assert await proxy.metric("trello_proxy_attachments") == 0
