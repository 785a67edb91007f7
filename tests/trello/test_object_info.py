"""What other answers have shown fills what an answer, or a write, does not show."""

import json

import pytest

from proxy.trello.object_ids import NOTHING, ObjectInfo
from proxy.trello.routes import RouteTable
from proxy.trello.tags import stored_tags
from proxy.trello.write_effects import board_tags, tags_changed_by

CARD, BOARD, LIST, MEMBER = "c" * 24, "b" * 24, "1" * 24, "a" * 24
OTHER_BOARD = "e" * 24
TABLE = RouteTable()

OWNED = ObjectInfo(CARD, owners={"idBoard": BOARD})
ON_BOARD = ObjectInfo(LIST, owners={"idBoard": BOARD})
IN_CARD = ObjectInfo(LIST, owners={"idCard": CARD, "idBoard": BOARD})
A_NAME = ObjectInfo(CARD)
A_USERNAME = ObjectInfo(MEMBER, is_mutable=True)

CASES: dict[str, tuple[str, object, ObjectInfo, str]] = {
    "the name of a card": (
        "/cards/AbCdEf12/attachments",
        [],
        A_NAME,
        f"card:AbCdEf12 card:{CARD} cards-of:?",
    ),
    "the board of a card": (
        f"/cards/{CARD}/attachments",
        [],
        OWNED,
        f"card:{CARD} cards-of:{BOARD} cards-of:~",
    ),
    "name and board": (
        "/cards/AbCdEf12/name",
        {"_value": "x"},
        OWNED,
        f"card:AbCdEf12 card:{CARD} cards-of:{BOARD} cards-of:~",
    ),
    "the board of the actions of a card": (
        f"/cards/{CARD}/actions",
        [{"data": {"old": {"idBoard": OTHER_BOARD}}}],
        OWNED,
        f"card:{CARD} cards-of:{BOARD} cards-of:~ action:? member:?",
    ),
    "what the answer shows goes before": (
        f"/cards/{CARD}",
        {"id": CARD, "idBoard": OTHER_BOARD},
        OWNED,
        f"card:{CARD} cards-of:{OTHER_BOARD}",
    ),
    "the board of an empty list": (
        f"/lists/{LIST}/cards",
        [],
        ON_BOARD,
        f"list:{LIST} board:{BOARD} board:~",
    ),
    "the card and board of a checklist": (
        f"/checklists/{LIST}/checkItems",
        [],
        IN_CARD,
        f"checklist:{LIST} card:{CARD} card:~ cards-of:{BOARD} cards-of:~",
    ),
    "a username may be another's by now": (
        "/members/dana/organizations",
        [],
        A_USERNAME,
        f"member:dana member:{MEMBER} member:~ organization:?",
    ),
    "a card that is gone": (
        "/cards/AbCdEf12",
        b"not found",
        A_NAME,
        f"card:AbCdEf12 card:{CARD} cards-of:?",
    ),
    "nothing": ("/cards/AbCdEf12/name", {}, NOTHING, "card:AbCdEf12 card:? cards-of:?"),
}


def _tags_of(target: str, body: object, known: ObjectInfo) -> set[str]:
    match = TABLE.classify("GET", target.strip("/").split("/"))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return set(stored_tags(match, [], raw, known))


@pytest.mark.parametrize(("target", "body", "known", "tags"), CASES.values(), ids=CASES)
def test_stored_tags(target: str, body: object, known: ObjectInfo, tags: str) -> None:
    found = _tags_of(target, body, known)
    assert {tag for tag in found if not tag.endswith(":*")} == {"everything", *tags.split()}
    assert {f"{tag.partition(':')[0]}:*" for tag in tags.split()} <= found


def _touched(method: str, path: str, known: ObjectInfo, response: object = None) -> set[str]:
    match = TABLE.classify(method, path.strip("/").split("/"))
    raw = b"" if response is None else json.dumps(response).encode()
    return set(tags_changed_by(method, match, {"name": "x"}, raw, known))


def test_a_write_by_a_known_name_names_the_object_by_both() -> None:
    tags = _touched("POST", "/cards/AbCdEf12/attachments", A_NAME, {"id": LIST})
    assert {f"card:{CARD}", "card:AbCdEf12", "card:?"} <= tags
    assert "card:*" not in tags
    assert "card:*" in _touched("POST", "/cards/AbCdEf12/attachments", NOTHING, {"id": LIST})


def test_a_write_by_a_name_that_may_be_anothers_names_everybody() -> None:
    assert "member:*" in _touched("PUT", "/members/dana", A_USERNAME)


def test_a_write_does_not_trust_a_learned_owner() -> None:
    assert "board:*" in _touched("POST", f"/cards/{CARD}/attachments", OWNED)


@pytest.mark.parametrize("board", [BOARD, OTHER_BOARD])
def test_a_write_on_any_board_reaches_a_card_that_may_have_moved_unseen(board: str) -> None:
    stored = _tags_of(f"/cards/{CARD}/customFieldItems", [], OWNED)
    assert stored & _touched("PUT", f"/labels/{LIST}", NOTHING, {"id": LIST, "idBoard": board})


def test_a_signal_of_a_board_reaches_the_parts_of_its_own_cards_alone() -> None:
    stored = _tags_of(f"/cards/{CARD}/customFieldItems", [], OWNED)
    assert stored & board_tags(BOARD)
    assert not stored & board_tags(OTHER_BOARD)
    assert _tags_of(f"/cards/{CARD}/customFieldItems", [], NOTHING) & board_tags(OTHER_BOARD)
