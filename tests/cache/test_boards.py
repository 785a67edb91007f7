"""Watched boards lengthen lifetimes only while polls are recent, and say when polls are needed."""

import asyncio
import json
from typing import Any

import pytest

from proxy.cache.boards import UNCOUNTED_S, WatchedBoards, boards_of, is_watched, watched_lifetimes
from proxy.model import CacheKey, Lifetimes, StoredResponse, Tag
from proxy.runtime.clock import FakeClock
from proxy.trello.routes import RouteTable
from proxy.trello.tags import INFERRED, SPANNING, stored_tags

ONE, TWO, CARD = "1" * 24, "2" * 24, "c" * 24
SHORT_LINK = "abcd1234"
TABLE = RouteTable()
PLAIN = Lifetimes(30, 60, 90, 600)
MAX_AGE_S = 25.0

READS = {
    "a board": (("boards", ONE), "", {"id": ONE}, True),
    "its cards": (("boards", ONE, "cards"), "", [], True),
    "a board by its shortLink": (("boards", SHORT_LINK), "", {"id": ONE}, True),
    "a card that shows its board": (("cards", CARD), "", {"id": CARD, "idBoard": ONE}, True),
    "a card that does not": (("cards", CARD), "", {"id": CARD}, False),
    "a card of a board that is not watched": (
        ("cards", CARD), "", {"id": CARD, "idBoard": TWO}, False
    ),
    "a list with its board": (("lists", CARD), "board", {"id": CARD, "idBoard": ONE}, True),
    "the cards of a list, their board not shown": (("lists", CARD, "cards"), "", [], False),
    "the cards of a list, their board shown": (
        ("lists", CARD, "cards"), "", [{"id": CARD, "idBoard": ONE}], True
    ),
    "cards of two boards, one of them watched": (
        ("lists", CARD, "cards"), "", [{"idBoard": ONE}, {"idBoard": TWO}], False
    ),
    "a member's cards on all boards": (("members", "me", "cards"), "", [], False),
    "the boards of the account": (("members", "me", "boards"), "", [], True),
    "some of them, with their organizations": (
        ("members", "me", "boards", "open"), "organization", [], True
    ),
    "another member's": (("members", TWO, "boards"), "", [], False),
    "an organization's": (("organizations", TWO, "boards"), "", [], False),
    "a member, who is on no board": (("members", "me"), "", {"id": TWO}, False),
    "an unknown path": (("boards", ONE, "new", "thing", "of"), "", {}, False),
}  # fmt: skip


@pytest.mark.parametrize(("path", "names", "body", "watched"), READS.values(), ids=READS)
def test_what_is_watched(path: tuple[str, ...], names: str, body: Any, *, watched: bool) -> None:
    match = TABLE.classify("GET", path)
    tags = stored_tags(match, names.split(), json.dumps(body).encode())
    since = {ONE: 100, SHORT_LINK: 100, SPANNING: 100}
    has_lifetime = match.route.lifetimes.lifetime_watched_s is not None
    assert (has_lifetime and is_watched(tags, 100, since)) is watched
    assert not is_watched(tags, 99, since)


def test_a_list_of_boards_is_not_watched_while_some_are_not() -> None:
    tags = stored_tags(TABLE.classify("GET", ("members", "me", "boards")), (), b"[]")
    assert not is_watched(tags, 100, {ONE: 100})


def test_a_board_that_was_inferred_is_watched() -> None:
    tags = [Tag(f"cards-of:{each}") for each in (ONE, INFERRED, "*")]
    assert is_watched(tags, 100, {ONE: 100})
    assert not is_watched(tags, 100, {TWO: 100})


def test_the_boards_of_a_response_are_those_it_names_by_their_full_id() -> None:
    names = (f"board:{ONE}", f"cards-of:{TWO}", "board:*", f"board:{SHORT_LINK}", f"card:{CARD}")
    assert boards_of(map(Tag, names)) == {ONE, TWO}


