"""Dashboard of the home page: figures, plots, limits, clients and failures of the last hour."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.dashboard import (
    dashboard_html,
    dashboard_text,
    health_text,
)
from proxy.status.history import (
    MINUTES,
    DashboardData,
    LimitUse,
    Minute,
    RecentFailure,
)

BUSY = Minute(hits=6, collapsed=1, forwarded=3, upstream=4, failed=0)
BAD = Minute(hits=0, collapsed=0, forwarded=4, upstream=4, failed=2)
IDLE = Minute()

HEALTH = {
    "no requests": ([IDLE], "no requests lately"),
    "nothing failed": ([BUSY], "healthy"),
    "some failed": ([BUSY, BAD], "failing: 2 of 8 upstream requests failed lately"),
    "all that was long ago": ([BAD, *[BUSY] * 5], "healthy"),
    "the current minute counts": (
        [*[BUSY] * 4, BAD],
        "failing: 2 of 20 upstream requests failed lately",
    ),
}


@pytest.mark.parametrize(("minutes", "health"), HEALTH.values(), ids=HEALTH.keys())
def test_trellos_health(minutes: list[Minute], health: str) -> None:
    assert health_text(DashboardData(minutes)) == health


def test_the_text_says_it_in_a_few_lines() -> None:
    data = DashboardData([BUSY, BAD] * 8, limits=[LimitUse("token", 90, 100, 10.0)])
    assert dashboard_text(data) == (
        "Last hour: 50% answered without an upstream request, 64 upstream requests, 48 saved\n"
        "Trello:    failing: 6 of 20 upstream requests failed lately\n"
        "Limit:     90 of 100 left (token)\n"
    )


def test_few_requests_make_no_ratio() -> None:
    assert "Last hour: 0 responses from the cache\n" in dashboard_text(DashboardData([IDLE]))
    own = Minute(hits=9, forwarded=1, upstream=20)
    assert "Last hour: 9 responses from the cache\n" in dashboard_text(DashboardData([own]))
    assert "saved" not in dashboard_html(DashboardData([own]))


def test_the_proxys_own_requests_come_last_and_say_why() -> None:
    clients = [("trello-proxy", 50), *((f"bot-{number}", 9 - number) for number in range(9))]
    page = dashboard_html(DashboardData([BUSY], clients=clients))
    assert page.index("bot-7") < page.index("the proxy itself, watching for changes")
    assert "bot-8" not in page
    assert ">trello-proxy<" not in page


def test_the_page_shows_limits_clients_and_failures() -> None:
    page = dashboard_html(
        DashboardData(
            [BUSY],
            limits=[LimitUse("members", 30, 100, 900.0)],
            clients=[("sync-bot", 30), ("curl", 10), ("idle", 0)],
            failures=[
                RecentFailure(1_800_000_000.0, "/boards/{id}", "Trello did not answer in time")
            ],
        )
    )
    assert '<th scope="row">members</th><td>30 of 100</td>' in page
    assert "per 15 min" in page
    assert '<th scope="row">sync-bot</th><td>30</td><td>75%</td>' in page
    assert "idle" not in page
    assert "Trello did not answer in time" in page
    assert "15 Jan 2027, 08:00 UTC" in page


def test_empty_sections_are_left_out() -> None:
    page = dashboard_html(DashboardData([IDLE]))
    for heading in ("Left of", "by client", "Recent failures"):
        assert heading not in page


BARS = re.compile(r'<rect class="(\w+)" x="(\d+)" y="([\d.]+)" width="8" height="([\d.]+)"/>')
counts = st.integers(0, 10_000)
minute = st.builds(Minute, counts, counts, counts, counts, st.just(0))


@given(st.lists(minute, min_size=1, max_size=MINUTES))
def test_bars_stay_within_the_plot_and_the_last_is_now(minutes: list[Minute]) -> None:
    page = dashboard_html(DashboardData(minutes))
    bars = [(int(x), float(y), float(height)) for _, x, y, height in BARS.findall(page)]
    assert len(bars) == page.count("<rect")
    for x, y, height in bars:
        assert 0 < x < MINUTES * 10
        assert y >= 0
        assert y + height <= 101.6
    if minutes[-1].forwarded:
        assert max(x for x, _, _ in bars) == MINUTES * 10 - 9
    assert page.count('role="img"') == 2
    assert "style=" not in page
