"""JSON addresses of boards and cards (`/b/{board}.json`), mapped to API targets (D44)."""

import re
from urllib.parse import unquote

from proxy.errors import NotFound

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_CSV = re.compile(r"/b/([0-9A-Za-z]{1,64})/cards\.csv")
_SUFFIX = re.compile(r"(?P<stem>.*)\.(?P<format>json|csv)", re.IGNORECASE | re.DOTALL)
_TARGETS = {
    "b": (
        "/1/boards/{}?fields=all&actions=all&action_fields=all&actions_limit=1000"
        "&cards=all&card_fields=all&card_attachments=true&card_customFieldItems=true"
        "&checklists=all&checklist_fields=all&customFields=true&labels=all&labels_limit=1000"
        "&lists=all&list_fields=all&members=all&member_fields=all"
    ),
    "c": (
        "/1/cards/{}?fields=all&actions=all&action_fields=all&actions_limit=1000"
        "&attachments=true&attachment_fields=all&checklists=all&checklist_fields=all"
        "&customFieldItems=true&members=true&member_fields=all"
    ),
}
"""By first path segment: one read of the API with everything in Trello's own export."""


def board_of_csv(raw_target: str) -> str:
    """The board of `/b/{board}/cards.csv`; empty for any other path."""
    match = _CSV.fullmatch(raw_target.partition("?")[0])
    return match[1] if match else ""


def credential_of(raw_target: str) -> list[str]:
    """The parameters of a target's query that may hold a key, token or client key."""
    query = raw_target.partition("?")[2]
    return [part for part in query.split("&") if part.startswith(("key=", "token="))]


def api_target(raw_target: str) -> str | None:
    """The API target for a target below `/b/` or `/c/`; None for a page's address.

    Only the client's own key and token are taken over from the query. NotFound for CSV, but for a
    board's cards, and for a name that is neither an id nor a shortLink.
    """
    path = raw_target.partition("?")[0]
    section, *names = [unquote(segment) for segment in path.split("/") if segment]
    suffix = _SUFFIX.fullmatch(names[-1]) if names else None
    if suffix is None:
        return None
    name = names[0] if len(names) > 1 else suffix["stem"]
    if not _ID.fullmatch(name):
        raise NotFound("Put .json behind a card's or board's web address, with its shortLink.")
    if suffix["format"].lower() == "csv":
        csv = f", a board's cards are CSV at /b/{name}/cards.csv" if section == "b" else ""
        raise NotFound(f"There is no CSV here; the data is JSON at /{section}/{name}.json{csv}.")
    return "&".join((_TARGETS[section].format(name), *credential_of(raw_target)))
