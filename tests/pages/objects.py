"""Trello's objects as pages get them."""

from typing import Any

from proxy.pages.listing import PageContext

URL = "http://trello.internal"
NOW = 1_795_264_200.0
"""2026-11-21, 12:30 UTC."""
CONTEXT = PageContext(origin=URL, now=NOW, known_at=NOW - 600)
ATTACHMENT_ID = "6b2c" * 6


def upload(**changes: Any) -> dict[str, Any]:
    """An uploaded attachment."""
    attachment = {
        "id": ATTACHMENT_ID,
        "name": "x.png",
        "fileName": "x.png",
        "bytes": 1234,
        "date": "2026-11-21T19:58:00.000Z",
        "idMember": "m1",
        "isUpload": True,
        "url": "https://trello.com/x",
        "previews": [{"id": f"p{width}", "width": width} for width in (70, 150, 300, 600)],
    }
    return {**attachment, **changes}


def card(*attachments: object, **changes: Any) -> dict[str, Any]:
    """A card with attachments."""
    made = {"id": "5f1a" * 6, "name": "A card", "shortLink": "AbCd1234", "url": "https://t/c/x"}
    return {**made, "attachments": list(attachments), **changes}


def board(**changes: Any) -> dict[str, Any]:
    """A board with three lists, the last of them archived."""
    lists = [
        {"id": "l1", "name": "To do", "pos": 1, "closed": False},
        {"id": "l2", "name": "Done", "pos": 2, "closed": True},
        {"id": "l3", "name": "Empty", "pos": 3, "closed": False},
    ]
    return {"name": "Release", "shortLink": "EfGh5678", "url": "https://t/b/x", "lists": lists} | (
        changes
    )


def comment(text: str, author: str = "Dana Demo") -> dict[str, Any]:
    """An action by which a comment was made."""
    return {
        "type": "commentCard",
        "date": "2026-11-20T10:00:00.000Z",
        "data": {"text": text},
        "memberCreator": {"fullName": author},
    }
