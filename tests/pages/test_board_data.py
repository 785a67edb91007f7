"""Cards and files are parsed from whatever Trello sends."""

from typing import Any

import pytest

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import (
    CardParser,
    board_id_of,
    parse_board,
)
from tests.pages.objects import card, upload

PARSER = CardParser(LinkRewriter("http://trello.internal"), 0.0, {"m1": "Dana"})

PREVIEWS = {
    "the smallest that is large enough": ((70, 150, 300, 600), "p300"),
    "else the largest": ((70, 150), "p150"),
    "none": ((), ""),
}


@pytest.mark.parametrize(("widths", "chosen"), PREVIEWS.values(), ids=PREVIEWS.keys())
def test_a_thumbnail_is_a_preview(widths: tuple[int, ...], chosen: str) -> None:
    previews = [{"id": f"p{width}", "width": width} for width in widths]
    thumbnail = PARSER.parse(card(upload(previews=previews))).files[0].thumbnail
    assert (f"/previews/{chosen}/download/" in thumbnail) if chosen else thumbnail == ""


UNLINKABLE: dict[str, object] = {
    "nothing at all": {},
    "no object": ["x"],
    "attachments of another type": {"attachments": [1, "x", None, {"id": 5}]},
    "an attachment without an id": card({"name": "x"}),
    "an id that is a path": card(upload(id="../../x")),
    "a card id that is a path": card(upload(), id="../x"),
}


@pytest.mark.parametrize("value", UNLINKABLE.values(), ids=UNLINKABLE.keys())
def test_what_cannot_be_linked_is_left_out(value: object) -> None:
    assert PARSER.parse(value).files == ()


def test_fields_of_other_types_are_left_out() -> None:
    odd = upload(name=None, fileName=3, bytes="12", date=7, idMember=[], previews={}, isMalicious=1)
    file = PARSER.parse(card(odd)).files[0]
    named = (file.name, file.size_bytes, file.uploader, file.thumbnail)
    assert named == ("Untitled file", None, "", "")
    assert parse_board({}, "AbCd1234").short_link == "AbCd1234"
    assert parse_board(["x"], "AbCd1234").short_link == "AbCd1234"
    assert parse_board({"members": {"not": "a list"}}, "x").member_names == {}


@pytest.mark.parametrize("value", [None, [], {}, {"idBoard": 3}, {"idBoard": "../x"}])
def test_a_card_without_a_board_has_no_board_id(value: Any) -> None:
    assert board_id_of(value) == ""


def test_lists_are_in_order_and_an_odd_one_is_left_out() -> None:
    lists = [{"id": "b", "name": "B", "pos": 2}, {"id": "a", "pos": 1, "closed": True}, {"pos": 0}]
    board = parse_board({"lists": [*lists, 7]}, "x")
    assert [(each.id, each.title, each.is_closed) for each in board.lists] == [
        ("a", "Untitled list", True),
        ("b", "B", False),
    ]


def test_a_due_date_is_read_in_any_zone_and_an_impossible_one_is_none() -> None:
    due = PARSER.parse(card(due="2026-11-21T23:30:00+02:00")).due
    assert due is not None
    assert f"{due:%Y-%m-%d %H:%M}" == "2026-11-21 21:30"
    for odd in ("0001-01-01T00:00:00+14:00", "tomorrow", 7, None):
        assert PARSER.parse(card(due=odd)).due is None


def test_a_label_without_a_name_has_its_colours() -> None:
    labels = [{"name": "", "color": "sky_dark"}, {"name": "Bug", "color": "x onload=1"}, {}]
    found = PARSER.parse(card(labels=labels)).labels
    assert [(each.name, each.color) for each in found] == [
        ("sky", "sky"),
        ("Bug", ""),
        ("no name", ""),
    ]
