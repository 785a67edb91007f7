"""Rate limits in Trello's responses, and limits that only they show."""

from collections.abc import Callable

import pytest

from proxy.model import Fields
from proxy.ratelimit.sliding_window import (
    MAX_NAMES,
    HeaderOnlyLimit,
    RateLimitHeader,
    parse_rate_limit_headers,
)


def fields(name: str, *figures: str) -> Fields:
    ends = ("Interval-Ms", "Max", "Remaining")
    return tuple(
        (f"X-Rate-Limit-{name}-{end}", figure) for end, figure in zip(ends, figures, strict=True)
    )


CASES: dict[str, tuple[Fields, dict[str, RateLimitHeader]]] = {
    "the token's": (fields("Api-Token", "10000", "100", "99"),
                    {"api-token": RateLimitHeader(10.0, 100, 99)}),
    "the member's, in whatever case": (
        (("x-rate-limit-member-interval-ms", "10000"), ("x-rate-limit-MEMBER-max", "375"),
         ("X-RATE-LIMIT-member-remaining", "0")),
        {"member": RateLimitHeader(10.0, 375, 0)},
    ),
    "two of them": (
        fields("Api-Key", "10000", "300", "1")
        + fields("Db-Query-Time", "600000", "7200000", "5"),
        {"api-key": RateLimitHeader(10.0, 300, 1),
         "db-query-time": RateLimitHeader(600.0, 7_200_000, 5)},
    ),
    "one without what is left": (fields("Api-Key", "10000", "300", "")[:2], {}),
    "a maximum of none": (fields("Api-Key", "10000", "0", "0"), {}),
    "no window": (fields("Api-Key", "0", "300", "1"), {}),
    "words for figures": (fields("Api-Key", "10000", "many", "-1"), {}),
    "figures beyond all reason": (fields("Api-Key", "10000", "9" * 5000, "1"), {}),
    "other fields": ((("X-Rate", "1"), ("Content-Length", "2")), {}),
}  # fmt: skip


@pytest.mark.parametrize(("given", "headers"), CASES.values(), ids=CASES.keys())
def test_parse_rate_limit_headers(given: Fields, headers: dict[str, RateLimitHeader]) -> None:
    assert parse_rate_limit_headers(given) == headers


def test_the_number_of_names_is_bounded() -> None:
    many = [field for n in range(100) for field in fields(f"Of-{n}", "1000", "5", "4")]
    assert len(parse_rate_limit_headers(tuple(many))) == MAX_NAMES


MEMBER_S, DATABASE_S = 10.0, 600.0


def observed(interval_s: float, remaining: int) -> HeaderOnlyLimit:
    """Observed at 100 s, in the response to the 51st request."""
    limit = HeaderOnlyLimit()
    limit.observe(RateLimitHeader(interval_s, 375, remaining), 100.0, 50)
    return limit


def blocked(interval_s: float) -> HeaderOnlyLimit:
    limit = observed(interval_s, 100)
    limit.block(101.0, jitter=1.0)
    return limit


def blocked_first() -> HeaderOnlyLimit:
    limit = HeaderOnlyLimit()
    limit.block(1.0, jitter=0.0)
    return limit


SEND_AT: dict[str, tuple[Callable[[], HeaderOnlyLimit], float, int, float]] = {
    "nothing was observed": (HeaderOnlyLimit, 5.0, 0, 5.0),
    "some are left": (lambda: observed(MEMBER_S, 1), 101.0, 51, 101.0),
    "requests sent since may not be counted": (lambda: observed(MEMBER_S, 1), 101.0, 52, 110.0),
    "none is left": (lambda: observed(MEMBER_S, 0), 101.0, 51, 110.0),
    "its window is over": (lambda: observed(MEMBER_S, 0), 110.0, 51, 110.0),
    "units of time are not requests": (lambda: observed(DATABASE_S, 1), 101.0, 99, 101.0),
    "a long window is probed after a minute": (lambda: observed(DATABASE_S, 0), 101.0, 51, 160.0),
    "a 429": (lambda: blocked(MEMBER_S), 102.0, 51, 112.0),
    "a 429 in a long window": (lambda: blocked(DATABASE_S), 102.0, 51, 167.0),
    "a 429 before any header": (blocked_first, 2.0, 1, 61.0),
}


@pytest.mark.parametrize(("make", "now", "sent", "at"), SEND_AT.values(), ids=SEND_AT.keys())
def test_earliest_send_at(
    make: Callable[[], HeaderOnlyLimit], now: float, sent: int, at: float
) -> None:
    assert make().earliest_send_at(now, sent) == pytest.approx(at)


def test_an_older_response_is_ignored() -> None:
    limit = observed(MEMBER_S, 0)
    limit.observe(RateLimitHeader(MEMBER_S, 375, 300), 99.0, 49)
    assert limit.earliest_send_at(101.0, 51) == 110.0
