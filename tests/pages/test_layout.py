"""Pages escape all text, and load their assets by digest."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import CardParser, parse_board
from proxy.pages.board_page import board_page
from proxy.pages.card_details import parse_details
from proxy.pages.card_page import card_page
from proxy.pages.credential_usage import Row, credential_usage_page
from proxy.pages.error import Failure, error_page
from proxy.pages.home import Offer, home_page
from proxy.pages.layout import ASSETS, page
from proxy.pages.paste_form import PastedLink
from proxy.pages.user_markdown import UserMarkdown
from proxy.status.history import DashboardData, LimitUse, Minute, RecentFailure
from tests.pages.objects import CONTEXT, URL, board, card, comment, upload

OFFER = Offer(
    shows_admin_links=True,
    is_keyless=True,
    needs_client_key=False,
    identity="You are anonymous.",
)
LINKS = LinkRewriter(URL)
PARSE = CardParser(LINKS, 0.0, {"m1": "Dana"}).parse


class Tags(HTMLParser):
    """All tags and attribute names of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.seen: list[tuple[str, ...]] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, *(name for name, _ in attrs)))


hostile = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*"<>&\"'/= ", "script", "onload", "]]>", "-->"])).map("".join),
)


def _dashboard(text: str) -> DashboardData:
    return DashboardData(
        minutes=[Minute(3, 1, 2, 2, 1)],
        limits=[LimitUse(text, 3, 10, 10.0)],
        clients=[(text, 3)],
        failures=[RecentFailure(0.0, text, text)],
    )


def _card_page(value: dict[str, Any], of_board: object) -> bytes:
    shown, markdown = parse_board(of_board, "x"), UserMarkdown(LINKS, 0.0)
    return b"".join(card_page(PARSE(value), parse_details(value), shown, markdown, CONTEXT))


def _board_page(value: object, each: object, query: str = "") -> bytes:
    return b"".join(board_page(parse_board(value, "x"), [each], PARSE, query, CONTEXT))


@given(hostile, hostile)
def test_no_text_becomes_markup(text: str, other: str) -> None:
    pages: list[Callable[[str], bytes]] = [
        lambda t: page(t, Markup("<p>{}</p>").format(t), t),
        lambda t: _card_page(card(upload(name=t, fileName=t), name=t), board(name=t)),
        lambda t: _card_page(
            card(
                labels=[{"name": t, "color": "red"}],
                members=[{"fullName": t}],
                checklists=[{"name": t, "checkItems": [{"name": t}]}],
                actions=[comment("x", t)],
            ),
            board(lists=[{"id": "l1", "name": t}]),
        ),
        lambda t: _board_page(board(name=t), card(upload(), name=t)),
        lambda t: _board_page(board(lists=[{"id": "l1", "name": t}]), card(upload(), idList="l1")),
        lambda t: _board_page({}, card(upload()), f"~{t}"),
        lambda t: home_page(
            URL, PastedLink(f"x{t}", f"{URL}/{t}"), DashboardData([Minute()]), OFFER
        ),
        lambda t: home_page(URL, PastedLink(f"x{t}", fault=f"x{t}"), _dashboard(t), OFFER),
        lambda t: credential_usage_page([Row(t, "query", "own", 1, 0.0, 0.0)]),
        lambda t: error_page(Failure(404, t, t), f"/{t}", t),
    ]
    for render in pages:
        assert Tags(render(f"a{text}")).seen == Tags(render(f"a{other}")).seen


def test_a_lone_surrogate_is_a_question_mark() -> None:
    assert b"<title>a?b</title>" in page("a\ud800b", Markup())


def test_every_asset_is_loaded_by_its_digest() -> None:
    shell = page("", Markup()).decode()
    for path, (fields, body) in ASSETS.items():
        assert f'"{path}?v=' in shell
        assert ("Cache-Control", "public, max-age=31536000, immutable") in fields
        assert body
