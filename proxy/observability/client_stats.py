"""Requests by client: received, sent upstream, and throttled if there were no proxy (D43).

Plain integer arithmetic, as in `metrics.py`: every cache hit pays for it.
"""

from dataclasses import dataclass

from proxy.runtime.name_table import NameTable

MAX_CLIENTS = 28
"""Names besides OTHER and OWN."""
OWN = "trello-proxy"
"""The name of the proxy's own requests."""
WINDOW_S = 10
WINDOW_REQUESTS = 100
"""Trello's limit for one token, which all clients would share without the proxy."""


@dataclass(slots=True)
class ClientCounts:
    """Counts of one client since it was admitted to the table."""

    requests: int = 0
    upstream: int = 0
    last_used_at: float = 0.0
    """POSIX seconds of its last request."""


class ClientStats:
    """Counts by client, named as `http_semantics.user_agent.client_name` does."""

    def __init__(self) -> None:
        self._clients = NameTable(
            MAX_CLIENTS, lambda _, now: ClientCounts(last_used_at=now), permanent=(OWN,)
        )
        self.requests = 0
        """API requests of all clients, evicted ones included."""
        self.would_be_throttled = 0
        """API requests that Trello would have answered with 429 without the proxy."""
        self._window = 0.0
        """Number of the current window."""
        self._in_window = 0

    @property
    def requests_by_client(self) -> dict[str, int]:
        """API requests received."""
        return {name: counts.requests for name, counts in self._clients.entries.copy().items()}

    @property
    def upstream_by_client(self) -> dict[str, int]:
        """Upstream requests sent for a client."""
        return {name: counts.upstream for name, counts in self._clients.entries.copy().items()}

    def count_request(self, client: str, now: float) -> None:
        """Count an API request; `now` in POSIX seconds."""
        window = now // WINDOW_S
        if window != self._window:
            self._window, self._in_window = window, 0
        self._in_window += 1
        if self._in_window > WINDOW_REQUESTS:
            self.would_be_throttled += 1
        counts = self._clients.entry(client, now)
        counts.requests += 1
        counts.last_used_at = now
        self.requests += 1

    def count_upstream(self, client: str) -> None:
        """Count an upstream request sent for a client."""
        self._clients.entry(client, self._window * WINDOW_S).upstream += 1
