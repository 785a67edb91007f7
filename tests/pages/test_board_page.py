"""A board's page has its lists and all their cards, in chunks."""

from typing import Any

import pytest

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import CardParser, parse_board
from proxy.pages.board_page import CARDS_AT_ONCE, FILES_OF_A_CARD, board_page, search_cards
from tests.pages.objects import CONTEXT, URL, board, card, upload

PARSE = CardParser(LinkRewriter(URL), 0.0, {"m1": "Dana"}).parse


def chunks(cards: list[Any], query: str = "") -> list[bytes]:
    return list(board_page(parse_board(board(), "x"), iter(cards), PARSE, query, CONTEXT))


def shown(cards: list[Any], query: str = "") -> str:
    return b"".join(chunks(cards, query)).decode()


def test_cards_stand_in_their_lists_by_position() -> None:
    cards = [
        card(name="Third", idList="l2"),
        card(name="Second", idList="l1", pos=2),
        card(name="First", idList="l1", pos=1),
        card(name="Fourth", idList="unknown"),
    ]
    page = shown(cards)
    order = ["To do", "First", "Second", "Done", "Third", "Other cards", "Fourth"]
    places = [page.index(f"<bdi>{each}</bdi>") for each in order]
    assert places == sorted(places)
    assert "(archived list)" in page


def test_a_board_that_was_cut_says_so() -> None:
    assert "Trello lists 1,000 cards" in shown([card()] * 1000)
    assert "Trello lists 1,000 cards" not in shown([card()] * 1001)


def test_a_card_with_many_files_shows_some_and_leads_to_the_others() -> None:
    files = [upload(id=f"{number:024x}", name=f"{number}.txt") for number in range(13)]
    page = shown([card(*files)])
    assert page.count('class="file"') == FILES_OF_A_CARD
    assert '<a href="/c/AbCd1234">3 more files</a>' in page
    assert "data-complete" not in page
    assert "12.txt" in shown([card(*files)], "12.txt")


def test_a_large_board_comes_in_many_small_chunks() -> None:
    cards = [card(upload(), name=f"Card {number}") for number in range(10 * CARDS_AT_ONCE)]
    parts = chunks(cards)
    assert parts[0].endswith(b"</p>\n")
    assert b"Card" not in parts[0]
    assert len([part for part in parts if b"Card" in part]) == 10
    assert max(map(len, parts)) < 1500 * CARDS_AT_ONCE


def test_the_first_chunk_needs_the_first_cards_only() -> None:
    def broken() -> Any:
        yield from [card()] * CARDS_AT_ONCE
        raise ValueError

    page = board_page(parse_board(board(), "x"), broken(), PARSE, "", CONTEXT)
    assert b"Release" in next(page)
    with pytest.raises(ValueError):  # noqa: PT011 — the one above
        list(page)


SEARCHES = {
    "by name": ("second", ["Second"]),
    "by label": ("bug", ["First"]),
    "by file": ("x.png", ["Third"]),
    "by file and card": ("third png", ["Third"]),
    "every word counts": ("second png", []),
    "in any case": ("SECOND", ["Second"]),
    "blanks": ("  ", ["First", "Second", "Third"]),
}


@pytest.mark.parametrize(("query", "found"), SEARCHES.values(), ids=SEARCHES.keys())
def test_a_search_finds_cards_in_their_order(query: str, found: list[str]) -> None:
    cards = [
        card(name="First", labels=[{"name": "Bug", "color": "red"}]),
        card(name="Second"),
        card(upload(), name="Third"),
    ]
    assert [each.title for each in search_cards(list(map(PARSE, cards)), query)] == found


def test_a_search_for_a_file_leaves_the_cards_other_files_out() -> None:
    both = card(upload(name="a.txt"), upload(name="b.txt"), name="Card")
    (found,) = search_cards([PARSE(both)], "a.txt")
    assert [file.name for file in found.files] == ["a.txt"]
    (whole,) = search_cards([PARSE(both)], "card")
    assert len(whole.files) == 2
