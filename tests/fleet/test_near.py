"""What a follower keeps, and when it uses it."""

import pytest
from msgspec.structs import replace

from proxy.cache.store.store import key_tag
from proxy.fleet.barrier import MAX_TAG_CHARS, Barrier, BarrierStats
from proxy.fleet.near import Given, Near
from proxy.fleet.protocol import Invalidation, Pong
from proxy.fleet.trust import PriorTrust
from proxy.model import CacheKey, StoredResponse, Tag
from proxy.runtime.clock import FakeClock

KEY, LEADERS_KEY, CARD = CacheKey("mine"), CacheKey("leader's"), Tag("card:1")
TERM, FIRST = 7, 100
PONG = Pong(0, acts=True, is_behind=False, run_id="r", beat=1, config="c0")
STORED = StoredResponse(
    key=LEADERS_KEY,
    status=200,
    head=b"",
    body=b"{}",
    gzip=False,
    etag="e",
    requested_at=5.0,
    requested_seq=3,
    tags=(CARD,),
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def near(clock: FakeClock) -> Near:
    return trusted(clock)


def trusted(clock: FakeClock) -> Near:
    """A near cache in a session."""
    made = Near(clock, limit_bytes=1_000_000)
    made.begin(TERM, FIRST)
    trust(made, 1)
    return made


def trust(near: Near, number: int, watched_s: float = 0.0, config: str = "") -> None:
    near.pinged(number)
    pong = replace(PONG, number=number, watched_s=watched_s)
    near.confirmed(pong, config or "c0")


def given(number: int = FIRST, term: int = TERM, *, is_watched: bool = False) -> Given:
    return Given(term, number, LEADERS_KEY, 60.0, is_watched, age_s=10.0)


def test_a_response_is_used_while_trusted(near: Near, clock: FakeClock) -> None:
    kept = near.keep(KEY, STORED, given(), 0.0)
    assert near.find(KEY) is kept
    clock.advance(2.5)
    assert near.find(KEY) is kept
    clock.advance(0.6)
    assert near.find(KEY) is None
    trust(near, 2)
    assert near.find(KEY) is kept


def test_its_age_counts_from_before_it_was_requested_here(near: Near, clock: FakeClock) -> None:
    kept = near.keep(KEY, STORED, given(), took_s=0.5)
    assert clock.now() - kept.requested_at == pytest.approx(10.5)
    clock.advance(49.4)
    trust(near, 2)
    assert near.find(KEY) is kept
    clock.advance(0.2)
    assert near.find(KEY) is None


def test_nothing_is_used_after_its_invalidation(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    near.apply(Invalidation(FIRST + 1, (CARD,)))
    assert near.find(KEY) is None


def test_another_response_under_its_key_takes_its_place(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    near.apply(Invalidation(FIRST + 1, (key_tag(LEADERS_KEY),)))
    assert near.find(KEY) is None


def test_an_invalidation_of_all_leaves_nothing(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    near.apply(Invalidation(FIRST + 1, (), is_of_all=True))
    assert near.find(KEY) is None


def test_a_response_that_its_invalidation_has_overtaken_is_not_kept(near: Near) -> None:
    near.apply(Invalidation(FIRST + 2, (CARD,)))
    near.keep(KEY, STORED, given(FIRST + 1), 0.0)
    assert near.find(KEY) is None


def test_a_response_that_overtakes_an_earlier_invalidation_stays(near: Near) -> None:
    kept = near.keep(KEY, STORED, given(FIRST + 2), 0.0)
    near.apply(Invalidation(FIRST + 1, (CARD,)))
    assert near.find(KEY) is kept


def test_what_was_given_in_an_earlier_session_or_term_is_not_kept(near: Near) -> None:
    near.keep(KEY, STORED, given(FIRST - 1), 0.0)
    assert near.find(KEY) is None
    near.keep(KEY, STORED, given(term=TERM - 1), 0.0)
    assert near.find(KEY) is None


def test_a_new_session_begins_with_nothing_and_without_trust(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    near.begin(TERM, FIRST + 5)
    assert not near.is_usable()
    assert not len(near.store.memory)


def test_a_session_that_follows_on_the_last_one_begins_without_trust_and_keeps_all(
    near: Near,
) -> None:
    kept = near.keep(KEY, STORED, given(), 0.0)
    near.apply(Invalidation(FIRST + 1, (Tag("card:2"),)))
    near.begin(TERM, FIRST + 1)
    assert near.find(KEY) is None
    trust(near, 1)
    assert near.find(KEY) is kept


def test_a_new_term_begins_with_nothing(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    near.begin(TERM + 1, FIRST)
    assert not len(near.store.memory)


def test_a_reply_to_a_ping_of_an_earlier_session_gives_no_trust(near: Near) -> None:
    near.pinged(2)
    near.begin(TERM, FIRST)
    near.confirmed(replace(PONG, number=2), "c0")
    assert not near.is_usable()


def test_nothing_is_kept_from_a_leader_that_sends_no_invalidations(clock: FakeClock) -> None:
    near = Near(clock, limit_bytes=1_000_000)
    near.begin(TERM, None)
    trust(near, 1)
    near.keep(KEY, STORED, given(), 0.0)
    assert near.find(KEY) is None


def test_nothing_is_used_while_the_leader_has_other_settings(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    trust(near, 2, config="c1")
    assert near.find(KEY) is None


def test_a_watched_response_is_used_while_the_leader_polls(near: Near, clock: FakeClock) -> None:
    trust(near, 2, watched_s=1.0)
    kept = near.keep(KEY, STORED, given(is_watched=True), 0.0)
    assert near.find(KEY) is kept
    clock.advance(1.1)
    assert near.find(KEY) is None
    trust(near, 3, watched_s=1.0)
    assert near.find(KEY) is None  # a change in between may have been missed


def test_a_wall_clock_that_was_set_leaves_nothing(near: Near, clock: FakeClock) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    clock.set_back(5.0)
    trust(near, 2)
    assert near.find(KEY) is None


def test_uses_are_reported_once_by_the_leaders_key(near: Near) -> None:
    near.keep(KEY, STORED, given(), 0.0)
    near.find(KEY)
    near.find(KEY)
    assert near.take_used() == (LEADERS_KEY,)
    assert near.take_used() == ()


async def test_invalidations_that_wait_are_sent_as_one(clock: FakeClock) -> None:
    barrier = Barrier(clock, PriorTrust(-1.0), BarrierStats())
    session = barrier.join("b:1", "b1")
    barrier.publish([CARD])
    barrier.publish([Tag("card:2")])
    message = session.take()
    assert message is not None
    assert (message.number, set(message.tags)) == (2, {CARD, Tag("card:2")})
    assert session.take() is None


async def test_a_follower_that_joins_again_is_sent_what_it_missed(clock: FakeClock) -> None:
    barrier = Barrier(clock, PriorTrust(-1.0), BarrierStats())
    for card in ("card:1", "card:2", "card:3"):
        barrier.publish([Tag(card)])
    session = barrier.join("b:1", "b1", applied=1)
    assert session.number == 1
    message = session.take()
    assert message is not None
    assert (message.number, set(message.tags)) == (3, {Tag("card:2"), Tag("card:3")})


async def test_a_follower_that_missed_nothing_is_sent_nothing(clock: FakeClock) -> None:
    barrier = Barrier(clock, PriorTrust(-1.0), BarrierStats())
    number = barrier.publish([CARD])
    session = barrier.join("b:1", "b1", applied=number)
    assert session.number == number
    assert session.take() is None


async def test_a_follower_that_missed_more_than_is_known_begins_with_nothing(
    clock: FakeClock,
) -> None:
    barrier = Barrier(clock, PriorTrust(-1.0), BarrierStats())
    barrier.publish([CARD])
    number = barrier.publish((), is_of_all=True)
    session = barrier.join("b:1", "b1", applied=1)
    assert session.number == number
    assert session.take() is None


async def test_very_many_tags_are_an_invalidation_of_all(clock: FakeClock) -> None:
    barrier = Barrier(clock, PriorTrust(-1.0), BarrierStats())
    session = barrier.join("b:1", "b1")
    barrier.publish(Tag(f"card:{n:030}") for n in range(MAX_TAG_CHARS // 30))
    message = session.take()
    assert message is not None
    assert message.is_of_all
    assert not message.tags
