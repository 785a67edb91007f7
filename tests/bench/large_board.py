"""Large boards: a Trello with boards of many cards, in gzip or in identity form.

Run as `python -m tests.bench.large_board PORT CARDS`. The board of number 0 has one card.
"""

import argparse
import gzip
import json
from functools import lru_cache

from aiohttp import web

FIELDS = {
    "Cache-Control": "max-age=0, must-revalidate, no-cache, no-store",
    "Content-Type": "application/json; charset=utf-8",
    "Vary": "Accept-Encoding",
}


def board_id(number: int) -> str:
    return f"{number:024x}"


def card_id(board: int, number: int) -> str:
    return f"{board:012x}{number + 1:012x}"


@lru_cache(maxsize=4)
def cards_of(board: int, cards: int) -> bytes:
    """All fields of each card of a board, about 2 kB each."""
    return json.dumps(
        [_card(board, number) for number in range(cards)], separators=(",", ":")
    ).encode()


def _card(board: int, number: int) -> dict[str, object]:
    own_id = card_id(board, number)
    label = {"id": own_id, "idBoard": board_id(board), "name": "later", "color": "green"}
    return {
        "id": own_id,
        "address": None,
        "badges": {"attachments": 1, "comments": number % 7, "checkItems": 4, "due": None},
        "checkItemStates": None,
        "closed": False,
        "coordinates": None,
        "cover": {"idAttachment": None, "color": None, "size": "normal", "brightness": "dark"},
        "creationMethod": None,
        "dateLastActivity": "2026-11-28T12:00:00.000Z",
        "desc": f"What there is to do for number {number}, at some length. " * 18,
        "descData": {"emoji": {}},
        "due": "2026-12-24T12:00:00.000Z",
        "dueComplete": False,
        "dueReminder": 1440,
        "email": None,
        "idAttachmentCover": None,
        "idBoard": board_id(board),
        "idChecklists": [own_id],
        "idLabels": [own_id],
        "idList": card_id(board, number % 10),
        "idMembers": [own_id, board_id(board)],
        "idMembersVoted": [],
        "idShort": number,
        "labels": [label],
        "limits": {},
        "locationName": None,
        "manualCoverAttachment": False,
        "name": f"Card {number}",
        "pos": 65536 * number,
        "shortLink": f"{number:04d}{board:04d}",
        "shortUrl": f"https://trello.com/c/{number:04d}{board:04d}",
        "start": None,
        "subscribed": False,
        "url": f"https://trello.com/c/{number:04d}{board:04d}/{number}-card-{number}",
    }


def app_of(cards: int) -> web.Application:
    """A Trello that has boards of so many cards."""

    @lru_cache(maxsize=4)
    def coded(board: int) -> bytes:
        return gzip.compress(cards_of(board, cards if board else 1), 6)

    async def serve(request: web.Request) -> web.Response:
        board = int(request.match_info["board"], 16)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=coded(board), headers=FIELDS | {"Content-Encoding": "gzip"})
        return web.Response(body=cards_of(board, cards if board else 1), headers=FIELDS)

    app = web.Application()
    app.router.add_get("/1/boards/{board}/cards", serve)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("cards", type=int)
    parsed = parser.parse_args()
    web.run_app(app_of(parsed.cards), host="127.0.0.1", port=parsed.port, print=None)
