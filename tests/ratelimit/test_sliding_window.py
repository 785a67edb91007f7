"""The sliding-window limit: tables, and a simulated Trello with windows of either kind."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ratelimit.sliding_window import RateLimitHeader, SentRequest, SlidingWindowLimit

W = 10.0


def spent(
    count: int, *, at: float = 0.0, answered_at: float = 0.0, ceiling: int = 100
) -> SlidingWindowLimit:
    """A limit of which so many were sent and answered."""
    limit = SlidingWindowLimit(ceiling, W)
    for sent in [limit.acquire(at) for _ in range(count)]:
        limit.end(sent, answered_at)
    return limit


def stopped() -> SlidingWindowLimit:
    limit = spent(1)
    limit.block(0.0, jitter=0.5)
    return limit


def in_flight(count: int) -> SlidingWindowLimit:
    limit = SlidingWindowLimit(100, W)
    for _ in range(count):
        limit.acquire(0.0)
    return limit


EARLIEST: dict[str, tuple[Callable[[], SlidingWindowLimit], float, bool, float]] = {
    "a new limit": (lambda: SlidingWindowLimit(100, W), 5.0, False, 5.0),
    "half of it goes at once": (lambda: spent(49), 0.0, False, 0.0),
    "from there on, a tenth of a second apart": (lambda: spent(50), 0.0, False, 0.1),
    "interactive requests are not spaced": (lambda: spent(50), 0.0, True, 0.0),
    "a reserve is kept for interactive requests": (lambda: spent(97), 5.0, False, W),
    "which they can use": (lambda: spent(97), 5.0, True, 5.0),
    "to the last": (lambda: spent(99), 5.0, True, 5.0),
    "a full limit, interactive": (lambda: spent(100), 5.0, True, W),
    "it counts from the answer, not from the sending": (
        lambda: spent(100, answered_at=3.0), 5.0, True, 13.0,
    ),
    "until a window later, and no longer": (lambda: spent(100), W, False, W),
    "requests in flight end some time": (lambda: in_flight(100), 5.0, True, inf),
    "however long they take": (lambda: in_flight(100), 500.0, True, inf),
    "a 429 stops it for its window and jitter": (stopped, 1.0, True, 10.5),
    "then it goes on": (stopped, 11.0, True, 11.0),
    "few requests in a long window are not spaced": (
        lambda: SlidingWindowLimit(100, 900.0), 0.0, False, 0.0,
    ),
    "a limit of one keeps none": (lambda: SlidingWindowLimit(1, W), 0.0, False, 0.0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "now", "interactive", "at"), EARLIEST.values(), ids=EARLIEST.keys()
)
def test_earliest(
    make: Callable[[], SlidingWindowLimit],
    now: float,
    interactive: bool,  # noqa: FBT001 — a column of the table
    at: float,
) -> None:
    assert make().earliest_send_at(now, interactive=interactive) == pytest.approx(at)


def test_after_a_429_one_request_goes_alone_and_then_all() -> None:
    limit = stopped()
    looking = limit.acquire(11.0)
    assert limit.earliest_send_at(11.0, interactive=True) == inf
    limit.end(looking, 11.2)
    assert limit.earliest_send_at(11.2, interactive=False) == 11.2


def test_a_response_to_an_earlier_request_does_not_end_the_block() -> None:
    limit = SlidingWindowLimit(100, W)
    early = limit.acquire(0.0)
    limit.block(1.0, jitter=0.0)
    limit.end(early, 2.0)
    limit.acquire(11.0)
    assert limit.earliest_send_at(11.0, interactive=True) == inf


def test_a_request_that_was_not_sent_does_not_count() -> None:
    limit = spent(99)
    limit.acquire(0.0)
    assert limit.earliest_send_at(0.0, interactive=True) == W
    limit.release()
    assert limit.earliest_send_at(0.0, interactive=True) == 0.0


PREDICTED: dict[str, tuple[int, int, float]] = {
    "the first of what is left": (0, 1, 0.0),
    "the others are spaced": (0, 61, 6.0),
    "past what is left, when it is there again": (97, 1, W),
    "and so on, in rounds": (97, 98, 2 * W),
}


@pytest.mark.parametrize(("used", "nth", "at"), PREDICTED.values(), ids=PREDICTED.keys())
def test_predict(used: int, nth: int, at: float) -> None:
    assert spent(used).predict(0.0, nth, interactive=False) == pytest.approx(at)


@pytest.mark.parametrize("priority", ["interactive", "api"])
@pytest.mark.parametrize("used", [0, 30, 60, 97])
def test_a_prediction_is_when_requests_are_really_sent(used: int, priority: str) -> None:
    limit, model = spent(used), spent(used)
    now, interactive = 1.0, priority == "interactive"
    for nth in range(1, 250):
        prediction = model.predict(1.0, nth, interactive=interactive)
        now = max(now, limit.earliest_send_at(now, interactive=interactive, queued=True))
        limit.end(limit.acquire(now), now)
        assert prediction == pytest.approx(now, rel=0.1, abs=0.5), nth


def observes(
    limit: SlidingWindowLimit, ceiling: int, remaining: int, at: float = 0.0
) -> SentRequest:
    sent = limit.acquire(at)
    limit.end(sent, at, RateLimitHeader(W, ceiling, remaining))
    return sent


def test_trellos_own_limit_is_used_when_it_is_lower() -> None:
    limit = SlidingWindowLimit(100, W)
    observes(limit, 40, 39)
    assert limit.limit == 40
    observes(limit, 200, 198)
    assert limit.limit == 100


def test_the_operators_limit_in_a_shorter_window_is_compared_with_trellos() -> None:
    gentle, hasty = SlidingWindowLimit(5, 1.0), SlidingWindowLimit(500, 1.0)
    for limit in (gentle, hasty):
        observes(limit, 100, 99)
    assert (gentle.limit, gentle.window_s) == (5, 1.0)
    assert (hasty.limit, hasty.window_s) == (100, W)


def test_requests_of_other_programs_count() -> None:
    limit = SlidingWindowLimit(100, W)
    observes(limit, 100, 4)
    free = 0
    while limit.earliest_send_at(0.0, interactive=True) <= 0.0:
        limit.acquire(0.0)
        free += 1
    assert free == 4
    assert limit.remaining(0.0) == 0


def test_requests_in_flight_may_be_missing_from_the_header() -> None:
    limit = SlidingWindowLimit(100, W)
    for _ in range(3):
        limit.acquire(0.0)
    sent = limit.acquire(0.0)
    limit.acquire(0.0)
    limit.end(sent, 0.5, RateLimitHeader(W, 100, 5))
    assert limit.earliest_send_at(1.0, interactive=True) == 1.0
    limit.acquire(1.0)
    assert limit.earliest_send_at(1.0, interactive=True) == inf


def test_while_only_the_reserve_is_left_the_count_is_probed() -> None:
    limit = SlidingWindowLimit(100, W)
    observes(limit, 100, 3)
    assert limit.earliest_send_at(0.5, interactive=True) == 0.5
    assert limit.earliest_send_at(0.5, interactive=False) == 1.0
    assert limit.earliest_send_at(2.0, interactive=False) == 2.0


def test_a_header_of_an_older_request_is_ignored() -> None:
    limit = SlidingWindowLimit(100, W)
    old, new = limit.acquire(0.0), limit.acquire(0.1)
    limit.end(new, 0.5, RateLimitHeader(W, 100, 1))
    limit.end(old, 0.6, RateLimitHeader(W, 100, 90))
    limit.end(limit.acquire(0.7), 0.8)
    assert limit.earliest_send_at(0.9, interactive=True) == pytest.approx(10.1)


def test_after_others_used_all_one_request_goes_alone_first() -> None:
    limit = SlidingWindowLimit(100, W)
    observes(limit, 100, 0)
    assert limit.earliest_send_at(1.0, interactive=True) == W
    looking = limit.acquire(11.0)
    assert limit.earliest_send_at(11.0, interactive=True) == inf
    limit.end(looking, 11.1, RateLimitHeader(W, 100, 99))
    assert limit.earliest_send_at(11.1, interactive=True) == 11.1


@dataclass
class Trello:
    """Counts arrivals in fixed or sliding windows, and sends the remaining count."""

    ceiling: int
    phase_s: float | None
    """Phase of its fixed windows; None: sliding windows."""
    arrivals: deque[float] = field(default_factory=deque)
    refused: int = 0

    def arrive(self, at: float) -> RateLimitHeader:
        begins = at - W + 1e-9 if self.phase_s is None else at - (at - self.phase_s) % W
        while self.arrivals and (
            self.arrivals[0] <= begins if self.phase_s is None else self.arrivals[0] < begins
        ):
            self.arrivals.popleft()
        if len(self.arrivals) >= self.ceiling:
            self.refused += 1
        else:
            self.arrivals.append(at)
        return RateLimitHeader(W, self.ceiling, self.ceiling - len(self.arrivals))


def simulate(
    trello: Trello, limit: SlidingWindowLimit, pauses: list[tuple[float, float, float]]
) -> int:
    """Send requests, given as (pause before, time to arrive, time back), as soon as allowed."""
    now, sent = 0.0, 0
    events: list[tuple[float, int, str, SentRequest, RateLimitHeader | None, float]] = []

    def happen(until: float) -> float:
        while events and events[0][0] <= until:
            at, number, what, request, header, back_s = heappop(events)
            if what == "arrive":
                response = trello.arrive(at)
                heappush(events, (at + back_s, number, "answer", request, response, 0.0))
            else:
                limit.end(request, at, header)
        return until

    for number, (pause_s, there_s, back_s) in enumerate(pauses):
        now = happen(now + pause_s)
        while (at := limit.earliest_send_at(now, interactive=True)) > now:
            now = happen(min(at, events[0][0] if events else at))
        heappush(events, (now + there_s, number, "arrive", limit.acquire(now), None, back_s))
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
    ceiling: int, phase_s: float | None, pauses: list[tuple[float, float, float]]
) -> None:
    trello = Trello(ceiling, phase_s)
    assert simulate(trello, SlidingWindowLimit(ceiling, W), pauses) == len(pauses)
    assert not trello.refused


@pytest.mark.parametrize("phase_s", [None, 0.0, 3.3])
def test_nearly_all_of_the_limit_is_used(phase_s: float | None) -> None:
    trello = Trello(100, phase_s)
    limit, pauses = SlidingWindowLimit(100, W), [(0.0, 0.05, 0.05)] * 1000
    simulate(trello, limit, pauses)
    assert not trello.refused
    assert limit.earliest_send_at(0.0, interactive=True) <= 102.0
