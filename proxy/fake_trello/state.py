"""State of the fake Trello: objects by id and by parent; no HTTP."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from proxy.fake_trello.errors import not_found
from proxy.fake_trello.ids import Ids, iso
from proxy.fake_trello.request import File, Obj
from proxy.runtime.clock import Clock

_STEP = 16384.0


class Table:
    """Objects of one kind, by id and by the id in their field `parent`."""

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._by_id: dict[str, Obj] = {}
        self._by_parent: dict[str, dict[str, Obj]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def put(self, obj: Obj) -> Obj:
        """Store an object."""
        self._by_id[obj["id"]] = obj
        self._by_parent.setdefault(obj[self._parent], {})[obj["id"]] = obj
        return obj

    def drop(self, obj: Obj) -> None:
        """Delete an object."""
        self._by_id.pop(obj["id"], None)
        self._by_parent.get(obj[self._parent], {}).pop(obj["id"], None)

    def move(self, obj: Obj, parent_id: str) -> None:
        """Change an object's parent."""
        self.drop(obj)
        obj[self._parent] = parent_id
        self.put(obj)

    def of(self, parent_id: str) -> list[Obj]:
        """The objects of one parent, in order of creation."""
        return list(self._by_parent.get(parent_id, {}).values())

    def all(self) -> list[Obj]:
        """All objects, in order of creation."""
        return list(self._by_id.values())

    def find(self, object_id: str) -> Obj | None:
        """The object with this id; None when there is none."""
        return self._by_id.get(object_id)

    def get(self, object_id: str) -> Obj:
        """The object with this id; 404 when there is none."""
        obj = self._by_id.get(object_id)
        if obj is None:
            raise not_found()
        return obj


Listener = Callable[[Obj, str | None], None]
"""Called with each action and its client's X-Trello-Client-Identifier."""


class State:
    """All objects, tokens and files."""

    def __init__(self, clock: Clock, ids_at: float | None = None) -> None:
        """`ids_at`: the time in all ids, in POSIX seconds; None: each has its own."""
        self.clock = clock
        self.ids = Ids(ids_at)
        self.members: dict[str, Obj] = {}
        self.organizations: dict[str, Obj] = {}
        self.boards: dict[str, Obj] = {}
        self.aliases: dict[str, str] = {}
        """Ids by shortLink, username and organization name."""
        self.lists = Table("idBoard")
        self.labels = Table("idBoard")
        self.cards = Table("idBoard")
        self.checklists = Table("idCard")
        self.attachments = Table("idCard")
        self.stickers = Table("idCard")
        self.custom_fields = Table("idModel")
        self.custom_items = Table("idModel")
        self.actions = Table("idBoard")
        self.exports = Table("idBoard")
        self.webhooks = Table("idToken")
        self.stars = Table("idMember")
        self.tokens: dict[str, Obj] = {}
        self.files: dict[str, File] = {}
        self.listeners: list[Listener] = []
        self.hidden: frozenset[str] = frozenset()
        """Fields left out of responses, such as `ixUpdate`, which Trello does not document."""

    def now(self) -> str:
        """The time in Trello's format."""
        return iso(self.clock.now())

    def new_id(self) -> str:
        """A new id."""
        return self.ids.new(self.clock.now())

    def board(self, ref: str) -> Obj:
        """A board by id or shortLink; 404 when there is none."""
        return _by_ref(self.boards, self.aliases, ref)

    def card(self, ref: str) -> Obj:
        """A card by id or shortLink; 404 when there is none."""
        return self.cards.get(self.aliases.get(ref, ref))

    def member(self, ref: str) -> Obj:
        """A member by id or username; 404 when there is none."""
        return _by_ref(self.members, self.aliases, ref.lower())

    def organization(self, ref: str) -> Obj:
        """An organization by id or name; 404 when there is none."""
        return _by_ref(self.organizations, self.aliases, ref)

    def cards_of_list(self, list_: Obj) -> list[Obj]:
        """The cards of one list, top first."""
        cards = self.cards.of(list_["idBoard"])
        return by_pos(card for card in cards if card["idList"] == list_["id"])

    def forget_card(self, card: Obj) -> None:
        """Delete a card with its attachments, checklists, stickers and values; not its actions."""
        for attachment in self.attachments.of(card["id"]):
            self.forget_attachment(attachment)
        for backend in (self.checklists, self.stickers, self.custom_items):
            for each in backend.of(card["id"]):
                backend.drop(each)
        self.cards.drop(card)
        self.aliases.pop(card["shortLink"], None)

    def forget_attachment(self, attachment: Obj) -> None:
        """Delete an attachment, its file and its previews."""
        self.attachments.drop(attachment)
        for each in (attachment, *attachment["previews"]):
            self.files.pop(each["id"], None)

    def touch(self, board: Obj, card: Obj | None = None, *, activity: bool = True) -> None:
        """Increment a board's update counter; with `activity`, set dateLastActivity too."""
        board["ixUpdate"] += 1
        if not activity:
            return
        board["dateLastActivity"] = self.now()
        if card is not None:
            card["dateLastActivity"] = board["dateLastActivity"]


def _by_ref(objects: dict[str, Obj], aliases: dict[str, str], ref: str) -> Obj:
    obj = objects.get(aliases.get(ref, ref))
    if obj is None:
        raise not_found()
    return obj


def by_pos(objects: Iterable[Obj]) -> list[Obj]:
    """The objects sorted by position."""
    return sorted(objects, key=_pos)


def _pos(obj: Obj) -> float:
    return float(obj["pos"])


def position(requested: Any, siblings: list[Obj]) -> float:
    """The position for "top", "bottom" or a number; the bottom for anything else."""
    positions = [_pos(sibling) for sibling in siblings]
    pos = min(positions) / 2 if requested == "top" and positions else as_number(requested)
    if not math.isfinite(pos):
        pos = max(positions, default=0) + _STEP
    return int(pos) if pos.is_integer() else pos


def as_number(value: Any) -> float:
    """The value of a number or a numeric text; NaN for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
