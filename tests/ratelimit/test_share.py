"""The share of background work: a fifth of the limit in any window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ratelimit.share import (
    BACKGROUND_SHARE,
    MAX_BURST,
    delay_s,
)

CASES = {
    "nothing spent: at once": ([], 2, 100.0, 100, 0.0),
    "the last that fit": ([100.0] * 18, 2, 100.0, 100, 0.0),
    "one too many waits for the first to leave": ([95.0] + [99.0] * 18, 2, 100.0, 100, 5.0),
    "two too many wait for the second": ([95.0, 96.0] + [99.0] * 18, 2, 100.0, 100, 6.0),
    "what is a window old does not count": ([90.0] * 20, 2, 100.0, 100, 0.0),
    "one request needs room for one": ([99.0] * 19, 1, 100.0, 100, 0.0),
    "a small limit has a longer window": ([100.0] * 2, 2, 100.0, 1, 100.0),
}


@pytest.mark.parametrize(("spent", "cost", "now", "count", "wait"), CASES.values(), ids=CASES)
def test_delay(spent: list[float], cost: int, now: float, count: int, wait: float) -> None:
    assert delay_s(spent, cost, now, count, 10.0) == pytest.approx(wait)


@given(st.integers(1, 200), st.lists(st.tuples(st.integers(1, MAX_BURST), st.floats(0, 9))))
def test_no_window_holds_more_than_a_fifth(count: int, wanted: list[tuple[int, float]]) -> None:
    now, spent = 0.0, list[float]()
    for cost, idle_s in wanted:
        now += idle_s
        now += delay_s(spent, cost, now, count, 10.0)
        spent += [now] * cost
    window_s = 10.0 * max(1.0, MAX_BURST * BACKGROUND_SHARE / count)
    for at in spent:
        within = [each for each in spent if at <= each < at + window_s - 1e-6]
        assert len(within) <= max(MAX_BURST, count / BACKGROUND_SHARE)
