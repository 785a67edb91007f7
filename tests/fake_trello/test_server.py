"""Header fields, compression, request log and control API."""

import zlib
from typing import Any

from proxy.fake_trello.ids import (
    HEX24,
    SHORT_LINK,
    Ids,
)

KEY, TOKEN = "0" * 32, "1" * 64


async def test_every_response_forbids_storing(client: Any) -> None:
    fields = (await client.get(f"/1/cards/{client.trello.example_card}")).fields
    assert fields["Cache-Control"] == "max-age=0, must-revalidate, no-cache, no-store"
    assert fields["Pragma"] == "no-cache"
    assert fields["Surrogate-Control"] == "no-store"
    assert fields["Expires"] == "Thu, 01 Jan 1970 00:00:00"
    assert fields["Set-Cookie"].startswith("dsc=")
    assert fields["Access-Control-Allow-Origin"] == "*"
    assert fields["X-Server-Time"] == str(int(client.trello.clock.now() * 1000))
    assert not {"ETag", "Last-Modified"} & set(fields)


async def test_a_404_is_stricter(client: Any) -> None:
    fields = (await client.get(f"/1/cards/{'f' * 24}")).fields
    assert fields["Cache-Control"] == "no-store, no-cache, must-revalidate, proxy-revalidate"


async def test_gzip_when_accepted_and_worth_it(client: Any) -> None:
    credential = f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"'
    target = f"/1/cards/{client.trello.example_card}"
    plain, packed, small = [
        await client.get(path, headers={"Authorization": credential, "Accept-Encoding": coding})
        for path, coding in ((target, "identity"), (target, "gzip"), (f"{target}/name", "gzip"))
    ]
    assert "Content-Encoding" not in plain.fields
    assert packed.fields["Content-Encoding"] == "gzip"
    assert packed.fields["Vary"] == "Accept-Encoding"
    assert packed.body == plain.body
    assert "Content-Encoding" not in small.fields
    assert int(packed.fields["Content-Length"]) < len(plain.body)


async def test_requests_are_counted_without_credentials(client: Any) -> None:
    card = client.trello.example_card
    await client.get(f"/1/cards/{card}?fields=id&key={KEY}&token={TOKEN}", headers={})
    await client.get(f"/1/tokens/{TOKEN}/member")
    first, second = client.fake_trello.request_log.requests
    assert first.target == f"/1/cards/{card}?fields=id"
    assert first.credential == "query"
    assert first.status == 200
    assert second.target == "/1/tokens/***/member"
    assert second.fields["authorization"] == "OAuth"
    assert client.fake_trello.request_log.count("GET", f"/1/cards/{card}") == 1
    assert client.fake_trello.request_log.total == 2
    assert TOKEN not in repr(client.fake_trello.request_log.requests)


async def test_body_sizes_are_counted(client: Any) -> None:
    body = b'{"name": "x"}'
    await client("PUT", f"/1/cards/{client.trello.example_card}", data=body)
    assert client.fake_trello.request_log.requests[0].body_bytes == len(body)


async def test_the_controls_work_over_http(client: Any) -> None:
    card = f"/1/cards/{client.trello.example_card}"
    edit = {"method": "PUT", "path": card, "params": {"name": "edited"}}
    assert (await client("POST", "/-/demo/edit", headers={}, json=edit)).json["name"] == "edited"
    fault = {"kind": "status", "path": card, "status": 500}
    assert (await client("POST", "/-/demo/fault", headers={}, json=fault)).status == 200
    assert (await client.get(card)).status == 500
    counts = (await client.get("/-/demo/asked", headers={})).json
    assert counts == {"total": 1, "refused": 0, "downloads": 0, "counts": {f"GET {card}": 1}}
    assert (await client("POST", "/-/demo/reset-asked", headers={})).json["total"] == 0


async def test_a_wrong_control_says_what_is_wrong(client: Any) -> None:
    assert (await client.get("/-/demo/nothing")).status == 404
    response = await client("POST", "/-/demo/fault", json={"kind": "status", "wings": 2})
    assert response.status == 400
    edit = {"method": "PUT", "path": f"/1/cards/{'f' * 24}"}
    assert (await client("POST", "/-/demo/edit", json=edit)).json["status"] == 404


async def test_the_samples_are_believable(client: Any) -> None:
    boards = (await client.get("/1/members/me/boards?fields=name&lists=open")).json
    assert [board["name"] for board in boards] == ["Release 4.2", "Office move", "Reading club"]
    files = [each for each in client.trello.attachments.all() if each["isUpload"]]
    kinds = {each["mimeType"] for each in files}
    assert {"image/png", "text/plain", "application/pdf", "image/svg+xml"} <= kinds
    assert any(not each["isUpload"] for each in client.trello.attachments.all())
    assert len(client.trello.cards) >= 20
    assert client.trello.example_attachment_path.startswith("/1/cards/")


def test_sample_pictures_are_complete(fake_trello: Any) -> None:
    png = next(f.body for f in fake_trello.trello.files.values() if f.content_type == "image/png")
    start = png.index(b"IDAT") + 4
    length = int.from_bytes(png[start - 8 : start - 4])
    assert len(zlib.decompress(png[start : start + length])) == (320 * 3 + 1) * 200


def test_ids_are_in_order_and_never_twice() -> None:
    ids = Ids()
    made = [ids.new(1_800_000_000.0) for _ in range(500)]
    links = [ids.short_link() for _ in range(500)]
    assert made == sorted(set(made))
    assert all(HEX24.match(each) for each in made)
    assert len(set(links)) == 500
    assert all(SHORT_LINK.match(each) for each in links)


def test_two_runs_give_the_same_ids() -> None:
    assert Ids().new(5.0) == Ids().new(5.0)
