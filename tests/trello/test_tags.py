"""A stored response carries what it depends on, and a doubt where it does not know."""

import json

import pytest

from proxy.trello.routes import RouteTable
from proxy.trello.tags import EVERYTHING, stored_tags

CARD, CARD_2 = "c" * 24, "d" * 24
BOARD, BOARD_2 = "b" * 24, "e" * 24
LIST = "1" * 24
MEMBER = "a" * 24
TABLE = RouteTable()


def tags_of(target: str, body: object) -> set[str]:
    """The tags of an answer to GET `target`, without those that only follow from others."""
    path, _, query = target.partition("?")
    match = TABLE.classify("GET", [segment for segment in path.split("/") if segment])
    names = [part.partition("=")[0] for part in query.split("&") if part]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    tags = stored_tags(match, names, raw)
    kinds = {tag.partition(":")[0] for tag in tags if ":" in tag}
    wild = {f"{kind}:*" for kind in kinds}
    assert {EVERYTHING, *wild} <= set(tags)
    return {str(tag) for tag in tags} - wild - {EVERYTHING}


A_CARD = {"id": CARD, "idBoard": BOARD, "idList": LIST, "shortLink": "AbCdEf12"}
MANY = [{"idBoard": f"{number:024x}"} for number in range(20)]

CASES = {
    "a card": (f"/cards/{CARD}", A_CARD, f"card:{CARD} cards-of:{BOARD}"),
    "a card by shortLink is known by both": (
        "/cards/AbCdEf12",
        A_CARD,
        f"card:AbCdEf12 card:{CARD} cards-of:{BOARD}",
    ),
    "an id that is not the first member": (
        "/cards/AbCdEf12",
        {"name": "x", "id": CARD},
        f"card:AbCdEf12 card:{CARD} cards-of:?",
    ),
    "part of a card does not tell its board": (
        f"/cards/{CARD}/attachments",
        [{"id": LIST}],
        f"card:{CARD} cards-of:?",
    ),
    "part of a card by shortLink does not tell the card": (
        "/cards/AbCdEf12/attachments",
        [],
        "card:AbCdEf12 card:? cards-of:?",
    ),
    "checklists tell the card and its board": (
        "/cards/AbCdEf12/checklists",
        [{"id": LIST, "idCard": CARD, "idBoard": BOARD}],
        f"card:AbCdEf12 card:{CARD} cards-of:{BOARD}",
    ),
    "a single field": ("/cards/AbCdEf12/name", {"_value": "x"}, "card:AbCdEf12 card:? cards-of:?"),
    "a card with its members": (
        f"/cards/{CARD}?members=true",
        A_CARD,
        f"card:{CARD} cards-of:{BOARD} member:?",
    ),
    "a card with its board and list": (
        f"/cards/{CARD}?board=true&list=true",
        A_CARD,
        f"card:{CARD} cards-of:{BOARD} board:{BOARD} list:{LIST}",
    ),
    "the board of a card": (
        f"/cards/{CARD}/board",
        {"id": BOARD},
        f"card:{CARD} cards-of:? board:{BOARD}",
    ),
    "the list of a card": (
        f"/cards/{CARD}/list",
        {"id": LIST, "idBoard": BOARD},
        f"card:{CARD} cards-of:{BOARD} list:{LIST}",
    ),
    "the actions of a card": (
        f"/cards/{CARD}/actions",
        [{"id": LIST, "data": {"old": {"idBoard": BOARD_2}}}],
        f"card:{CARD} cards-of:? action:? member:?",
    ),
    "a text that looks like a member is none": (
        f"/lists/{LIST}/cards",
        [{"desc": f'"idBoard":"{BOARD_2}"', "idBoard": BOARD}],
        f"list:{LIST} board:{BOARD}",
    ),
    "the cards of a list": (
        f"/lists/{LIST}/cards",
        [A_CARD, A_CARD],
        f"list:{LIST} board:{BOARD}",
    ),
    "an empty list does not tell its board": (
        f"/lists/{LIST}/cards",
        [],
        f"list:{LIST} board:?",
    ),
    "more boards than are worth naming": (
        f"/lists/{LIST}/cards",
        MANY,
        f"list:{LIST} board:?",
    ),
    "a list": (f"/lists/{LIST}", {"id": LIST, "idBoard": BOARD}, f"list:{LIST} board:{BOARD}"),
    "a board": (f"/boards/{BOARD}", {"id": BOARD}, f"board:{BOARD}"),
    "a board by shortLink": ("/board/XyZ", {"id": BOARD}, f"board:XyZ board:{BOARD}"),
    "a board with everything on it": (
        f"/boards/{BOARD}?cards=open&lists=open&card_members=true&actions=all",
        {"id": BOARD},
        f"board:{BOARD} member:? action:?",
    ),
    "the cards of a board by shortLink": (
        "/boards/XyZ/cards/open",
        [A_CARD],
        f"board:XyZ board:{BOARD}",
    ),
    "no cards of a board by shortLink": ("/boards/XyZ/cards", [], "board:XyZ board:?"),
    "the members of a board": (
        f"/boards/{BOARD}/members/all",
        [{"id": MEMBER}],
        f"board:{BOARD} member:?",
    ),
    "the plugin data of a board": (
        f"/boards/{BOARD}/pluginData",
        [],
        f"board:{BOARD} plugin:?",
    ),
    "me": ("/members/me", {"id": MEMBER}, f"member:me member:{MEMBER}"),
    "the boards of me": ("/members/me/boards", [], "member:me member:? spanning"),
    "the cards of a member": (f"/members/{MEMBER}/cards", [A_CARD], f"member:{MEMBER} spanning"),
    "me with my boards": (
        "/members/me?boards=open&organizations=all",
        {"id": MEMBER},
        f"member:me member:{MEMBER} spanning organization:?",
    ),
    "the boards of an organization": (
        "/organizations/acme/boards",
        [],
        "organization:acme organization:? spanning",
    ),
    "an action": ("/actions/" + LIST, {"id": LIST}, f"action:{LIST} spanning member:?"),
    "a checklist": (
        "/checklists/" + LIST,
        {"id": LIST, "idCard": CARD, "idBoard": BOARD},
        f"checklist:{LIST} card:{CARD} cards-of:{BOARD}",
    ),
    "a label": (
        "/labels/" + LIST,
        {"id": LIST, "idBoard": BOARD},
        f"label:{LIST} board:{BOARD}",
    ),
    "a custom field": (
        "/customFields/" + LIST,
        {"id": LIST, "idModel": BOARD, "modelType": "board"},
        f"customField:{LIST} board:{BOARD}",
    ),
    "options of a custom field": (
        f"/customFields/{LIST}/options",
        [],
        f"customField:{LIST} board:?",
    ),
    "a search": ("/search?query=x", {"cards": []}, "spanning member:? organization:?"),
    "notifications": (
        f"/members/{MEMBER}/notifications",
        [],
        f"member:{MEMBER} notification:?",
    ),
    "a webhook": ("/webhooks/" + LIST, {"id": LIST, "idModel": BOARD}, f"webhook:{LIST}"),
    "a token is no tag": ("/tokens/s3cret/webhooks", [], "token:? webhook:? member:?"),
    "a key is no tag": ("/applications/s3cret/compliance", [], ""),
    "the emoji of all": ("/emoji", {}, ""),
    "an answer that was cut": (
        "/cards/AbCdEf12",
        b'{"name":"x","idBoard":"',
        "card:AbCdEf12 card:? cards-of:?",
    ),
    "an answer too deep to parse": (
        "/cards/AbCdEf12",
        b'{"a":' + b"[" * 200_000,
        "card:AbCdEf12 card:? cards-of:?",
    ),
    "an object too large to parse shows only its leading id": (
        "/cards/AbCdEf12",
        b'{"id":"' + CARD.encode() + b'","x":"' + b"x" * (1 << 20) + b'"}',
        f"card:AbCdEf12 card:{CARD} cards-of:?",
    ),
    "a text instead of JSON": (f"/cards/{CARD}", b"not found", f"card:{CARD} cards-of:?"),
}


@pytest.mark.parametrize(("target", "body", "tags"), CASES.values(), ids=CASES)
def test_stored_tags(target: str, body: object, tags: str) -> None:
    assert tags_of(target, body) == set(tags.split())


def test_an_unknown_read_depends_on_everything() -> None:
    tags = tags_of("/inventions", {"id": CARD})
    assert {"card:?", "board:?", "cards-of:?", "member:?", "webhook:?", "spanning"} <= tags
