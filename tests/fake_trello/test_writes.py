"""Writing: what changes, what the feed tells of it, and which dates and counters move."""

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
async def test_what_a_write_moves(ask: Any, clock: FakeClock, effect: Effect) -> None:
    trello, names = ask.trello, names_of(ask.trello)
    card, board = trello.card(names["card"]), trello.board(names["board"])
    clock.advance(10)
    before = (card["dateLastActivity"], board["dateLastActivity"], board["ixUpdate"])
    feed = trello.request(f"/1/boards/{names['board']}/actions?filter=all&limit=1")
    params = {name: spelt(value, names) for name, value in effect.params.items()}
    heard = await ask(effect.method, effect.path.format(**names), json=params)
    assert heard.status == 200
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
async def test_parameters_may_stand_anywhere(ask: Any, form: dict[str, Any]) -> None:
    options = dict(form)
    query = options.pop("query", "")
    heard = await ask("PUT", f"/1/cards/{ask.trello.example_card}?{query}", **options)
    assert (heard.json["name"], heard.json["desc"]) == ("by query", "a,b")


async def test_a_form_may_spell_an_object_with_brackets(ask: Any) -> None:
    names = names_of(ask.trello)
    target = "/1/cards/{card}/customField/{field}/item".format(**names)
    heard = await ask("PUT", target, data={"value[number]": "7"})
    assert heard.json["value"] == {"number": "7"}
    assert heard.json["idModel"] == names["card"]


async def test_a_new_card_lies_where_it_was_put(ask: Any) -> None:
    names = names_of(ask.trello)
    body = {"name": "New", "idList": names["list"], "pos": "top", "due": "2026-12-22 01:59:00 UTC"}
    made = (await ask("POST", "/1/cards", json=body)).json
    assert made["due"] == "2026-12-22T01:59:00.000Z"
    assert made["idBoard"] == names["board"]
    assert int(made["id"][:8], 16) == int(ask.trello.clock.now())
    cards = (await ask.get(f"/1/lists/{names['list']}/cards?fields=name")).json
    assert cards[0]["name"] == "New"
    assert (await ask.get(f"/1/cards/{made['shortLink']}?fields=name")).json["id"] == made["id"]


async def test_a_card_moves_to_another_board(ask: Any) -> None:
    card, home = ask.trello.example_card, ask.trello.example_board
    other = next(b for b in ask.trello.boards if b != home)
    moved = (await ask("PUT", f"/1/cards/{card}", json={"idBoard": other})).json
    assert moved["idBoard"] == other
    assert moved["labels"] == []
    newest = [
        ask.trello.request(f"/1/boards/{board}/actions?limit=1")[0]["type"]
        for board in (home, other)
    ]
    assert newest == ["moveCardFromBoard", "moveCardToBoard"]


async def test_a_deleted_card_is_gone_everywhere(ask: Any) -> None:
    card = ask.trello.example_card
    assert (await ask("DELETE", f"/1/cards/{card}")).json == {"limits": {}}
    assert (await ask.get(f"/1/cards/{card}")).status == 404
    cards = (await ask.get(f"/1/boards/{ask.trello.example_board}/cards?fields=id")).json
    assert {"id": card} not in cards
    newest = ask.trello.request(f"/1/boards/{ask.trello.example_board}/actions?limit=1")[0]
    assert newest["type"] == "deleteCard"


async def test_a_comment_is_edited_and_deleted(ask: Any) -> None:
    card = ask.trello.example_card
    made = (await ask("POST", f"/1/cards/{card}/actions/comments", data={"text": "one"})).json
    await ask("PUT", f"/1/actions/{made['id']}", json={"text": "two"})
    feed = (await ask.get(f"/1/cards/{card}/actions")).json
    assert feed[0]["data"]["text"] == "two"
    assert (await ask("DELETE", f"/1/actions/{made['id']}")).json == {"_value": None}
    assert (await ask.get(f"/1/actions/{made['id']}")).status == 404


async def test_an_excluded_action_can_be_had_by_id(ask: Any) -> None:
    names = names_of(ask.trello)
    await ask("POST", f"/1/cards/{names['card']}/idLabels", json={"value": names["label"]})
    action = next(a for a in ask.trello.actions.all() if a["type"] == "addLabelToCard")
    assert (await ask.get(f"/1/actions/{action['id']}")).json["type"] == "addLabelToCard"


async def test_the_feed_pages_by_id_and_date(ask: Any, clock: FakeClock) -> None:
    board, card = ask.trello.example_board, ask.trello.example_card
    mark = ask.trello.now()
    clock.advance(5)
    for text in ("one", "two", "three"):
        ask.trello.edit("POST", f"/1/cards/{card}/actions/comments", {"text": text})
    feed = (await ask.get(f"/1/boards/{board}/actions?since={mark}")).json
    assert [each["data"]["text"] for each in feed] == ["three", "two", "one"]
    older = (await ask.get(f"/1/boards/{board}/actions?limit=1&before={feed[0]['id']}")).json
    assert older[0]["data"]["text"] == "two"
    newer = (await ask.get(f"/1/boards/{board}/actions?since={feed[1]['id']}")).json
    assert [each["id"] for each in newer] == [feed[0]["id"]]


async def test_check_items_are_ticked(ask: Any) -> None:
    card = ask.trello.example_card
    checklist = (await ask("POST", f"/1/cards/{card}/checklists", json={"name": "Steps"})).json
    path = f"/1/checklists/{checklist['id']}/checkItems"
    item = (await ask("POST", path, json={"name": "first"})).json
    await ask("PUT", f"/1/cards/{card}/checkItem/{item['id']}", json={"state": "complete"})
    seen = (await ask.get(f"/1/cards/{card}")).json
    assert seen["badges"]["checkItemsChecked"] == 1
    assert seen["checkItemStates"] == [{"idCheckItem": item["id"], "state": "complete"}]
    assert (await ask("DELETE", f"{path}/{item['id']}")).json == {"limits": {}}


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
    ask: Any, method: str, path: str, params: dict[str, str], status: int
) -> None:
    names = names_of(ask.trello)
    names["short"] = ask.trello.board(names["board"])["shortLink"]
    board = ask.trello.board(names["board"])
    before = (board["ixUpdate"], len(ask.trello.cards), len(ask.trello.lists))
    body = {name: value.format(**names) for name, value in params.items()}
    assert (await ask(method, path.format(**names), json=body)).status == status
    assert (board["ixUpdate"], len(ask.trello.cards), len(ask.trello.lists)) == before


async def test_a_second_vote_is_refused_in_trellos_words(ask: Any) -> None:
    path = f"/1/cards/{ask.trello.example_card}/membersVoted"
    assert (await ask("POST", path)).status == 200
    assert (await ask("POST", path)).text == "member has already voted on the card"
    assert (await ask("DELETE", f"{path}/demo")).json == {"_value": None}
    assert (await ask("DELETE", f"{path}/demo")).text == "member has not voted on the card"


async def test_deleting_a_label_takes_it_off_its_cards(ask: Any) -> None:
    names = names_of(ask.trello)
    label = ask.trello.card(names["card"])["idLabels"][0]
    await ask("DELETE", f"/1/labels/{label}")
    assert ask.trello.request(f"/1/cards/{names['card']}")["labels"] == []
