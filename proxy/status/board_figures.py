"""Board figures: cards by list and by due date, from Trello's JSON; pure."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct, json

DUE_SOON_S = 86_400.0
COMPLETED_S = 7 * 86_400.0
MAX_LISTS = 50
"""Lists with a label of their own; the cards of others count as `OTHERS`."""
OTHERS = "other lists"
_NAME_CHARS = 100

BOARD_QUERY = "fields=name&lists=open&list_fields=name"
CARDS_QUERY = "fields=idList,due,dueComplete,dateLastActivity"


class _List(Struct):
    id: str
    name: str = ""


class _BoardJson(Struct):
    name: str = ""
    lists: list[_List] = []


class _CardJson(Struct):
    id: str
    idList: str = ""  # noqa: N815
    due: datetime | None = None
    dueComplete: bool = False  # noqa: N815
    dateLastActivity: datetime | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class BoardFigures:
    """What can be said of a board at any time, without its cards; POSIX seconds throughout."""

    name: str
    cards: Mapping[str, int]
    """By the name of their list."""
    due: "array[float]"
    """Due dates of cards that are not marked done, in order."""
    completed: "array[float]"
    """Last activity of cards that are, in order."""
    oldest_at: float | None
    """When the oldest card was created."""

    def overdue(self, now: float) -> int:
        """Cards whose due date has passed."""
        return bisect_left(self.due, now)

    def due_soon(self, now: float) -> int:
        """Cards due within DUE_SOON_S."""
        return bisect_right(self.due, now + DUE_SOON_S) - self.overdue(now)

    def completed_lately(self, now: float) -> int:
        """Cards marked done, and last changed within COMPLETED_S."""
        return len(self.completed) - bisect_left(self.completed, now - COMPLETED_S)

    def oldest_age_s(self, now: float) -> float | None:
        """Age of the oldest card; None without cards."""
        return None if self.oldest_at is None else max(0.0, now - self.oldest_at)


def figures_of(board: bytes, cards: bytes) -> BoardFigures:
    """The figures by responses to BOARD_QUERY and CARDS_QUERY; ValueError if they are others."""
    read = json.decode(board, type=_BoardJson)
    listed = json.decode(cards, type=list[_CardJson])
    names = {each.id: _label(each.name) for each in read.lists[:MAX_LISTS]}
    counts = dict.fromkeys(names.values(), 0)
    counts |= Counter(names.get(card.idList, OTHERS) for card in listed)
    return BoardFigures(
        name=_label(read.name),
        cards=counts,
        due=_sorted(card.due for card in listed if not card.dueComplete),
        completed=_sorted(card.dateLastActivity for card in listed if card.dueComplete),
        oldest_at=min((int(card.id[:8], 16) for card in listed), default=None),
    )


def _sorted(times: Iterator[datetime | None]) -> "array[float]":
    return array("d", sorted(each.timestamp() for each in times if each is not None))


def _label(name: str) -> str:
    """A label's value: printable, and not longer than _NAME_CHARS."""
    return "".join(filter(str.isprintable, name[:_NAME_CHARS])) or "untitled"
