"""Board pages say when they are not complete."""

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import CardParser, parse_board
from proxy.pages.listing import PageContext, board_page
from tests.pages.objects import card, upload

URL = "http://trello.internal"


def test_a_board_that_was_cut_says_so() -> None:
    cards = [CardParser(LinkRewriter(URL), 0.0, {}).parse(card(upload()))] * 1000
    page = board_page(parse_board({}, "x"), cards, "", 1, PageContext(URL))
    assert b"Trello lists 1,000 cards" in page
