"""Pages escape all text, and load their assets by digest."""

from collections.abc import Callable
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import CardParser, parse_board
from proxy.pages.credential_usage import Row, credential_usage_page
from proxy.pages.error import Failure, error_page
from proxy.pages.home import Offer, PastedLink, home_page
from proxy.pages.layout import ASSETS, page
from proxy.pages.listing import PageContext, board_page, card_page
from proxy.status.history import DashboardData, LimitUse, Minute, RecentFailure
from tests.pages.objects import card, upload

URL = "http://trello.internal"
OFFER = Offer(
    shows_admin_links=True,
    is_keyless=True,
    needs_client_key=False,
    identity="You are anonymous.",
)
CONTEXT = PageContext(URL)
PARSER = CardParser(LinkRewriter(URL), 0.0, {"m1": "Dana"})


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


@given(hostile, hostile)
def test_no_text_becomes_markup(text: str, other: str) -> None:
    parse = PARSER.parse
    pages: list[Callable[[str], bytes]] = [
        lambda t: page(t, Markup("<p>{}</p>").format(t)),
        lambda t: card_page(
            parse(card(upload(name=t, fileName=t), name=t)), parse_board({"name": t}, "x"), CONTEXT
        ),
        lambda t: board_page(
            parse_board({"name": t}, "AbCd1234"), [parse(card(upload(), name=t))], "", 1, CONTEXT
        ),
        lambda t: board_page(
            parse_board({}, "AbCd1234"), [parse(card(upload()))], f"~{t}", 1, CONTEXT
        ),
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
