"""Authentication by key and token, and the refusals of wrong ones."""

from typing import Any

import pytest

from proxy.runtime.clock import FakeClock

KEY, TOKEN, STRANGER = "0" * 32, "1" * 64, "9" * 64
NOBODY = "f" * 24


def header(key: str, token: str) -> str:
    return f'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'


# path, query, Authorization → status, sentence
CASES: dict[str, tuple[str, str, str | None, int, str | None]] = {
    "the header works": ("/1/cards/{card}", "", header(KEY, TOKEN), 200, None),
    "so does one without a space": (
        "/1/cards/{card}",
        "",
        f'OAuth oauth_consumer_key="{KEY}",oauth_token="{TOKEN}"',
        200,
        None,
    ),
    "so does the query": ("/1/cards/{card}", f"key={KEY}&token={TOKEN}", None, 200, None),
    "the header wins over the query": (
        "/1/cards/{card}",
        "key=wrong&token=wrong",
        header(KEY, TOKEN),
        200,
        None,
    ),
    "a private board without a token is refused": (
        "/1/boards/{board}",
        "",
        None,
        401,
        "unauthorized permission requested",
    ),
    "a key alone has no scopes": ("/1/boards/{board}", f"key={KEY}", None, 401, "missing scopes"),
    "a token alone has no key": ("/1/boards/{board}", f"token={TOKEN}", None, 401, "invalid key"),
    "braces around the key spoil it": (
        "/1/boards/{board}",
        "",
        header(f"{{{KEY}}}", TOKEN),
        401,
        "invalid key",
    ),
    "an unknown token": ("/1/boards/{board}", "", header(KEY, STRANGER), 401, "invalid token"),
    "OAuth 2 is not for this": ("/1/boards/{board}", "", "Bearer abc", 401, "invalid token"),
    "the word null is no credential": (
        "/1/boards/{board}",
        "",
        "null",
        401,
        "unauthorized permission requested",
    ),
    "me without a token is refused": (
        "/1/members/me",
        "",
        None,
        401,
        "unauthorized permission requested",
    ),
    "a malformed id comes before bad credentials": (
        "/1/cards/no-such-card",
        "",
        header("x", "y"),
        400,
        "invalid id",
    ),
    "a well-formed id of nothing": (
        f"/1/cards/{NOBODY}",
        "",
        header(KEY, TOKEN),
        404,
        "The requested resource was not found.",
    ),
    "no such route": (
        "/1/cards/{card}/no/such",
        "",
        header(KEY, TOKEN),
        404,
        "Cannot GET /1/cards/{card}/no/such",
    ),
    "webhooks cannot be listed": (
        "/1/webhooks",
        "",
        header(KEY, TOKEN),
        404,
        "Cannot GET /1/webhooks",
    ),
    "a bad token in the path": ("/1/tokens/bad", "", header(KEY, TOKEN), 400, "invalid token"),
}


@pytest.mark.parametrize(
    ("path", "query", "credential", "status", "sentence"), CASES.values(), ids=CASES.keys()
)
async def test_credentials(
    client: Any, path: str, query: str, credential: str | None, status: int, sentence: str | None
) -> None:
    names = {"card": client.trello.example_card, "board": client.trello.example_board}
    fields = {"Authorization": credential} if credential else {}
    response = await client.get(f"{path.format(**names)}?{query}", headers=fields)
    assert response.status == status
    if sentence is not None:
        assert response.text == sentence.format(**names)
        assert response.fields["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("form", ["json", "data"])
async def test_a_body_may_carry_the_credential(client: Any, form: str) -> None:
    target = f"/1/cards/{client.trello.example_card}"
    body = {"key": KEY, "token": TOKEN, "name": "renamed"}
    response = await client("PUT", target, headers={}, **{form: body})
    assert (response.status, response.json["name"]) == (200, "renamed")


async def test_another_key_does_not_fit_the_token(client: Any) -> None:
    member = client.trello.add_member("sam", "Sam Sample")
    client.trello.add_token(STRANGER, member, key="8" * 32)
    path = "/1/members/me?fields=username"
    assert (await client.get(path, headers={"Authorization": header(KEY, STRANGER)})).status == 401
    good = await client.get(path, headers={"Authorization": header("8" * 32, STRANGER)})
    assert good.json["username"] == "sam"


async def test_a_second_member_sees_fewer_boards(client: Any) -> None:
    robin = client.trello.member("robin")["id"]
    client.trello.add_token(STRANGER, robin)
    fields = {"Authorization": header(KEY, STRANGER)}
    boards = (await client.get("/1/members/me/boards?fields=id", headers=fields)).json
    assert boards == [{"id": client.trello.example_board}]
    other = (await client.get("/1/members/me/boards?fields=id")).json[1]["id"]
    refused = await client.get(f"/1/boards/{other}", headers=fields)
    assert (refused.status, refused.text) == (401, "unauthorized permission requested")


async def test_a_token_that_may_not_write_does_not(client: Any) -> None:
    client.trello.add_token(STRANGER, client.trello.me["id"], write=False)
    fields = {"Authorization": header(KEY, STRANGER)}
    target = f"/1/cards/{client.trello.example_card}"
    assert (await client.get(target, headers=fields)).status == 200
    assert (await client("PUT", target, headers=fields, json={"name": "x"})).status == 401


async def test_a_token_expires(client: Any, clock: FakeClock) -> None:
    client.trello.add_token(STRANGER, client.trello.me["id"], expires=clock.now() + 60)
    fields = {"Authorization": header(KEY, STRANGER)}
    assert (await client.get("/1/members/me", headers=fields)).status == 200
    clock.advance(60)
    assert (await client.get("/1/members/me", headers=fields)).text == "invalid token"


async def test_a_revoked_token_is_invalid(client: Any) -> None:
    assert (await client("DELETE", f"/1/tokens/{TOKEN}")).json == {"_value": None}
    assert (await client.get("/1/members/me")).text == "invalid token"


WRITES = {
    "a board": ("POST", "/1/boards", {"name": "x"}),
    "a workspace": ("POST", "/1/organizations", {"displayName": "x"}),
    "a star": ("POST", "/1/members/me/boardStars", {"idBoard": "{board}"}),
    "a card": ("POST", "/1/cards", {"idList": "{list}"}),
    "a deletion": ("DELETE", "/1/boards/{board}", {}),
}


@pytest.mark.parametrize(("method", "path", "params"), WRITES.values(), ids=WRITES.keys())
async def test_a_token_for_reading_makes_nothing(
    client: Any, method: str, path: str, params: dict[str, str]
) -> None:
    client.trello.add_token(STRANGER, client.trello.me["id"], write=False)
    names = {"board": client.trello.example_board, "list": client.trello.lists.all()[0]["id"]}
    body = {name: value.format(**names) for name, value in params.items()}
    fields = {"Authorization": header(KEY, STRANGER)}
    assert (await client(method, path.format(**names), json=body, headers=fields)).status == 401
