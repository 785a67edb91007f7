"""What answers about every board say: which moved, what is watched, and when to ask again."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.boards import is_watched
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.changes.poll_diff import (
    BoardVersion,
    PollDiff,
    Polled,
    diff,
    interval_s,
    parse_versions,
    pause_s,
    watched_since,
    with_list,
)
from proxy.model import Tag
from proxy.trello.routes import RouteTable
from proxy.trello.tags import SPANNING, stored_tags
from proxy.trello.write_effects import board_tags

ONE, TWO, CARD = "1" * 24, "2" * 24, "c" * 24
SHOWN = {"id": ONE, "dateLastActivity": "2026-11-21T10:00:00.000Z", "shortLink": "abcd1234"}
ACTIVE = SHOWN["dateLastActivity"]

BODIES: dict[str, tuple[Any, dict[str, BoardVersion] | None]] = {
    "with a count of updates": (
        [{**SHOWN, "ixUpdate": "17"}], {ONE: BoardVersion("abcd1234", "17", ACTIVE)}
    ),
    "a count that is a number": (
        [{**SHOWN, "ixUpdate": 17}], {ONE: BoardVersion("abcd1234", "17", ACTIVE)}
    ),
    "without one": ([SHOWN], {ONE: BoardVersion("abcd1234", "", ACTIVE)}),
    "never active": ([{**SHOWN, "dateLastActivity": None}], {}),
    "no word of activity": ([{"id": ONE, "ixUpdate": "17"}], {}),
    "an empty word of it": ([{**SHOWN, "dateLastActivity": ""}], {}),
    "something that is no id": ([{**SHOWN, "id": "abcd1234"}], {}),
    "no boards": ([], {}),
    "an object": ({"boards": []}, None),
    "a list of texts": ([ONE], None),
    "a text": ("error", None),
}  # fmt: skip


@pytest.mark.parametrize(("shown", "marks"), BODIES.values(), ids=BODIES)
def test_marks(shown: Any, marks: dict[str, BoardVersion] | None) -> None:
    polled = parse_versions(json.dumps(shown).encode())
    is_whole = marks is not None and len(marks) == len(shown)
    assert polled == (None if marks is None else Polled(marks, is_whole))


@pytest.mark.parametrize("body", [b"", b"<html>", b'[{"id":"1', b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_no_answer(body: bytes) -> None:
    assert parse_versions(body) is None


def test_more_boards_than_can_be_watched_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.changes.poll_diff.MAX_BOARDS", 1)
    body = json.dumps([SHOWN, {**SHOWN, "id": TWO}]).encode()
    assert parse_versions(body) == Polled(
        {ONE: BoardVersion("abcd1234", "", ACTIVE)}, is_complete=False
    )


def test_the_list_is_watched_since_the_last_of_its_boards_is_if_none_is_missing() -> None:
    assert with_list({ONE: 3, TWO: 5}, is_complete=True) == {ONE: 3, TWO: 5, SPANNING: 5}
    assert with_list({ONE: 3}, is_complete=False) == {ONE: 3}
    assert with_list({}, is_complete=True) == {}


def _mark(updates: str = "1", active: str = ACTIVE) -> BoardVersion:
    return BoardVersion("", updates, active)


DIFFERENCES = {
    "nothing": (_mark(), _mark(), False),
    "the count": (_mark("1"), _mark("2"), True),
    "the count, backwards": (_mark("2"), _mark("1"), True),
    "the activity": (_mark(), _mark(active="2026-11-21T10:00:01.000Z"), True),
    "the activity, backwards": (_mark(), _mark(active="2020-01-01T00:00:00.000Z"), True),
    "a count that is no more shown": (_mark("1"), _mark(""), True),
    "a count that is shown again": (_mark(""), _mark("1"), True),
}


@pytest.mark.parametrize(("before", "now", "moved"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_any_difference_is_a_move(before: BoardVersion, now: BoardVersion, *, moved: bool) -> None:
    told = diff({ONE: before, TWO: _mark()}, {ONE: now, TWO: _mark()})
    assert told == PollDiff({ONE} if moved else set(), set(), set())
    assert told.changed_tags == (board_tags(ONE) if moved else frozenset())


def test_a_board_that_appears_or_vanishes_touches_itself_and_every_list_of_boards() -> None:
    appeared, vanished = diff({}, {ONE: _mark()}), diff({ONE: _mark()}, {})
    assert (appeared.appeared, vanished.vanished) == ({ONE}, {ONE})
    for told in (appeared, vanished):
        assert not told.changed
        assert told.changed_tags == board_tags(ONE) | {"member:*", "organization:*"}


TABLE = RouteTable()


def test_a_board_that_stays_is_watched_since_it_was_first_seen() -> None:
    first = watched_since({}, {ONE: _mark()}, 100)
    later = watched_since(first, {ONE: _mark("2"), TWO: _mark()}, 200)
    assert later == {ONE: 100, TWO: 200}
    assert watched_since(watched_since(later, {TWO: _mark()}, 300), {ONE: _mark("2")}, 400) == {
        ONE: 400
    }


def test_the_interval_keeps_to_a_fifth_of_the_limit() -> None:
    assert [interval_s(wanted, 100, 10.0) for wanted in (10.0, 1.0, 0.1)] == [10.0, 1.0, 0.5]
    assert interval_s(10.0, 1, 10.0) == 50.0


def test_one_failure_is_no_reason_to_wait_longer_and_more_are() -> None:
    assert [pause_s(10.0, failures) for failures in range(6)] == [10, 10, 20, 40, 60, 60]
    assert pause_s(300.0, 1_000_000) == 300.0


@dataclass
class _Answer:
    board: str
    tags: tuple[Tag, ...]
    asked_seq: int
    version: int


@dataclass
class _World:
    """Two boards, a watcher that is told what it was asked for later, and answers likewise."""

    versions: dict[str, int] = field(default_factory=lambda: {ONE: 1, TWO: 1})
    shown: set[str] = field(default_factory=lambda: {ONE, TWO})
    epochs: TagEpochs = field(default_factory=lambda: TagEpochs(100))
    marks: dict[str, BoardVersion] | None = None
    since: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    """The versions that the last answer about every board was made of."""
    stored: list[_Answer] = field(default_factory=list)
    on_the_way: list[_Answer] = field(default_factory=list)
    probe: tuple[dict[str, BoardVersion], dict[str, int]] | None = None

    def do(self, deed: str, board: str) -> None:
        getattr(self, f"_{deed}")(board)

    def _edit(self, board: str) -> None:
        self.versions[board] += 1

    def _toggle(self, board: str) -> None:
        self.shown ^= {board}

    def _ask(self, board: str) -> None:
        tags = stored_tags(TABLE.classify("GET", ("boards", board)), (), b'{"id":"%b"}' % b"1")
        self.on_the_way.append(_Answer(board, tags, self.epochs.seq, self.versions[board]))

    def _land(self, board: str) -> None:
        """An answer may be made at any time between being asked for and arriving."""
        for response in [each for each in self.on_the_way if each.board == board]:
            self.on_the_way.remove(response)
            if not self.epochs.is_stale(response.tags, response.asked_seq):
                self.stored.append(response)

    def _remake(self, board: str) -> None:
        for response in self.on_the_way:
            if response.board == board:
                response.version = self.versions[board]

    def _probe(self, _: str) -> None:
        self.probe = (
            {each: _mark(str(self.versions[each])) for each in self.shown},
            dict(self.versions),
        )

    def _arrive(self, _: str) -> None:
        if self.probe is None:
            return
        (marks, self.told), self.probe = self.probe, None
        told = diff(self.marks or {}, marks)
        if self.marks is not None:
            self.epochs.mark_stale(told.changed_tags)
        if told.appeared or told.vanished:
            self.epochs.mark_stale(())
            self.since = watched_since(self.since, marks, self.epochs.seq)
        self.marks = marks


DEEDS = st.sampled_from(["edit", "toggle", "ask", "remake", "land", "probe", "arrive"])


@settings(max_examples=500)
@given(st.lists(st.tuples(DEEDS, st.sampled_from([ONE, TWO])), max_size=60))
def test_nothing_older_than_the_last_look_is_called_watched_and_fresh(
    deeds: list[tuple[str, str]],
) -> None:
    world = _World()
    for deed, board in deeds:
        world.do(deed, board)
        for response in world.stored:
            outdated = world.epochs.is_stale(response.tags, response.asked_seq)
            if is_watched(response.tags, response.asked_seq, world.since) and not outdated:
                assert response.version >= world.told[response.board]
