"""What is known of an object, and when it no longer is: moves, and answers that land late."""

import json
from collections.abc import Callable

import pytest

from proxy.cache.aliases import AliasResolver
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Credential, RequestTime, Tag
from proxy.runtime.clock import FakeClock
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.routes import RouteTable
from proxy.trello.tags import EVERYTHING, stored_tags
from proxy.trello.write_effects import board_tags

CARD, OTHER_CARD = "c" * 24, "d" * 24
A, B = "a" * 24, "b" * 24
MEMBER = "e" * 24
TABLE = RouteTable()
SHORT = "AbCdEf12"
WATCHED_S = 600


def ask_for(target: str, partition: str = "p") -> ApiRequest:
    path = target.partition("?")[0]
    match = TABLE.classify("GET", path.strip("/").split("/"))
    return ApiRequest(
        effective_method="GET",
        method="GET",
        target=f"/1{target}",
        match=match,
        query_names=frozenset(),
        key=key_of(partition, f"/1{target}"),
        partition=partition,
        credential=Credential("k", "t"),
        uses_stored_credential=True,
        directives=NONE,
    )


class Room:
    """A store, and what is known in it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.responses = ResponseStore(MemoryTier(1 << 20), None, TagEpochs(seq=100))
        self.naming = AliasResolver(self.responses, self.clock)

    async def told(self, target: str, body: object, seq: int | None = None) -> None:
        """Trello answered this, asked for at `seq`."""
        raw, now = json.dumps(body).encode(), self.clock.now()
        at = self.responses.seq if seq is None else seq
        await self.naming.learn(ask_for(target), raw, RequestTime(at, now))

    def board_of(self, card: str = CARD) -> str | None:
        return self.naming.lookup(ask_for(f"/cards/{card}/attachments")).owners.get("idBoard")

    def attachments(self) -> tuple[Tag, ...]:
        """What the attachments of the card depend on, were they stored now."""
        request = ask_for(f"/cards/{CARD}/attachments")
        return stored_tags(request.match, (), b"[]", self.naming.lookup(request))


@pytest.fixture
async def room() -> Room:
    """One in which the card was seen on board A."""
    made = Room()
    await made.told(f"/boards/{A}/cards", [{"id": CARD, "shortLink": SHORT, "idBoard": A}])
    return made


def test_what_was_shown_is_known(room: Room) -> None:
    assert room.board_of() == A
    assert room.naming.lookup(ask_for(f"/cards/{SHORT}")).id == CARD
    assert room.board_of(OTHER_CARD) is None


ENDS = {
    "the card was changed": [Tag(f"card:{CARD}")],
    "some card was changed": [Tag("card:*")],
    "the board was seen to move": list(board_tags(A)),
    "every board was": [Tag("cards-of:*")],
    "all was purged": [EVERYTHING],
}


@pytest.mark.parametrize("happens", [ResponseStore.purge, ResponseStore.mark_stale])
@pytest.mark.parametrize("tags", ENDS.values(), ids=ENDS)
async def test_an_owner_is_known_until(
    room: Room, tags: list[Tag], happens: Callable[[ResponseStore, list[Tag]], None]
) -> None:
    happens(room.responses, tags)
    assert room.board_of() is None
    assert room.naming.lookup(ask_for(f"/cards/{SHORT}")).id == CARD
    await room.told(f"/cards/{CARD}", {"id": CARD, "idBoard": B})
    assert room.board_of() == B


def test_a_change_of_another_board_or_card_leaves_it(room: Room) -> None:
    room.responses.purge([*board_tags(B), Tag(f"card:{OTHER_CARD}"), Tag("card:?")])
    assert room.board_of() == A


def test_an_owner_is_known_no_longer_than_its_answer_lives(room: Room) -> None:
    room.clock.advance(WATCHED_S - 1)
    assert room.board_of() == A
    room.clock.advance(1)
    assert room.board_of() is None
    assert room.naming.lookup(ask_for(f"/cards/{SHORT}")).id == CARD


def test_an_owner_from_the_future_is_not_known(room: Room) -> None:
    room.clock.set_back(1)
    assert room.board_of() is None
    assert room.naming.lookup(ask_for(f"/cards/{SHORT}")).id == CARD


async def test_an_answer_from_before_the_move_teaches_nothing_when_it_lands_after(
    room: Room,
) -> None:
    # 1. the board's cards are asked for  2. the card moves, and that is noticed  3. they land
    asked = room.responses.seq
    room.responses.mark_stale(board_tags(A))
    await room.told(f"/boards/{A}/cards", [{"id": CARD, "idBoard": A}], seq=asked)
    assert room.board_of() is None
    # 4. a later answer shows the new board  5. another of before lands still
    await room.told(f"/cards/{CARD}", {"id": CARD, "idBoard": B})
    await room.told(f"/boards/{A}/cards", [{"id": CARD, "idBoard": A}], seq=asked)
    assert room.board_of() == B


async def test_however_a_move_and_its_signal_fall_what_depends_on_the_card_is_reached(
    room: Room,
) -> None:
    # The card moves from A to B, unseen; then its attachments are asked for and stored.
    seq = room.responses.seq
    before_signal = room.attachments()
    assert f"cards-of:{A}" in before_signal
    # The signal: both boards were active. A's names what was stored since the move.
    room.responses.mark_stale(board_tags(A) | board_tags(B))
    assert not room.responses.is_valid_since(before_signal, seq)
    # From here on nobody believes A; what is stored now hears of every board.
    seq = room.responses.seq
    after_signal = room.attachments()
    room.responses.mark_stale(board_tags(B))
    assert not room.responses.is_valid_since(after_signal, seq)
    # Until somebody sees the card on B.
    await room.told(f"/boards/{B}/cards", [{"id": CARD, "idBoard": B}])
    seq = room.responses.seq
    known = room.attachments()
    room.responses.mark_stale(board_tags(A))
    assert room.responses.is_valid_since(known, seq)
    room.responses.mark_stale(board_tags(B))
    assert not room.responses.is_valid_since(known, seq)


def _keys(room: Room, target: str, partition: str = "p") -> tuple[CacheKey, CacheKey | None]:
    request = room.naming.canonicalize(ask_for(target, partition))
    return request.key, request.spelled_key


@pytest.mark.parametrize("rest", ["", "/actions", "?fields=name", "/actions?limit=2"])
def test_a_known_name_has_the_key_of_the_id(room: Room, rest: str) -> None:
    by_id, spelled = _keys(room, f"/cards/{CARD}{rest}")
    assert spelled is None
    assert _keys(room, f"/cards/{SHORT}{rest}") == (by_id, ask_for(f"/cards/{SHORT}{rest}").key)
    assert _keys(room, f"/cards/{SHORT}{rest}", "q")[0] != by_id
    assert _keys(room, f"/cards/{SHORT.swapcase()}{rest}")[1] is None


async def test_a_key_follows_what_is_known_at_the_time(room: Room) -> None:
    request = ask_for("/members/dana")
    await room.told("/members/dana", {"id": MEMBER, "username": "dana"})
    known = room.naming.canonicalize(request)
    assert room.naming.canonicalize(known) == known != request
    room.responses.purge([Tag(f"member:{MEMBER}")])
    assert room.naming.canonicalize(known) == request


async def test_me_is_known_to_whom_it_was_told(room: Room) -> None:
    await room.told("/members/me", {"id": MEMBER})
    assert _keys(room, "/members/me")[0] == _keys(room, f"/members/{MEMBER}")[0]
    assert _keys(room, "/members/me", "q")[1] is None


async def test_a_long_answer_is_read_beside_the_loop(room: Room) -> None:
    cards = [{"id": f"{number:024x}", "idBoard": B, "desc": "x" * 900} for number in range(100)]
    await room.told(f"/boards/{B}/cards", cards)
    assert room.board_of(f"{99:024x}") == B
