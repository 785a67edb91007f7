"""Pages of cards and boards, and the link form at `/`."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.pages.board_page import FILES_OF_A_CARD
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Proxy, StartProxy
from tests.scenarios.page import BROWSER, Browser


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    """One with a long read timeout: a large board takes the fake Trello a while."""
    return await start_proxy(upstream={"read_timeout_s": 10.0})


@pytest.fixture
def browse(proxy: Proxy) -> Browser:
    return Browser(proxy)


@pytest.mark.parametrize("tail", ["", "/", "/12-a-title", "/12-a-title?x=y", "/12-caf%E4%2F"])
async def test_a_cards_page_shows_the_card_and_its_files(
    browse: Browser, short: str, tail: str
) -> None:
    page = await browse(f"/c/{short}{tail}")
    assert "New start page" in page.text
    assert "start page draft.png" in page.text
    assert "Review on Release 4.2" in page.text
    assert "The picture is the agreed draft." in page.text
    assert "The button could be larger." in page.text
    assert "1 file" in page.text
    assert "Dana Demo" in page.text
    assert re.search(r"\d KB", page.text)
    assert page.all("time")


async def test_a_cards_id_works_too(browse: Browser, card: str) -> None:
    assert "start page draft.png" in (await browse(f"/c/{card}")).text


async def test_every_link_of_a_page_works(proxy: Proxy, browse: Browser, short: str) -> None:
    page = await browse(f"/c/{short}")
    targets = [
        *page.names,
        *(a["src"] for a in page.all("img")),
        *(a["src"] for a in page.all("script")),
    ]
    targets += [a["href"] for a in page.all("link")]
    targets += [a["href"] for a in page.all("a") if a["href"].startswith("/")]
    assert len(targets) >= 8
    for target in targets:
        assert (await proxy.get(target, headers=BROWSER)).status == 200, target
    copied = page.all("button")[0]["data-copy"]
    assert copied == proxy.url + page.names[0]


async def test_a_second_view_sends_no_upstream_request(
    browse: Browser, standin: FakeTrello, short_board: str
) -> None:
    await browse(f"/b/{short_board}")
    asked = standin.request_log.total
    await browse(f"/b/{short_board}?q=notes")
    assert standin.request_log.total == asked


async def test_a_board_shows_its_lists_and_all_their_cards(
    browse: Browser, short_board: str, short: str
) -> None:
    page = await browse(f"/b/{short_board}/release-4-2")
    assert len(page.names) == 3
    assert page.all("a", href=f"/c/{short}")
    in_order = ["10 cards", "Ideas", "Shorter error messages", "In progress", "Bug", "Review"]
    in_order += ["New start page", "start page draft.png", "Done", "Release notes"]
    places = [page.text.index(each) for each in in_order]
    assert places == sorted(places)
    assert len(page.all("li", **{"class": "card"})) == 10


async def test_a_cold_page_sends_two_upstream_requests(
    browse: Browser, standin: FakeTrello, short_board: str, short: str
) -> None:
    await browse(f"/b/{short_board}")
    assert standin.request_log.total == 2
    await browse(f"/c/{short}")
    assert standin.request_log.total == 3  # its board is stored


async def test_a_page_is_as_fresh_as_the_data(
    browse: Browser, proxy: Proxy, short: str, card: str
) -> None:
    await browse(f"/c/{short}")
    for path, body in (
        (f"/1/cards/{card}", {"desc": "A new text"}),
        (f"/1/cards/{card}/actions/comments", {"text": "A new comment"}),
        (f"/1/cards/{card}/checklists", {"name": "A new list"}),
    ):
        method = "PUT" if "desc" in body else "POST"
        assert (await proxy(method, path, json=body)).status == 200
        assert next(iter(body.values())) in (await browse(f"/c/{short}")).text


SEARCHES = {
    "by name": ("draft", 1),
    "by card": ("release notes", 1),
    "by label": ("bug", 1),
    "by who": ("dana demo", 2),
    "in any case": ("DRAFT.Png", 1),
    "every word counts": ("draft notes", 0),
    "nothing": ("zzz", 0),
    "blanks": ("  ", 10),
}


@pytest.mark.parametrize(("query", "count"), SEARCHES.values(), ids=SEARCHES.keys())
async def test_the_search_box_works_without_a_script(
    browse: Browser, short_board: str, query: str, count: int
) -> None:
    page = await browse(f"/b/{short_board}?q={quote(query)}")
    assert len(page.all("li", **{"class": "card"})) == count
    assert page.all("input", name="q")[0]["value"] == query
    assert ("No card matches" in page.text) == (
        count == 0 or "hidden" in page.all("p", id="no-match")[0]
    )


async def test_a_card_with_many_files_leads_to_its_page(
    browse: Browser, standin: FakeTrello, card: str, short: str, short_board: str
) -> None:
    for number in range(FILES_OF_A_CARD):
        standin.trello.upload(card, File(f"file {number}.txt", "text/plain", b"x"))
    page = await browse(f"/b/{short_board}")
    assert len(page.names) == FILES_OF_A_CARD + 2
    assert "1 more file" in page.text
    assert len((await browse(f"/c/{short}")).names) == FILES_OF_A_CARD + 1
    assert len((await browse(f"/b/{short_board}?q=9.txt")).names) == 1


async def test_pages_are_read_only(proxy: Proxy, short: str) -> None:
    for path in ("/", "/-/style.css", f"/c/{short}"):
        refused = await proxy("POST", path)
        assert (refused.status, refused.fields["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await proxy("HEAD", f"/c/{short}")).status == 200


async def test_the_form_turns_an_address_into_a_link(
    proxy: Proxy, browse: Browser, short: str
) -> None:
    query = f"/?url={quote(f'https://trello.com/c/{short}/1-x', safe='')}"
    link = f"{proxy.url}/c/{short}/1-x"
    assert (await browse(query)).all("a", href=link)
    assert (await proxy.get(query)).body.decode() == f"{link}\n"
    fault = await browse("/?url=https%3A%2F%2Fexample.com", 400)
    assert fault.all("p", role="alert")
    assert fault.all("input")[0]["value"] == "https://example.com"


@pytest.mark.parametrize("text", ["<https://trello.com/c/{}>", "See https://trello.com/c/{}.",
                                  "[card](https://trello.com/c/{})", "{}"])  # fmt: skip
async def test_the_form_finds_the_address_in_what_was_pasted(
    proxy: Proxy, browse: Browser, short: str, text: str
) -> None:
    query = f"/?url={quote(text.format(short), safe='')}"
    link = f"{proxy.url}/c/{short}"
    assert (await browse(query)).all("a", href=link)
    assert (await proxy.get(query)).body.decode() == f"{link}\n"


@pytest.mark.parametrize("by", ["board", "short_board"])
async def test_a_boards_name_in_a_cards_address_leads_to_the_board(
    proxy: Proxy, browse: Browser, request: pytest.FixtureRequest, by: str
) -> None:
    name = request.getfixturevalue(by)
    response = await proxy.get(f"/c/{name}", headers=BROWSER)
    assert (response.status, response.fields["Location"]) == (302, f"/b/{name}")
    assert len((await browse(response.fields["Location"])).names) == 3
    assert (await proxy.get("/c/none0000", headers=BROWSER)).status == 404


async def test_the_home_page_shows_the_base_url_to_people_and_terminals(
    proxy: Proxy, browse: Browser
) -> None:
    assert f"{proxy.url}/1/" in (await browse("/")).text
    response = await proxy.get("/")
    assert response.fields["Content-Type"].startswith("text/plain")
    assert f"{proxy.url}/1/" in response.body.decode()


async def test_assets_are_immutable_and_have_a_digest_in_their_url(
    proxy: Proxy, browse: Browser
) -> None:
    page = await browse("/")
    response = await proxy.get(page.all("link", rel="stylesheet")[0]["href"])
    assert response.fields["Content-Type"].startswith("text/css")
    assert "immutable" in response.fields["Cache-Control"]
    assert unescape(response.body.decode()) == response.body.decode()


async def test_a_page_says_since_when_it_is_known_to_be_so(
    browse: Browser, proxy: Proxy, standin: FakeTrello, clock: FakeClock, short_board: str
) -> None:
    def as_of() -> str:
        return page.all("time")[0]["datetime"]

    page = await browse(f"/b/{short_board}")
    assert as_of() == "2027-01-15T08:00:00Z"
    clock.advance(10)
    page = await browse(f"/b/{short_board}")
    assert as_of() == "2027-01-15T08:00:00Z"  # stored, and not watched
    clock.advance(100)
    page = await browse(f"/b/{short_board}")
    assert as_of() == "2027-01-15T08:01:50Z"


async def test_browsers_and_crawlers_find_what_they_ask_for(proxy: Proxy) -> None:
    icon = await proxy.get("/favicon.ico")
    assert (icon.status, icon.fields["Content-Type"]) == (200, "image/svg+xml")
    robots = await proxy.get("/robots.txt")
    assert robots.body == b"User-agent: *\nDisallow: /\n"


async def test_a_link_preview_has_a_title_and_a_description(browse: Browser, short: str) -> None:
    page = await browse(f"/c/{short}")
    properties = {a["property"]: a["content"] for a in page.all("meta") if "property" in a}
    assert properties == {
        "og:title": "New start page",
        "og:type": "website",
        "og:description": "Review · Release 4.2 · 1 file",
    }


async def test_the_authorization_page_is_a_page_for_people(proxy: Proxy, browse: Browser) -> None:
    page = await browse("/1/authorize?key=x&name=y")
    assert "No token is needed here" in page.text
    assert page.all("meta", name="viewport")
    assert page.all("a", href="https://trello.com/1/authorize")
    assert (await proxy.get("/1/authorize")).fields["Content-Type"].startswith("text/plain")
