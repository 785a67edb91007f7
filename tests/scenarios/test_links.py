"""Links to attachments, from Trello through the proxy to whoever opens them, and back."""

import gzip
import json
import re
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.links.signing import DAY_S
from proxy.model import Secret
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Heard,
    Proxy,
    StartProxy,
)

KEY = Secret("link-key-0123456789")
NEW_KEY = Secret("another-key-9876543210")
TRELLO = b"https://trello.com/1/cards/"
SIGN: dict[str, Any] = {"sign": True, "keys": (KEY,)}


@pytest.fixture
def path(standin: FakeTrello) -> str:
    """The path of a file on the card."""
    return standin.trello.example_attachment_path


async def _url(proxy: Proxy, card: str) -> str:
    """The address of the card's first file, as a tool reads it."""
    attachments = (await proxy.get(f"/1/cards/{card}/attachments")).json
    return str(attachments[0]["url"])


async def _open(proxy: Proxy, url: str, **options: Any) -> Heard:
    assert url.startswith(proxy.url)
    return await proxy.get(url.removeprefix(proxy.url), **options)


@pytest.mark.parametrize(
    "target", ["/1/cards/{}", "/1/cards/{}/attachments", "/1/batch?urls=/cards/{}/attachments"]
)
async def test_every_attachment_link_in_an_answer_leads_to_the_proxy(
    proxy: Proxy, card: str, target: str
) -> None:
    heard = await proxy.get(
        target.format(card) + ("?attachments=true" if "?" not in target else "")
    )
    assert heard.status == 200
    assert TRELLO not in heard.body
    assert f"{proxy.url}/1/cards/{card}/attachments/".encode() in heard.body


async def test_a_link_opens_without_credentials(proxy: Proxy, card: str) -> None:
    heard = await _open(proxy, await _url(proxy, card))
    assert heard.status == 200
    assert heard.body.startswith(b"\x89PNG")


async def test_the_etag_is_that_of_the_rewritten_bytes(
    proxy: Proxy, start_proxy: StartProxy, card: str
) -> None:
    plain = await start_proxy(links={"rewrite": False}, cache={"backend": "memory"})
    target = f"/1/cards/{card}/attachments"
    ours, theirs = await proxy.get(target), await plain.get(target)
    assert ours.fields["ETag"] != theirs.fields["ETag"]
    again = await proxy.get(target, headers={"If-None-Match": ours.fields["ETag"]})
    assert again.status == 304


async def test_a_gzip_answer_stays_gzip(proxy: Proxy, board: str) -> None:
    target = f"/1/boards/{board}/cards?attachments=true"
    coded = await proxy.get(target, headers={"Accept-Encoding": "gzip"})
    plain = await proxy.get(target)
    assert coded.fields["Content-Encoding"] == "gzip"
    assert gzip.decompress(coded.body) == plain.body
    assert TRELLO not in plain.body
    assert proxy.url.encode() in plain.body


async def test_rewriting_can_be_turned_off(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    proxy = await start_proxy(links={"rewrite": False})
    heard = await proxy.get(f"/1/cards/{card}/attachments")
    assert heard.json == standin.trello.request(f"/1/cards/{card}/attachments")


async def test_what_was_stored_under_other_links_is_not_used(
    start_proxy: StartProxy, card: str
) -> None:
    target = f"/1/cards/{card}/attachments"
    first = await start_proxy(links={"rewrite": False})
    await first.get(target)
    await first.app.stop()
    heard = await (await start_proxy()).get(target)
    assert TRELLO not in heard.body
    assert heard.cache.startswith("fwd=uri-miss")


async def test_the_answer_to_an_upload_leads_to_the_proxy(proxy: Proxy, card: str) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"x" * 9, filename="x.txt")
    heard = await proxy("POST", f"/1/cards/{card}/attachments", data=form)
    assert heard.json["url"].startswith(f"{proxy.url}/1/cards/{card}/attachments/")
    assert (await _open(proxy, heard.json["url"])).body == b"x" * 9


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [("PUT", "/1/cards/{}", "desc"), ("POST", "/1/cards/{}/actions/comments", "text")],
)
async def test_a_link_in_the_answer_to_a_write_leads_to_the_proxy(
    proxy: Proxy, card: str, path: str, method: str, target: str, name: str
) -> None:
    text = f"see https://trello.com{path}"
    heard = await proxy(method, target.format(card), json={name: text})
    assert heard.status == 200
    assert TRELLO not in heard.body
    assert f"see {proxy.url}{path}".encode() in heard.body
    assert heard.fields["Content-Length"] == str(len(heard.body))


