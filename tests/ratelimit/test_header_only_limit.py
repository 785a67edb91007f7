"""A bucket of which only answers tell."""

from collections.abc import Callable

import pytest

from proxy.ratelimit.upstream_headers import HeaderOnlyLimit, RateLimitHeader

MEMBER_S, DATABASE_S = 10.0, 600.0


def heard(interval_s: float, remaining: int) -> HeaderOnlyLimit:
    """At 100 s, by a request that 50 had gone before."""
    told = HeaderOnlyLimit()
    told.observe(RateLimitHeader(interval_s, 375, remaining), 100.0, 50)
    return told


def stopped(interval_s: float) -> HeaderOnlyLimit:
    told = heard(interval_s, 100)
    told.block(101.0, jitter=1.0)
    return told


def unheard() -> HeaderOnlyLimit:
    told = HeaderOnlyLimit()
    told.block(1.0, jitter=0.0)
    return told


CASES: dict[str, tuple[Callable[[], HeaderOnlyLimit], float, int, float]] = {
    "nothing was heard": (HeaderOnlyLimit, 5.0, 0, 5.0),
    "there is room": (lambda: heard(MEMBER_S, 1), 101.0, 51, 101.0),
    "what was sent since may not be counted yet": (lambda: heard(MEMBER_S, 1), 101.0, 52, 110.0),
    "there is none": (lambda: heard(MEMBER_S, 0), 101.0, 51, 110.0),
    "its window is over": (lambda: heard(MEMBER_S, 0), 110.0, 51, 110.0),
    "in time, requests are not counted": (lambda: heard(DATABASE_S, 1), 101.0, 99, 101.0),
    "where time is spent, one looks again": (lambda: heard(DATABASE_S, 0), 101.0, 51, 160.0),
    "it ran over": (lambda: stopped(MEMBER_S), 102.0, 51, 112.0),
    "it ran over, and its window is long": (lambda: stopped(DATABASE_S), 102.0, 51, 167.0),
    "it ran over before anything was heard of it": (unheard, 2.0, 1, 61.0),
}


@pytest.mark.parametrize(("make", "now", "sent", "at"), CASES.values(), ids=CASES.keys())
def test_earliest(make: Callable[[], HeaderOnlyLimit], now: float, sent: int, at: float) -> None:
    assert make().earliest_send_at(now, sent) == pytest.approx(at)


def test_an_older_answer_is_not_news() -> None:
    told = heard(MEMBER_S, 0)
    told.observe(RateLimitHeader(MEMBER_S, 375, 300), 99.0, 49)
    assert told.earliest_send_at(101.0, 51) == 110.0
