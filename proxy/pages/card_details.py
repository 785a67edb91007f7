"""Card details parsed from Trello's JSON: description, members, checklists and comments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from proxy.pages.board_data import (
    COMMENT_TYPES,
    MAX_COMMENTS,
    JsonObject,
    name_of,
    objects_in,
    position_of,
    text_of,
)
from proxy.pages.format import parse_time


@dataclass(frozen=True, slots=True)
class CheckItem:
    """An item of a checklist."""

    text: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist with its items by position."""

    title: str
    items: tuple[CheckItem, ...]

    @property
    def done(self) -> int:
        """Number of items that are done."""
        return sum(item.is_done for item in self.items)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a card."""

    author: str
    date: datetime | None
    text: str
    """Markdown."""


@dataclass(frozen=True, slots=True)
class CardDetails:
    """What a card's page shows of it and a board's does not."""

    description: str = ""
    """Markdown."""
    members: tuple[str, ...] = ()
    """Names."""
    checklists: tuple[Checklist, ...] = ()
    comments: tuple[Comment, ...] = ()
    """At most MAX_COMMENTS, newest first."""


def parse_details(card: object) -> CardDetails:
    """The details in a response to `card_target`."""
    card = card if isinstance(card, Mapping) else {}
    lists = sorted(objects_in(card.get("checklists")), key=position_of)
    comments = islice(objects_in(card.get("actions")), MAX_COMMENTS)
    return CardDetails(
        description=text_of(card, "desc").strip(),
        members=tuple(filter(None, map(name_of, objects_in(card.get("members"))))),
        checklists=tuple(map(_checklist, lists)),
        comments=tuple(comment for each in comments if (comment := _comment(each)) is not None),
    )


def _checklist(checklist: JsonObject) -> Checklist:
    items = sorted(objects_in(checklist.get("checkItems")), key=position_of)
    return Checklist(
        text_of(checklist, "name") or "Checklist",
        tuple(
            CheckItem(text_of(item, "name"), text_of(item, "state") == "complete") for item in items
        ),
    )


def _comment(action: JsonObject) -> Comment | None:
    """The comment; None for any other action."""
    data, author = action.get("data"), action.get("memberCreator")
    text = text_of(data, "text").strip() if isinstance(data, Mapping) else ""
    if not text or text_of(action, "type") not in COMMENT_TYPES:
        return None
    name = name_of(author) if isinstance(author, Mapping) else ""
    return Comment(name or "Somebody", parse_time(text_of(action, "date")), text)
