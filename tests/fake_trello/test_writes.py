"""Writes: what changes, what the feed shows, and which dates and counters change."""

from dataclasses import dataclass
from typing import Any

import pytest

from proxy.runtime.clock import FakeClock


@dataclass(frozen=True)
class Effect:
    """What one write moves."""

    method: str
    path: str
    params: dict[str, Any]
    feed: str | None
    """The newest type in the board's feed afterwards, when it is a new one."""
    moves: str
    """Whose dateLastActivity moves."""


CASES = {
    "renaming a card": Effect("PUT", "/1/cards/{card}", {"name": "x"}, "updateCard", "card board"),
    "archiving a card": Effect(
        "PUT", "/1/cards/{card}/closed", {"value": "true"}, "updateCard", "card board"
    ),
    "moving a card": Effect(
        "PUT", "/1/cards/{card}/idList", {"value": "{list}"}, "updateCard", "card board"
    ),
    "shifting a card": Effect("PUT", "/1/cards/{card}", {"pos": 99}, None, ""),
    "labelling a card": Effect(
        "POST", "/1/cards/{card}/idLabels", {"value": "{label}"}, None, "card board"
    ),
    "assigning a card": Effect(
        "POST", "/1/cards/{card}/idMembers", {"value": "{me}"}, "addMemberToCard", "card board"
    ),
    "commenting": Effect(
        "POST", "/1/cards/{card}/actions/comments", {"text": "x"}, "commentCard", "card board"
    ),
    "voting": Effect("POST", "/1/cards/{card}/membersVoted", {}, None, ""),
    "sticking": Effect("POST", "/1/cards/{card}/stickers", {"image": "huh"}, None, ""),
    "a checklist": Effect(
        "POST", "/1/checklists", {"idCard": "{card}"}, "addChecklistToCard", "card board"
    ),
    "a link": Effect(
        "POST",
        "/1/cards/{card}/attachments",
        {"url": "https://example.com/"},
        "addAttachmentToCard",
        "card board",
    ),
    "a custom field's value": Effect(
        "PUT",
        "/1/cards/{card}/customField/{field}/item",
        {"value": {"number": "9"}},
        None,
        "card board",
    ),
    "a custom field's definition": Effect(
        "PUT", "/1/customFields/{field}", {"name": "x"}, None, ""
    ),
    "a label's own name": Effect("PUT", "/1/labels/{label}", {"name": "x"}, None, ""),
    "a new label": Effect("POST", "/1/labels", {"name": "x", "idBoard": "{board}"}, None, ""),
    "a list's name": Effect("PUT", "/1/lists/{list}", {"name": "x"}, "updateList", "board"),
    "a list's place": Effect("PUT", "/1/lists/{list}", {"pos": 1}, None, ""),
    "a board's name": Effect("PUT", "/1/boards/{board}", {"name": "x"}, "updateBoard", "board"),
    "a board's prefs": Effect(
        "PUT", "/1/boards/{board}/prefs/voting", {"value": "members"}, "updateBoard", ""
    ),
}


def names_of(trello: Any) -> dict[str, str]:
    board = trello.example_board
    return {
        "board": board,
        "card": trello.example_card,
        "list": trello.request(f"/1/boards/{board}/lists")[0]["id"],
        "label": trello.request(f"/1/boards/{board}/labels")[1]["id"],
        "field": trello.request(f"/1/boards/{board}/customFields")[0]["id"],
        "me": trello.me["id"],
    }


def spelt(value: Any, names: dict[str, str]) -> Any:
    return value.format(**names) if isinstance(value, str) else value


