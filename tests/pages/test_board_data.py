"""Cards and files are parsed from whatever Trello sends, and JSON as json.loads does."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import (
    CardParser,
    board_id_of,
    count_files,
    load_json,
    parse_board,
    parse_member_names,
    search_files,
    slice_files,
)
from tests.pages.objects import card, upload

PARSER = CardParser(LinkRewriter("http://trello.internal"), 0.0, {"m1": "Dana"})

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FRAGMENTS = st.lists(st.sampled_from('[]{},: \n"a1-\\') | st.sampled_from(["[1", "{}", "null"]))


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_any_value_is_loaded(value: object, indent: int | str | None) -> None:
    assert load_json(json.dumps(value, indent=indent).encode()) == value


@given(FRAGMENTS.map("".join))
@example("[ ]")
@example(" [\n] ")
def test_what_json_loads_refuses_is_refused_here(text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 — as json.loads
            load_json(text.encode())
    else:
        assert load_json(text.encode()) == value


MALFORMED = {
    "nothing": b"",
    "cut": b"[1,2",
    "cut behind a comma": b"[1,",
    "a comma too many": b"[1,]",
    "more behind it": b"[1] 2",
    "two values without a comma": b"[1 2]",
    "no UTF-8": b'["\xff"]',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — as json.loads
        load_json(body)


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
    assert parse_member_names({"not": "a list"}) == {}


@pytest.mark.parametrize("value", [None, [], {}, {"idBoard": 3}, {"idBoard": "../x"}])
def test_a_card_without_a_board_has_no_board_id(value: Any) -> None:
    assert board_id_of(value) == ""


def test_slices_of_all_files_together_are_all_files() -> None:
    cards = [PARSER.parse(card(*[upload(id=f"{n:024x}{i}") for i in range(n)])) for n in range(6)]
    assert count_files(cards) == 15
    parts = [slice_files(cards, start, 4) for start in range(0, 15, 4)]
    assert [count_files(part) for part in parts] == [4, 4, 4, 3]
    hrefs = [file.href for part in parts for each in part for file in each.files]
    assert hrefs == [file.href for each in cards for file in each.files]


def test_a_search_keeps_cards_and_their_order() -> None:
    cards = [PARSER.parse(card(upload(name=n), name=f"Card {n}")) for n in ("b", "a", "ab")]
    matches = [each.title for each in search_files(cards, "A")]
    assert matches == [f"Card {n}" for n in ("b", "a", "ab")]
    assert [each.title for each in search_files(cards, "card ab")] == ["Card ab"]
