"""Sample data: three boards with cards, comments and files."""

from dataclasses import dataclass

from proxy.fake_trello import pictures
from proxy.fake_trello.ids import iso
from proxy.fake_trello.request import File
from proxy.fake_trello.service import Trello


@dataclass(frozen=True, slots=True)
class _Card:
    name: str
    labels: str = ""
    desc: str = ""
    items: tuple[str, ...] = ()
    """Items of a checklist; one ending in "+" is complete."""
    comments: tuple[str, ...] = ()
    due_days: float | None = None
    files: tuple[File | str, ...] = ()
    """Uploads, or URLs of links."""


@dataclass(frozen=True, slots=True)
class _Board:
    name: str
    desc: str
    labels: dict[str, str]
    lists: dict[str, tuple[_Card, ...]]


_TEXT = "text/plain"
_NOTES = b"""Release 4.2

- Boards open twice as fast on the first visit.
- Attachments can be dropped anywhere on a card.
- Fixed: the calendar forgot its time zone after midnight.
"""
_INVENTORY = b"Room,Desks,Chairs,Screens\nOpen space,14,16,22\nKitchen,0,8,1\nMeeting room,1,10,2\n"

_RELEASE = _Board(
    "Release 4.2",
    "Everything that has to happen before 4.2 leaves the house.",
    {"Feature": "green", "Bug": "red", "Docs": "blue", "Blocked": "orange"},
    {
        "Ideas": (
            _Card("Dark theme for the report page", "Feature", "Asked for by three customers."),
            _Card("Keyboard shortcuts overview", "Feature,Docs"),
            _Card("Shorter error messages", "Docs", "The longest one has 214 words."),
        ),
        "In progress": (
            _Card(
                "Import boards from a spreadsheet",
                "Feature",
                "Start with CSV; the rest can wait for 4.3.",
                ("Read the header row+", "Map columns to fields+", "Show a preview", "Undo"),
                ("Works for 2 000 rows, slow above that.", "Then let us say 2 000 for now."),
                4,
            ),
            _Card(
                "Calendar forgets its time zone",
                "Bug",
                "Only after midnight, only east of Greenwich.",
                ("Write the failing test+", "Fix", "Tell the customer"),
                ("Reproduced with the clock set to 00:30.",),
                1,
            ),
            _Card("Upgrade the payment library", "Blocked", "Waits for their security fix."),
        ),
        "Review": (
            _Card(
                "New start page",
                "Feature",
                "The picture is the agreed draft.",
                comments=("The button could be larger.",),
                files=(
                    File(
                        "start page draft.png", "image/png", pictures.png(320, 200, (0, 121, 191))
                    ),
                ),
            ),
            _Card(
                "Faster first visit", "Feature", items=("Measure+", "Cut fonts+", "Measure again+")
            ),
        ),
        "Done": (
            _Card(
                "Release notes",
                "Docs",
                "To be sent with the announcement.",
                files=(
                    File("release-notes.txt", _TEXT, _NOTES),
                    "https://example.com/blog/release-4-2",
                ),
            ),
            _Card("Drop files anywhere on a card", "Feature", comments=("Lovely.",)),
        ),
    },
)

_MOVE = _Board(
    "Office move",
    "From Mill Street to Harbour Road in one weekend.",
    {"Furniture": "yellow", "IT": "purple", "Paperwork": "sky", "Urgent": "red"},
    {
        "To do": (
            _Card(
                "Book the movers",
                "Urgent,Paperwork",
                "Three offers, the cheapest comes with two vans.",
                ("Ask for offers+", "Compare+", "Sign"),
                due_days=2,
                files=(
                    File("offer.pdf", "application/pdf", pictures.pdf("Two vans, one Saturday")),
                ),
            ),
            _Card("Change the address with the bank", "Paperwork", due_days=14),
            _Card("Label all cables", "IT", items=("Printer", "Screens", "Coffee machine")),
            _Card("Order keys", "Urgent", "Fourteen, and two spare ones."),
        ),
        "Doing": (
            _Card(
                "Floor plan",
                "Furniture",
                "Who sits where; the kitchen is not up for discussion.",
                comments=("Can the window seats rotate?", "Every quarter, yes."),
                files=(File("floor-plan.svg", "image/svg+xml", pictures.svg("Harbour Road")),),
            ),
            _Card(
                "Inventory",
                "Furniture,IT",
                files=(File("inventory.csv", "text/csv", _INVENTORY),),
            ),
            _Card(
                "Internet at the new place", "IT,Urgent", "Technician comes on Tuesday.", due_days=3
            ),
        ),
    },
)

