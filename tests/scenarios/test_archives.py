"""All files of a card or board are one download."""

import asyncio
import io
import zipfile
from urllib.parse import quote

import pytest

from proxy.attachments.zip_archive import MISSING
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.model import Secret
from tests.scenarios.conftest import Proxy, StartProxy, until
from tests.scenarios.page import BROWSER, page_of
from tests.scenarios.scoped_world import AS_CLIENT, make_world, scoped_to

LONG = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    return await start_proxy(upstream={"read_timeout_s": 10.0})


async def archive_of(proxy: Proxy, target: str) -> zipfile.ZipFile:
    response = await proxy.get(target, headers=BROWSER)
    assert response.status == 200
    assert response.fields["Content-Type"] == "application/zip"
    assert response.fields["Content-Disposition"].startswith("attachment; ")
    archive = zipfile.ZipFile(io.BytesIO(response.body))
    assert archive.testzip() is None
    return archive


async def test_the_page_leads_to_an_archive_of_all_uploads(
    proxy: Proxy, standin: FakeTrello, card: str, short: str
) -> None:
    standin.trello.upload(card, File("long.bin", "application/octet-stream", LONG))
    standin.trello.upload(card, File("long.bin", "text/plain", b"another"))
    standin.trello.edit("POST", f"/1/cards/{card}/attachments", {"url": "https://a.example/"})
    page = page_of(await proxy.get(f"/c/{short}", headers=BROWSER))
    (link,) = (a["href"] for a in page.all("a") if a["href"].endswith(".zip"))
    archive = await archive_of(proxy, link)
    assert archive.namelist() == ["start page draft.png", "long.bin", "long (2).bin"]
    assert archive.read("long.bin") == LONG
    assert archive.read("long (2).bin") == b"another"
    sent = standin.request_log.total
    await archive_of(proxy, link)  # all stored
    assert standin.request_log.total == sent


async def test_the_archive_of_a_card_that_was_never_opened_is_as_its_board_has_it_in_an_outage(
    proxy: Proxy, standin: FakeTrello, short_board: str, short: str
) -> None:
    assert (await proxy.get(f"/b/{short_board}")).status == 200
    assert (await proxy.get(standin.trello.example_attachment_path)).status == 200
    standin.faults.add(Fault("status", times=None))
    archive = await archive_of(proxy, f"/c/{short}/files.zip")
    assert archive.namelist() == ["start page draft.png"]


async def test_without_its_board_the_archive_of_a_card_is_an_error_in_an_outage(
    proxy: Proxy, standin: FakeTrello, short: str
) -> None:
    assert (await proxy.get(standin.trello.example_attachment_path)).status == 200
    standin.faults.add(Fault("status", times=None))
    assert (await proxy.get(f"/c/{short}/files.zip")).status == 502


async def test_a_boards_archive_has_a_folder_for_each_card(
    proxy: Proxy, short_board: str, short: str
) -> None:
    names = (await archive_of(proxy, f"/b/{short_board}/files.zip")).namelist()
    assert f"New start page {short}/start page draft.png" in names
    assert len(names) == 2
    assert len({name.partition("/")[0] for name in names}) == 2


async def test_a_file_that_fails_is_named_and_the_others_are_there(
    proxy: Proxy, standin: FakeTrello, card: str, short: str
) -> None:
    made = [
        standin.trello.upload(card, File(f"{name}.txt", "text/plain", name.encode()))
        for name in ("deleted", "evil", "good")
    ]
    await proxy.get(f"/c/{short}")
    standin.trello.attachments.get(made[1]["id"])["isMalicious"] = True
    standin.faults.add(Fault("status", f"*{made[0]['id']}*", status=404, times=None))
    archive = await archive_of(proxy, f"/c/{short}/files.zip")
    assert archive.namelist() == ["start page draft.png", "good.txt", MISSING]
    text = archive.read(MISSING).decode()
    assert "deleted.txt: " in text
    assert "404" in text
    assert "evil.txt: " in text
    assert "malicious" in text


async def test_a_download_that_breaks_off_is_named_and_not_extracted(
    proxy: Proxy, standin: FakeTrello, card: str, short: str
) -> None:
    await proxy.get(standin.trello.example_attachment_path)
    standin.trello.upload(card, File("long.bin", "application/octet-stream", LONG))
    standin.faults.add(Fault("cut", "/files/*", after_bytes=100_000, times=None))
    archive = await archive_of(proxy, f"/c/{short}/files.zip")
    assert archive.namelist() == ["start page draft.png", MISSING]
    assert b"long.bin: " in archive.read(MISSING)


async def test_a_card_without_files_has_no_archive(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    cards = standin.trello.request(f"/1/boards/{board}/cards?attachments=true")
    empty = next(each["shortLink"] for each in cards if not each["attachments"])
    assert (await proxy.get(f"/c/{empty}/files.zip")).status == 404
    assert (await proxy.get("/c/ZZZZZZZZ/files.zip")).status == 404
    assert "files.zip" not in (await proxy.get(f"/c/{empty}", headers=BROWSER)).body.decode()


async def test_only_get_and_head_are_allowed(proxy: Proxy, short: str) -> None:
    assert (await proxy("POST", f"/c/{short}/files.zip")).status == 405
    head = await proxy("HEAD", f"/c/{short}/files.zip")
    assert (head.status, head.body) == (200, b"")


async def test_with_signed_links_the_archive_has_all_but_what_was_revoked(
    start_proxy: StartProxy, standin: FakeTrello, card: str, short: str
) -> None:
    made = standin.trello.upload(card, File("revoked.txt", "text/plain", b"x"))
    links = {"sign": True, "keys": (Secret("k" * 20),), "revoked": (made["id"],)}
    proxy = await start_proxy(links=links)
    archive = await archive_of(proxy, f"/c/{short}/files.zip")
    assert archive.namelist() == ["start page draft.png", MISSING]
    assert b"revoked.txt: " in archive.read(MISSING)


async def test_a_scoped_client_gets_the_files_that_it_may_see(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    world = make_world(standin.trello)
    proxy = await start_proxy(scoped_to(world.visible["board"]))
    for target in ("/c/{card}/files.zip", "/b/{board}/files.zip"):
        response = await proxy.get(target.format(**world.visible), headers=AS_CLIENT)
        archive = zipfile.ZipFile(io.BytesIO(response.body))
        assert MISSING not in archive.namelist()
        assert archive.read(archive.namelist()[-1]) == b"x"


async def test_a_client_that_leaves_ends_the_archive(
    proxy: Proxy, standin: FakeTrello, card: str, short: str
) -> None:
    for number in range(20):
        standin.trello.upload(card, File(f"{number}.bin", "text/plain", LONG))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.app.port)
    writer.write(f"GET /c/{quote(short)}/files.zip HTTP/1.1\r\nHost: {proxy.host}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    await until(lambda: any(line.get("route") == "/c/{card}/files.zip" for line in proxy.lines))
    assert standin.request_log.total < 20
