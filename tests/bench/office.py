"""A day in the life of an office: boards, the tools that poll them, people, and whoever edits.

Everything is drawn from a seed, before it is known how any question is answered: whatever stands
in front of Trello is asked the same, at the same moments.
"""

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tests.bench.office_boards import Board
from tests.bench.truth import Target

HOUR_S = 3600.0
OFFICE_HOURS_S = 10 * HOUR_S
"""People and the tools that write are there for so long, from the beginning of the day on."""


@dataclass(frozen=True, slots=True)
class Read:
    """Several targets are one batch."""

    at: float
    tool: str
    targets: tuple[Target, ...]

    @property
    def path(self) -> str:
        """What is asked for."""
        if len(self.targets) == 1:
            return self.targets[0].path
        urls = (quote(target.path.removeprefix("/1"), safe="/?=&:") for target in self.targets)
        return "/1/batch?urls=" + quote(",".join(urls), safe="")


@dataclass(frozen=True, slots=True)
class Page:
    """Somebody opens the page of a card's files."""

    at: float
    tool: str
    card: str
    """A shortLink."""
    targets: tuple[Target, ...]
    """What has to be asked to make such a page."""


@dataclass(frozen=True, slots=True)
class Change:
    """A write of a tool's, or an edit in Trello's own UI."""

    at: float
    tool: str
    """Empty for an edit."""
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    board: str
    card: str


Event = Read | Page | Change


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a day is, and how busy."""

    seconds: float
    boards: int = 8
    edits_per_minute: float = 0.2
    """In Trello's UI, on each board."""
    night_at_s: float = 18 * HOUR_S
    """When everything is copied."""


