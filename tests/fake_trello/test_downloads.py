"""Files: who may have them, where they are, and how they got there."""

from typing import Any

import aiohttp
import pytest

from proxy.fake_trello.request import File
from proxy.runtime.clock import FakeClock

KEY, TOKEN = "0" * 32, "1" * 64


def path_of(request: Any) -> str:
    return str(request.trello.example_attachment_path)


async def stored_at(request: Any) -> str:
    return str((await request.get(path_of(request))).fields["Location"])


async def test_a_download_redirects_to_a_signed_url_elsewhere(ask: Any) -> None:
    heard = await ask.get(path_of(ask))
    assert heard.status == 302
    assert heard.fields["Location"].startswith(f"http://{ask.standin.storage_host}/files/")
    stored = await ask.get(heard.fields["Location"], headers={})
    assert stored.status == 200
    assert stored.body.startswith(b"\x89PNG")
    assert stored.fields["Content-Type"] == "image/png"


REFUSED = {
    "nobody": ("", {}, 401, "unauthorized permission requested"),
    "the query": (f"?key={KEY}&token={TOKEN}", {}, 401, "unauthorized permission requested"),
    "a bad key": (
        "",
        {"Authorization": 'OAuth oauth_consumer_key="{x}", oauth_token="y"'},
        401,
        "invalid key",
    ),
}


@pytest.mark.parametrize(
    ("query", "fields", "status", "sentence"), REFUSED.values(), ids=REFUSED.keys()
)
async def test_only_the_header_opens_a_download(
    ask: Any, query: str, fields: dict[str, str], status: int, sentence: str
) -> None:
    heard = await ask.get(path_of(ask) + query, headers=fields)
    assert (heard.status, heard.text) == (status, sentence)
    assert heard.fields["Cache-Control"].startswith("max-age=30, stale-while-revalidate=60")
    assert heard.fields["Vary"] == "authorization, X-Cookie-Token"
    assert "Access-Control-Allow-Origin" not in heard.fields


async def test_previews_are_files_too(ask: Any) -> None:
    card = (await ask.get(f"/1/cards/{ask.trello.example_card}?attachments=true")).json
    for preview in card["attachments"][0]["previews"]:
        path = preview["url"].removeprefix("https://trello.com")
        assert (await ask.get(path)).status == 302
        assert (await ask.get(path.rpartition("/")[0])).status == 302


async def test_a_download_may_come_straight(ask: Any) -> None:
    ask.standin.faults.direct_downloads = True
    heard = await ask.get(path_of(ask))
    assert (heard.status, heard.fields["Content-Type"]) == (200, "image/png")
    assert heard.body.startswith(b"\x89PNG")


async def test_storage_refuses_an_authorization_header(ask: Any) -> None:
    heard = await ask.get(await stored_at(ask))
    assert heard.status == 400
    assert "Only one auth mechanism allowed" in heard.text
    assert heard.fields["Content-Type"] == "application/xml"


async def test_a_signature_opens_one_file_for_a_while(ask: Any, clock: FakeClock) -> None:
    url = await stored_at(ask)
    assert "SignatureDoesNotMatch" in (await ask.get(url[:-1] + "x", headers={})).text
    assert (await ask.get(url.partition("?")[0], headers={})).status == 403
    clock.advance(301)
    expired = await ask.get(url, headers={})
    assert (expired.status, "AccessDenied" in expired.text) == (403, True)


RANGES = {
    "the first bytes": ("bytes=0-3", 206, b"\x89PNG"),
    "from the middle on": ("bytes=2-", 206, None),
    "the last bytes": ("bytes=-4", 206, None),
    "beyond the end": ("bytes=999999-", 416, None),
    "several ranges are ignored": ("bytes=0-1,3-4", 200, None),
}


@pytest.mark.parametrize(("wanted", "status", "body"), RANGES.values(), ids=RANGES.keys())
async def test_storage_gives_slices(ask: Any, wanted: str, status: int, body: bytes | None) -> None:
    url = await stored_at(ask)
    heard = await ask.get(url, headers={"Range": wanted})
    assert heard.status == status
    assert body is None or heard.body == body
    assert ("Content-Range" in heard.fields) is (status != 200)


async def test_storage_answers_head_without_a_body(ask: Any) -> None:
    heard = await ask("HEAD", await stored_at(ask), headers={})
    assert (heard.status, heard.body) == (200, b"")
    assert heard.fields["ETag"]
    assert int(heard.fields["Content-Length"]) > 0


async def test_an_upload_is_one_attachment(ask: Any) -> None:
    form = aiohttp.FormData()
    form.add_field("name", "Minutes")
    form.add_field("file", b"hello", filename="a-b.txt", content_type="text/plain")
    form.add_field("key", KEY)
    form.add_field("token", TOKEN)
    card = ask.trello.example_card
    made = (await ask("POST", f"/1/cards/{card}/attachments", headers={}, data=form)).json
    assert (made["name"], made["fileName"], made["bytes"]) == ("Minutes", "a-b.txt", 5)
    assert made["isUpload"] is True
    assert made["url"].startswith(f"https://trello.com/1/cards/{card}/attachments/{made['id']}/")
    url = (await ask.get(made["url"].removeprefix("https://trello.com"))).fields["Location"]
    assert (await ask.get(url, headers={})).body == b"hello"


async def test_a_link_has_no_bytes(ask: Any) -> None:
    target = f"/1/cards/{ask.trello.example_card}/attachments"
    made = (await ask("POST", target, json={"url": "https://example.com/x"})).json
    assert (made["isUpload"], made["bytes"], made["fileName"]) == (False, None, None)
    assert made["url"] == "https://example.com/x"
    assert (await ask("POST", target, json={"url": "nowhere"})).text == "invalid value for url"


async def test_a_deleted_attachment_leaves_no_file(ask: Any) -> None:
    path = path_of(ask)
    url = await stored_at(ask)
    assert (await ask("DELETE", path.partition("/download")[0])).json == {"limits": {}}
    assert (await ask.get(path)).status == 404
    assert (await ask.get(url, headers={})).status == 404


async def test_a_name_with_odd_letters_survives_the_redirect(ask: Any) -> None:
    made = ask.trello.upload(ask.trello.example_card, File("é (1)~!.txt", "text/plain", b"x"))
    url = (await ask.get(made["url"].removeprefix("https://trello.com"))).fields["Location"]
    async with ask.session.get(url) as response:
        assert (response.status, await response.read()) == (200, b"x")


async def test_a_board_is_exported_and_fetched(ask: Any) -> None:
    exports = f"/1/boards/{ask.trello.example_board}/exports"
    made = (await ask("POST", exports)).json
    assert (await ask.get(f"{exports}/mostRecent")).json["id"] == made["id"]
    url = (await ask.get(f"{exports}/{made['id']}/download")).fields["Location"]
    stored = (await ask.get(url, headers={})).json
    assert stored["name"] == "Release 4.2"
    assert (await ask("DELETE", f"{exports}/{made['id']}")).status == 200
    assert (await ask.get(f"{exports}/mostRecent")).status == 404
