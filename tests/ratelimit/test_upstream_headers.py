"""What answers say of Trello's buckets."""

import pytest

from proxy.model import Fields
from proxy.ratelimit.upstream_headers import (
    MAX_NAMES,
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


@pytest.mark.parametrize(("given", "said"), CASES.values(), ids=CASES.keys())
def test_statements(given: Fields, said: dict[str, RateLimitHeader]) -> None:
    assert parse_rate_limit_headers(given) == said


def test_no_more_names_than_there_is_room_for() -> None:
    many = [field for n in range(100) for field in fields(f"Of-{n}", "1000", "5", "4")]
    assert len(parse_rate_limit_headers(tuple(many))) == MAX_NAMES
