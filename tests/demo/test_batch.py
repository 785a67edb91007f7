"""/1/batch: several GETs in one, in their order."""

from typing import Any
from urllib.parse import quote


async def test_a_batch_answers_in_order(ask: Any) -> None:
    card, board = ask.trello.example_card, ask.trello.example_board
    urls = f"/cards/{card}?fields=name,/boards/{'f' * 24},/boards/{board}/name,/cards/no-id"
    heard = (await ask.get(f"/1/batch?urls={urls}")).json
    assert heard == [
        {"200": {"id": card, "name": "New start page"}},
        {
            "name": "NotFound",
            "message": "The requested resource was not found.",
            "statusCode": 404,
        },
        {"200": {"_value": "Release 4.2"}},
        {"name": "BadRequest", "message": "invalid id", "statusCode": 400},
    ]


async def test_commas_inside_survive_one_decoding(ask: Any) -> None:
    inside = f"/cards/{ask.trello.example_card}?fields={quote('name,closed')}"
    heard = (await ask.get(f"/1/batch?urls={quote(inside, safe='')}")).json
    assert set(heard[0]["200"]) == {"id", "name", "closed"}


async def test_more_than_ten_are_refused(ask: Any) -> None:
    assert (await ask.get("/1/batch?urls=" + ",".join(["/members/me"] * 10))).status == 200
    assert (await ask.get("/1/batch?urls=" + ",".join(["/members/me"] * 11))).status == 400
    assert (await ask.get("/1/batch")).status == 400


async def test_a_batch_is_asked_once(ask: Any) -> None:
    await ask.get("/1/batch?urls=/members/me,/members/me")
    assert ask.standin.asked.total == 1
