"""A delivery is Trello's or it is nothing; what it tells of touches what shows it, or more."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Tag
from proxy.trello.object_ids import MAX_PARSED_BYTES
from proxy.trello.tags import EVERYTHING
from proxy.trello.webhook_payload import WebhookEvent, not_covered_by, parse_delivery, verify

URL = "https://hooks.example.com/-/webhook?from=trello"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # noqa: S105 - opens nothing
BODY = '{"action":{"text":"Grüße"}}'.encode()

ACTION, BOARD, OTHER_BOARD, CARD, OTHER_CARD = "a" * 24, "b" * 24, "e" * 24, "c" * 24, "d" * 24
LIST, OTHER_LIST, LABEL, CHECKLIST, FIELD = "1" * 24, "2" * 24, "3" * 24, "4" * 24, "5" * 24
COMMENT = "6" * 24


def signed(body: bytes, url: str = URL, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body + url.encode(), "sha1")).decode()


GOOD = signed(BODY)

SIGNATURES = {
    "Trello's own": (BODY, URL, GOOD, True),
    "none": (BODY, URL, "", False),
    "of another body": (BODY + b" ", URL, GOOD, False),
    "of a body written differently": (BODY.replace(b":", b": "), URL, GOOD, False),
    "for another callback": (BODY, URL.partition("?")[0], GOOD, False),
    "for this callback with a slash more": (BODY, URL + "/", GOOD, False),
    "with another secret": (BODY, URL, signed(BODY, secret=SECRET.upper()), False),
    "of the body alone": (BODY, URL, signed(BODY, url=""), False),
    "in hexadecimal": (BODY, URL, base64.b64decode(GOOD).hex(), False),
    "cut short": (BODY, URL, GOOD[:-1], False),
    "with more behind it": (BODY, URL, GOOD + "=", False),
    "no base64": (BODY, URL, "****", False),
    "not ASCII": (BODY, URL, "Grüße\udcff", False),
}


@pytest.mark.parametrize("case", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_covers_body_and_callback(case: tuple[bytes, str, str, bool]) -> None:
    body, url, signature, is_trellos = case
    assert verify(body, url, SECRET, signature) is is_trellos


def test_the_signature_is_base64_of_hmac_sha1_over_body_then_callback() -> None:
    assert verify(b"body", "url", "secret", "pSxzoWP07xw2FfFXwR5yhKLL7tQ=")


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=40))
def test_only_what_was_signed_is_trellos(body: bytes, other: bytes, guess: str) -> None:
    assert verify(body, URL, SECRET, signed(body))
    assert verify(other, URL, SECRET, signed(body)) is (other == body)
    assert verify(body, URL, SECRET, guess) is (guess == signed(body))


def body_of(kind: object, data: dict[str, Any], model: str = BOARD) -> bytes:
    action = {"id": ACTION, "type": kind, "data": data}
    return json.dumps({"action": action, "model": {"id": model}, "webhook": {}}).encode()


def ref(found: str) -> dict[str, str]:
    return {"id": found, "name": "x"}


ON_BOARD = {"board": ref(BOARD)}
ON_CARD = {**ON_BOARD, "list": ref(LIST), "card": ref(CARD)}
BARE = {**ON_BOARD, "card": ref(CARD)}
MOVED = {**BARE, "listBefore": ref(LIST), "listAfter": ref(OTHER_LIST), "old": {"idList": LIST}}
ITEM = {**BARE, "checklist": ref(CHECKLIST), "checkItem": ref("7" * 24)}

CARD_TAGS = f"card:{CARD} board:{BOARD} spanning"
BOARD_TAGS = f"board:{BOARD} cards-of:{BOARD} member:* organization:* spanning"
BOTH = f"board:{BOARD} board:{OTHER_BOARD} spanning"
ALL_CARDS = f"board:{BOARD} cards-of:{BOARD} spanning"
WHOLE = f"{ALL_CARDS} action:* member:* notification:* organization:* plugin:*"

CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "updateCard": (ON_CARD, f"{CARD_TAGS} list:{LIST}"),
    "updateCard, moved on its board": (MOVED, f"{CARD_TAGS} list:{LIST} list:{OTHER_LIST}"),
    "updateCard without a list": (BARE, CARD_TAGS),
    "updateCard without a card": (ON_BOARD, f"card:* board:{BOARD} spanning"),
    "updateCard without a board": (
        {"card": ref(CARD)},
        f"card:{CARD} board:* spanning",
    ),
    "updateCard of what has no id": (
        {"card": {"name": "x"}, "board": {"id": "me"}},
        "card:* board:* spanning",
    ),
    "createCard": (ON_CARD, f"{CARD_TAGS} list:{LIST}"),
    "copyCard": (
        {**ON_CARD, "cardSource": ref(OTHER_CARD)},
        f"{CARD_TAGS} card:{OTHER_CARD} list:{LIST}",
    ),
    "convertToCardFromCheckItem": (
        {**ON_CARD, "cardSource": ref(OTHER_CARD)},
        f"{CARD_TAGS} card:{OTHER_CARD} list:{LIST} cards-of:{BOARD}",
    ),
    "emailCard": (ON_CARD, f"{CARD_TAGS} list:{LIST}"),
    "deleteCard": (ON_CARD, f"{CARD_TAGS} list:{LIST}"),
    "moveCardFromBoard": (
        {**ON_CARD, "boardTarget": {"id": OTHER_BOARD}},
        f"card:{CARD} list:{LIST} {BOTH}",
    ),
    "moveCardToBoard": (
        {**ON_CARD, "boardSource": {"id": OTHER_BOARD}},
        f"card:{CARD} list:{LIST} {BOTH}",
    ),
    "moveCardToBoard from who knows where": (
        ON_CARD,
        f"card:{CARD} list:{LIST} board:* spanning",
    ),
    "addMemberToCard": (BARE, CARD_TAGS),
    "removeMemberFromCard": (BARE, CARD_TAGS),
    "addLabelToCard": ({**BARE, "label": ref(LABEL)}, CARD_TAGS),
    "removeLabelFromCard": ({**BARE, "label": ref(LABEL)}, CARD_TAGS),
    "createLabel": ({**ON_BOARD, "label": ref(LABEL)}, f"label:{LABEL} {ALL_CARDS}"),
    "updateLabel": ({**ON_BOARD, "label": ref(LABEL)}, f"label:{LABEL} {ALL_CARDS}"),
    "deleteLabel": ({**ON_BOARD, "label": {"id": LABEL}}, f"label:{LABEL} {ALL_CARDS}"),
    "addChecklistToCard": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "removeChecklistFromCard": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "updateChecklist": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "copyChecklist": (
        {**BARE, "checklist": ref(CHECKLIST), "checklistSource": {"id": "8" * 24}},
        f"{CARD_TAGS} checklist:{CHECKLIST} checklist:{'8' * 24}",
    ),
    "createCheckItem": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "updateCheckItem": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "deleteCheckItem": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "updateCheckItemStateOnCard": (ITEM, f"{CARD_TAGS} checklist:{CHECKLIST}"),
    "updateCheckItemStateOnCard without a checklist": (BARE, f"{CARD_TAGS} checklist:*"),
    "commentCard": (ON_CARD, f"{CARD_TAGS} list:{LIST} action:*"),
    "updateComment": ({**BARE, "action": {"id": COMMENT}}, f"{CARD_TAGS} action:{COMMENT}"),
    "deleteComment": ({**BARE, "action": {"id": COMMENT}}, f"{CARD_TAGS} action:{COMMENT}"),
    "addAttachmentToCard": ({**BARE, "attachment": ref("9" * 24)}, CARD_TAGS),
    "deleteAttachmentFromCard": ({**BARE, "attachment": ref("9" * 24)}, CARD_TAGS),
    "createList": ({**ON_BOARD, "list": ref(LIST)}, f"list:{LIST} {ALL_CARDS}"),
    "updateList": ({**ON_BOARD, "list": ref(LIST)}, f"list:{LIST} {ALL_CARDS}"),
    "updateList without a list": (ON_BOARD, f"list:* {ALL_CARDS}"),
    "moveListFromBoard": (
        {**ON_BOARD, "list": ref(LIST), "boardTarget": {"id": OTHER_BOARD}},
        f"list:{LIST} {BOTH} cards-of:{BOARD} cards-of:{OTHER_BOARD}",
    ),
    "moveListToBoard": (
        {**ON_BOARD, "list": ref(LIST), "boardSource": {"id": OTHER_BOARD}},
        f"list:{LIST} {BOTH} cards-of:{BOARD} cards-of:{OTHER_BOARD}",
    ),
    "moveListToBoard from who knows where": (
        {**ON_BOARD, "list": ref(LIST)},
        f"list:{LIST} board:* cards-of:* spanning",
    ),
    "updateBoard": (ON_BOARD, BOARD_TAGS),
    "createBoard": (ON_BOARD, BOARD_TAGS),
    "copyBoard": (ON_BOARD, BOARD_TAGS),
    "addMemberToBoard": (ON_BOARD, BOARD_TAGS),
    "removeMemberFromBoard": (ON_BOARD, BOARD_TAGS),
    "makeAdminOfBoard": (ON_BOARD, BOARD_TAGS),
    "makeNormalMemberOfBoard": (ON_BOARD, BOARD_TAGS),
    "makeObserverOfBoard": (ON_BOARD, BOARD_TAGS),
    "updateCustomFieldItem": ({**BARE, "customField": ref(FIELD)}, CARD_TAGS),
    "createCustomField": (
        {**ON_BOARD, "customField": ref(FIELD)},
        f"customField:{FIELD} {ALL_CARDS}",
    ),
    "updateCustomField": (
        {**ON_BOARD, "customField": ref(FIELD)},
        f"customField:{FIELD} {ALL_CARDS}",
    ),
    "deleteCustomField": (
        {**ON_BOARD, "customField": {"id": FIELD}},
        f"customField:{FIELD} {ALL_CARDS}",
    ),
    "voteOnCard": (BARE, CARD_TAGS),
    "enablePlugin": ({**ON_BOARD, "plugin": ref("9" * 24)}, f"plugin:{'9' * 24} {ALL_CARDS}"),
    "disablePlugin": ({**ON_BOARD, "plugin": ref("9" * 24)}, f"plugin:{'9' * 24} {ALL_CARDS}"),
    "enablePowerUp": ({**ON_BOARD, "value": "voting"}, f"plugin:* {ALL_CARDS}"),
    "disablePowerUp": ({**ON_BOARD, "value": "voting"}, f"plugin:* {ALL_CARDS}"),
    "somethingNew on the board of the webhook": (ON_CARD, WHOLE),
    "somethingNew on another board": ({"board": ref(OTHER_BOARD)}, "everything"),
    "somethingNew of who knows what": ({}, "everything"),
    "updateMember": ({"member": ref("9" * 24)}, "everything"),
}
"""A type of action, with what is special about it after a space → its data, what it touches."""


@pytest.mark.parametrize("case", CHANGES)
def test_an_action_touches_what_shows_it(case: str) -> None:
    kind = case.split(maxsplit=1)[0].rstrip(",")
    data, touched = CHANGES[case]
    delivery = parse_delivery(body_of(kind, data))
    assert delivery is not None
    # `kind:?` goes with every id of the kind: what depends on one that was never identified.
    named = {tag for tag in delivery.tags if not tag.endswith(":?")}
    assert " ".join(sorted(named)) == " ".join(sorted(touched.split()))
    kinds = {tag.partition(":")[0] for tag in named if ":" in tag and not tag.endswith(":*")}
    assert {f"{each}:?" for each in kinds} == delivery.tags - named


@pytest.mark.parametrize("kind", [None, 7, ["updateCard"], {}, "", "UPDATECARD"])
def test_a_type_that_is_none_is_an_unknown_one(kind: object) -> None:
    known, unknown = (parse_delivery(body_of(each, ON_CARD)) for each in (kind, "somethingNew"))
    assert known == unknown != parse_delivery(body_of("updateCard", ON_CARD))


def test_a_delivery_names_action_and_model() -> None:
    delivery = parse_delivery(body_of("updateBoard", ON_BOARD, model=OTHER_BOARD))
    assert isinstance(delivery, WebhookEvent)
    assert (delivery.action, delivery.model) == (ACTION, OTHER_BOARD)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"action": 1, "model": 2}',
        b'{"action": {"id": "x"}, "model": {"id": "y"}}',
        body_of("updateCard", ON_CARD, model="me"),
        body_of("updateCard", ON_CARD) + b" " * MAX_PARSED_BYTES,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_not_to_be_understood_tells_nothing(body: bytes) -> None:
    assert parse_delivery(body) is None


NAMED = {
    "all of it": ("card:1 spanning", "spanning card:1 board:2", ""),
    "none of it": ("card:1 spanning", "", "card:1 spanning"),
    "a part": ("card:1 list:2", "card:1", "list:2"),
    "every one of a kind covers each": ("card:1 card:?", "card:*", ""),
    "one does not cover every one": ("card:*", "card:1 card:?", "card:*"),
    "another kind does not": ("card:1", "cards-of:* card:2", "card:1"),
    "everything covers all": ("card:1 board:* spanning", EVERYTHING, ""),
    "and is covered by nothing less": (EVERYTHING, "card:* board:* spanning", EVERYTHING),
}


@pytest.mark.parametrize(("tags", "named", "left"), NAMED.values(), ids=NAMED.keys())
def test_what_another_invalidation_has_left_out(tags: str, named: str, left: str) -> None:
    given_tags, given_named = ({Tag(tag) for tag in text.split()} for text in (tags, named))
    assert not_covered_by(given_tags, given_named) == set(left.split())
