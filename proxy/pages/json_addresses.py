"""JSON addresses of boards and cards: `/b/{board}.json`, as at Trello. Pure."""

import re
from urllib.parse import unquote

from proxy.errors import NotFound

_NAME = re.compile(r"[0-9A-Za-z]{1,64}")
_ASKED = re.compile(r"(?P<stem>.*)\.(?P<form>json|csv)", re.IGNORECASE | re.DOTALL)
_WHOLE = {
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
"""What Trello's own export holds, as one read of the API, by the first segment."""


def data_target(raw: str) -> str | None:
    """The API target for a raw target below `/b/` or `/c/`; None for a page's address.

    Of the query only the client's own key and token are kept. NoSuchPage for CSV, which Trello
    makes by a job of its own, and for a name that is neither an id nor a shortLink.
    """
    path, _, query = raw.partition("?")
    section, *names = [unquote(part) for part in path.split("/") if part]
    asked = _ASKED.fullmatch(names[-1]) if names else None
    if asked is None:
        return None
    name = names[0] if len(names) > 1 else asked["stem"]
    if not _NAME.fullmatch(name):
        raise NotFound("Put .json behind a card's or board's web address, with its shortLink.")
    if asked["form"].lower() == "csv":
        raise NotFound(f"There is no CSV; the same data is JSON at /{section}/{name}.json.")
    kept = [part for part in query.split("&") if part.startswith(("key=", "token="))]
    return "&".join((_WHOLE[section].format(name), *kept))
