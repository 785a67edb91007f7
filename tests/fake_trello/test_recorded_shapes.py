"""The fake Trello's objects have every field of recorded ones."""

import json
from pathlib import Path
from typing import Any

import pytest

RECORDED = Path(__file__).parents[2] / "../shared/trello/recorded.jsonl"

# recorded fields that no longer exist, or that the request named
_GONE = {"idBoardsPinned", "webhooks"}

CASES = {
    "board": "/1/boards/{board}",
    "board cards (x-trello-actual-fastget-path)": "/1/boards/{board}/cards",
    "board labels": "/1/boards/{board}/labels",
    "board members": "/1/boards/{board}/members",
    "board checklists": "/1/boards/{board}/checklists",
    "card by board": "/1/boards/{board}/cards/{card}",
    "list cards": "/1/lists/{list}/cards",
    "card": "/1/cards/{card}",
    "card attachments (legacy S3 urls, previews)": "/1/cards/{card}/attachments",
    "membersVoted": "/1/cards/{card}/membersVoted",
    "action": "/1/actions/{action}",
    "checklist": "/1/checklists/{checklist}",
    "customField": "/1/customFields/{field}",
    "token": "/1/tokens/{token}",
    "members/me with weak ETag": "/1/members/me",
}


def recorded() -> dict[str, Any]:
    if not RECORDED.exists():
        return {}
    lines = (json.loads(line) for line in RECORDED.read_text().splitlines())
    return {line["tag"]: line["body"] for line in lines if line["status"] == 200}


def names_of(trello: Any) -> dict[str, str]:
    board, card = trello.example_board, trello.example_card
    trello.edit("POST", f"/1/cards/{card}/membersVoted")
    return {
        "board": board,
        "card": card,
        "list": trello.card(card)["idList"],
        "action": trello.request(f"/1/boards/{board}/actions?limit=1")[0]["id"],
        "checklist": trello.request(f"/1/boards/{board}/checklists")[0]["id"],
        "field": trello.request(f"/1/boards/{board}/customFields")[0]["id"],
        "token": "1" * 64,
    }


def first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


@pytest.mark.skipif(not RECORDED.exists(), reason="no recorded exchanges here")
@pytest.mark.parametrize(("tag", "path"), CASES.items(), ids=CASES.keys())
async def test_no_recorded_field_is_missing(client: Any, tag: str, path: str) -> None:
    real = recorded()[tag]
    real = first(json.loads(real) if isinstance(real, str) else real)
    ours = first((await client.get(path.format(**names_of(client.trello)))).json)
    assert set(real) - set(ours) <= _GONE
