"""A write to a card takes what shows the card, more when in doubt, and nothing else."""

import json
from collections.abc import Iterable

import pytest

from proxy.model import Tag
from proxy.trello.routes import RouteTable
from proxy.trello.tags import stored_tags
from proxy.trello.write_effects import tags_changed_by

TABLE = RouteTable()
CARD, OTHER_CARD = "c" * 24, "d" * 24
BOARD, OTHER_BOARD = "b" * 24, "e" * 24
LIST, OTHER_LIST = "1" * 24, "2" * 24
MEMBER, LABEL, ACTION, CHECKLIST = "a" * 24, "3" * 24, "4" * 24, "5" * 24


def card(card_id: str, board: str = BOARD, list_id: str = LIST) -> dict[str, str]:
    return {"id": card_id, "idBoard": board, "idList": list_id, "shortLink": f"s{card_id[:7]}"}


def comment(card_id: str) -> dict[str, object]:
    return {"id": ACTION, "data": {"card": {"id": card_id}, "board": {"id": BOARD}}}


READS: dict[str, tuple[str, object]] = {
    "card": (f"/cards/{CARD}", card(CARD)),
    "card by shortLink": ("/cards/sccccccc", card(CARD)),
    "attachments": (f"/cards/{CARD}/attachments", []),
    "attachments by shortLink": ("/cards/sccccccc/attachments", []),
    "comments": (f"/cards/{CARD}/actions", []),
    "sibling": (f"/cards/{OTHER_CARD}", card(OTHER_CARD)),
    "foreign card": ("/cards/" + "f" * 24, card("f" * 24, OTHER_BOARD, OTHER_LIST)),
    "cards of the list": (f"/lists/{LIST}/cards", [card(CARD)]),
    "empty list": (f"/lists/{'7' * 24}/cards", []),
    "cards of a foreign list": (
        f"/lists/{OTHER_LIST}/cards",
        [card("f" * 24, OTHER_BOARD, OTHER_LIST)],
    ),
    "board": (f"/boards/{BOARD}", {"id": BOARD}),
    "board by shortLink": ("/boards/XyZ", {"id": BOARD}),
    "cards of the board": (f"/boards/{BOARD}/cards", [card(CARD)]),
    "foreign board": (f"/boards/{OTHER_BOARD}", {"id": OTHER_BOARD}),
    "checklist": (
        f"/checklists/{CHECKLIST}",
        {"id": CHECKLIST, "idCard": CARD, "idBoard": BOARD},
    ),
    "action": (f"/actions/{ACTION}", {"id": ACTION}),
    "feed of a foreign board": (f"/boards/{OTHER_BOARD}/actions", []),
    "me": ("/members/me", {"id": MEMBER}),
    "my boards": ("/members/me/boards", []),
    "search": ("/search?query=x", {}),
    "emoji": ("/emoji", {}),
}

ON_CARD = "card, card by shortLink, attachments, attachments by shortLink, comments"
ON_BOARD = "cards of the list, empty list, board, board by shortLink, cards of the board"
SPANNING = "my boards, search, action"

