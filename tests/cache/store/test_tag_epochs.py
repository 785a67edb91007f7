"""What was asked for before an invalidation of one of its tags is not current."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.store import tag_epochs
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.model import Tag

CARD, BOARD, LIST = Tag("card:1"), Tag("board:1"), Tag("list:1")


def test_what_was_asked_before_is_invalid_and_after_is_current() -> None:
    known = TagEpochs(100)
    before = known.seq
    after = known.invalidate([CARD])
    assert after > before
    assert not known.is_current([CARD], before)
    assert known.is_current([CARD], after)


def test_one_invalid_tag_is_enough() -> None:
    known = TagEpochs(100)
    known.invalidate([CARD])
    assert not known.is_current([BOARD, CARD], 100)
    assert known.is_current([BOARD, LIST], 100)
    assert known.is_current([], 100)


def test_every_invalidation_advances_even_one_of_nothing() -> None:
    known = TagEpochs(100)
    assert [known.invalidate([]), known.invalidate([CARD]), known.invalidate([CARD])] == [
        101,
        102,
        103,
    ]


def test_all_tags_of_one_change_fall_together() -> None:
    known = TagEpochs(100)
    known.invalidate([CARD, BOARD])
    assert not known.is_current([CARD], 100)
    assert not known.is_current([BOARD], 100)


def test_an_earlier_process_is_heard() -> None:
    known = TagEpochs(100)
    known.restore({CARD: 250}, floor=200)
    assert known.seq >= 250
    assert not known.is_current([CARD], 249)
    assert known.is_current([CARD], 250)
    assert not known.is_current([BOARD], 199)
    assert known.invalidate([BOARD]) == 251


def test_the_later_of_two_invalidations_holds() -> None:
    known = TagEpochs(100)
    known.invalidate([CARD])
    known.restore({CARD: 50, BOARD: 60}, floor=0)
    assert not known.is_current([CARD], 100)
    assert known.seq == 101


def test_nothing_known_earlier_changes_nothing() -> None:
    known = TagEpochs(100)
    known.restore({}, floor=0)
    assert (known.seq, known.min_valid_seq, len(known)) == (100, 0, 0)


def test_forgetting_invalidates_more_never_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_epochs, "MAX_TAGS", 10)
    known = TagEpochs(100)
    for number in range(11):
        known.invalidate([Tag(f"card:{number}")])
    assert len(known) == 5
    assert not known.is_current([Tag("card:0")], 100)
    assert not known.is_current([Tag("never:named")], 100)
    assert known.is_current([Tag("card:0")], known.seq)
    assert not known.is_current([Tag("card:10")], known.seq - 1)


def test_what_was_invalidated_last_is_forgotten_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_epochs, "MAX_TAGS", 4)
    known = TagEpochs(100)
    for tag in ("a", "b", "c", "d", "a", "e"):
        known.invalidate([Tag(tag)])
    assert known.min_valid_seq == 104  # of `d`; `a` was named again
    assert len(known) == 2


def test_it_knows_what_was_invalidated_since_until_that_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tag_epochs, "MAX_TAGS", 4)
    known = TagEpochs(100)
    for tag in ("a", "b", "c", "a"):
        known.invalidate([Tag(tag)])
    assert known.since(100) == ["a", "c", "b"]
    assert known.since(103) == ["a"]
    assert known.since(104) == []
    known.invalidate([Tag("d"), Tag("e")])
    assert known.since(102) is None
    assert known.since(104) == ["e", "d"]


def test_a_response_requested_before_a_soft_purge_is_stale_and_valid() -> None:
    known = TagEpochs(100)
    known.mark_stale([CARD])
    assert known.is_stale([BOARD, CARD], 100)
    assert known.is_current([BOARD, CARD], 100)
    assert not known.is_stale([BOARD], 100)
    assert not known.is_stale([CARD], known.seq)


def test_an_invalidation_after_a_soft_purge_still_invalidates() -> None:
    known = TagEpochs(100)
    known.mark_stale([CARD])
    marked = known.seq
    known.invalidate([CARD])
    assert not known.is_current([CARD], marked)
    assert not known.is_stale([CARD], marked)


def test_a_soft_purge_by_an_earlier_process_is_restored() -> None:
    first, second = TagEpochs(100), TagEpochs(100)
    names = first.mark_stale([CARD])
    second.restore(dict.fromkeys(names, first.seq), floor=0)
    assert second.seq == first.seq
    assert second.is_stale([CARD], 100)
    assert second.is_current([CARD], 100)
    assert not second.is_stale([BOARD], 100)


TAGS = st.sampled_from([Tag(letter) for letter in "abcdefgh"])


@given(st.lists(st.lists(TAGS, max_size=3), max_size=30), st.lists(TAGS, max_size=3))
def test_a_bounded_memory_never_calls_current_what_an_unbounded_one_does_not(
    changes: list[list[Tag]], tags: list[Tag]
) -> None:
    bounded, unbounded = TagEpochs(0), TagEpochs(0)
    with pytest.MonkeyPatch.context() as patch:
        for change in changes:
            unbounded.invalidate(change)
        patch.setattr(tag_epochs, "MAX_TAGS", 4)
        for change in changes:
            bounded.invalidate(change)
    assert len(bounded) <= 4
    for asked in range(bounded.seq + 1):
        if bounded.is_current(tags, asked):
            assert unbounded.is_current(tags, asked)
    assert bounded.is_current(tags, bounded.seq)


@given(st.lists(st.tuples(st.booleans(), st.lists(TAGS, max_size=3)), max_size=30))
def test_a_soft_purge_is_distinct_from_an_invalidation_in_any_order(
    changes: list[tuple[bool, list[Tag]]],
) -> None:
    known = TagEpochs(0)
    removed: dict[Tag, int] = {}
    marked: dict[Tag, int] = {}
    for removes, tags in changes:
        (known.invalidate if removes else known.mark_stale)(tags)
        (removed if removes else marked).update(dict.fromkeys(tags, known.seq))
    for tag in (Tag(letter) for letter in "abcdefgh"):
        for asked in range(known.seq + 1):
            assert known.is_current([tag], asked) == (removed.get(tag, 0) <= asked)
            assert known.is_stale([tag], asked) == (marked.get(tag, 0) > asked)
