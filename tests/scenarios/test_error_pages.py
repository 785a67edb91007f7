"""Error pages, pages while Trello fails, and hostile names in pages."""

import asyncio
from urllib.parse import quote

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.model import Secret
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Proxy, StartProxy, until
from tests.scenarios.page import (
    BROWSER,
    Browser,
    page_of,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>.txt"


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    """One with a long read timeout: a large board takes the fake Trello a while."""
    return await start_proxy(upstream={"read_timeout_s": 10.0})


@pytest.fixture
def browse(proxy: Proxy) -> Browser:
    return Browser(proxy)


@pytest.fixture
def path_id(standin: FakeTrello) -> str:
    """The id of the card's file."""
    return standin.trello.example_attachment_path.split("/")[5]


async def test_nothing_a_user_wrote_becomes_markup(
    browse: Browser, standin: FakeTrello, card: str, short: str, short_board: str
) -> None:
    standin.trello.upload(card, File(HOSTILE, "text/plain", b"x"))
    standin.trello.edit("PUT", f"/1/cards/{card}", {"name": HOSTILE})
    for target in (
        f"/c/{short}",
        f"/b/{short_board}?q={quote(HOSTILE)}",
        f"/?url={quote(HOSTILE)}",
    ):
        page = await browse(target, 400 if target.startswith("/?") else 200)
        assert len(page.all("script")) == 1
        assert not [a for a in page.all("img") if a.get("src") == "x"]


async def test_a_link_that_would_run_in_the_browser_is_no_link(
    browse: Browser, standin: FakeTrello, card: str, short: str
) -> None:
    made = standin.trello.edit(
        "POST", f"/1/cards/{card}/attachments", {"url": "https://a.example/x"}
    )
    standin.trello.attachments.get(made["id"])["url"] = "javascript:alert(1)"
    page = await browse(f"/c/{short}")
    assert not [a for a in page.all("a") if not a["href"].startswith(("/", "http", "#"))]
    assert "does not open here" in page.text


async def test_a_malicious_file_is_named_and_not_linked(
    browse: Browser, standin: FakeTrello, card: str, short: str, path_id: str
) -> None:
    standin.trello.attachments.get(path_id)["isMalicious"] = True
    page = await browse(f"/c/{short}")
    assert page.names == []
    assert page.all("img") == []
    assert "malicious" in page.text


async def test_while_trello_is_down_the_page_is_stale_and_says_so(
    browse: Browser, standin: FakeTrello, clock: FakeClock, short: str
) -> None:
    await browse(f"/c/{short}")
    clock.advance(3600)
    standin.faults.add(Fault("status", times=None))
    standin.request_log.reset()
    page = await browse(f"/c/{short}")
    assert "start page draft.png" in page.text
    assert "Release 4.2" in page.text
    assert "Trello is not answering. This is a copy from" in page.text
    assert standin.request_log.total == 1  # if Trello hangs, the page waits for one time-out


async def test_a_board_and_its_cards_are_requested_at_the_same_time(
    proxy: Proxy, standin: FakeTrello, short_board: str
) -> None:
    standin.faults.add(Fault("hang", times=None))
    page = asyncio.ensure_future(proxy.get(f"/b/{short_board}", headers=BROWSER))
    await until(lambda: standin.request_log.total == 2)
    assert not page.done()
    page.cancel()


async def test_without_a_stale_response_the_page_says_that_trello_is_down(
    browse: Browser, standin: FakeTrello, short: str
) -> None:
    standin.faults.add(Fault("status", times=None))
    page = await browse(f"/c/{short}", 502)
    assert "Try again" in page.text


@pytest.mark.parametrize("later_s", [0, 3600])
@pytest.mark.parametrize("by", ["card", "short"])
async def test_a_card_that_was_never_opened_is_shown_as_its_board_has_it_while_trello_is_down(
    browse: Browser,
    proxy: Proxy,
    standin: FakeTrello,
    clock: FakeClock,
    short_board: str,
    request: pytest.FixtureRequest,
    by: str,
    later_s: float,
) -> None:
    await browse(f"/b/{short_board}")
    clock.advance(later_s)
    standin.faults.add(Fault("status", times=None))
    standin.request_log.reset()
    page = await browse(f"/c/{request.getfixturevalue(by)}")
    assert page.all("h1")
    assert "Review on Release 4.2" in page.text
    assert "start page draft.png" in page.text
    assert "comments and checklists were not read yet; Trello does not respond" in page.text
    assert ("This is a copy from" in page.text) == bool(later_s)
    assert standin.request_log.total == 1
    standin.faults.clear()
    clock.advance(60)
    page = await browse(f"/c/{request.getfixturevalue(by)}")
    assert "The button could be larger." in page.text
    assert "not read yet" not in page.text


async def test_a_card_that_has_left_its_board_is_not_shown_as_that_has_it(
    browse: Browser, proxy: Proxy, standin: FakeTrello, short_board: str, short: str, card: str
) -> None:
    await browse(f"/b/{short_board}")
    assert (await proxy("PUT", f"/1/cards/{card}", json={"closed": True})).status == 200
    await browse(f"/b/{short_board}")
    standin.faults.add(Fault("status", times=None))
    await browse(f"/c/{short}", 502)


async def test_names_are_left_out_where_trello_fails(
    browse: Browser, standin: FakeTrello, board: str, short: str
) -> None:
    standin.faults.add(Fault("status", f"/1/boards/{board}*", times=None))
    page = await browse(f"/c/{short}")
    assert "start page draft.png" in page.text
    assert "Release 4.2" not in page.text


@pytest.mark.parametrize("target", ["/c/ZZZZZZZZ", "/b/ZZZZZZZZ", "/c/", "/c/a%20b", "/nothing"])
async def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(
    proxy: Proxy, browse: Browser, target: str
) -> None:
    page = await browse(target, 404)
    assert page.all("h1")
    assert (await proxy.get(target)).problem in {"not-found-at-trello", "not-found"}


async def test_an_unknown_address_shows_the_box_and_an_unknown_card_the_way_to_trello(
    proxy: Proxy, browse: Browser
) -> None:
    for target in ("/nothing", "/c/", "/b/a%20b"):
        page = await browse(target, 404)
        assert page.all("input", name="url")
        assert page.all("form", action="/")
    for path in ("/c/ZZZZZZZZ", "/b/ZZZZZZZZ"):
        page = await browse(f"{path}/12-title?x", 404)
        assert page.all("a", href=f"https://trello.com{path}")
        assert not page.all("input")


async def test_a_file_that_was_opened_before_is_said_to_be_deleted(
    proxy: Proxy, browse: Browser, standin: FakeTrello, clock: FakeClock, card: str, path_id: str
) -> None:
    path = standin.trello.example_attachment_path
    await proxy.get(path)
    standin.trello.edit("DELETE", f"/1/cards/{card}/attachments/{path_id}")
    clock.advance(3600)
    page = await browse(path, 410)
    assert "This attachment was deleted" in page.text


async def test_a_program_that_names_html_among_others_reads_no_page(
    proxy: Proxy, standin: FakeTrello
) -> None:
    gone = standin.trello.example_attachment_path.replace("/download", "/nowhere")
    for accept in ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/html, */*", "*/*"):
        for target, status in (("/1/..", 400), ("/nowhere", 404), (gone, 404)):
            response = await proxy.get(target, headers={"Accept": accept})
            assert response.status == status
            assert "html" not in response.fields["Content-Type"]
    fetched = {"Accept": BROWSER["Accept"], "Sec-Fetch-Mode": "cors"}
    assert (await proxy.get("/nowhere", headers=fetched)).problem == "not-found"
    opened = {"Accept": "*/*", "Sec-Fetch-Mode": "navigate"}
    assert page_of(await proxy.get("/nowhere", headers=opened)).all("h1")


async def test_a_card_of_another_member_is_not_visible(
    proxy: Proxy, standin: FakeTrello, browse: Browser, short: str, board: str
) -> None:
    owner = standin.trello.add_member("owner", "Olga Owner")
    standin.trello.edit("PUT", f"/1/boards/{board}", {"prefs/permissionLevel": "private"})
    standin.trello.edit("PUT", f"/1/boards/{board}/members/{owner}", {"type": "admin"})
    standin.trello.edit("DELETE", f"/1/boards/{board}/members/{standin.trello.me['id']}", by=owner)
    page = await browse(f"/c/{short}", 404)
    assert "not on the board" in page.text


async def test_a_deleted_file_says_so_to_people(
    proxy: Proxy, browse: Browser, standin: FakeTrello, card: str, path_id: str
) -> None:
    path = standin.trello.example_attachment_path
    standin.trello.edit("DELETE", f"/1/cards/{card}/attachments/{path_id}")
    page = await browse(path, 404)
    assert "No such file. The link may be cut short, or the file was deleted." in (
        page.text.replace("No such file The", "No such file. The")
    )
    assert page.all("a", href=f"/c/{card}")
    assert "html" not in (await proxy.get(path)).fields["Content-Type"]


async def test_a_file_while_trello_is_down_says_so_and_offers_another_try(
    proxy: Proxy, browse: Browser, standin: FakeTrello
) -> None:
    path = standin.trello.example_attachment_path
    standin.faults.add(Fault("reset", times=None))
    page = await browse(path, 502)
    assert page.all("a", href=path)
    response = await proxy.get(path)
    assert response.problem == "connection-terminated"


async def test_a_link_without_its_signature_says_so_to_people(
    start_proxy: StartProxy, standin: FakeTrello, short: str
) -> None:
    text = f"![draft](https://trello.com{standin.trello.example_attachment_path})"
    standin.trello.edit("PUT", f"/1/cards/{standin.trello.example_card}", {"desc": text})
    proxy = await start_proxy(links={"sign": True, "keys": (Secret("k" * 20),)})
    response = await proxy.get(standin.trello.example_attachment_path, headers=BROWSER)
    assert response.status == 403
    assert "This link is not signed" in page_of(response).text
    shown = page_of(await proxy.get(f"/c/{short}", headers=BROWSER))
    images = [a["src"] for a in shown.all("img")]
    assert len(images) == 2  # the thumbnail, and the one in the description
    for target in (*shown.names, *images):
        assert "?s=" in target
        assert (await proxy.get(target)).status == 200


async def test_a_name_with_slashes_still_opens(
    proxy: Proxy, browse: Browser, standin: FakeTrello, card: str, short: str
) -> None:
    standin.trello.upload(card, File("a/b\\c %2F ü?#.txt", "text/plain", b"x"))
    page = await browse(f"/c/{short}")
    assert (await proxy.get(page.names[-1])).status == 200


async def test_a_path_that_is_markup_is_shown_as_text(proxy: Proxy, standin: FakeTrello) -> None:
    standin.faults.add(Fault("reset", times=None))
    path = standin.trello.example_attachment_path
    for target, status in (('/"><script>x</script>', 404), (f"{path}/'\"><script>x</script>", 502)):
        response = await proxy.get(target, headers=BROWSER)
        assert response.status == status
        assert b"<script>x" not in response.body
        page_of(response)