CASES: dict[str, tuple[str, dict[str, str], object, str, str]] = {
    "a card is changed": (
        f"PUT /cards/{CARD}",
        {"name": "x"},
        card(CARD),
        f"{ON_CARD}, {ON_BOARD}, {SPANNING}, checklist",
        "sibling, foreign card, cards of a foreign list, foreign board, me, emoji",
    ),
    "a card is changed by its shortLink": (
        "PUT /cards/sccccccc",
        {"name": "x"},
        card(CARD),
        f"{ON_CARD}, {ON_BOARD}, {SPANNING}",
        "sibling, foreign board",
    ),
    "a field of a card is set by its shortLink": (
        "PUT /cards/sccccccc/name",
        {"value": "x"},
        card(CARD),
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, foreign board",
    ),
    "a write by shortLink that does not tell the card": (
        "POST /cards/sccccccc/attachments",
        {},
        {"id": ACTION},
        f"{ON_CARD}, {ON_BOARD}, sibling, foreign card, foreign board",
        "me, emoji",
    ),
    "a part of another object is not the object": (
        "PUT /cards/sccccccc/cover",
        {"value": "x"},
        {"id": OTHER_CARD},
        ON_CARD,
        "me",
    ),
    "a card is moved on its board": (
        f"PUT /cards/{CARD}/idList",
        {"value": OTHER_LIST},
        card(CARD),
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, foreign board, cards of a foreign list",
    ),
    "a card is moved to another board": (
        f"PUT /cards/{CARD}",
        {"idBoard": OTHER_BOARD},
        card(CARD, OTHER_BOARD, OTHER_LIST),
        f"{ON_CARD}, {ON_BOARD}, foreign board, cards of a foreign list",
        "sibling, foreign card, me",
    ),
    "a card is moved by its one field": (
        f"PUT /card/{CARD}/idboard",
        {"value": OTHER_BOARD},
        card(CARD, OTHER_BOARD, OTHER_LIST),
        f"{ON_CARD}, {ON_BOARD}, foreign board",
        "sibling, foreign card",
    ),
    "a card is changed and nobody knows how": (
        f"PUT /cards/{CARD}",
        {},
        card(CARD),
        f"{ON_CARD}, {ON_BOARD}, foreign board",
        "sibling, me",
    ),
    "a card is made": (
        "POST /cards",
        {"idList": LIST},
        card("9" * 24),
        f"{ON_BOARD}, {SPANNING}",
        "card, sibling, foreign board, me",
    ),
    "a card may have been made": (
        "POST /cards",
        {"idList": LIST},
        None,
        f"{ON_BOARD}, {SPANNING}, foreign board",
        "me, emoji",
    ),
    "a card is copied": (
        "POST /cards",
        {"idList": LIST, "idCardSource": CARD},
        card("9" * 24),
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, foreign board",
    ),
    "a card is deleted": (
        f"DELETE /cards/{CARD}",
        {},
        {"limits": {}},
        f"{ON_CARD}, {ON_BOARD}, {SPANNING}, checklist, foreign board",
        "sibling, me",
    ),
    "a card is commented on": (
        f"POST /cards/{CARD}/actions/comments",
        {"text": "x"},
        comment(CARD),
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, foreign board, feed of a foreign board",
    ),
    "a card is commented on by its shortLink": (
        "POST /cards/sccccccc/actions/comments",
        {"text": "x"},
        comment(CARD),
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, foreign board",
    ),
    "a comment is changed": (
        f"PUT /actions/{ACTION}",
        {"text": "x"},
        comment(CARD),
        f"action, {ON_CARD}, {ON_BOARD}",
        "sibling, foreign board",
    ),
    "a comment is deleted": (
        f"DELETE /actions/{ACTION}",
        {},
        {"_value": None},
        f"action, {ON_CARD}, {ON_BOARD}, sibling, foreign board",
        "me, emoji",
    ),
    "a comment is deleted below its card": (
        f"DELETE /cards/{CARD}/actions/{ACTION}/comments",
        {},
        {"_value": None},
        f"action, {ON_CARD}, feed of a foreign board",
        "sibling, me",
    ),
    "a reaction is shown in feeds": (
        f"POST /actions/{ACTION}/reactions",
        {},
        {"id": LABEL},
        "action, comments, feed of a foreign board",
        "card, board, sibling, me",
    ),
    "a checklist is renamed": (
        f"PUT /checklists/{CHECKLIST}",
        {"name": "x"},
        {"id": CHECKLIST, "idCard": CARD, "idBoard": BOARD},
        f"checklist, {ON_CARD}, {ON_BOARD}",
        "sibling, foreign board",
    ),
    "a checklist is made": (
        "POST /checklists",
        {"idCard": CARD},
        {"id": CHECKLIST, "idCard": CARD, "idBoard": BOARD},
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, foreign board",
    ),
    "a checklist is deleted": (
        f"DELETE /checklists/{CHECKLIST}",
        {},
        {"limits": {}},
        f"checklist, {ON_CARD}, {ON_BOARD}, sibling, foreign board",
        "me",
    ),
    "an item is added to a checklist": (
        f"POST /checklists/{CHECKLIST}/checkItems",
        {"name": "x"},
        {"id": LABEL, "idChecklist": CHECKLIST},
        f"checklist, {ON_CARD}, {ON_BOARD}",
        "me",
    ),
    "an item is ticked": (
        f"PUT /cards/{CARD}/checkItem/{LABEL}",
        {"state": "complete"},
        {"id": LABEL, "idChecklist": CHECKLIST},
        f"checklist, {ON_CARD}, {ON_BOARD}",
        "sibling, me",
    ),
}


def stored(name: str) -> set[Tag]:
    target, body = READS[name]
    path, _, query = target.partition("?")
    match = TABLE.classify("GET", path.strip("/").split("/"))
    return set(stored_tags(match, [query.partition("=")[0]], json.dumps(body).encode()))


def named(names: str) -> Iterable[str]:
    return (name for name in names.split(", ") if name)


@pytest.mark.parametrize(
    ("request_line", "params", "answer", "gone", "kept"), CASES.values(), ids=CASES
)
def test_touched_tags(
    request_line: str, params: dict[str, str], answer: object, gone: str, kept: str
) -> None:
    method, path = request_line.split()
    match = TABLE.classify(method, path.strip("/").split("/"))
    raw = b"" if answer is None else json.dumps(answer).encode()
    tags = tags_changed_by(method, match, params, raw)
    assert [name for name in named(gone) if not tags & stored(name)] == []
    assert [name for name in named(kept) if tags & stored(name)] == []
