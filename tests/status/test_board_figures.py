"""Figures of a board: what a time and the dates of its cards give."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.status.board_figures import MAX_LISTS, OTHERS, BoardFigures, figures_of

NOW = 1_800_000_000.0
DAY = 86_400.0


def figures(cards: list[dict[str, Any]], lists: list[dict[str, Any]] | None = None) -> BoardFigures:
    board = {"id": "b", "name": "Board", "lists": lists or [{"id": "l", "name": "Doing"}]}
    return figures_of(json.dumps(board).encode(), json.dumps(cards).encode())


def card(age_s: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"id": f"{int(NOW - age_s):08x}" + "0" * 16, "idList": "l", **fields}


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_cards_are_counted_by_due_date() -> None:
    cards = [
        card(due=at(-1)),
        card(due=at(-1), dueComplete=True),
        card(due=at(60)),
        card(due=at(DAY)),
        card(due=at(DAY + 1)),
        card(due=None),
    ]
    found = figures(cards)
    assert (found.overdue(NOW), found.due_soon(NOW)) == (1, 2)
    assert (found.overdue(NOW + 61), found.due_soon(NOW + 61)) == (2, 2)


def test_cards_done_are_counted_for_seven_days() -> None:
    cards = [card(dueComplete=True, dateLastActivity=at(-days * DAY)) for days in (0, 6, 7, 8)] + [
        card(dueComplete=False, dateLastActivity=at(0))
    ]
    assert figures(cards).completed_lately(NOW) == 3
    assert figures(cards).completed_lately(NOW + DAY) == 2


def test_the_oldest_card_has_an_age() -> None:
    found = figures([card(500), card(900), card(100)])
    assert found.oldest_age_s(NOW) == 900
    assert found.oldest_age_s(NOW - 10_000) == 0
    assert figures([]).oldest_age_s(NOW) is None


def test_lists_are_bounded_and_of_one_name_one() -> None:
    lists = [{"id": f"l{number}", "name": f"List {number}"} for number in range(MAX_LISTS + 5)]
    cards = [{**card(), "idList": each["id"]} for each in lists] + [{**card(), "idList": "gone"}]
    found = figures(cards, lists).cards
    assert len(found) == MAX_LISTS + 1
    assert found[OTHERS] == 6
    same = [{"id": "a", "name": "Done"}, {"id": "b", "name": "Done"}, {"id": "c", "name": "\x00"}]
    cards = [{**card(), "idList": each["id"]} for each in same]
    assert figures(cards, same).cards == {"Done": 2, "untitled": 1}
    assert set(figures([], [{"id": "a", "name": "x" * 500}]).cards) == {"x" * 100}


@pytest.mark.parametrize(
    "cards", ["{}", "[{}]", '[{"id": "zz"}]', '[{"id": 1}]', "[", '[{"id":""}]']
)
def test_what_is_no_list_of_cards_is_an_error(cards: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — of three kinds
        figures_of(b"{}", cards.encode())


@given(st.lists(st.integers(-(10**6), 10**6), max_size=20), st.integers(-(10**6), 10**6))
def test_counts_are_those_of_a_plain_loop(dues: list[int], later: int) -> None:
    found = figures([card(due=at(due)) for due in dues])
    now = NOW + later
    assert found.overdue(now) == sum(NOW + due < now for due in dues)
    assert found.due_soon(now) == sum(now <= NOW + due <= now + DAY for due in dues)
