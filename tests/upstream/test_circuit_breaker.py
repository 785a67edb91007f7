"""The circuit breaker opens after many failures, probes gently, and closes again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.circuit_breaker import (
    FIRST_PAUSE_S,
    MAX_PAUSE_S,
    MIN_FAILURES,
    SUCCESSFUL_PROBES,
    WINDOW_S,
    CircuitBreaker,
)


def record(breaker: CircuitBreaker, now: float, *, good: int = 0, bad: int = 0) -> None:
    for _ in range(good):
        breaker.acquire().succeed(now)
    for _ in range(bad):
        breaker.acquire().fail(now, 1.0)


EVENTS: dict[str, tuple[list[tuple[float, int, int]], str]] = {
    "nothing": ([], "closed"),
    "too few failures to prove anything": ([(0.0, 0, MIN_FAILURES - 1)], "closed"),
    "nothing but failures": ([(0.0, 0, MIN_FAILURES)], "open"),
    "half of many": ([(0.0, 50, 50)], "open"),
    "less than half": ([(0.0, MIN_FAILURES + 1, MIN_FAILURES)], "closed"),
    "failures that are long ago": ([(0.0, 0, 9), (WINDOW_S + 3, 0, 9)], "closed"),
    "failures within one window": ([(0.0, 0, 9), (WINDOW_S - 6, 0, 1)], "open"),
    "successes of long ago do not count": ([(0.0, 900, 0), (WINDOW_S + 3, 0, 10)], "open"),
}


@pytest.mark.parametrize(("events", "state"), EVENTS.values(), ids=EVENTS.keys())
def test_what_opens_it(events: list[tuple[float, int, int]], state: str) -> None:
    breaker, now = CircuitBreaker(), 0.0
    for now, good, bad in events:
        record(breaker, now, good=good, bad=bad)
    assert breaker.state(now) == state


SHARED: dict[str, tuple[dict[str, tuple[int, int]], str]] = {
    "one client alone": ({"a": (0, 50)}, "closed"),
    "one client among successful ones": (
        {"a": (0, 50), "b": (10, 0), "c": (10, 0)},
        "closed",
    ),
    "two clients": ({"a": (0, 9), "b": (0, 1)}, "open"),
    "two clients, too seldom": ({"a": (0, 8), "b": (0, 1)}, "closed"),
    "most of the others' too": ({"a": (0, 20), "b": (1, 2), "c": (3, 2)}, "open"),
    "few of the others'": ({"a": (0, 40), "b": (1, 2), "c": (5, 2)}, "closed"),
    "half of many": ({str(n): (5, 5) for n in range(10)}, "open"),
    "more clients than are counted separately": ({str(n): (0, 1) for n in range(99)}, "open"),
}


@pytest.mark.parametrize(("clients", "state"), SHARED.values(), ids=SHARED.keys())
def test_a_shared_one_opens_only_if_it_fails_for_more_than_one(
    clients: dict[str, tuple[int, int]], state: str
) -> None:
    breaker = CircuitBreaker(is_shared=True)
    for client, (good, _) in clients.items():
        for _ in range(good):
            breaker.acquire(client).succeed(0.0)
    for client, (_, bad) in clients.items():
        for _ in range(bad):
            breaker.acquire(client).fail(0.0, 1.0)
    assert breaker.state(0.0) == state


def opened() -> CircuitBreaker:
    breaker = CircuitBreaker()
    record(breaker, 0.0, bad=MIN_FAILURES)
    return breaker


def test_open_it_allows_no_request_and_then_one_at_a_time() -> None:
    breaker = opened()
    assert breaker.wait_s(0.0) == FIRST_PAUSE_S
    assert breaker.wait_s(1.5) == pytest.approx(0.5)
    assert breaker.state(FIRST_PAUSE_S) == "half-open"
    assert breaker.wait_s(FIRST_PAUSE_S) == 0
    assert breaker.acquire().is_probe
    assert breaker.wait_s(FIRST_PAUSE_S) > 0


def test_a_cancelled_probe_allows_the_next() -> None:
    breaker = opened()
    breaker.acquire().cancel()
    assert breaker.wait_s(FIRST_PAUSE_S) == 0


def test_successful_probes_close_it_and_earlier_failures_are_forgotten() -> None:
    breaker = opened()
    closed = [breaker.acquire().succeed(3.0) for _ in range(SUCCESSFUL_PROBES)]
    assert closed == [False] * (SUCCESSFUL_PROBES - 1) + [True]
    assert breaker.state(3.0) == "closed"
    record(breaker, 3.0, bad=MIN_FAILURES - 1)
    assert breaker.state(3.0) == "closed"


def test_each_failed_probe_doubles_the_pause_up_to_a_minute() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        pauses.append(breaker.wait_s(now))
        now += pauses[-1]
        assert not breaker.acquire().fail(now, 1.0)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses[-1] == MAX_PAUSE_S


def test_jitter_spreads_the_pause_over_its_second_half() -> None:
    pauses = []
    for jitter in (0.0, 1.0):
        breaker = CircuitBreaker()
        for _ in range(MIN_FAILURES):
            breaker.acquire().fail(0.0, jitter)
        pauses.append(breaker.wait_s(0.0))
    assert pauses == [FIRST_PAUSE_S / 2, FIRST_PAUSE_S]


def test_a_request_sent_before_it_opened_neither_closes_it_nor_prolongs_its_pause() -> None:
    breaker = CircuitBreaker()
    earlier = [breaker.acquire() for _ in range(9)]
    record(breaker, 0.0, bad=MIN_FAILURES)
    for call in earlier[:5]:
        assert not call.succeed(3.0)
    for call in earlier[5:]:
        assert not call.fail(3.0, 1.0)
    assert (breaker.state(3.0), breaker.wait_s(3.0)) == ("half-open", 0)


def test_a_failed_body_of_a_probe_opens_it_again() -> None:
    breaker = opened()
    breaker.acquire().succeed(3.0)
    assert not breaker.resume(3.0).fail(3.0, 1.0)
    assert (breaker.state(3.0), breaker.wait_s(3.0)) == ("open", 2 * FIRST_PAUSE_S)


@given(
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["good", "bad", "gone"])), max_size=200)
)
def test_it_always_allows_a_request_again(steps: list[tuple[float, str]]) -> None:
    breaker, now = CircuitBreaker(), 0.0
    for after, event in steps:
        now += after
        if breaker.wait_s(now) > 0:
            assert breaker.wait_s(now) <= MAX_PAUSE_S
            continue
        call = breaker.acquire()
        match event:
            case "good":
                call.succeed(now)
            case "bad":
                call.fail(now, 0.5)
            case _:
                call.cancel()
    assert breaker.wait_s(now + MAX_PAUSE_S) == 0