LIVES = {
    "a board": ((Tag("board:1"),), PLAIN, 600),
    "with people on it": ((Tag("board:1"), Tag("member:?")), PLAIN, 300),
    "people who may be older": ((Tag("board:1"), Tag("member:?")), Lifetimes(400, 0, 0, 600), 400),
    "actions": ((Tag("board:1"), Tag("action:?")), Lifetimes(15, 30, 90, 600), 600),
    "a route without a watched lifetime": ((Tag("board:1"),), Lifetimes(30), 30),
}


@pytest.mark.parametrize(("tags", "plain", "lifetime_s"), LIVES.values(), ids=LIVES)
def test_watched_lifetimes(tags: tuple[Tag, ...], plain: Lifetimes, lifetime_s: float) -> None:
    longer = watched_lifetimes(plain, tags, counted=True)
    assert longer.lifetime_s == lifetime_s
    assert longer.stale_if_error_s == plain.stale_if_error_s


def test_actions_live_a_minute_where_updates_are_not_counted() -> None:
    plain, tags = Lifetimes(15, 30, 90, 600), (Tag("board:1"), Tag("action:?"))
    assert watched_lifetimes(plain, tags, counted=False).lifetime_s == UNCOUNTED_S == 60


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watched(clock: FakeClock) -> WatchedBoards:
    """One board, watched since `seq` 100 by a poll that was sent just now."""
    boards = WatchedBoards(clock)
    boards.update({ONE: 100}, clock.now(), usable_s=MAX_AGE_S, count=1, is_counted=True)
    return boards


def stored(requested_seq: int = 100) -> StoredResponse:
    return StoredResponse(
        CacheKey("k"),
        200,
        b"",
        b"",
        gzip=False,
        etag="",
        requested_at=0.0,
        requested_seq=requested_seq,
        tags=(Tag(f"board:{ONE}"),),
    )


def test_a_recent_poll_lengthens_the_lifetime_of_what_was_requested_since(
    watched: WatchedBoards,
) -> None:
    assert watched.lifetimes(stored(), PLAIN).lifetime_s == 600
    assert watched.lifetimes(stored(requested_seq=99), PLAIN) == PLAIN


def test_before_the_first_poll_nothing_is_watched(clock: FakeClock) -> None:
    boards = WatchedBoards(clock)
    assert len(boards) == 0
    assert boards.lifetimes(stored(), PLAIN) == PLAIN


@pytest.mark.parametrize("passed_s", [MAX_AGE_S + 1, -1.0], ids=["a late poll", "a clock set back"])
def test_without_a_recent_poll_nothing_is_watched(
    watched: WatchedBoards, clock: FakeClock, passed_s: float
) -> None:
    assert len(watched) == 1
    clock.set_back(-passed_s) if passed_s < 0 else clock.advance(passed_s)
    assert len(watched) == 0
    assert not watched.is_current(clock.now())
    assert watched.lifetimes(stored(), PLAIN) == PLAIN


def test_after_the_clock_was_set_back_only_another_poll_is_believed(
    watched: WatchedBoards, clock: FakeClock
) -> None:
    watched.clock_set_back()
    assert len(watched) == 0
    watched.update({ONE: 100}, clock.now(), usable_s=MAX_AGE_S, count=1, is_counted=True)
    assert len(watched) == 1


async def test_the_poller_rests_without_readers_until_the_next_lookup(
    watched: WatchedBoards, clock: FakeClock
) -> None:
    await watched.wait_for_reader(idle_after_s=60)
    clock.advance(60)
    waiting = asyncio.ensure_future(watched.wait_for_reader(idle_after_s=60))
    await asyncio.sleep(0)
    assert not watched.is_read
    assert not waiting.done()
    watched.note_read()
    await waiting
    assert watched.is_read
    assert watched.needed_since == clock.now()


async def test_a_lookup_before_the_rest_keeps_the_poller_awake(
    watched: WatchedBoards, clock: FakeClock
) -> None:
    started_at = watched.needed_since
    clock.advance(59)
    watched.note_read()
    clock.advance(59)
    await watched.wait_for_reader(idle_after_s=60)
    assert watched.is_read
    assert watched.needed_since == started_at


def test_a_known_change_wakes_the_poller(watched: WatchedBoards) -> None:
    assert not watched.changed.is_set()
    watched.note_change({Tag("card:x")})
    assert watched.changed.is_set()
