"""A write to a board, to what all its cards share, or to people takes whatever shows it."""

import json
from collections.abc import Iterable

import pytest

from proxy.model import Tag
from proxy.trello.object_ids import ObjectInfo
from proxy.trello.routes import RouteTable
from proxy.trello.tags import stored_tags
from proxy.trello.write_effects import board_tags, tags_changed_by, tags_showing

TABLE = RouteTable()
CARD, SIBLING, FOREIGN_CARD = "c" * 24, "d" * 24, "f" * 24
BOARD, OTHER_BOARD = "b" * 24, "e" * 24
LIST, OTHER_LIST = "1" * 24, "2" * 24
MEMBER, LABEL, ORGANIZATION = "a" * 24, "3" * 24, "6" * 24

READS: dict[str, tuple[str, object]] = {
    "card": (f"/cards/{CARD}", {"id": CARD, "idBoard": BOARD}),
    "card by shortLink": ("/cards/sccccccc", {"id": CARD, "idBoard": BOARD}),
    "attachments": (f"/cards/{CARD}/attachments", []),
    "comments": (f"/cards/{CARD}/actions", []),
    "sibling": (f"/cards/{SIBLING}", {"id": SIBLING, "idBoard": BOARD}),
    "foreign card": (f"/cards/{FOREIGN_CARD}", {"id": FOREIGN_CARD, "idBoard": OTHER_BOARD}),
    "cards of the list": (f"/lists/{LIST}/cards", [{"id": CARD, "idBoard": BOARD}]),
    "empty list": (f"/lists/{'7' * 24}/cards", []),
    "board": (f"/boards/{BOARD}", {"id": BOARD}),
    "board by shortLink": ("/boards/XyZ", {"id": BOARD}),
    "cards of the board": (f"/boards/{BOARD}/cards", [{"id": CARD, "idBoard": BOARD}]),
    "labels of the board": (f"/boards/{BOARD}/labels", []),
    "people of the board": (f"/boards/{BOARD}/members", []),
    "foreign board": (f"/boards/{OTHER_BOARD}", {"id": OTHER_BOARD}),
    "label": (f"/labels/{LABEL}", {"id": LABEL, "idBoard": BOARD}),
    "checklist": (f"/checklists/{'5' * 24}", {"idCard": CARD, "idBoard": BOARD}),
    "action": (f"/actions/{'4' * 24}", {}),
    "me": ("/members/me", {"id": MEMBER}),
    "my boards": ("/members/me/boards", []),
    "search": ("/search?query=x", {}),
    "organization": ("/organizations/acme", {"id": ORGANIZATION}),
    "notifications": ("/members/me/notifications", []),
    "emoji": ("/emoji", {}),
    "webhook": (f"/webhooks/{'8' * 24}", {"id": "8" * 24}),
}

ON_CARD = "card, card by shortLink, attachments, comments"
ON_BOARD = "cards of the list, empty list, board, board by shortLink, cards of the board"
SPANNING = "my boards, search, action"

