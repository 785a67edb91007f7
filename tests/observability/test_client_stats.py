"""Requests by client, and what Trello would have throttled without the proxy."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.observability.metrics import MAX_CLIENTS, OWN, WINDOW_REQUESTS, WINDOW_S, ClientStats
from proxy.runtime.lru import IDLE_S, OTHER

AT = 1_800_000_000.0
"""The start of a window."""


def count_requests(client_stats: ClientStats, times: int, at: float) -> None:
    for _ in range(times):
        client_stats.count_request("curl", at)


def test_a_hundred_in_a_window_pass() -> None:
    client_stats = ClientStats()
    count_requests(client_stats, WINDOW_REQUESTS, AT)
    count_requests(client_stats, WINDOW_REQUESTS, AT + WINDOW_S)
    assert (client_stats.requests, client_stats.would_be_throttled) == (2 * WINDOW_REQUESTS, 0)


def test_each_further_request_in_a_window_would_have_been_throttled() -> None:
    client_stats = ClientStats()
    count_requests(client_stats, WINDOW_REQUESTS, AT)
    count_requests(client_stats, 7, AT + WINDOW_S - 0.001)
    assert client_stats.would_be_throttled == 7


def test_a_window_is_forgotten_when_the_next_one_begins() -> None:
    client_stats = ClientStats()
    count_requests(client_stats, WINDOW_REQUESTS + 5, AT)
    count_requests(client_stats, 5, AT + WINDOW_S)
    assert client_stats.would_be_throttled == 5


def test_all_clients_share_the_limit() -> None:
    client_stats = ClientStats()
    for number in range(WINDOW_REQUESTS + 1):
        client_stats.count_request(f"client{number % 2}", AT)
    assert client_stats.would_be_throttled == 1


def test_a_client_has_its_requests_and_upstream_requests() -> None:
    client_stats = ClientStats()
    count_requests(client_stats, 3, AT)
    client_stats.count_upstream("curl")
    client_stats.count_upstream("sync")
    assert client_stats.requests_by_client == {OTHER: 0, OWN: 0, "curl": 3, "sync": 0}
    assert client_stats.upstream_by_client == {OTHER: 0, OWN: 0, "curl": 1, "sync": 1}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * MAX_CLIENTS)), max_size=400))
def test_clients_are_bounded_and_no_request_is_lost(events: list[tuple[bool, int]]) -> None:
    client_stats = ClientStats()
    for is_upstream, number in events:
        if is_upstream:
            client_stats.count_upstream(f"t{number}")
        else:
            client_stats.count_request(f"t{number}", AT)
    assert client_stats.requests_by_client.keys() == client_stats.upstream_by_client.keys()
    assert len(client_stats.requests_by_client) <= MAX_CLIENTS + 2
    assert sum(client_stats.requests_by_client.values()) == client_stats.requests
    assert sum(client_stats.upstream_by_client.values()) == sum(
        is_upstream for is_upstream, _ in events
    )


def test_idle_clients_make_room_for_others() -> None:
    client_stats = ClientStats()
    for number in range(MAX_CLIENTS):
        client_stats.count_request(f"t{number}", AT)
    client_stats.count_request("late", AT)
    assert "late" not in client_stats.requests_by_client
    for _ in range(3):
        client_stats.count_request("t1", AT + IDLE_S + 1)
    client_stats.count_request("new", AT + IDLE_S + 1)
    assert "new" in client_stats.requests_by_client
    assert client_stats.requests_by_client["t1"] == 4
    assert "t0" not in client_stats.requests_by_client
    assert len(client_stats.requests_by_client) == MAX_CLIENTS + 2
    assert client_stats.requests == MAX_CLIENTS + 1 + 3 + 1
