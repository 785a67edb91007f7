"""The boards of an office, as they are in the morning."""

from dataclasses import dataclass

from proxy.fake_trello.request import File
from proxy.fake_trello.service import Trello

_LISTS = ("Next", "Doing", "Done")
_CARDS = 8
"""In each list."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that stays all day."""

    id: str
    short: str
    checklist_item: str


@dataclass(frozen=True, slots=True)
class Board:
    """A board, and what is on it in the morning."""

    id: str
    short: str
    lists: tuple[str, ...]
    labels: tuple[str, ...]
    cards: tuple[Card, ...]


def furnish(trello: Trello, boards: int) -> list[Board]:
    """Make the office's boards in an empty Trello."""
    return [_furnished(trello, number) for number in range(boards)]


def _furnished(trello: Trello, number: int) -> Board:
    name = f"Team {number}"
    params = {"name": name, "defaultLists": "false", "defaultLabels": "false"}
    board = trello.edit("POST", "/1/boards", params)
    labels = [
        trello.edit("POST", f"/1/boards/{board['id']}/labels", {"name": color, "color": color})[
            "id"
        ]
        for color in ("green", "red", "blue")
    ]
    lists = []
    cards = []
    for title in _LISTS:
        params = {"name": title, "idBoard": board["id"], "pos": "bottom"}
        lists.append(trello.edit("POST", "/1/lists", params)["id"])
        cards += [_card(trello, lists[-1], f"{title} {each}") for each in range(_CARDS)]
    short = trello.request(f"/1/boards/{board['id']}?fields=shortLink")["shortLink"]
    return Board(board["id"], short, tuple(lists), tuple(labels), tuple(cards))


def _card(trello: Trello, list_id: str, name: str) -> Card:
    params = {"idList": list_id, "name": name, "desc": f"What there is to say of {name}. " * 8}
    card = trello.edit("POST", "/1/cards", params)
    checklist = trello.edit("POST", "/1/checklists", {"idCard": card["id"], "name": "Steps"})
    path = f"/1/checklists/{checklist['id']}/checkItems"
    item = trello.edit("POST", path, {"name": "Begin"})
    if name.endswith("0"):
        trello.upload(card["id"], File("notes.txt", "text/plain", name.encode() * 20))
    return Card(card["id"], card["shortLink"], item["id"])