@pytest.mark.parametrize("status", [200, 400])
async def test_what_trello_says_of_its_bytes_is_not_said_of_rewritten_ones(
    proxy: Proxy, standin: FakeTrello, card: str, path: str, status: int
) -> None:
    fields = (("ETag", '"theirs"'), ("Content-MD5", "x"), ("Repr-Digest", "sha-256=:x:"))
    body = json.dumps({"id": card, "url": f"https://trello.com{path}"})
    standin.faults.add(
        Fault("status", status=status, body=body, content_type="application/json", fields=fields)
    )
    heard = await proxy("PUT", f"/1/cards/{card}", data={"name": "x"})
    assert (heard.status, heard.json["url"]) == (status, f"{proxy.url}{path}")
    assert heard.fields["Content-Length"] == str(len(heard.body))
    assert not {"ETag", "Content-MD5", "Repr-Digest"} & set(heard.fields)


async def test_an_answer_to_a_write_too_long_to_hold_is_rewritten_as_it_passes(
    proxy: Proxy, standin: FakeTrello, card: str, path: str
) -> None:
    body = json.dumps([f"https://trello.com{path} {'x' * 5000}"] * 3600)
    standin.faults.add(Fault("status", status=200, body=body, content_type="application/json"))
    heard = await proxy("PUT", f"/1/cards/{card}", data={"name": "x"})
    assert heard.body.decode() == body.replace("https://trello.com", proxy.url)
    assert not {"ETag", "Content-Length"} & set(heard.fields)


async def test_a_refused_file_leads_to_the_proxy_too(
    proxy: Proxy, standin: FakeTrello, card: str, path: str
) -> None:
    said = json.dumps({"message": f"see https://trello.com{path}"})
    standin.faults.add(
        Fault("status", path, status=400, body=said, content_type="application/json")
    )
    heard = await proxy.get(path)
    assert (heard.status, heard.json["message"]) == (400, f"see {proxy.url}{path}")


@pytest.mark.parametrize("sign", [False, True])
async def test_a_link_of_2020_opens(
    start_proxy: StartProxy, standin: FakeTrello, card: str, path: str, *, sign: bool
) -> None:
    proxy = await start_proxy(links=SIGN if sign else {})
    backing = quote("https://trello-attachments.s3.amazonaws.com/c/70x50/hash/a.png", safe="")
    start, etags = path.partition("/download")[0], []
    for link in ("download", "previews/download"):
        url = f"https://trello.com{start}/{link}?backingUrl={backing}"
        standin.trello.edit("PUT", f"/1/cards/{card}", {"desc": f"![x]({url})"})
        heard = await proxy.get(f"/1/cards/{card}", headers={"Cache-Control": "no-cache"})
        ours = heard.json["desc"].removeprefix("![x](").removesuffix(")")
        assert ours.startswith(url.replace("https://trello.com", proxy.url))
        opened = await _open(proxy, ours)
        assert (opened.status, opened.fields["Content-Type"]) == (200, "image/png")
        etags.append(opened.fields["ETag"])
    preview = standin.trello.request(start)["previews"][0]
    assert (preview["width"], preview["height"]) == (70, 50)
    assert etags == [f'"{start[-24:]}"', f'"{start[-24:]}/{preview["id"]}"']
    assert not [each for each in standin.request_log.requests if "backingUrl" in each.target]


async def test_a_link_by_any_name_of_the_proxy_is_trellos_again(
    start_proxy: StartProxy, standin: FakeTrello, card: str, path: str
) -> None:
    proxy = await start_proxy("clients: {hosts: [trello.internal, '[2001:db8::1]']}")
    port = proxy.app.port
    names = [f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "trello.internal",
             "[2001:db8::1]:9000", "localhost"]  # fmt: skip
    for name in names:
        await proxy("PUT", f"/1/cards/{card}", json={"desc": f"see http://{name}{path}"})
        desc = standin.trello.request(f"/1/cards/{card}")["desc"]
        assert desc == f"see https://trello.com{path}"
    await proxy("PUT", f"/1/cards/{card}", json={"desc": f"see http://example.org{path}"})
    assert standin.trello.request(f"/1/cards/{card}")["desc"] == f"see http://example.org{path}"