CASES: dict[str, tuple[str, dict[str, str], object, str, str]] = {
    "a label is renamed": (
        f"PUT /labels/{LABEL}",
        {"name": "x"},
        {"id": LABEL, "idBoard": BOARD},
        f"label, {ON_CARD}, {ON_BOARD}, sibling, labels of the board",
        "foreign card, foreign board, me",
    ),
    "a label is deleted": (
        f"DELETE /labels/{LABEL}",
        {},
        {"limits": {}},
        f"label, {ON_CARD}, {ON_BOARD}, sibling, foreign card, foreign board",
        "me",
    ),
    "a label is made": (
        "POST /labels",
        {"idBoard": BOARD, "name": "x"},
        None,
        "labels of the board, board, cards of the board, sibling",
        "foreign card, foreign board",
    ),
    "a custom field may have been made": (
        "POST /customFields",
        {"idModel": BOARD, "modelType": "board"},
        None,
        f"{ON_CARD}, {ON_BOARD}",
        "foreign card, foreign board",
    ),
    "a custom field is renamed": (
        f"PUT /customFields/{LABEL}",
        {"name": "x"},
        {"id": LABEL, "idModel": BOARD, "modelType": "board"},
        f"{ON_CARD}, {ON_BOARD}",
        "foreign card, foreign board",
    ),
    "a custom field of a card is set": (
        f"PUT /cards/{CARD}/customField/{LABEL}/item",
        {},
        {"id": "4" * 24, "idCustomField": LABEL, "idModel": CARD, "modelType": "card"},
        f"{ON_CARD}, {ON_BOARD}",
        "sibling, me",
    ),
    "a list is renamed": (
        f"PUT /lists/{LIST}",
        {"name": "x"},
        {"id": LIST, "idBoard": BOARD},
        f"{ON_CARD}, {ON_BOARD}, {SPANNING}, sibling",
        "foreign card, foreign board, me",
    ),
    "a list is moved to another board": (
        f"PUT /lists/{LIST}/idBoard",
        {"value": OTHER_BOARD},
        {"id": LIST, "idBoard": OTHER_BOARD},
        f"{ON_CARD}, {ON_BOARD}, foreign board",
        "me, emoji",
    ),
    "a list is moved by a parameter": (
        f"PUT /lists/{LIST}",
        {"idBoard": OTHER_BOARD},
        {"id": LIST, "idBoard": OTHER_BOARD},
        f"{ON_CARD}, {ON_BOARD}, sibling, foreign board",
        "me",
    ),
    "all cards of a list are moved": (
        f"POST /lists/{LIST}/moveAllCards",
        {"idBoard": OTHER_BOARD, "idList": OTHER_LIST},
        [],
        f"{ON_CARD}, {ON_BOARD}, sibling, foreign board",
        "me",
    ),
    "a list is made": (
        "POST /lists",
        {"idBoard": BOARD, "name": "x"},
        {"id": LABEL, "idBoard": BOARD},
        "board, cards of the board, my boards",
        "foreign board, foreign card",
    ),
    "a board is renamed": (
        f"PUT /boards/{BOARD}",
        {"name": "x"},
        {"id": BOARD},
        f"{ON_CARD}, {ON_BOARD}, {SPANNING}, me, organization",
        "foreign card, foreign board, emoji",
    ),
    "a board is renamed by its shortLink": (
        "PUT /boards/XyZ",
        {"name": "x"},
        {"id": BOARD},
        ON_BOARD,
        "foreign board, foreign card",
    ),
    "a board is made": (
        "POST /boards",
        {"name": "x"},
        {"id": "9" * 24},
        "my boards, me, organization, search",
        "board, foreign board, card",
    ),
    "somebody joins a board": (
        f"PUT /boards/{BOARD}/members/{MEMBER}",
        {"type": "normal"},
        {"id": BOARD},
        "people of the board, board, my boards, me",
        "foreign board, foreign card",
    ),
    "my view of a board": (
        f"PUT /boards/{BOARD}/myPrefs/showSidebar",
        {"value": "false"},
        {},
        "board, my boards",
        "card, foreign board, me",
    ),
    "I change my name": (
        "PUT /members/me",
        {"fullName": "x"},
        {"id": MEMBER},
        "me, people of the board, comments, search",
        "card, board, foreign board",
    ),
    "I star a board": (
        f"POST /members/{MEMBER}/boardStars",
        {"idBoard": BOARD, "pos": "top"},
        {"id": LABEL, "idBoard": BOARD},
        "board, my boards, me",
        "card, foreign board",
    ),
    "an organization is renamed": (
        "PUT /organizations/acme",
        {"displayName": "x"},
        {"id": ORGANIZATION},
        "organization, my boards",
        "card, board, me",
    ),
    "somebody leaves an organization": (
        f"DELETE /organizations/{ORGANIZATION}/members/{MEMBER}/all",
        {},
        {},
        "organization, me, board, foreign board, card, my boards",
        "emoji",
    ),
    "notifications are read": (
        "POST /notifications/all/read",
        {},
        {},
        "notifications",
        "me, card, board",
    ),
    "a webhook is made": ("POST /webhooks", {"idModel": BOARD}, {"id": LABEL}, "webhook", "board"),
    "an unknown write": ("POST /inventions", {}, {}, ", ".join(READS), ""),
    "an unknown method": (f"PATCH /cards/{CARD}", {}, {}, ", ".join(READS), ""),
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


def test_a_board_changed_elsewhere_takes_all_that_is_on_it() -> None:
    tags = board_tags(BOARD)
    gone = f"{ON_CARD}, {ON_BOARD}, {SPANNING}, sibling, label, checklist"
    assert [name for name in named(gone) if not tags & stored(name)] == []
    kept = "foreign card, foreign board, me, organization, emoji"
    assert [name for name in named(kept) if tags & stored(name)] == []


@pytest.mark.parametrize("path", [f"/cards/{CARD}", f"/cards/{CARD}/actions", f"/boards/{BOARD}"])
def test_what_shows_an_object_of_a_known_board_has_one_of_its_tags(path: str) -> None:
    match = TABLE.classify("GET", path.strip("/").split("/"))
    tags = tags_showing(match, ObjectInfo(owners={"idBoard": BOARD} if "cards" in path else {}))
    untouched = set()
    for name, (read, body) in READS.items():
        target, _, query = read.partition("?")
        stored = TABLE.classify("GET", target.strip("/").split("/"))
        names = {query.partition("=")[0]} - {""}
        if not tags & set(stored_tags(stored, names, json.dumps(body).encode())):
            untouched.add(name)
    assert {"foreign card", "foreign board"} <= untouched
    assert not untouched & {"card", "card by shortLink", "cards of the board", "my boards"}
    assert ("sibling" in untouched) is ("cards" in path)


@pytest.mark.parametrize("path", ["/cards/AbCd1234", f"/cards/{CARD}", "/boards/AbCd1234"])
def test_an_object_that_is_not_known_takes_all_boards(path: str) -> None:
    tags = tags_showing(TABLE.classify("GET", path.strip("/").split("/")), ObjectInfo())
    assert "board:*" in tags


@pytest.mark.parametrize("path", ["/search", "/batch", "/tokens/x", "/boards", "/nowhere/x"])
def test_what_names_no_object_has_no_tags(path: str) -> None:
    assert not tags_showing(TABLE.classify("GET", path.strip("/").split("/")), ObjectInfo())
