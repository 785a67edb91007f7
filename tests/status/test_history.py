"""Dashboard data: ratios of the hour, and minutes that end on the clock."""

import pytest

from proxy.observability.metrics import Metrics
from proxy.runtime.clock import FakeClock
from proxy.status.history import MINUTES, DashboardData, LastHour, Minute

BUSY = Minute(hits=6, collapsed=1, forwarded=3, upstream=4, failed=0)
FAILING = Minute(hits=0, collapsed=0, forwarded=4, upstream=4, failed=2)


def test_ratio_and_savings_are_of_the_hour() -> None:
    data = DashboardData([BUSY, FAILING, Minute()])
    assert data.hit_ratio == 7 / 14
    assert data.saved == 14 - 8


def test_without_requests_there_is_no_ratio_and_savings_are_never_negative() -> None:
    assert DashboardData([Minute()]).hit_ratio is None
    assert DashboardData([Minute(upstream=5)]).saved == 0


def test_health_is_judged_by_the_last_five_minutes() -> None:
    assert DashboardData([FAILING, *[BUSY] * 5]).recent == (20, 0)
    assert DashboardData([*[BUSY] * 4, FAILING]).recent == (20, 2)


def count(metrics: Metrics, status: str) -> None:
    metrics.count_upstream("/boards/{id}", "GET", status, 0.1)


def test_each_minute_has_its_own_counts() -> None:
    metrics, clock = Metrics(), FakeClock()
    history = LastHour(metrics, clock)
    count(metrics, "200")
    clock.advance(60)
    history.tick()
    count(metrics, "503")
    count(metrics, "connection-terminated")
    first, current = history.minutes()
    assert (first.upstream, first.failed) == (1, 0)
    assert (current.upstream, current.failed) == (2, 2)


@pytest.mark.parametrize("pause_minutes", [1, 30, MINUTES, 10_000])
def test_the_history_is_an_hour_at_most(pause_minutes: int) -> None:
    metrics, clock = Metrics(), FakeClock()
    history = LastHour(metrics, clock)
    count(metrics, "200")
    clock.advance(60 * pause_minutes)
    minutes = history.minutes()
    assert len(minutes) == min(MINUTES, pause_minutes + 1)
    assert sum(each.upstream for each in minutes) == (1 if pause_minutes < MINUTES else 0)
