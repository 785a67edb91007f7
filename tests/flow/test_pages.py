"""What a teammate sees in a browser: cards, boards, failures, and the box at `/`."""

import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from proxy.clock import FakeClock
from proxy.demo.call import File
from proxy.demo.faults import Fault
from proxy.demo.standin import StandIn
from proxy.policy.pages.lists import PAGE_FILES
from proxy.secret import Secret
from tests.flow.conftest import Heard, Proxy, StartProxy

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>.txt"
_VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """A page that was read: elements with their attributes, and all its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [a for name, a in self.elements if name == tag and wanted.items() <= a.items()]

    @property
    def names(self) -> list[str]:
        """Where the files' names lead."""
        return [a["href"] for a in self.all("a") if a.get("class") == "name"]


def page_of(heard: Heard) -> Page:
    assert heard.fields["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in heard.fields["Content-Security-Policy"]
    assert heard.fields["X-Content-Type-Options"] == "nosniff"
    read = Page(heard.body.decode())
    assert (read.faults, read.open) == ([], [])
    assert not [a for _, attributes in read.elements for a in attributes if a.startswith("on")]
    assert not read.all("script", src="") or all("src" in a for a in read.all("script"))
    assert not [a for _, a in read.elements if "style" in a]
    return read


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    """One that is patient: a large board takes the stand-in a while."""
    return await start_proxy(upstream={"read_timeout_s": 10.0})


Browse = Callable[..., Any]


@pytest.fixture
def browse(proxy: Proxy) -> Browse:
    async def browsed(target: str, status: int = 200) -> Page:
        heard = await proxy.get(target, headers=BROWSER)
        assert heard.status == status
        return page_of(heard)

    return browsed


@pytest.fixture
def short(standin: StandIn, card: str) -> str:
    return str(standin.trello.ask(f"/1/cards/{card}?fields=shortLink")["shortLink"])


@pytest.fixture
def short_board(standin: StandIn, board: str) -> str:
    return str(standin.trello.ask(f"/1/boards/{board}?fields=shortLink")["shortLink"])


@pytest.mark.parametrize("tail", ["", "/", "/12-a-title", "/12-a-title?x=y"])
async def test_a_cards_page_shows_its_files(browse: Browse, short: str, tail: str) -> None:
    page = await browse(f"/c/{short}{tail}")
    assert "New start page" in page.text
    assert "start page draft.png" in page.text
    assert "1 file on Release 4.2" in page.text
    assert "Dana Demo" in page.text
    assert re.search(r"\d KB", page.text)
    assert page.all("time")


async def test_a_cards_id_will_do_too(browse: Browse, card: str) -> None:
    assert "start page draft.png" in (await browse(f"/c/{card}")).text


async def test_everything_a_page_points_at_opens(proxy: Proxy, browse: Browse, short: str) -> None:
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


async def test_a_page_costs_trello_nothing_the_second_time(
    browse: Browse, standin: StandIn, short_board: str
) -> None:
    await browse(f"/b/{short_board}")
    asked = standin.asked.total
    await browse(f"/b/{short_board}?q=notes")
    assert standin.asked.total == asked


async def test_a_board_shows_its_files_card_by_card(
    browse: Browse, short_board: str, short: str
) -> None:
    page = await browse(f"/b/{short_board}/release-4-2")
    assert len(page.names) == 3
    assert page.all("a", href=f"/c/{short}")
    assert "New start page" in page.text
    assert "Release notes" in page.text
    assert "3 files" in page.text


SEARCHES = {
    "by name": ("draft", 1),
    "by card": ("release notes", 2),
    "by who": ("dana demo", 3),
    "in any case": ("DRAFT.Png", 1),
    "every word counts": ("draft notes", 0),
    "nothing": ("zzz", 0),
    "blanks": ("  ", 3),
}


@pytest.mark.parametrize(("query", "count"), SEARCHES.values(), ids=SEARCHES.keys())
async def test_the_search_box_works_without_a_script(
    browse: Browse, short_board: str, query: str, count: int
) -> None:
    page = await browse(f"/b/{short_board}?q={quote(query)}")
    assert len(page.names) == count
    assert page.all("input", name="q")[0]["value"] == query
    assert ("No file is found" in page.text) == (
        count == 0 or "hidden" in page.all("p", id="none")[0]
    )


async def test_a_large_board_is_shown_in_pages(
    browse: Browse, standin: StandIn, card: str, short_board: str
) -> None:
    for number in range(PAGE_FILES):
        standin.trello.upload(card, File(f"file {number}.txt", "text/plain", b"x"))
    first = await browse(f"/b/{short_board}")
    assert len(first.names) == PAGE_FILES
    assert "Page 1 of 2" in first.text
    second = await browse(f"/b/{short_board}{first.all('a', rel='next')[0]['href']}")
    assert len(second.names) == 3
    assert not set(first.names) & set(second.names)
    assert len((await browse(f"/b/{short_board}?page=999999")).names) == 3
    assert len((await browse(f"/b/{short_board}?q=177.txt&page=2")).names) == 1


async def test_nothing_a_user_wrote_becomes_markup(
    browse: Browse, standin: StandIn, card: str, short: str, short_board: str
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
    browse: Browse, standin: StandIn, card: str, short: str
) -> None:
    made = standin.trello.edit(
        "POST", f"/1/cards/{card}/attachments", {"url": "https://a.example/x"}
    )
    standin.trello.attachments.get(made["id"])["url"] = "javascript:alert(1)"
    page = await browse(f"/c/{short}")
    assert not [a for a in page.all("a") if not a["href"].startswith(("/", "http", "#"))]
    assert "opens nowhere" in page.text


async def test_a_malicious_file_is_named_and_not_linked(
    browse: Browse, standin: StandIn, card: str, short: str, path_id: str
) -> None:
    standin.trello.attachments.get(path_id)["isMalicious"] = True
    page = await browse(f"/c/{short}")
    assert page.names == []
    assert page.all("img") == []
    assert "malicious" in page.text


@pytest.fixture
def path_id(standin: StandIn) -> str:
    """The id of the card's file."""
    return standin.trello.example_attachment_path.split("/")[5]


async def test_while_trello_is_down_the_page_is_the_last_one_and_says_so(
    browse: Browse, standin: StandIn, clock: FakeClock, short: str
) -> None:
    await browse(f"/c/{short}")
    clock.advance(3600)
    standin.faults.add(Fault("status", times=None))
    page = await browse(f"/c/{short}")
    assert "start page draft.png" in page.text
    assert "Trello is not answering. This is what it said on" in page.text


async def test_without_a_last_one_the_page_says_that_trello_is_down(
    browse: Browse, standin: StandIn, short: str
) -> None:
    standin.faults.add(Fault("status", times=None))
    page = await browse(f"/c/{short}", 502)
    assert "Try again" in page.text


async def test_names_are_left_out_where_trello_does_not_tell_them(
    browse: Browse, standin: StandIn, board: str, short: str
) -> None:
    standin.faults.add(Fault("status", f"/1/boards/{board}*", times=None))
    page = await browse(f"/c/{short}")
    assert "start page draft.png" in page.text
    assert "Dana Demo" not in page.text


@pytest.mark.parametrize("target", ["/c/ZZZZZZZZ", "/b/ZZZZZZZZ", "/c/", "/c/a%20b", "/nothing"])
async def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(
    proxy: Proxy, browse: Browse, target: str
) -> None:
    page = await browse(target, 404)
    assert page.all("h1")
    assert (await proxy.get(target)).problem in {"not-visible", "no-such-page"}


async def test_a_card_of_somebody_elses_is_not_visible(
    proxy: Proxy, standin: StandIn, browse: Browse, short: str, board: str
) -> None:
    owner = standin.trello.add_member("owner", "Olga Owner")
    standin.trello.edit("PUT", f"/1/boards/{board}", {"prefs/permissionLevel": "private"})
    standin.trello.edit("PUT", f"/1/boards/{board}/members/{owner}", {"type": "admin"})
    standin.trello.edit("DELETE", f"/1/boards/{board}/members/{standin.trello.me['id']}", by=owner)
    page = await browse(f"/c/{short}", 404)
    assert "not on the board" in page.text


async def test_pages_are_read_only(proxy: Proxy, short: str) -> None:
    assert (await proxy("POST", f"/c/{short}")).status == 405
    assert (await proxy("HEAD", f"/c/{short}")).status == 200


async def test_a_deleted_file_says_so_to_people(
    proxy: Proxy, browse: Browse, standin: StandIn, card: str, path_id: str
) -> None:
    path = standin.trello.example_attachment_path
    standin.trello.edit("DELETE", f"/1/cards/{card}/attachments/{path_id}")
    page = await browse(path, 404)
    assert "This file is not there any more" in page.text
    assert page.all("a", href=f"/c/{card}")
    assert "html" not in (await proxy.get(path)).fields["Content-Type"]


async def test_a_file_while_trello_is_down_says_so_and_offers_another_try(
    proxy: Proxy, browse: Browse, standin: StandIn
) -> None:
    path = standin.trello.example_attachment_path
    standin.faults.add(Fault("reset", times=None))
    page = await browse(path, 502)
    assert page.all("a", href=path)
    heard = await proxy.get(path)
    assert heard.problem == "upstream-terminated"


async def test_a_link_without_its_signature_says_so_to_people(
    start_proxy: StartProxy, standin: StandIn, short: str
) -> None:
    proxy = await start_proxy(links={"sign": True, "keys": (Secret("k" * 20),)})
    heard = await proxy.get(standin.trello.example_attachment_path, headers=BROWSER)
    assert heard.status == 403
    assert "This link is not signed" in page_of(heard).text
    shown = page_of(await proxy.get(f"/c/{short}", headers=BROWSER))
    for target in (*shown.names, *(a["src"] for a in shown.all("img"))):
        assert "?s=" in target
        assert (await proxy.get(target)).status == 200


async def test_the_box_turns_an_address_into_a_link(
    proxy: Proxy, browse: Browse, short: str
) -> None:
    query = f"/?url={quote(f'https://trello.com/c/{short}/1-x', safe='')}"
    link = f"{proxy.url}/c/{short}/1-x"
    assert (await browse(query)).all("a", href=link)
    assert (await proxy.get(query)).body.decode() == f"{link}\n"
    fault = await browse("/?url=https%3A%2F%2Fexample.com", 400)
    assert fault.all("p", role="alert")
    assert fault.all("input")[0]["value"] == "https://example.com"


async def test_the_first_page_tells_people_and_terminals_the_base_url(
    proxy: Proxy, browse: Browse
) -> None:
    assert f"{proxy.url}/1/" in (await browse("/")).text
    heard = await proxy.get("/")
    assert heard.fields["Content-Type"].startswith("text/plain")
    assert f"{proxy.url}/1/" in heard.body.decode()


async def test_what_pages_load_is_kept_by_its_content(proxy: Proxy, browse: Browse) -> None:
    page = await browse("/")
    heard = await proxy.get(page.all("link", rel="stylesheet")[0]["href"])
    assert heard.fields["Content-Type"].startswith("text/css")
    assert "immutable" in heard.fields["Cache-Control"]
    assert unescape(heard.body.decode()) == heard.body.decode()


async def test_a_name_with_slashes_still_opens(
    proxy: Proxy, browse: Browse, standin: StandIn, card: str, short: str
) -> None:
    standin.trello.upload(card, File("a/b\\c %2F ü?#.txt", "text/plain", b"x"))
    page = await browse(f"/c/{short}")
    assert (await proxy.get(page.names[-1])).status == 200


async def test_a_path_that_is_markup_is_shown_as_text(proxy: Proxy, standin: StandIn) -> None:
    standin.faults.add(Fault("reset", times=None))
    path = standin.trello.example_attachment_path
    for target, status in (('/"><script>x</script>', 404), (f"{path}/'\"><script>x</script>", 502)):
        heard = await proxy.get(target, headers=BROWSER)
        assert heard.status == status
        assert b"<script>x" not in heard.body
        page_of(heard)