_READING = _Board(
    "Reading club",
    "One book a month, no obligations.",
    {"Novel": "pink", "Essay": "lime"},
    {
        "Proposed": (
            _Card("The Left Hand of Darkness", "Novel", comments=("Seconded.",)),
            _Card("A Room of One's Own", "Essay"),
            _Card("The Periodic Table", "Essay,Novel", "One chapter an evening."),
        ),
        "Read": (
            _Card("Invisible Cities", "Novel", comments=("Shorter than expected.",)),
            _Card("The Summer Book", "Novel"),
            _Card("Notes on Nationalism", "Essay"),
        ),
    },
)


def fill(trello: Trello) -> None:
    """Create a workspace, a colleague and three boards; set the examples."""
    workspace = trello.edit("POST", "/1/organizations", {"displayName": "Harbour Works"})
    colleague = trello.add_member("robin", "Robin Reed")
    boards = [_board(trello, each, workspace["id"]) for each in (_RELEASE, _MOVE, _READING)]
    trello.edit("PUT", f"/1/boards/{boards[0]}/members/{colleague}", {"type": "normal"})
    _custom_field(trello, boards[0])
    _examples(trello, boards[0])


def _board(trello: Trello, board: _Board, workspace_id: str) -> str:
    params = {
        "name": board.name,
        "desc": board.desc,
        "idOrganization": workspace_id,
        "defaultLists": "false",
        "defaultLabels": "false",
    }
    board_id = str(trello.edit("POST", "/1/boards", params)["id"])
    labels = {
        name: trello.edit("POST", f"/1/boards/{board_id}/labels", {"name": name, "color": color})[
            "id"
        ]
        for name, color in board.labels.items()
    }
    for name, cards in board.lists.items():
        list_params = {"name": name, "idBoard": board_id, "pos": "bottom"}
        list_id = trello.edit("POST", "/1/lists", list_params)["id"]
        for card in cards:
            ids = [labels[each] for each in card.labels.split(",") if each]
            _card(trello, card, list_id, ids)
    return board_id


def _card(trello: Trello, card: _Card, list_id: str, label_ids: list[str]) -> None:
    params = {
        "name": card.name,
        "desc": card.desc,
        "idList": list_id,
        "idLabels": label_ids,
    }
    if card.due_days is not None:
        params["due"] = _in_days(trello, card.due_days)
    card_id = trello.edit("POST", "/1/cards", params)["id"]
    if card.items:
        _checklist(trello, card_id, card.items)
    for text in card.comments:
        trello.edit("POST", f"/1/cards/{card_id}/actions/comments", {"text": text})
    for file in card.files:
        if isinstance(file, File):
            trello.upload(card_id, file, {"setCover": "true"})
        else:
            trello.edit("POST", f"/1/cards/{card_id}/attachments", {"url": file})


def _in_days(trello: Trello, days: float) -> str:
    return iso(trello.clock.now() + days * 86400)


def _checklist(trello: Trello, card_id: str, items: tuple[str, ...]) -> None:
    params = {"idCard": card_id, "name": "Steps"}
    checklist_id = trello.edit("POST", "/1/checklists", params)["id"]
    for item in items:
        params = {"name": item.rstrip("+"), "checked": str(item.endswith("+")).lower()}
        trello.edit("POST", f"/1/checklists/{checklist_id}/checkItems", params)


def _custom_field(trello: Trello, board_id: str) -> None:
    params = {"idModel": board_id, "modelType": "board", "name": "Effort", "type": "number"}
    field_id = trello.edit("POST", "/1/customFields", params)["id"]
    for days, card in enumerate(trello.request(f"/1/boards/{board_id}/cards")[:3], 1):
        path = f"/1/cards/{card['id']}/customField/{field_id}/item"
        trello.edit("PUT", path, {"value": {"number": str(days)}})


def _examples(trello: Trello, board_id: str) -> None:
    trello.example_board = board_id
    for card in trello.request(f"/1/boards/{board_id}/cards?attachments=true"):
        if card["attachments"]:
            trello.example_card = card["id"]
            url = card["attachments"][0]["url"]
            trello.example_attachment_path = url.removeprefix("https://trello.com")
            return
