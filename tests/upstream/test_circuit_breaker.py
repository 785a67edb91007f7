"""A breaker opens on failures, not on a few, asks gently whether it is over, and closes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.circuit_breaker import (
    FIRST_PAUSE_S,
    GOOD_PROBES,
    MAX_PAUSE_S,
    MIN_FAILURES,
    WINDOW_S,
    CircuitBreaker,
)


def told(breaker: CircuitBreaker, now: float, *, good: int = 0, bad: int = 0) -> None:
    for _ in range(good):
        breaker.succeed(now, is_probe=breaker.acquire())
    for _ in range(bad):
        breaker.fail(now, 1.0, is_probe=breaker.acquire())


TOLD: dict[str, tuple[list[tuple[float, int, int]], str]] = {
    "nothing": ([], "closed"),
    "too few failures to prove anything": ([(0.0, 0, MIN_FAILURES - 1)], "closed"),
    "nothing but failures": ([(0.0, 0, MIN_FAILURES)], "open"),
    "half of many": ([(0.0, 50, 50)], "open"),
    "less than half": ([(0.0, MIN_FAILURES + 1, MIN_FAILURES)], "closed"),
    "failures that are long ago": ([(0.0, 0, 9), (WINDOW_S + 3, 0, 9)], "closed"),
    "failures within one window": ([(0.0, 0, 9), (WINDOW_S - 6, 0, 1)], "open"),
    "what went well long ago is no excuse": ([(0.0, 900, 0), (WINDOW_S + 3, 0, 10)], "open"),
}


@pytest.mark.parametrize(("events", "state"), TOLD.values(), ids=TOLD.keys())
def test_what_opens_it(events: list[tuple[float, int, int]], state: str) -> None:
    breaker, now = CircuitBreaker(), 0.0
    for now, good, bad in events:
        told(breaker, now, good=good, bad=bad)
    assert breaker.state(now) == state


SHARED: dict[str, tuple[dict[str, tuple[int, int]], str]] = {
    "one client alone": ({"a": (0, 50)}, "closed"),
    "one client beside others that are well": (
        {"a": (0, 50), "b": (10, 0), "c": (10, 0)},
        "closed",
    ),
    "two clients": ({"a": (0, 9), "b": (0, 1)}, "open"),
    "two clients, too seldom": ({"a": (0, 8), "b": (0, 1)}, "closed"),
    "most of the others' too": ({"a": (0, 20), "b": (1, 2), "c": (3, 2)}, "open"),
    "few of the others'": ({"a": (0, 40), "b": (1, 2), "c": (5, 2)}, "closed"),
    "half of many": ({str(n): (5, 5) for n in range(10)}, "open"),
    "more clients than are told apart": ({str(n): (0, 1) for n in range(99)}, "open"),
}


@pytest.mark.parametrize(("clients", "state"), SHARED.values(), ids=SHARED.keys())
def test_a_shared_one_opens_only_if_it_fails_for_more_than_one(
    clients: dict[str, tuple[int, int]], state: str
) -> None:
    breaker = CircuitBreaker(is_shared=True)
    for client, (good, _) in clients.items():
        for _ in range(good):
            breaker.succeed(0.0, is_probe=breaker.acquire(), client=client)
    for client, (_, bad) in clients.items():
        for _ in range(bad):
            breaker.fail(0.0, 1.0, is_probe=breaker.acquire(), client=client)
    assert breaker.state(0.0) == state


def opened() -> CircuitBreaker:
    breaker = CircuitBreaker()
    told(breaker, 0.0, bad=MIN_FAILURES)
    return breaker


def test_open_it_lets_nobody_through_and_then_one_at_a_time() -> None:
    breaker = opened()
    assert breaker.wait_s(0.0) == FIRST_PAUSE_S
    assert breaker.wait_s(1.5) == pytest.approx(0.5)
    assert breaker.state(FIRST_PAUSE_S) == "half-open"
    assert breaker.wait_s(FIRST_PAUSE_S) == 0
    assert breaker.acquire()
    assert breaker.wait_s(FIRST_PAUSE_S) > 0


def test_a_probe_that_came_to_nothing_makes_room_for_the_next() -> None:
    breaker = opened()
    breaker.release(is_probe=breaker.acquire())
    assert breaker.wait_s(FIRST_PAUSE_S) == 0


def test_good_probes_close_it_and_what_was_before_is_forgotten() -> None:
    breaker = opened()
    closed = [breaker.succeed(3.0, is_probe=breaker.acquire()) for _ in range(GOOD_PROBES)]
    assert closed == [False] * (GOOD_PROBES - 1) + [True]
    assert breaker.state(3.0) == "closed"
    told(breaker, 3.0, bad=MIN_FAILURES - 1)
    assert breaker.state(3.0) == "closed"


def test_each_failed_probe_doubles_the_pause_up_to_a_minute() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        pauses.append(breaker.wait_s(now))
        now += pauses[-1]
        assert not breaker.fail(now, 1.0, is_probe=breaker.acquire())
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses[-1] == MAX_PAUSE_S


def test_jitter_spreads_the_pause_over_its_second_half() -> None:
    pauses = []
    for jitter in (0.0, 1.0):
        breaker = CircuitBreaker()
        for _ in range(MIN_FAILURES):
            breaker.fail(0.0, jitter, is_probe=breaker.acquire())
        pauses.append(breaker.wait_s(0.0))
    assert pauses == [FIRST_PAUSE_S / 2, FIRST_PAUSE_S]


def test_what_was_sent_before_it_opened_neither_closes_nor_prolongs() -> None:
    breaker = CircuitBreaker()
    earlier = [breaker.acquire() for _ in range(9)]
    told(breaker, 0.0, bad=MIN_FAILURES)
    for is_probe in earlier[:5]:
        assert not breaker.succeed(3.0, is_probe=is_probe)
    for is_probe in earlier[5:]:
        assert not breaker.fail(3.0, 1.0, is_probe=is_probe)
    assert (breaker.state(3.0), breaker.wait_s(3.0)) == ("half-open", 0)


@given(
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["good", "bad", "gone"])), max_size=200)
)
def test_it_always_opens_for_somebody_again(steps: list[tuple[float, str]]) -> None:
    breaker, now = CircuitBreaker(), 0.0
    for after, what in steps:
        now += after
        if breaker.wait_s(now) > 0:
            assert breaker.wait_s(now) <= MAX_PAUSE_S
            continue
        is_probe = breaker.acquire()
        match what:
            case "good":
                breaker.succeed(now, is_probe=is_probe)
            case "bad":
                breaker.fail(now, 0.5, is_probe=is_probe)
            case _:
                breaker.release(is_probe=is_probe)
    assert breaker.wait_s(now + MAX_PAUSE_S) == 0
