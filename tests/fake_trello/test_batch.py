"""Batch route: several GETs in one request, in their order."""

from typing import Any
from urllib.parse import quote

import pytest


async def test_a_batch_responds_in_order(client: Any) -> None:
    card, board = client.trello.example_card, client.trello.example_board
    urls = f"/cards/{card}?fields=name,/boards/{'f' * 24},/boards/{board}/name,/cards/no-id"
    response = (await client.get(f"/1/batch?urls={urls}")).json
    assert response == [
        {"200": {"id": card, "name": "New start page"}},
        {
            "name": "NotFound",
            "message": "The requested resource was not found.",
            "statusCode": 404,
        },
        {"200": {"_value": "Release 4.2"}},
        {"name": "BadRequest", "message": "invalid id", "statusCode": 400},
    ]


async def test_commas_inside_survive_one_decoding(client: Any) -> None:
    inside = f"/cards/{client.trello.example_card}?fields={quote('name,closed')}"
    response = (await client.get(f"/1/batch?urls={quote(inside, safe='')}")).json
    assert set(response[0]["200"]) == {"id", "name", "closed"}


async def test_more_than_ten_are_refused(client: Any) -> None:
    assert (await client.get("/1/batch?urls=" + ",".join(["/members/me"] * 10))).status == 200
    assert (await client.get("/1/batch?urls=" + ",".join(["/members/me"] * 11))).status == 400
    assert (await client.get("/1/batch")).status == 400


async def test_a_batch_counts_as_one_request(client: Any) -> None:
    await client.get("/1/batch?urls=/members/me,/members/me")
    assert client.fake_trello.request_log.total == 1


SPELLINGS = {
    "raw": ("/boards/{}?fields=name", "/cards/{}?fields=name%252Cclosed"),
    "encoded": ("%2Fboards%2F{}%3Ffields%3Dname", "%2Fcards%2F{}%3Ffields%3Dname%252Cclosed"),
    "encoded twice": (
        "%252Fboards%252F{}%253Ffields%253Dname",
        "%252Fcards%252F{}%253Ffields%253Dname%252Cclosed",
    ),
    "an & encoded": ("/boards/{}?fields=name%26limit=5", "/cards/{}?fields=name%252Cclosed"),
    "an & not encoded": ("/boards/{}?fields=name&limit=5", "/cards/{}?fields=name%252Cclosed"),
    "no leading slash": ("boards/{}?fields=name", "cards/{}?fields=name%252Cclosed"),
}


@pytest.mark.parametrize("comma", [",", "%2C"])
@pytest.mark.parametrize("urls", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_every_spelling_of_a_list_is_understood(
    client: Any, urls: tuple[str, str], comma: str
) -> None:
    ids = (client.trello.example_board, client.trello.example_card)
    listed = comma.join(url.format(each) for url, each in zip(urls, ids, strict=True))
    response = (await client.get(f"/1/batch?urls={listed}")).json
    assert [set(item["200"]) for item in response] == [{"id", "name"}, {"id", "name", "closed"}]


async def test_a_batch_in_a_batch_is_a_failure_of_its_own(client: Any) -> None:
    response = (await client.get("/1/batch?urls=/members/me/username,/batch?urls=/members/me")).json
    assert [item.get("statusCode") for item in response] == [None, 404]
