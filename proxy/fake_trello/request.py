"""One request, as the routes see it: who asks, for what, with which parameters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxy.fake_trello.errors import Refusal, invalid
from proxy.fake_trello.ids import iso, parse_date

Obj = dict[str, Any]
"""An object of Trello's, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Whose eyes and hands a request has; `member_id` None is a stranger."""

    member_id: str | None = None
    key: str | None = None
    token: str | None = field(default=None, repr=False)
    may_write: bool = False

    def refuse(self) -> Refusal:
        """What this asker hears when something is not for them."""
        if self.key is not None and self.token is None:
            return Refusal(401, "missing scopes")
        return Refusal(401, "unauthorized permission requested")


@dataclass(frozen=True, slots=True)
class File:
    """Bytes with a name."""

    name: str
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Download:
    """What a download route gives: the file with this id, wherever it is kept."""

    file_id: str
    name: str


@dataclass(slots=True)
class Request:
    """A request after its credentials were read; `ids` are the variable parts of the path."""

    method: str
    ids: tuple[str, ...]
    params: dict[str, Any]
    asker: Requester
    upload: File | None = None
    client: str | None = None
    """X-Trello-Client-Identifier, echoed to webhooks."""

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text; `default` when absent or null."""
        value = self.params.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Whether a parameter says yes."""
        return as_flag(self.params.get(name))

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 0 to `most`; 400 when it is none."""
        text = self.text(name, str(default))
        if not text.isdecimal():
            raise invalid(name)
        return min(int(text), most)


def names(text: str) -> tuple[str, ...]:
    """Several names, written in one line."""
    return tuple(text.split())


def as_text(value: Any) -> str:
    """A text; null is the empty one."""
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
    """A date in Trello's spelling; empty and null mean none; 400 when it is no date."""
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


def converted(name: str, value: Any) -> Any:
    """A parameter in the type its field has; text where nothing else is known."""
    convert = CONVERTERS.get(name)
    if convert is not None:
        return convert(name, value)
    return value if value is None or isinstance(value, dict | int | float) else str(value)
