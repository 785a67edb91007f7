"""How many requests a limit leaves, and when the next may go: tables, and a Trello to try it on."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ratelimit.sliding_window import SentRequest, SlidingWindowLimit
from proxy.ratelimit.upstream_headers import RateLimitHeader

W = 10.0


def spent(
    count: int, *, at: float = 0.0, answered_at: float = 0.0, most: int = 100
) -> SlidingWindowLimit:
    """A bucket of which so many were sent and answered."""
    bucket = SlidingWindowLimit(most, W)
    for sent in [bucket.acquire(at) for _ in range(count)]:
        bucket.end(sent, answered_at)
    return bucket


def stopped() -> SlidingWindowLimit:
    bucket = spent(1)
    bucket.block(0.0, jitter=0.5)
    return bucket


def in_flight(count: int) -> SlidingWindowLimit:
    bucket = SlidingWindowLimit(100, W)
    for _ in range(count):
        bucket.acquire(0.0)
    return bucket


EARLIEST: dict[str, tuple[Callable[[], SlidingWindowLimit], float, bool, float]] = {
    "a new bucket": (lambda: SlidingWindowLimit(100, W), 5.0, False, 5.0),
    "half of it goes at once": (lambda: spent(49), 0.0, False, 0.0),
    "from there on, a tenth of a second apart": (lambda: spent(50), 0.0, False, 0.1),
    "people are not spaced": (lambda: spent(50), 0.0, True, 0.0),
    "some are kept for people": (lambda: spent(97), 5.0, False, W),
    "and people have them": (lambda: spent(97), 5.0, True, 5.0),
    "to the last": (lambda: spent(99), 5.0, True, 5.0),
    "a full one, for people": (lambda: spent(100), 5.0, True, W),
    "it counts from the answer, not from the sending": (
        lambda: spent(100, answered_at=3.0), 5.0, True, 13.0,
    ),
    "until a window later, and no longer": (lambda: spent(100), W, False, W),
    "what is in flight ends some time": (lambda: in_flight(100), 5.0, True, inf),
    "however long it flies": (lambda: in_flight(100), 500.0, True, inf),
    "a 429 stops it for its window and jitter": (stopped, 1.0, True, 10.5),
    "then it goes on": (stopped, 11.0, True, 11.0),
    "few requests in a long window are not spaced": (
        lambda: SlidingWindowLimit(100, 900.0), 0.0, False, 0.0,
    ),
    "a bucket of one keeps none": (lambda: SlidingWindowLimit(1, W), 0.0, False, 0.0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "now", "for_people", "at"), EARLIEST.values(), ids=EARLIEST.keys()
)
def test_earliest(
    make: Callable[[], SlidingWindowLimit],
    now: float,
    for_people: bool,  # noqa: FBT001 — a column of the table
    at: float,
) -> None:
    assert make().earliest_send_at(now, for_people=for_people) == pytest.approx(at)


def test_after_a_429_one_looks_first_and_then_all_go() -> None:
    bucket = stopped()
    looking = bucket.acquire(11.0)
    assert bucket.earliest_send_at(11.0, for_people=True) == inf
    bucket.end(looking, 11.2)
    assert bucket.earliest_send_at(11.2, for_people=False) == 11.2


def test_a_429_of_one_sent_before_the_stop_is_not_the_look() -> None:
    bucket = SlidingWindowLimit(100, W)
    early = bucket.acquire(0.0)
    bucket.block(1.0, jitter=0.0)
    bucket.end(early, 2.0)
    bucket.acquire(11.0)
    assert bucket.earliest_send_at(11.0, for_people=True) == inf


def test_one_that_never_left_the_machine_is_given_back() -> None:
    bucket = spent(99)
    bucket.acquire(0.0)
    assert bucket.earliest_send_at(0.0, for_people=True) == W
    bucket.release()
    assert bucket.earliest_send_at(0.0, for_people=True) == 0.0


DUE: dict[str, tuple[int, int, float]] = {
    "the first of what is left": (0, 1, 0.0),
    "the others are spaced": (0, 61, 6.0),
    "past what is left, when it is there again": (97, 1, W),
    "and so on, in rounds": (97, 98, 2 * W),
}


@pytest.mark.parametrize(("used", "nth", "at"), DUE.values(), ids=DUE.keys())
def test_due(used: int, nth: int, at: float) -> None:
    assert spent(used).predict(0.0, nth, for_people=False) == pytest.approx(at)


@pytest.mark.parametrize("urgency", ["people", "tools"])
@pytest.mark.parametrize("used", [0, 30, 60, 97])
def test_due_is_when_they_really_go(used: int, urgency: str) -> None:
    bucket, told = spent(used), spent(used)
    now, for_people = 1.0, urgency == "people"
    for nth in range(1, 250):
        prediction = told.predict(1.0, nth, for_people=for_people)
        now = max(now, bucket.earliest_send_at(now, for_people=for_people, in_line=True))
        bucket.end(bucket.acquire(now), now)
        assert prediction == pytest.approx(now, rel=0.1, abs=0.5), nth


def hears(bucket: SlidingWindowLimit, most: int, remaining: int, at: float = 0.0) -> SentRequest:
    sent = bucket.acquire(at)
    bucket.end(sent, at, RateLimitHeader(W, most, remaining))
    return sent


def test_trellos_own_maximum_is_kept_when_it_is_lower() -> None:
    bucket = SlidingWindowLimit(100, W)
    hears(bucket, 40, 39)
    assert bucket.limit == 40
    hears(bucket, 200, 198)
    assert bucket.limit == 100


def test_a_limit_of_the_operators_in_a_shorter_window_stands_beside_trellos() -> None:
    gentle, hasty = SlidingWindowLimit(5, 1.0), SlidingWindowLimit(500, 1.0)
    for bucket in (gentle, hasty):
        hears(bucket, 100, 99)
    assert (gentle.limit, gentle.window_s) == (5, 1.0)
    assert (hasty.limit, hasty.window_s) == (100, W)


def test_what_others_used_is_not_there() -> None:
    bucket = SlidingWindowLimit(100, W)
    hears(bucket, 100, 4)
    free = 0
    while bucket.earliest_send_at(0.0, for_people=True) <= 0.0:
        bucket.acquire(0.0)
        free += 1
    assert free == 4
    assert bucket.remaining(0.0) == 0


def test_what_is_in_flight_may_not_be_in_what_was_heard() -> None:
    bucket = SlidingWindowLimit(100, W)
    for _ in range(3):
        bucket.acquire(0.0)
    sent = bucket.acquire(0.0)
    bucket.acquire(0.0)
    bucket.end(sent, 0.5, RateLimitHeader(W, 100, 5))
    assert bucket.earliest_send_at(1.0, for_people=True) == 1.0
    bucket.acquire(1.0)
    assert bucket.earliest_send_at(1.0, for_people=True) == inf


def test_what_is_left_to_people_is_looked_at_now_and_then() -> None:
    bucket = SlidingWindowLimit(100, W)
    hears(bucket, 100, 3)
    assert bucket.earliest_send_at(0.5, for_people=True) == 0.5
    assert bucket.earliest_send_at(0.5, for_people=False) == 1.0
    assert bucket.earliest_send_at(2.0, for_people=False) == 2.0


def test_an_older_answer_that_comes_later_is_not_news() -> None:
    bucket = SlidingWindowLimit(100, W)
    old, new = bucket.acquire(0.0), bucket.acquire(0.1)
    bucket.end(new, 0.5, RateLimitHeader(W, 100, 1))
    bucket.end(old, 0.6, RateLimitHeader(W, 100, 90))
    bucket.end(bucket.acquire(0.7), 0.8)
    assert bucket.earliest_send_at(0.9, for_people=True) == pytest.approx(10.1)


def test_where_others_were_one_looks_before_the_rest_go() -> None:
    bucket = SlidingWindowLimit(100, W)
    hears(bucket, 100, 0)
    assert bucket.earliest_send_at(1.0, for_people=True) == W
    looking = bucket.acquire(11.0)
    assert bucket.earliest_send_at(11.0, for_people=True) == inf
    bucket.end(looking, 11.1, RateLimitHeader(W, 100, 99))
    assert bucket.earliest_send_at(11.1, for_people=True) == 11.1


@dataclass
class Trello:
    """Counts arrivals in fixed windows or in sliding ones, and says what is left."""

    most: int
    phase_s: float | None
    """Of its fixed windows; None: they slide."""
    arrivals: deque[float] = field(default_factory=deque)
    refused: int = 0

    def arrive(self, at: float) -> RateLimitHeader:
        begins = at - W + 1e-9 if self.phase_s is None else at - (at - self.phase_s) % W
        while self.arrivals and (
            self.arrivals[0] <= begins if self.phase_s is None else self.arrivals[0] < begins
        ):
            self.arrivals.popleft()
        if len(self.arrivals) >= self.most:
            self.refused += 1
        else:
            self.arrivals.append(at)
        return RateLimitHeader(W, self.most, self.most - len(self.arrivals))


def play(
    trello: Trello, bucket: SlidingWindowLimit, pauses: list[tuple[float, float, float]]
) -> int:
    """Requests as (pause before it, way there, way back), each sent as soon as it may be."""
    now, sent = 0.0, 0
    events: list[tuple[float, int, str, SentRequest, RateLimitHeader | None, float]] = []

    def happen(until: float) -> float:
        while events and events[0][0] <= until:
            at, number, what, request, said, back_s = heappop(events)
            if what == "arrive":
                response = trello.arrive(at)
                heappush(events, (at + back_s, number, "answer", request, response, 0.0))
            else:
                bucket.end(request, at, said)
        return until

    for number, (pause_s, there_s, back_s) in enumerate(pauses):
        now = happen(now + pause_s)
        while (at := bucket.earliest_send_at(now, for_people=True)) > now:
            now = happen(min(at, events[0][0] if events else at))
        heappush(events, (now + there_s, number, "arrive", bucket.acquire(now), None, back_s))
        sent += 1
    happen(inf)
    return sent


MOMENTS = st.floats(0.0, 3.0, allow_nan=False)
HASTE = st.one_of(st.just(0.0), st.floats(0.0, 4.0, allow_nan=False))


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 12),
    st.one_of(st.none(), st.floats(0.0, W, allow_nan=False)),
    st.lists(st.tuples(HASTE, MOMENTS, MOMENTS), max_size=80),
)
def test_alone_with_a_trello_of_either_kind_there_is_never_a_429(
    most: int, phase_s: float | None, pauses: list[tuple[float, float, float]]
) -> None:
    trello = Trello(most, phase_s)
    assert play(trello, SlidingWindowLimit(most, W), pauses) == len(pauses)
    assert not trello.refused


@pytest.mark.parametrize("phase_s", [None, 0.0, 3.3])
def test_it_uses_nearly_all_there_is(phase_s: float | None) -> None:
    trello = Trello(100, phase_s)
    bucket, pauses = SlidingWindowLimit(100, W), [(0.0, 0.05, 0.05)] * 1000
    play(trello, bucket, pauses)
    assert not trello.refused
    assert bucket.earliest_send_at(0.0, for_people=True) <= 102.0
