"""What is remembered of answers that contain others is bounded, and belongs to one partition."""

import pytest

from proxy.cache.projection import projector
from proxy.cache.projection.projector import (
    DEMAND_WINDOW_S,
    REJECTED_S,
    SUPERSETS_PER_FAMILY,
    ContainmentIndex,
    FieldDemand,
    has_items,
    items_in,
)
from proxy.cache.projection.query_shape import QueryShape, parse_shape, widened
from proxy.model import CacheKey
from proxy.trello.routes import Match, RouteTable

TABLE = RouteTable()
CARD = "5e9310df53f23017628a8011"
BOARD = "5e93ba403f1ab3603ba81a09"


def read(target: str) -> tuple[Match, QueryShape]:
    path, _, query = target.partition("?")
    match = TABLE.classify("GET", path.split("/")[2:])
    shape = parse_shape(match, query)
    assert shape
    return match, shape


def noted(found: ContainmentIndex, key: str, target: str, partition: str = "mine") -> None:
    found.add(partition, CacheKey(key), *read(target))


def keys(found: ContainmentIndex, target: str, partition: str = "mine") -> list[str]:
    return [each.key for each in found.supersets_of(partition, read(target)[1])]


def test_the_answers_stored_last_come_first_and_the_oldest_are_forgotten() -> None:
    found = ContainmentIndex()
    for n in range(SUPERSETS_PER_FAMILY + 2):
        noted(found, str(n), f"/1/cards/{CARD}")
    noted(found, "3", f"/1/cards/{CARD}")
    assert keys(found, f"/1/cards/{CARD}?fields=name") == ["3", "5", "4", "2"]


def test_another_partition_finds_nothing() -> None:
    found = ContainmentIndex()
    noted(found, "1", f"/1/boards/{BOARD}/cards")
    found.add_items("mine", ("boards", BOARD), [CARD])
    assert keys(found, f"/1/cards/{CARD}/name") == ["1"]
    assert keys(found, f"/1/cards/{CARD}/name", "theirs") == []
    assert keys(found, f"/1/boards/{BOARD}/cards?fields=name", "theirs") == []


def test_the_number_of_families_and_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "MAX_FAMILIES", 3)
    monkeypatch.setattr(projector, "MAX_ITEMS", 3)
    found = ContainmentIndex()
    ids = [f"{n:024x}" for n in range(5)]
    for each in ids:
        noted(found, each, f"/1/cards/{each}")
    noted(found, "cards", f"/1/boards/{BOARD}/cards")
    found.add_items("mine", ("boards", BOARD), ids)
    assert len(found) == 3
    assert [keys(found, f"/1/cards/{each}/name") for each in ids] == [
        [],
        [],
        ["cards"],
        [ids[3], "cards"],
        [ids[4], "cards"],
    ]


def test_the_ids_in_an_answer() -> None:
    plain = b'[{"id":"%b","x":[{"id":"%b"}]},{"id":"no"}]' % (CARD.encode(), BOARD.encode())
    assert set(items_in(plain)) == {CARD, BOARD}
    assert has_items(read(f"/1/boards/{BOARD}/cards")[1])
    assert has_items(read(f"/1/boards/{BOARD}?lists=all")[1])
    assert not has_items(read(f"/1/boards/{BOARD}")[1])


def part(fields: str, card: str = CARD) -> tuple[QueryShape, QueryShape]:
    match, narrow = read(f"/1/cards/{card}?fields={fields}")
    wide = widened(narrow, match.route.template)
    assert wide
    return narrow, wide


def test_two_sets_of_fields_within_the_window_are_a_demand_for_all() -> None:
    found = FieldDemand()
    assert not found.is_in_demand("mine", *part("name"), 0.0)
    assert not found.is_in_demand("mine", *part("name"), 1.0)
    assert not found.is_in_demand("theirs", *part("due"), 1.0)
    assert found.is_in_demand("mine", *part("due"), 2.0)
    assert found.is_in_demand("mine", *part("due"), DEMAND_WINDOW_S)
    assert not found.is_in_demand("mine", *part("due"), DEMAND_WINDOW_S + 1)


def test_a_refused_whole_is_left_alone_for_a_while() -> None:
    found = FieldDemand()
    found.is_in_demand("mine", *part("name"), 0.0)
    found.reject("mine", part("name")[1], 0.0)
    assert not found.is_in_demand("mine", *part("due"), REJECTED_S - 1)
    found.is_in_demand("mine", *part("name"), REJECTED_S)
    assert found.is_in_demand("mine", *part("due"), REJECTED_S)


def test_what_is_remembered_of_demand_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "MAX_FAMILIES", 3)
    found = FieldDemand()
    for n in range(5):
        found.is_in_demand("mine", *part("name", f"{n:024x}"), 0.0)
        found.reject("mine", part("name", f"{n:024x}")[1], 0.0)
    assert len(found) == 3
