"""What tools ask and spend, and what Trello would have refused them."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.observability.client_stats import (
    MOST_TOOLS,
    OTHER,
    OWN,
    REST_S,
    WINDOW_REQUESTS,
    WINDOW_S,
    ClientStats,
)

AT = 1_800_000_000.0
"""The beginning of a window."""


def asked(client_stats: ClientStats, times: int, at: float) -> None:
    for _ in range(times):
        client_stats.count_request("curl", at)


def test_a_hundred_in_a_window_pass() -> None:
    client_stats = ClientStats()
    asked(client_stats, WINDOW_REQUESTS, AT)
    asked(client_stats, WINDOW_REQUESTS, AT + WINDOW_S)
    assert (client_stats.requests, client_stats.would_be_throttled) == (2 * WINDOW_REQUESTS, 0)


def test_each_one_more_in_a_window_would_have_been_refused() -> None:
    client_stats = ClientStats()
    asked(client_stats, WINDOW_REQUESTS, AT)
    asked(client_stats, 7, AT + WINDOW_S - 0.001)
    assert client_stats.would_be_throttled == 7


def test_a_window_is_forgotten_when_the_next_one_begins() -> None:
    client_stats = ClientStats()
    asked(client_stats, WINDOW_REQUESTS + 5, AT)
    asked(client_stats, 5, AT + WINDOW_S)
    assert client_stats.would_be_throttled == 5


def test_all_tools_share_the_limit() -> None:
    client_stats = ClientStats()
    for number in range(WINDOW_REQUESTS + 1):
        client_stats.count_request(f"tool{number % 2}", AT)
    assert client_stats.would_be_throttled == 1


def test_a_tool_has_what_it_asked_and_what_was_spent_for_it() -> None:
    client_stats = ClientStats()
    asked(client_stats, 3, AT)
    client_stats.count_upstream("curl")
    client_stats.count_upstream("sync")
    assert client_stats.requests_by_client == {OTHER: 0, OWN: 0, "curl": 3, "sync": 0}
    assert client_stats.upstream_by_client == {OTHER: 0, OWN: 0, "curl": 1, "sync": 1}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * MOST_TOOLS)), max_size=400))
def test_tools_are_bounded_and_nothing_is_lost(events: list[tuple[bool, int]]) -> None:
    client_stats = ClientStats()
    for is_spent, number in events:
        if is_spent:
            client_stats.count_upstream(f"t{number}")
        else:
            client_stats.count_request(f"t{number}", AT)
    assert (
        len(client_stats.requests_by_client) == len(client_stats.upstream_by_client) <= MOST_TOOLS
    )
    assert sum(client_stats.requests_by_client.values()) == client_stats.requests
    assert sum(client_stats.upstream_by_client.values()) == sum(is_spent for is_spent, _ in events)


def test_tools_that_ask_no_more_make_room_for_others() -> None:
    client_stats = ClientStats()
    for number in range(MOST_TOOLS):
        client_stats.count_request(f"t{number}", AT)
    client_stats.count_request("late", AT)
    assert "late" not in client_stats.requests_by_client
    for _ in range(3):
        client_stats.count_request("t1", AT + REST_S + 1)
    client_stats.count_request("new", AT + REST_S + 1)
    assert "new" in client_stats.requests_by_client
    assert client_stats.requests_by_client["t1"] == 4
    assert "t2" not in client_stats.requests_by_client
    assert (
        len(client_stats.requests_by_client) == len(client_stats.upstream_by_client) <= MOST_TOOLS
    )
    assert client_stats.requests == MOST_TOOLS + 1 + 3 + 1


def test_what_was_spent_for_tools_that_left_still_counts() -> None:
    client_stats = ClientStats()
    for number in range(MOST_TOOLS):
        client_stats.count_request(f"t{number}", AT)
        client_stats.count_upstream(f"t{number}")
    client_stats.count_request("a", AT)
    client_stats.count_request("b", AT + REST_S + 1)
    assert sum(client_stats.upstream_by_client.values()) < client_stats.sent == MOST_TOOLS
