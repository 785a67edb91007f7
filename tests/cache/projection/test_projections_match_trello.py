"""Against the stand-in: what is cut out is, byte for byte, what it says when it is asked."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

import pytest

from proxy.cache.projection.query_shape import (
    QueryShape,
    contains,
    parse_shape,
    possible_sources,
    project,
)
from proxy.fake_trello.responses import from_value
from proxy.fake_trello.service import Trello
from proxy.runtime.clock import FakeClock
from proxy.trello.resource_schema import FIELDS, INCONSISTENT_FIELDS
from proxy.trello.routes import RouteTable
from tests.samples import fill

COMPARED = 1_500
NOBODYS = "t"
TABLE = RouteTable()

PATHS = {
    "board": "boards/{board} cards/{card}/board lists/{list}/board members/me/boards",
    "card": (
        "boards/{board}/cards boards/{board}/cards/all boards/{board}/cards/open "
        "boards/{board}/cards/closed lists/{list}/cards lists/{list}/cards/all "
        "lists/{list}/cards/open cards/{card} cards/{archived}"
    ),
    "list": (
        "boards/{board}/lists boards/{board}/lists/all boards/{board}/lists/open "
        "boards/{board}/lists/closed lists/{list} lists/{closed} cards/{card}/list"
    ),
    "member": "members/me boards/{board}/members cards/{card}/members",
    "label": "labels/{label} boards/{board}/labels",
    "attachment": "cards/{card}/attachments cards/{archived}/attachments",
    "checklist": "cards/{card}/checklists boards/{board}/checklists",
    "organization": "organizations/{organization}",
}
NESTED = {
    "board": (
        "lists=open", "lists=all", "lists=all&list_fields=all", "lists=all&list_fields=name,closed",
        "lists=closed&list_fields=pos,idBoard", "cards=all", "cards=open&card_fields=all",
        "cards=closed&card_fields=name,idList", "cards=all&card_attachments=true", "members=all",
        "members=all&member_fields=username", "labels=all", "checklists=all", "customFields=true",
        "organization=true", "actions=all&actions_limit=2",
    ),
    "card": (
        "members=true", "members=true&member_fields=fullName", "attachments=true", "list=true",
        "board=true&board_fields=name", "checklists=all", "customFieldItems=true", "actions=all",
    ),
    "list": ("cards=open", "cards=all&card_fields=name"),
    "member": ("boards=all&board_fields=name", "organizations=all"),
}  # fmt: skip
OFTEN = ("card", "list")
"""Kinds that are found within a board."""
KINDS = (*OFTEN * 10, *PATHS)
MOSTLY_ALL = ("fields=all", "fields=all", None)


@pytest.fixture(scope="module")
def trello() -> Trello:
    made = Trello(FakeClock(), key="k", token=NOBODYS)
    fill(made)
    lists = made.request(f"/1/boards/{made.example_board}/lists")
    made.edit("PUT", f"/1/lists/{lists[-1]['id']}", {"closed": "true"})
    awkward = {"closed": "true", "name": 'é "quoted" \\ and 𝄞', "desc": "\u2028\x00"}
    made.edit("PUT", f"/1/cards/{made.example_card}", awkward)
    return made


class Questions:
    """Reads of a board, of what is on it, and of what that belongs to."""

    def __init__(self, trello: Trello, random: Random) -> None:
        board = trello.example_board
        cards = trello.request(f"/1/boards/{board}/cards/open")
        lists = trello.request(f"/1/boards/{board}/lists/all")
        labels = trello.request(f"/1/boards/{board}/labels")
        organizations = trello.request("/1/members/me/organizations")
        self._ids = {
            "board": board,
            "card": cards[0]["id"],
            "archived": trello.example_card,
            "list": cards[0]["idList"],
            "closed": lists[-1]["id"],
            "label": labels[0]["id"],
            "organization": organizations[0]["id"],
        }
        self._random = random

    def any(self, kind: str, fields: str | None = None) -> str:
        """A read of this kind, with some of its fields, and with something nested or nothing."""
        choice = self._random.choice
        path = choice(PATHS[kind].split()).format(**self._ids)
        if self._random.random() < 0.1:
            return f"/1/{path}/{choice(sorted(FIELDS[kind]))}"
        nested = choice(["", "", *NESTED.get(kind, ())])
        more = choice(["", "", *NESTED.get(kind, ())])
        if more.partition("=")[0] == nested.partition("=")[0]:
            more = ""
        query = "&".join(filter(None, (fields or self._fields(kind), nested, more)))
        return f"/1/{path}?{query}" if query else f"/1/{path}"

    def _fields(self, kind: str) -> str:
        names = sorted(FIELDS[kind] - INCONSISTENT_FIELDS)
        some = self._random.sample(names, k=self._random.randrange(1, min(len(names), 6)))
        named = f"fields={','.join(some)}"
        return self._random.choice(["", "fields=all", named, named])

    def related(self) -> Iterator[tuple[str, str]]:
        """A larger question and one that its answer may contain, without end."""
        while True:
            kind = self._random.choice(KINDS)
            larger = self._random.choice([kind, "board"]) if kind in OFTEN else kind
            wide, narrow = self.any(larger, self._random.choice(MOSTLY_ALL)), self.any(kind)
            held, asked = shape(wide), shape(narrow)
            if wide != narrow and held and asked and _contain(held, asked):
                yield wide, narrow


def shape(target: str) -> QueryShape | None:
    path, _, query = target.partition("?")
    return parse_shape(TABLE.classify("GET", path.split("/")[2:]), query)


def _contain(held: QueryShape, asked: QueryShape) -> bool:
    return any(contains(each.shape, asked) for each in possible_sources(held))


def cut(body: bytes, wide: str, narrow: str) -> Sequence[bytes]:
    """What the sources in an answer give, where they give anything."""
    held, asked = shape(wide), shape(narrow)
    assert held
    assert asked
    sources = [each for each in possible_sources(held) if contains(each.shape, asked)]
    found = [project(body, each, asked) for each in sources]
    return [each.body for each in found if each]


@pytest.mark.seeds(1)
def test_thousands_of_random_parts_are_what_trello_says(trello: Trello, seed: int) -> None:
    said = {}
    kinds = Counter[str]()
    related = Questions(trello, Random(seed)).related()  # noqa: S311 — the same every time
    while kinds.total() < COMPARED:
        wide, narrow = next(related)
        for target in (wide, narrow):
            if target not in said:
                said[target] = from_value(trello.request(target)).body
        for body in cut(said[wide], wide, narrow):
            assert body == said[narrow], (wide, narrow)
            same_path = wide.partition("?")[0] == narrow.partition("?")[0]
            kinds[f"{wide.split('/')[2]} → {narrow.split('/')[2]}"] += not same_path
            kinds[f"{narrow.split('/')[2]} by itself"] += same_path
    for each in ("boards", "cards", "lists", "members", "labels", "organizations"):
        assert kinds[f"{each} by itself"] > COMPARED // 1_000, kinds
    for each in ("boards → cards", "boards → lists", "lists → cards"):
        assert kinds[each] > COMPARED // 200, kinds


def test_every_field_that_the_stand_in_gives_is_known(trello: Trello) -> None:
    board = f"/1/boards/{trello.example_board}"
    for kind, target in {
        "card": f"{board}/cards?fields=all",
        "list": f"{board}/lists?fields=all",
        "label": f"{board}/labels?fields=all",
        "board": "/1/members/me/boards?fields=all",
    }.items():
        assert set(chain.from_iterable(trello.request(target))) == FIELDS[kind]