@pytest.mark.parametrize("effect", CASES.values(), ids=CASES.keys())
async def test_what_a_write_moves(client: Any, clock: FakeClock, effect: Effect) -> None:
    trello, names = client.trello, names_of(client.trello)
    card, board = trello.card(names["card"]), trello.board(names["board"])
    clock.advance(10)
    before = (card["dateLastActivity"], board["dateLastActivity"], board["ixUpdate"])
    feed = trello.request(f"/1/boards/{names['board']}/actions?filter=all&limit=1")
    params = {name: spelt(value, names) for name, value in effect.params.items()}
    response = await client(effect.method, effect.path.format(**names), json=params)
    assert response.status == 200
    assert (card["dateLastActivity"] != before[0]) is ("card" in effect.moves)
    assert (board["dateLastActivity"] != before[1]) is ("board" in effect.moves)
    assert board["ixUpdate"] > before[2]
    newest = trello.request(f"/1/boards/{names['board']}/actions?filter=all&limit=1")
    if effect.feed is None:
        assert newest[0]["id"] == feed[0]["id"]
    else:
        assert newest[0]["id"] > feed[0]["id"]
        assert newest[0]["type"] == effect.feed


FORMS = {
    "query": {"query": "name=by+query&desc=a,b"},
    "form": {"data": {"name": "by query", "desc": "a,b"}},
    "json": {"json": {"name": "by query", "desc": "a,b"}},
    "json without its type": {"data": b'{"name": "by query", "desc": "a,b"}'},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_parameters_may_stand_anywhere(client: Any, form: dict[str, Any]) -> None:
    options = dict(form)
    query = options.pop("query", "")
    response = await client("PUT", f"/1/cards/{client.trello.example_card}?{query}", **options)
    assert (response.json["name"], response.json["desc"]) == ("by query", "a,b")


async def test_a_form_may_spell_an_object_with_brackets(client: Any) -> None:
    names = names_of(client.trello)
    target = "/1/cards/{card}/customField/{field}/item".format(**names)
    response = await client("PUT", target, data={"value[number]": "7"})
    assert response.json["value"] == {"number": "7"}
    assert response.json["idModel"] == names["card"]


async def test_a_new_card_lies_where_it_was_put(client: Any) -> None:
    names = names_of(client.trello)
    body = {"name": "New", "idList": names["list"], "pos": "top", "due": "2026-12-22 01:59:00 UTC"}
    made = (await client("POST", "/1/cards", json=body)).json
    assert made["due"] == "2026-12-22T01:59:00.000Z"
    assert made["idBoard"] == names["board"]
    assert int(made["id"][:8], 16) == int(client.trello.clock.now())
    cards = (await client.get(f"/1/lists/{names['list']}/cards?fields=name")).json
    assert cards[0]["name"] == "New"
    assert (await client.get(f"/1/cards/{made['shortLink']}?fields=name")).json["id"] == made["id"]


async def test_a_card_moves_to_another_board(client: Any) -> None:
    card, home = client.trello.example_card, client.trello.example_board
    other = next(b for b in client.trello.boards if b != home)
    moved = (await client("PUT", f"/1/cards/{card}", json={"idBoard": other})).json
    assert moved["idBoard"] == other
    assert moved["labels"] == []
    newest = [
        client.trello.request(f"/1/boards/{board}/actions?limit=1")[0]["type"]
        for board in (home, other)
    ]
    assert newest == ["moveCardFromBoard", "moveCardToBoard"]


async def test_a_deleted_card_is_gone_everywhere(client: Any) -> None:
    card = client.trello.example_card
    assert (await client("DELETE", f"/1/cards/{card}")).json == {"limits": {}}
    assert (await client.get(f"/1/cards/{card}")).status == 404
    cards = (await client.get(f"/1/boards/{client.trello.example_board}/cards?fields=id")).json
    assert {"id": card} not in cards
    newest = client.trello.request(f"/1/boards/{client.trello.example_board}/actions?limit=1")[0]
    assert newest["type"] == "deleteCard"


async def test_a_comment_is_edited_and_deleted(client: Any) -> None:
    card = client.trello.example_card
    made = (await client("POST", f"/1/cards/{card}/actions/comments", data={"text": "one"})).json
    await client("PUT", f"/1/actions/{made['id']}", json={"text": "two"})
    feed = (await client.get(f"/1/cards/{card}/actions")).json
    assert feed[0]["data"]["text"] == "two"
    assert (await client("DELETE", f"/1/actions/{made['id']}")).json == {"_value": None}
    assert (await client.get(f"/1/actions/{made['id']}")).status == 404


async def test_an_excluded_action_can_be_had_by_id(client: Any) -> None:
    names = names_of(client.trello)
    await client("POST", f"/1/cards/{names['card']}/idLabels", json={"value": names["label"]})
    action = next(a for a in client.trello.actions.all() if a["type"] == "addLabelToCard")
    assert (await client.get(f"/1/actions/{action['id']}")).json["type"] == "addLabelToCard"


async def test_the_feed_pages_by_id_and_date(client: Any, clock: FakeClock) -> None:
    board, card = client.trello.example_board, client.trello.example_card
    mark = client.trello.now()
    clock.advance(5)
    for text in ("one", "two", "three"):
        client.trello.edit("POST", f"/1/cards/{card}/actions/comments", {"text": text})
    feed = (await client.get(f"/1/boards/{board}/actions?since={mark}")).json
    assert [each["data"]["text"] for each in feed] == ["three", "two", "one"]
    older = (await client.get(f"/1/boards/{board}/actions?limit=1&before={feed[0]['id']}")).json
    assert older[0]["data"]["text"] == "two"
    newer = (await client.get(f"/1/boards/{board}/actions?since={feed[1]['id']}")).json
    assert [each["id"] for each in newer] == [feed[0]["id"]]


async def test_check_items_are_ticked(client: Any) -> None:
    card = client.trello.example_card
    checklist = (await client("POST", f"/1/cards/{card}/checklists", json={"name": "Steps"})).json
    path = f"/1/checklists/{checklist['id']}/checkItems"
    item = (await client("POST", path, json={"name": "first"})).json
    await client("PUT", f"/1/cards/{card}/checkItem/{item['id']}", json={"state": "complete"})
    seen = (await client.get(f"/1/cards/{card}")).json
    assert seen["badges"]["checkItemsChecked"] == 1
    assert seen["checkItemStates"] == [{"idCheckItem": item["id"], "state": "complete"}]
    assert (await client("DELETE", f"{path}/{item['id']}")).json == {"limits": {}}


REFUSED = {
    "a list that is none": ("POST", "/1/cards", {"idList": "nonsense"}, 400),
    "a shortLink in a body": ("POST", "/1/lists", {"name": "x", "idBoard": "{short}"}, 400),
    "a date that is none": ("PUT", "/1/cards/{card}", {"due": "tomorrow"}, 400),
    "a list without a name": ("POST", "/1/lists", {"idBoard": "{board}"}, 400),
    "a place that is none": ("PUT", "/1/cards/{card}", {"pos": "left"}, 400),
    "an unknown field": ("PUT", "/1/cards/{card}/wings", {"value": "two"}, 404),
}


@pytest.mark.parametrize(
    ("method", "path", "params", "status"), REFUSED.values(), ids=REFUSED.keys()
)
async def test_a_refused_write_changes_nothing(
    client: Any, method: str, path: str, params: dict[str, str], status: int
) -> None:
    names = names_of(client.trello)
    names["short"] = client.trello.board(names["board"])["shortLink"]
    board = client.trello.board(names["board"])
    before = (board["ixUpdate"], len(client.trello.cards), len(client.trello.lists))
    body = {name: value.format(**names) for name, value in params.items()}
    assert (await client(method, path.format(**names), json=body)).status == status
    assert (board["ixUpdate"], len(client.trello.cards), len(client.trello.lists)) == before


async def test_a_second_vote_is_refused_in_trellos_words(client: Any) -> None:
    path = f"/1/cards/{client.trello.example_card}/membersVoted"
    assert (await client("POST", path)).status == 200
    assert (await client("POST", path)).text == "member has already voted on the card"
    assert (await client("DELETE", f"{path}/demo")).json == {"_value": None}
    assert (await client("DELETE", f"{path}/demo")).text == "member has not voted on the card"


async def test_deleting_a_label_takes_it_off_its_cards(client: Any) -> None:
    names = names_of(client.trello)
    label = client.trello.card(names["card"])["idLabels"][0]
    await client("DELETE", f"/1/labels/{label}")
    assert client.trello.request(f"/1/cards/{names['card']}")["labels"] == []