class Office:
    """Who asks what, and when."""

    def __init__(self, boards: Sequence[Board], plan: Plan, seed: int, began: float) -> None:
        self._boards = boards
        self._plan = plan
        self._seed = seed
        self._began = began
        self._ends = began + plan.seconds
        self._day_ends = began + min(plan.seconds, OFFICE_HOURS_S)

    def events(self) -> Iterator[Event]:
        """The day, in order."""
        return heapq.merge(
            *self._dashboard(), *self._bot(), *self._sync(), *self._report(), *self._feed(),
            *self._wall(), self._night(), self._people(), self._writes(),
            *map(self._edits_of, self._boards),
            key=lambda event: event.at,
        )  # fmt: skip

    def _dashboard(self) -> Iterator[Iterator[Event]]:
        """A screen in the hall: every board whole, every half minute."""
        query = (
            "?fields=name,dateLastActivity,shortUrl&lists=open&list_fields=name,pos"
            "&cards=open&card_fields=name,idList,idMembers,labels,due,pos"
        )
        for board in self._boards:
            yield self._poll("dashboard", 30, Target(f"/1/boards/{board.id}{query}", board.id))

    def _bot(self) -> Iterator[Iterator[Event]]:
        """Tells a chat what moved: the cards of each board, often on the busy ones."""
        fields = "?fields=name,idList,due,dueComplete,dateLastActivity"
        for number, board in enumerate(self._boards):
            target = Target(f"/1/boards/{board.id}/cards{fields}", board.id)
            yield self._poll("bot", 10 if number < 3 else 20, target)

    def _sync(self) -> Iterator[Iterator[Event]]:
        """Mirrors chosen cards into a tracker, which knows some by id and some by shortLink."""
        for board in self._boards:
            for number, card in enumerate(board.cards[::6]):
                name = card.short if number % 2 else card.id
                path = f"/1/cards/{name}?fields=name,desc,idList,idLabels,due,closed"
                yield self._poll("sync", 60, Target(path, board.id, card.id))
        mine = Target("/1/members/me/boards?fields=name,closed,dateLastActivity&filter=open")
        yield self._poll("sync", 60, mine)

    def _report(self) -> Iterator[Iterator[Event]]:
        """A spreadsheet that asks in batches of ten."""
        targets = [
            Target(path, board.id)
            for board in self._boards
            for path in (
                f"/1/boards/{board.id}/lists?fields=name,pos",
                f"/1/boards/{board.id}/cards?fields=name,idList",
            )
        ]
        for first in range(0, len(targets), 10):
            yield self._poll("report", 45, *targets[first : first + 10])

    def _feed(self) -> Iterator[Iterator[Event]]:
        """Shows what happened, a board after the other."""
        for board in self._boards:
            path = f"/1/boards/{board.short}/actions?limit=20&fields=type,date,data"
            yield self._poll("feed", 20, Target(path, board.id))

    def _wall(self) -> Iterator[Iterator[Event]]:
        """One team's monitor, and a lamp that hangs on one card."""
        board = self._boards[0]
        for each in board.lists:
            path = f"/1/lists/{each}/cards?fields=name,idMembers,due"
            yield self._poll("wall", 10, Target(path, board.id))
        card = board.cards[0]
        yield self._poll("wall", 5, Target(f"/1/cards/{card.id}/idList", board.id, card.id))
        yield self._poll("wall", 5, Target(f"/1/boards/{board.id}/name", board.id))

    def _poll(self, tool: str, every_s: float, *targets: Target) -> Iterator[Event]:
        """Once every so many seconds, give or take a twentieth, beginning anywhere."""
        draw = self._drawing(f"{tool} {targets[0].path}")
        at = self._began + draw.uniform(0, every_s)
        while at < self._ends:
            yield Read(at, tool, targets)
            at += every_s * draw.uniform(0.95, 1.05)

    def _night(self) -> Iterator[Event]:
        """Copies every card, with what was said on it, as fast as a script does."""
        at = self._began + self._plan.night_at_s
        for board in self._boards:
            for card in board.cards:
                for path in (
                    f"/1/cards/{card.id}?fields=all&checklists=all&attachments=true",
                    f"/1/cards/{card.id}/actions?filter=commentCard",
                ):
                    if at < self._ends:
                        yield Read(at, "night", (Target(path, board.id, card.id),))
                    at += 0.05

    def _people(self) -> Iterator[Event]:
        """They open cards, and now and then the page of a card's files."""
        draw = self._drawing("people")
        for at in self._moments(draw, 20):
            board = draw.choice(self._boards)
            card = draw.choice(board.cards)
            shown = "fields=name,desc,idList,labels&attachments=true&checklists=all"
            opened = Target(f"/1/cards/{card.short}?{shown}", board.id, card.id)
            if draw.random() < 0.75:
                yield Read(at, "people", (opened,))
            else:
                others = (f"{board.id}?fields=name,shortLink,url", f"{board.id}/members")
                around = [Target(f"/1/boards/{path}", board.id) for path in others]
                yield Page(at, "people", card.short, (opened, *around))

    def _writes(self) -> Iterator[Event]:
        """What tools change, through whatever stands before Trello."""
        draw = self._drawing("writes")
        for at in self._moments(draw, 60):
            yield self._change(draw, at, draw.choice(self._boards), tool="writer")

    def _edits_of(self, board: Board) -> Iterator[Event]:
        """What people change in Trello's own UI, on any of the boards alike, day and night."""
        draw = self._drawing(f"edits {board.id}")
        at = self._began
        while True:
            at += draw.expovariate(self._plan.edits_per_minute / 60)
            if at >= self._ends:
                return
            yield self._change(draw, at, board, tool="")

    def _change(self, draw: random.Random, at: float, board: Board, tool: str) -> Change:
        card = draw.choice(board.cards)
        kind = draw.choices(list(_CHANGES), [weight for weight, *_ in _CHANGES.values()])[0]
        _, method, path, params = _CHANGES[kind]
        words = {
            "card": card.id,
            "item": card.checklist_item,
            "list": draw.choice(board.lists),
            "label": draw.choice(board.labels),
            "word": str(draw.randrange(10**6)),
            "pos": str(draw.randrange(1, 10**6)),
            "flag": draw.choice(("true", "false")),
        }
        filled = tuple((name, value.format(**words)) for name, value in params.items())
        shown = "" if kind in _OF_BOARD else card.id
        return Change(at, tool, method, path.format(**words), filled, board.id, shown)

    def _moments(self, draw: random.Random, every_s: float) -> Iterator[float]:
        """While somebody is there, so many seconds apart on average."""
        at = self._began
        while (at := at + draw.expovariate(1 / every_s)) < self._day_ends:
            yield at

    def _drawing(self, who: str) -> random.Random:
        return random.Random(f"{self._seed} {who}")  # noqa: S311 — any numbers


_CHANGES: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "move": (25, "PUT", "/1/cards/{card}", {"idList": "{list}"}),
    "comment": (20, "POST", "/1/cards/{card}/actions/comments", {"text": "Said {word}."}),
    "rename": (15, "PUT", "/1/cards/{card}", {"name": "Card {word}"}),
    "describe": (10, "PUT", "/1/cards/{card}", {"desc": "Told {word}. "}),
    "tick": (8, "PUT", "/1/cards/{card}/checkItem/{item}", {"name": "Step {word}"}),
    "labels": (8, "PUT", "/1/cards/{card}", {"idLabels": "{label}"}),
    "finish": (5, "PUT", "/1/cards/{card}", {"dueComplete": "{flag}"}),
    "place": (4, "PUT", "/1/cards/{card}", {"pos": "{pos}"}),
    "label": (3, "PUT", "/1/labels/{label}", {"name": "Label {word}"}),
    "list": (2, "PUT", "/1/lists/{list}", {"name": "List {word}"}),
}
"""How often of a hundred, and how, something is changed."""
_OF_BOARD = frozenset({"label", "list"})
