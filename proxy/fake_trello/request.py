"""Request as routes get it: requester, path ids, parameters; and parameter conversion."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxy.fake_trello.errors import Refusal, invalid
from proxy.fake_trello.ids import iso, parse_date

Obj = dict[str, Any]
"""A JSON object of Trello's API."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The member and token that a request acts for; `member_id` is None without a token."""

    member_id: str | None = None
    key: str | None = None
    token: str | None = field(default=None, repr=False)
    may_write: bool = False

    def refusal(self) -> Refusal:
        """The refusal for lack of permission."""
        if self.key is not None and self.token is None:
            return Refusal(401, "missing scopes")
        return Refusal(401, "unauthorized permission requested")


@dataclass(frozen=True, slots=True)
class File:
    """A file: name, media type, content."""

    name: str
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Download:
    """The result of a download route: the file with this id."""

    file_id: str
    name: str


@dataclass(slots=True)
class Request:
    """An authenticated request; `ids` are the variable segments of the path."""

    method: str
    ids: tuple[str, ...]
    params: dict[str, Any]
    requester: Requester
    upload: File | None = None
    client: str | None = None
    """The X-Trello-Client-Identifier field, echoed to webhooks."""

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text; `default` when absent or null."""
        value = self.params.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Whether a parameter is true."""
        return as_flag(self.params.get(name))

    def number(self, name: str, default: int, most: int) -> int:
        """A parameter as an integer from 0 to `most`; 400 for anything else."""
        text = self.text(name, str(default))
        if not text.isdecimal():
            raise invalid(name)
        return min(int(text), most)


def names(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


def as_text(value: Any) -> str:
    """A text; empty for null."""
    return "" if value is None else str(value)


def as_flag(value: Any) -> bool:
    """True for true and "true" alike."""
    return value is True or str(value).lower() in ("true", "1")


def as_list(value: Any) -> list[str]:
    """A list, or a comma-separated text, as a list of texts."""
    if value is None:
        return []
    items = value if isinstance(value, list) else str(value).split(",")
    return [str(item).strip() for item in items if str(item).strip()]


def as_date(name: str, value: Any) -> str | None:
    """A date in Trello's format; None for empty and null; 400 for anything else."""
    if value in (None, "", "null"):
        return None
    try:
        return iso(parse_date(str(value)))
    except (ValueError, OverflowError, OSError):
        raise invalid(name) from None


Convert = Callable[[str, Any], Any]
CONVERTERS: dict[str, Convert] = {
    "name": lambda _, value: as_text(value),
    "desc": lambda _, value: as_text(value),
    "idList": lambda _, value: as_text(value),
    "idBoard": lambda _, value: as_text(value),
    "idAttachmentCover": lambda _, value: as_text(value) or None,
    "closed": lambda _, value: as_flag(value),
    "subscribed": lambda _, value: as_flag(value),
    "dueComplete": lambda _, value: as_flag(value),
    "isTemplate": lambda _, value: as_flag(value),
    "active": lambda _, value: as_flag(value),
    "due": as_date,
    "start": as_date,
    "idLabels": lambda _, value: as_list(value),
    "idMembers": lambda _, value: as_list(value),
}


def convert(name: str, value: Any) -> Any:
    """A parameter converted to the type of its field; text by default."""
    convert = CONVERTERS.get(name)
    if convert is not None:
        return convert(name, value)
    return value if value is None or isinstance(value, dict | int | float) else str(value)
