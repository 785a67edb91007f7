"""File uploads, downloads and their permissions."""

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


async def test_a_download_redirects_to_a_signed_url_elsewhere(client: Any) -> None:
    response = await client.get(path_of(client))
    assert response.status == 302
    assert response.fields["Location"].startswith(
        f"http://{client.fake_trello.storage_host}/files/"
    )
    stored = await client.get(response.fields["Location"], headers={})
    assert stored.status == 200
    assert stored.body.startswith(b"\x89PNG")
    assert stored.fields["Content-Type"] == "image/png"


REFUSED = {
    "no credential": ("", {}, 401, "unauthorized permission requested"),
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
    client: Any, query: str, fields: dict[str, str], status: int, sentence: str
) -> None:
    response = await client.get(path_of(client) + query, headers=fields)
    assert (response.status, response.text) == (status, sentence)
    assert response.fields["Cache-Control"].startswith("max-age=30, stale-while-revalidate=60")
    assert response.fields["Vary"] == "authorization, X-Cookie-Token"
    assert "Access-Control-Allow-Origin" not in response.fields


async def test_previews_are_files_too(client: Any) -> None:
    card = (await client.get(f"/1/cards/{client.trello.example_card}?attachments=true")).json
    for preview in card["attachments"][0]["previews"]:
        path = preview["url"].removeprefix("https://trello.com")
        assert (await client.get(path)).status == 302
        assert (await client.get(path.rpartition("/")[0])).status == 302


async def test_a_download_may_come_straight(client: Any) -> None:
    client.fake_trello.faults.direct_downloads = True
    response = await client.get(path_of(client))
    assert (response.status, response.fields["Content-Type"]) == (200, "image/png")
    assert response.body.startswith(b"\x89PNG")


async def test_storage_refuses_an_authorization_header(client: Any) -> None:
    response = await client.get(await stored_at(client))
    assert response.status == 400
    assert "Only one auth mechanism allowed" in response.text
    assert response.fields["Content-Type"] == "application/xml"


async def test_a_signature_opens_one_file_for_a_while(client: Any, clock: FakeClock) -> None:
    url = await stored_at(client)
    assert "SignatureDoesNotMatch" in (await client.get(url[:-1] + "x", headers={})).text
    assert (await client.get(url.partition("?")[0], headers={})).status == 403
    clock.advance(301)
    expired = await client.get(url, headers={})
    assert (expired.status, "AccessDenied" in expired.text) == (403, True)


RANGES = {
    "the first bytes": ("bytes=0-3", 206, b"\x89PNG"),
    "from the middle on": ("bytes=2-", 206, None),
    "the last bytes": ("bytes=-4", 206, None),
    "beyond the end": ("bytes=999999-", 416, None),
    "several ranges are ignored": ("bytes=0-1,3-4", 200, None),
}


@pytest.mark.parametrize(("wanted", "status", "body"), RANGES.values(), ids=RANGES.keys())
async def test_storage_gives_slices(
    client: Any, wanted: str, status: int, body: bytes | None
) -> None:
    url = await stored_at(client)
    response = await client.get(url, headers={"Range": wanted})
    assert response.status == status
    assert body is None or response.body == body
    assert ("Content-Range" in response.fields) is (status != 200)


async def test_storage_responds_to_head_without_a_body(client: Any) -> None:
    response = await client("HEAD", await stored_at(client), headers={})
    assert (response.status, response.body) == (200, b"")
    assert response.fields["ETag"]
    assert int(response.fields["Content-Length"]) > 0


async def test_an_upload_is_one_attachment(client: Any) -> None:
    form = aiohttp.FormData()
    form.add_field("name", "Minutes")
    form.add_field("file", b"hello", filename="a-b.txt", content_type="text/plain")
    form.add_field("key", KEY)
    form.add_field("token", TOKEN)
    card = client.trello.example_card
    made = (await client("POST", f"/1/cards/{card}/attachments", headers={}, data=form)).json
    assert (made["name"], made["fileName"], made["bytes"]) == ("Minutes", "a-b.txt", 5)
    assert made["isUpload"] is True
    assert made["url"].startswith(f"https://trello.com/1/cards/{card}/attachments/{made['id']}/")
    url = (await client.get(made["url"].removeprefix("https://trello.com"))).fields["Location"]
    assert (await client.get(url, headers={})).body == b"hello"


async def test_a_link_has_no_bytes(client: Any) -> None:
    target = f"/1/cards/{client.trello.example_card}/attachments"
    made = (await client("POST", target, json={"url": "https://example.com/x"})).json
    assert (made["isUpload"], made["bytes"], made["fileName"]) == (False, None, None)
    assert made["url"] == "https://example.com/x"
    assert (await client("POST", target, json={"url": "nowhere"})).text == "invalid value for url"


async def test_a_deleted_attachment_leaves_no_file(client: Any) -> None:
    path = path_of(client)
    url = await stored_at(client)
    assert (await client("DELETE", path.partition("/download")[0])).json == {"limits": {}}
    assert (await client.get(path)).status == 404
    assert (await client.get(url, headers={})).status == 404


async def test_a_name_with_odd_letters_survives_the_redirect(client: Any) -> None:
    made = client.trello.upload(client.trello.example_card, File("é (1)~!.txt", "text/plain", b"x"))
    url = (await client.get(made["url"].removeprefix("https://trello.com"))).fields["Location"]
    async with client.session.get(url) as response:
        assert (response.status, await response.read()) == (200, b"x")


async def test_a_board_is_exported_and_fetched(client: Any) -> None:
    exports = f"/1/boards/{client.trello.example_board}/exports"
    made = (await client("POST", exports)).json
    assert (await client.get(f"{exports}/mostRecent")).json["id"] == made["id"]
    url = (await client.get(f"{exports}/{made['id']}/download")).fields["Location"]
    stored = (await client.get(url, headers={})).json
    assert stored["name"] == "Release 4.2"
    assert (await client("DELETE", f"{exports}/{made['id']}")).status == 200
    assert (await client.get(f"{exports}/mostRecent")).status == 404
