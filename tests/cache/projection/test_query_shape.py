"""What is cut out of a larger answer is what Trello would have said, or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cache.projection.query_shape import (
    MOST_ITEMS,
    Projection,
    QueryShape,
    contains,
    parse_shape,
    possible_sources,
    project,
    widened,
)
from proxy.trello.resource_schema import FIELDS, INCONSISTENT_FIELDS
from proxy.trello.routes import RouteTable

RECORDED = Path(__file__).parents[3] / "../shared/trello/recorded.jsonl"
TABLE = RouteTable()
BOARD = "5e93ba403f1ab3603ba81a09"
CARD = "5e9310df53f23017628a8011"
LIST = "5e94fa1248c5e41ad0464a7f"
ONE = f"/1/cards/{CARD}"
WHOLE = f"/1/boards/{BOARD}"
CARDS = f"{WHOLE}/cards"


def shape(target: str) -> QueryShape | None:
    path, _, query = target.partition("?")
    return parse_shape(TABLE.classify("GET", path.strip("/").split("/")[1:]), query)


def known(target: str) -> QueryShape:
    found = shape(target)
    assert found is not None
    return found


def cut(body: bytes, wide: str, narrow: str) -> list[Projection | None]:
    """What every source in the answer to `wide` that may hold `narrow` gives for it."""
    asked = known(narrow)
    sources = [each for each in possible_sources(known(wide)) if contains(each.shape, asked)]
    return [project(body, each, asked) for each in sources]


def body_of(cuts: list[Projection | None]) -> bytes | None:
    assert len(cuts) == 1
    return cuts[0].body if cuts[0] else None


# What is not even compared

UNTOLD = {
    "a parameter that is not known": f"/1/cards/{CARD}?fields=name&x=1",
    "a parameter twice": f"/1/cards/{CARD}?fields=name&fields=due",
    "a callback": f"/1/cards/{CARD}?callback=f",
    "no field at all": f"/1/cards/{CARD}?fields=",
    "a field that is not known": f"/1/cards/{CARD}?fields=name,nodeId",
    "all and more": f"/1/cards/{CARD}?fields=all,name",
    "a space": f"/1/cards/{CARD}?fields=name,+due",
    "a field with two values for one object": f"/1/cards/{CARD}?fields=checkItemStates",
    "a parameter whose member is a field's": f"/1/boards/{BOARD}?memberships=all",
    "a filter that is not known": f"/1/boards/{BOARD}/cards?filter=complete",
    "a filter twice": f"/1/boards/{BOARD}/cards/open?filter=all",
    "an empty filter": f"/1/lists/{LIST}/cards?filter=",
    "a single field with a parameter": f"/1/cards/{CARD}/name?x=1",
    "a single field that is not known": f"/1/cards/{CARD}/nodeId",
    "a feed": f"/1/boards/{BOARD}/actions?fields=id",
    "a search": "/1/search?query=x",
    "a path that is not known": "/1/cards/a/b/c/d",
}


@pytest.mark.parametrize("target", UNTOLD.values(), ids=UNTOLD.keys())
def test_what_cannot_be_told_for_certain_is_asked_for(target: str) -> None:
    assert shape(target) is None


CONTAINED = {
    "named fields in all": (f"{ONE}?fields=all", f"{ONE}?fields=name"),
    "named fields in the default": (ONE, f"{ONE}?fields=name"),
    "a field in some": (f"{ONE}?fields=name,due", f"{ONE}/due"),
    "less nested": (f"{ONE}?members=true", ONE),
    "open lists in all lists": (f"{WHOLE}?lists=all", f"{WHOLE}/lists"),
    "lists in the same lists": (f"{WHOLE}?lists=open", f"{WHOLE}/lists/open"),
    "open in all": (f"{CARDS}/all?fields=all", f"{CARDS}/open?fields=name"),
    "a card in cards": (CARDS, f"{ONE}?fields=name"),
    "a card in a list's cards": (f"/1/lists/{LIST}/cards", f"{ONE}/name"),
    "a list in a board": (f"{WHOLE}?lists=all", f"/1/lists/{LIST}?fields=name"),
    "a commas' other spelling": (f"{ONE}?fields=all", f"{ONE}?fields=name%2Cdue"),
}  # fmt: skip

NOT_CONTAINED = {
    "the default in all": (f"{ONE}?fields=all", ONE),
    "all in the default": (ONE, f"{ONE}?fields=all"),
    "more than the named": (f"{ONE}?fields=name", f"{ONE}?fields=name,due"),
    "another card": (ONE, f"/1/cards/{BOARD}?fields=name"),
    "another kind": (f"/1/boards/{CARD}", f"{ONE}?fields=name"),
    "a collection in an object": (ONE, f"{ONE}/members?fields=id"),
    "more nested": (ONE, f"{ONE}?members=true"),
    "otherwise nested": (f"{ONE}?members=true", f"{ONE}?members=true&member_fields=id"),
    "all cards in the visible": (CARDS, f"{CARDS}/all?fields=id"),
    "visible cards in all": (f"{CARDS}/all", f"{CARDS}?fields=id"),
    "closed cards in the open": (f"{CARDS}/open", f"{CARDS}/closed?fields=id"),
    "another page": (f"{CARDS}?limit=5", f"{CARDS}?fields=id"),
    "open in a page of all": (f"{CARDS}/all?limit=5", f"{CARDS}/open?limit=5&fields=id"),
    "a whole card in cards": (f"{CARDS}?fields=all", f"{ONE}?fields=all"),
    "a card by its shortLink": (CARDS, "/1/cards/abcdefgh?fields=name"),
    "cards by default in a board's": (f"{WHOLE}?cards=open", f"{CARDS}/open"),
    "a page of a board's lists": (f"{WHOLE}?lists=open&lists_limit=1", f"{WHOLE}/lists"),
    "anything in one field": (f"{ONE}/name", f"{ONE}?fields=name"),
}  # fmt: skip


@pytest.mark.parametrize(("wide", "narrow"), CONTAINED.values(), ids=CONTAINED.keys())
def test_what_may_be_in_there(wide: str, narrow: str) -> None:
    assert [each for each in possible_sources(known(wide)) if contains(each.shape, known(narrow))]


@pytest.mark.parametrize(("wide", "narrow"), NOT_CONTAINED.values(), ids=NOT_CONTAINED.keys())
def test_what_is_not_in_there(wide: str, narrow: str) -> None:
    assert not [
        each for each in possible_sources(known(wide)) if contains(each.shape, known(narrow))
    ]


# What the members say

ITEM = b'{"id":"%b","name":"x","closed":%b}'
ANSWERS = {
    "copied as it stands": (
        b'{"id":"1","name":"\\u00e9","pos":1.50,"due":null}',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=pos,name"),
        b'{"id":"1","name":"\\u00e9","pos":1.50}',
    ),
    "id first, wherever it was": (
        b'{"name":"x","id":"1"}',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=name"),
        b'{"id":"1","name":"x"}',
    ),
    "a field that is missing": (
        b'{"id":"1","name":"x"}',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=name,due"),
        None,
    ),
    "a field that one of many lacks": (
        b'[{"id":"1","name":"x"},{"id":"2"}]',
        (f"/1/lists/{LIST}/cards", f"/1/lists/{LIST}/cards?fields=name"),
        None,
    ),
    "no id": (b'{"name":"x"}', (f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=name"), None),
    "no items": (b"[]", (f"/1/lists/{LIST}/cards", f"/1/lists/{LIST}/cards?fields=name"), b"[]"),
    "what follows the answer": (
        b'{"id":"1","name":"x"}\n',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=name"),
        None,
    ),
    "what follows the items": (
        b"[] ",
        (f"/1/lists/{LIST}/cards", f"/1/lists/{LIST}/cards?fields=name"),
        None,
    ),
    "a scalar by itself": (
        b'{"id":"1","due":null}',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}/due"),
        b'{"_value":null}',
    ),
    "an array by itself": (
        b'{"id":"1","idMembers":[]}',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}/idMembers"),
        None,
    ),
    "a card that is not among the cards": (
        b'[{"id":"1","name":"x"}]',
        (f"/1/lists/{LIST}/cards", f"/1/cards/{CARD}/name"),
        None,
    ),
    "what was nested is left out": (
        b'{"id":"1","name":"x","members":[{"id":"2"}]}',
        (f"/1/cards/{CARD}?members=true", f"/1/cards/{CARD}"),
        b'{"id":"1","name":"x"}',
    ),
    "nothing is left out beside a member that is not known": (
        b'{"id":"1","name":"x","agent":{},"members":[]}',
        (f"/1/cards/{CARD}?members=true", f"/1/cards/{CARD}"),
        None,
    ),
    "what is nested alike is kept": (
        b'{"id":"1","name":"x","due":null,"members":[]}',
        (f"/1/cards/{CARD}?members=true", f"/1/cards/{CARD}?members=true&fields=name"),
        b'{"id":"1","name":"x","members":[]}',
    ),
    "a board without the lists it was asked for": (
        b'{"id":"1"}',
        (f"/1/boards/{BOARD}?lists=all", f"/1/boards/{BOARD}/lists"),
        None,
    ),
    "lists that do not say whether they are closed": (
        b'{"id":"1","lists":[{"id":"2","name":"x"}]}',
        (f"/1/boards/{BOARD}?lists=all", f"/1/boards/{BOARD}/lists"),
        None,
    ),
    "bytes that are no text": (
        b'{"id":"\xff"}',
        (f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=id"),
        None,
    ),
}


@pytest.mark.parametrize(("body", "targets", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_cut_out_of_a_larger_answer(
    body: bytes, targets: tuple[str, str], expected: bytes | None
) -> None:
    assert body_of(cut(body, *targets)) == expected


def test_a_list_that_may_have_been_cut_is_not_filtered() -> None:
    targets = (f"/1/boards/{BOARD}/lists/all", f"/1/boards/{BOARD}/lists/open")
    items = [ITEM % (b"%d" % n, b"false") for n in range(MOST_ITEMS)]
    assert body_of(cut(b"[%b]" % b",".join(items), *targets)) is None
    less = b"[%b]" % b",".join(items[1:])
    assert body_of(cut(less, *targets)) == less


def test_a_depth_that_nobody_needs_is_asked_for() -> None:
    body = b'{"id":"1","name":"x","desc":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert body_of(cut(body, f"/1/cards/{CARD}", f"/1/cards/{CARD}?fields=name")) is None


def test_only_named_fields_of_known_routes_are_widened() -> None:
    narrow = known(f"/1/cards/{CARD}?fields=name&members=true")
    assert widened(narrow, "/cards/{id}") == known(f"/1/cards/{CARD}?members=true&fields=all")
    assert widened(known(f"/1/cards/{CARD}"), "/cards/{id}") is None
    assert widened(known(f"/1/cards/{CARD}/list?fields=name"), "/cards/{id}/list") is None
    assert widened(known(f"/1/cards/{CARD}/name"), "/cards/{id}/{field}") is None


# Against what was recorded


def recorded() -> list[tuple[str, str]]:
    if not RECORDED.exists():
        return []
    lines = map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())
    return [
        (_without_credentials(each["path_and_query"]), each["body"])
        for each in lines
        if each["method"] == "GET" and each["status"] == 200 and each["body"]
    ]


def _without_credentials(target: str) -> str:
    path, _, query = target.partition("?")
    kept = [each for each in query.split("&") if not each.startswith(("key=", "token="))]
    return f"{path}?{'&'.join(kept)}" if kept else path


@pytest.mark.skipif(not recorded(), reason="no recorded exchanges beside this checkout")
def test_every_recorded_answer_gives_its_own_fields() -> None:
    cuts = 0
    for target, body in recorded():
        asked = shape(target)
        if asked is None or asked.single:
            continue
        value = json.loads(body)
        items = value if isinstance(value, list) else [value]
        names = {name for item in items for name in item} & (
            FIELDS[asked.kind] - INCONSISTENT_FIELDS
        )
        for some in ({name} for name in sorted(names)):
            narrow = f"{target}{'&' if '?' in target else '?'}fields={','.join(some)}"
            if "fields=" in target:
                continue
            found = body_of(cut(body.encode(), target, narrow))
            expected = [_part(item, {"id", *some}) for item in items]
            assert found is not None
            assert json.loads(found) == (expected if isinstance(value, list) else expected[0])
            cuts += 1
    assert cuts > 100


@pytest.mark.skipif(not recorded(), reason="no recorded exchanges beside this checkout")
def test_a_recorded_part_is_what_the_recorded_whole_gives() -> None:
    whole = dict(recorded())[f"/1/boards/{BOARD}"]
    part = dict(recorded())[f"/1/boards/{BOARD}?fields=name,desc"]
    found = body_of(
        cut(whole.encode(), f"/1/boards/{BOARD}", f"/1/boards/{BOARD}?fields=name,desc")
    )
    assert found == part.encode()


def _part(item: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name in names}
