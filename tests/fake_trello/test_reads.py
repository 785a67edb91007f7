"""Reading: spellings of a path, fields, nested objects, filters."""

from typing import Any

import pytest

SPELLINGS = {
    "plural": "/1/boards/{board}",
    "singular": "/1/board/{board}",
    "capital": "/1/Board/{board}",
    "two slashes": "/1//boards/{board}",
    "a slash at the end": "/1/boards/{board}/",
    "percent-encoded": "/1/%62oards/{board}",
    "by shortLink": "/1/boards/{short}",
}


@pytest.mark.parametrize("path", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_one_board_has_many_spellings(client: Any, path: str) -> None:
    board = client.trello.example_board
    short = client.trello.board(board)["shortLink"]
    response = await client.get(path.format(board=board, short=short))
    assert response.json["id"] == board


FIELDS = {
    "a list of names": ("fields=name,closed", {"id", "name", "closed"}),
    "empty leaves the id": ("fields=", {"id"}),
    "none leaves the id": ("fields=none", {"id"}),
    "unknown names are ignored": ("fields=name,wings", {"id", "name"}),
}


@pytest.mark.parametrize(("query", "names"), FIELDS.values(), ids=FIELDS.keys())
async def test_fields(client: Any, query: str, names: set[str]) -> None:
    response = await client.get(f"/1/cards/{client.trello.example_card}?{query}")
    assert set(response.json) == names


async def test_all_fields_of_a_board_are_more_than_the_default(client: Any) -> None:
    board = f"/1/boards/{client.trello.example_board}"
    some, every = (await client.get(board)).json, (await client.get(f"{board}?fields=all")).json
    assert "dateLastActivity" not in some
    assert {"dateLastActivity", "ixUpdate", "shortLink"} < set(every)


async def test_a_scalar_field_stands_in_value(client: Any) -> None:
    response = await client.get(f"/1/boards/{client.trello.example_board}/name")
    assert response.json == {"_value": "Release 4.2"}
    assert (await client.get(f"/1/boards/{client.trello.example_board}/wings")).status == 404


async def test_a_board_embeds_its_collections(client: Any) -> None:
    query = (
        "cards=open&card_fields=name&lists=all&labels=all&members=all&checklists=all&actions=all"
    )
    board = (await client.get(f"/1/boards/{client.trello.example_board}?{query}")).json
    assert len(board["lists"]) == 4
    assert {"id", "name"} == set(board["cards"][0])
    assert {each["username"] for each in board["members"]} == {"demo", "robin"}
    assert board["labels"]
    assert board["checklists"][0]["checkItems"]
    assert board["actions"]


async def test_a_card_embeds_its_nested_resources(client: Any) -> None:
    query = "attachments=true&board=true&list=true&checklists=all&members=true&actions=commentCard"
    card = (
        await client.get(f"/1/cards/{client.trello.example_card}?{query}&customFieldItems=true")
    ).json
    assert card["board"]["id"] == client.trello.example_board
    assert card["list"]["name"] == "Review"
    assert card["attachments"][0]["previews"]
    assert card["actions"][0]["data"]["text"] == "The button could be larger."
    assert card["customFieldItems"][0]["modelType"] == "card"


async def test_lists_filter_by_state(client: Any) -> None:
    board = client.trello.example_board
    first = client.trello.request(f"/1/boards/{board}/lists")[0]["id"]
    client.trello.edit("PUT", f"/1/lists/{first}/closed", {"value": "true"})
    counts = [
        len((await client.get(f"/1/boards/{board}/lists/{which}")).json)
        for which in ("open", "closed", "all")
    ]
    assert counts == [3, 1, 4]


async def test_a_card_can_be_had_through_its_board(client: Any) -> None:
    card = client.trello.example_card
    response = await client.get(f"/1/boards/{client.trello.example_board}/cards/{card}")
    assert response.json["id"] == card
    assert (await client.get(f"/1/boards/{client.trello.example_board}/cards/open")).json[0]["id"]


async def test_members_go_by_id_username_and_me(client: Any) -> None:
    me = client.trello.me["id"]
    for name in (me, "demo", "me", "DEMO"):
        assert (await client.get(f"/1/members/{name}?fields=id")).json == {"id": me}


async def test_organizations_go_by_id_and_name(client: Any) -> None:
    found = (await client.get("/1/members/me/organizations")).json[0]
    for name in (found["id"], found["name"]):
        assert (await client.get(f"/1/organizations/{name}")).json["id"] == found["id"]
    assert len((await client.get(f"/1/organizations/{found['name']}/boards?fields=name")).json) == 3


async def test_search_finds_cards_boards_and_people(client: Any) -> None:
    cards = (await client.get("/1/search?query=calendar&modelTypes=cards")).json
    assert [card["name"] for card in cards["cards"]] == ["Calendar forgets its time zone"]
    assert "boards" not in cards
    people = (await client.get("/1/search/members/?query=robin")).json
    assert people[0]["username"] == "robin"


async def test_a_get_may_tunnel_a_write(client: Any) -> None:
    card = client.trello.example_card
    response = await client.get(f"/1/cards/{card}?_method=PUT&name=tunnelled")
    assert response.json["name"] == "tunnelled"
    assert client.trello.request(f"/1/cards/{card}")["name"] == "tunnelled"


async def test_jsonp_calls_the_clients_function(client: Any) -> None:
    response = await client.get(f"/1/cards/{client.trello.example_card}?fields=id&callback=cb1")
    assert response.text == f'/**/ cb1({{"id":"{client.trello.example_card}"}});'
    assert response.fields["Content-Type"].startswith("application/javascript")


async def test_public_boards_need_no_credentials(client: Any) -> None:
    board = client.trello.example_board
    client.trello.edit("PUT", f"/1/boards/{board}/prefs/permissionLevel", {"value": "public"})
    assert (await client.get(f"/1/boards/{board}", headers={})).status == 200


async def test_client_js_names_trello_and_the_key(client: Any) -> None:
    response = await client.get(f"/1/client.js?key={'0' * 32}", headers={})
    assert response.fields["Content-Type"].startswith("application/javascript")
    assert '"version":1,"apiEndpoint":"https://api.trello.com"' in response.text
    assert f'"key":"{"0" * 32}"' in response.text


async def test_a_tokens_member_is_shown(client: Any) -> None:
    response = await client.get(f"/1/tokens/{'1' * 64}?webhooks=true")
    assert response.json["idMember"] == client.trello.me["id"]
    assert response.json["webhooks"] == []
    assert "token" not in response.json
