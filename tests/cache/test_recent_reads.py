"""Recent reads: which responses are refetched when they have changed, and in which order."""

from dataclasses import replace

import pytest

from proxy.cache.recent_reads import IN_USE_S, MAX_READS, MAX_UNREAD, RecentReads
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Credential, Priority, StoredResponse, Tag
from proxy.runtime.clock import FakeClock
from proxy.trello.message import ApiRequest
from proxy.trello.routes import RouteTable
from proxy.trello.tags import SPANNING

BOARD = Tag("board:" + "b" * 24)
_TABLE = RouteTable()


def _request(*path: str, **changes: object) -> ApiRequest:
    request = ApiRequest(
        effective_method="GET",
        method="GET",
        target="/1/" + "/".join(path),
        match=_TABLE.classify("GET", path),
        query_names=frozenset(),
        key=CacheKey("/".join(path)),
        credential=Credential("k", "t"),
        uses_stored_credential=True,
        directives=NONE,
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def _stored(request: ApiRequest, *tags: Tag, status: int = 200) -> StoredResponse:
    return StoredResponse(
        key=request.key,
        status=status,
        head=b"",
        body=b"{}",
        gzip=False,
        etag="e",
        requested_at=0.0,
        requested_seq=0,
        tags=tags,
    )


LISTS = _request("boards", "b" * 24, "lists")
CARDS = _request("boards", "b" * 24, "cards")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recent(clock: FakeClock) -> RecentReads:
    return RecentReads(clock)


def _targets(recent: RecentReads, *tags: Tag) -> list[str]:
    return [each.request.key for each in recent.with_tags(set(tags))]


def test_what_carries_an_invalidated_tag_is_found(recent: RecentReads) -> None:
    recent.note(LISTS, _stored(LISTS, BOARD))
    assert _targets(recent, BOARD, SPANNING) == [LISTS.key]
    assert not _targets(recent, SPANNING)


def test_a_first_read_is_not_repeated_and_fills_one_refresh(recent: RecentReads) -> None:
    recent.note(LISTS, None)
    assert not len(recent)
    recent.note_fetched(LISTS, _stored(LISTS, BOARD))
    (read,) = recent.with_tags({BOARD})
    assert read.unread == MAX_UNREAD
    recent.note(LISTS, _stored(LISTS, BOARD))
    assert read.unread == 0


def test_a_purged_response_that_is_read_again_stays_in_use(recent: RecentReads) -> None:
    recent.note(LISTS, _stored(LISTS, BOARD))
    (read,) = recent.with_tags({BOARD})
    read.unread = MAX_UNREAD + 1
    assert not _targets(recent, BOARD)
    recent.note(LISTS, None)
    recent.note_fetched(LISTS, _stored(LISTS, BOARD))
    assert [each.unread for each in recent.with_tags({BOARD})] == [0]


def test_what_is_not_read_any_more_is_not_in_use(recent: RecentReads, clock: FakeClock) -> None:
    recent.note(LISTS, _stored(LISTS, BOARD))
    clock.advance(IN_USE_S)
    assert not _targets(recent, BOARD)


def test_repeated_reads_come_first_then_the_most_recent(
    recent: RecentReads, clock: FakeClock
) -> None:
    once = _request("boards", "b" * 24, "labels")
    for request in (CARDS, LISTS):
        recent.note(request, _stored(request, BOARD))
        clock.advance(1)
    recent.note_fetched(once, _stored(once, BOARD))
    assert _targets(recent, BOARD) == [LISTS.key, CARDS.key, once.key]


@pytest.mark.parametrize(
    "request_",
    [
        replace(LISTS, uses_stored_credential=False),
        replace(LISTS, priority=Priority.BACKGROUND),
        replace(LISTS, priority=Priority.PREFETCH),
        _request("search"),
    ],
)
def test_what_only_its_client_may_fetch_or_nobody_waits_for_is_not_noted(
    recent: RecentReads, request_: ApiRequest
) -> None:
    tag = SPANNING if request_.match.segments == ("search",) else BOARD
    recent.note(request_, _stored(request_, tag))
    assert not len(recent)


def test_a_list_of_boards_is_noted_and_a_404_is_not(recent: RecentReads) -> None:
    boards = _request("members", "me", "boards")
    recent.note(boards, _stored(boards, SPANNING))
    recent.note(LISTS, _stored(LISTS, BOARD, status=404))
    assert _targets(recent, BOARD, SPANNING) == [boards.key]


def test_what_is_past_half_its_lifetime_is_ageing_until_it_expires_or_is_refetched(
    recent: RecentReads, clock: FakeClock
) -> None:
    for request, ttl_s in ((LISTS, 20.0), (CARDS, 10.0)):
        stored = replace(_stored(request, BOARD), requested_at=clock.now() - 10)
        recent.note(request, stored, ttl_s)
    assert [each.request.key for each in recent.ageing(5)] == [CARDS.key]
    clock.advance(5)
    assert [each.request.key for each in recent.ageing(5)] == [CARDS.key, LISTS.key]
    (first,) = recent.ageing(1)
    first.is_pending = True
    assert [each.request.key for each in recent.ageing(5)] == [LISTS.key]
    first.is_pending, first.unread = False, 1
    assert [each.request.key for each in recent.ageing(5)] == [LISTS.key]
    clock.advance(15)
    assert not recent.ageing(5)


def test_what_is_remembered_is_bounded(recent: RecentReads) -> None:
    for number in range(MAX_READS + 5):
        request = replace(LISTS, key=CacheKey(str(number)))
        recent.note(request, _stored(request, BOARD))
    assert len(recent) == MAX_READS
