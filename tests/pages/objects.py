"""Trello's objects as pages get them."""

from typing import Any

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