async def test_a_long_text_written_back_is_trellos_again(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    text = f"{await _url(proxy, card)} {'x' * 100} " * 400
    assert (await proxy("PUT", f"/1/cards/{card}", json={"desc": text})).status == 200
    desc = standin.trello.request(f"/1/cards/{card}")["desc"]
    assert desc == text.replace(proxy.url, "https://trello.com")


@pytest.mark.parametrize("spelling", ["query", "form", "json", "escaped json"])
async def test_a_link_written_back_is_trellos_again(
    proxy: Proxy, standin: FakeTrello, card: str, spelling: str
) -> None:
    ours = await _url(proxy, card)
    text = f"see {ours} and ![x]({ours})"
    options: dict[str, dict[str, Any]] = {
        "query": {},
        "form": {"data": {"desc": text}},
        "json": {"json": {"desc": text}},
        "escaped json": {
            "data": json.dumps({"desc": text}).replace("/", r"\/"),
            "headers": {"Content-Type": "application/json"},
        },
    }
    query = f"?desc={quote(text, safe='')}" if spelling == "query" else ""
    assert (await proxy("PUT", f"/1/cards/{card}{query}", **options[spelling])).status == 200
    desc = standin.trello.request(f"/1/cards/{card}")["desc"]
    theirs = ours.replace(proxy.url, "https://trello.com")
    assert desc == f"see {theirs} and ![x]({theirs})"
    assert ours in (await proxy.get(f"/1/cards/{card}")).json["desc"]


async def test_an_answer_too_long_to_hold_is_rewritten_as_it_passes(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    link = f"https://trello.com{standin.trello.example_attachment_path}"
    body = json.dumps([f"{link} {'x' * 5000}"] * 3600)
    standin.faults.add(
        Fault("status", "/1/*", status=200, body=body, content_type="application/json", times=None)
    )
    heard = await proxy.get(f"/1/cards/{card}/attachments")
    assert heard.status == 200
    assert heard.body.decode() == body.replace("https://trello.com", proxy.url)


async def test_a_signed_proxy_opens_what_it_signed_and_nothing_else(
    start_proxy: StartProxy, standin: FakeTrello, card: str, path: str
) -> None:
    proxy = await start_proxy(links=SIGN)
    bare = await proxy.get(path)
    assert (bare.status, bare.problem) == (403, "link-not-signed")
    assert standin.request_log.count("GET", path) == 0
    url = await _url(proxy, card)
    assert (await _open(proxy, url)).status == 200
    other = path.replace(card, "0" * 24) + "?" + url.partition("?")[2]
    assert (await proxy.get(other)).problem == "link-not-signed"


@pytest.mark.parametrize(
    "spelling",
    [
        "/1/card/{c}/attachment/{a}/download/x",
        "/1/cards/{c}/attachments/{a}/download;x",
        "/1/cards/{c}/attachments/{a}/download.json",
        "/1/cards/{c}/attachments/{a}/downloads",
        "/1/cards/{c}/attachments/{a}/%2564ownload",
        "/1/cards/{c}/attachments/{a}/%252564ownload/x",
        "/1/cards/{c}/%2561ttachments/{a}/download",
        "/1/cards/{c}/attachments%252F{a}%252Fdownload",
        "/1/boards/x/cards/{c}/attachments/{a}/download/x",
        "/1/cards/{c}/attachment/{a}/preview/p/download",
    ],
)
async def test_what_may_be_a_file_in_another_spelling_needs_a_signature(
    start_proxy: StartProxy, standin: FakeTrello, card: str, spelling: str
) -> None:
    proxy = await start_proxy(links=SIGN)
    heard = await proxy.get(spelling.format(c=card, a="5f1a" * 6))
    assert (heard.status, heard.problem, standin.request_log.total) == (403, "link-not-signed", 0)


async def test_trello_never_sees_a_signature(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    proxy = await start_proxy(links=SIGN)
    url = await _url(proxy, card)
    await _open(proxy, url)
    await proxy("PUT", f"/1/cards/{card}", data={"desc": url})
    assert "?s=" in url
    assert "?s=" not in standin.trello.request(f"/1/cards/{card}")["desc"]
    assert not [seen for seen in standin.request_log.requests if re.search("[?&]s=", seen.target)]


async def test_signed_answers_are_the_same_all_day(
    start_proxy: StartProxy, clock: FakeClock, card: str
) -> None:
    proxy = await start_proxy(links=SIGN)
    clock.advance(DAY_S - clock.now() % DAY_S)
    first = await proxy.get(f"/1/cards/{card}/attachments")
    clock.advance(DAY_S - 1)
    second = await proxy.get(f"/1/cards/{card}/attachments", headers={"Cache-Control": "no-cache"})
    assert "fwd-status=200" in second.cache
    assert first.fields["ETag"] == second.fields["ETag"]


async def test_a_signed_link_expires(start_proxy: StartProxy, clock: FakeClock, card: str) -> None:
    proxy = await start_proxy(links=SIGN)
    url = await _url(proxy, card)
    clock.advance(7 * DAY_S)
    assert (await _open(proxy, url)).status == 200
    clock.advance(DAY_S)
    heard = await _open(proxy, url)
    assert (heard.status, heard.problem) == (410, "link-expired")


async def test_an_old_key_opens_until_it_is_taken_out(start_proxy: StartProxy, card: str) -> None:
    before = await start_proxy(links=SIGN)
    url = (await _url(before, card)).removeprefix(before.url)
    both = await start_proxy(links={"sign": True, "keys": (NEW_KEY, KEY)})
    assert (await both.get(url)).status == 200
    assert (await _url(both, card)).removeprefix(both.url) != url
    after = await start_proxy(links={"sign": True, "keys": (NEW_KEY,)})
    assert (await after.get(url)).problem == "link-not-signed"


async def test_a_revoked_file_opens_no_more(start_proxy: StartProxy, card: str, path: str) -> None:
    attachment = path.split("/")[5]
    proxy = await start_proxy(links={**SIGN, "revoked": (attachment,)})
    heard = await _open(proxy, await _url(proxy, card))
    assert (heard.status, heard.problem) == (403, "link-revoked")


async def test_a_revoked_file_opens_by_no_letter_case_of_its_id(
    start_proxy: StartProxy, card: str, path: str
) -> None:
    attachment = path.split("/")[5]
    proxy = await start_proxy(links={**SIGN, "revoked": (attachment,)})
    link = f"https://trello.com{path}".replace(attachment, attachment.upper())
    shown = await proxy("PUT", f"/1/cards/{card}", data={"desc": link})
    url = shown.json["desc"]
    assert attachment.upper() in url
    assert (await _open(proxy, url)).problem == "link-revoked"


async def test_a_signing_key_is_never_shown(start_proxy: StartProxy, card: str) -> None:
    proxy = await start_proxy(links=SIGN)
    heard = await proxy("PUT", f"/1/cards/{card}", data={"desc": f"it is {KEY.reveal()}"})
    assert KEY.reveal().encode() not in heard.body


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/1/cards/", "/1/Cards/"),
        ("/1/cards/", "/1/card/"),
        ("/1/cards/", "/1//CARDS/"),
        ("/1/cards/", "/1/%63ards/"),
        ("/download/", "/Download/"),
        ("/download/", "/%64ownload/"),
        ("/attachments/", "/ATTACHMENTS/"),
        ("/attachments/", "/attachment/"),
        ("/cards/", "/x/cards/"),
        ("/download/", "/download;/"),
        ("/download/", "/download.json/"),
        ("/download/", "/downloads%20/"),
        ("/download/", "/download/and/more/"),
    ],
)
async def test_no_spelling_of_a_path_goes_round_the_signature(
    start_proxy: StartProxy, standin: FakeTrello, path: str, old: str, new: str
) -> None:
    proxy = await start_proxy(links=SIGN)
    asked = standin.request_log.total
    for method in ("GET", "HEAD", "POST"):
        assert (await proxy(method, path.replace(old, new))).status == 403
    assert standin.request_log.total == asked
