"""Who asks how much, what of it reached Trello, and what Trello would have seen without the proxy.

Plain arithmetic on plain integers, as in `metrics.py`: a hit pays for it every time.
"""

from math import inf

MOST_TOOLS = 30
"""Names, OTHER and OWN among them."""
OTHER = "other"
"""All tools for which there is no room."""
OWN = "trello-proxy"
"""Whatever the proxy asks of its own accord."""
REST_S = 3600
"""A tool that asks nothing for so long, and up to twice as long, leaves its place to another."""
WINDOW_S = 10
WINDOW_REQUESTS = 100
"""Trello's limit for one token, which all tools would share."""


class ClientStats:
    """Counts by tool; their names are those of `policy/tool.py`."""

    def __init__(self) -> None:
        self.requests_by_client = {OTHER: 0, OWN: 0}
        """Requests for Trello's API, by tool."""
        self.upstream_by_client = {OTHER: 0, OWN: 0}
        """Requests to Trello, by the tool for which they were made."""
        self.sent = 0
        """Those of `spent`, of all tools, also of those that left."""
        self.requests = 0
        """Those of `asked`, of all tools, also of those that left."""
        self.would_be_throttled = 0
        """So many of them Trello would have refused with a 429."""
        self._window = 0.0
        self._in_window = 0
        self._looked_at = -inf
        self._counts: dict[str, int] = {}
        """Of each tool, when it was looked last for those that rest."""

    def count_request(self, tool: str, now: float) -> None:
        """A client's request arrived."""
        window = now // WINDOW_S
        if window != self._window:
            self._window, self._in_window = window, 0
        self._in_window += 1
        if self._in_window > WINDOW_REQUESTS:
            self.would_be_throttled += 1
        if tool not in self.requests_by_client:
            tool = self._admitted(tool)
        self.requests_by_client[tool] += 1
        self.requests += 1

    def count_upstream(self, tool: str) -> None:
        """Trello is asked."""
        if tool not in self.upstream_by_client:
            tool = self._admitted(tool)
        self.upstream_by_client[tool] += 1
        self.sent += 1

    def _admitted(self, tool: str) -> str:
        """The tool, with counts of its own from now on; OTHER where there is no room for them."""
        if len(self.requests_by_client) >= MOST_TOOLS:
            self._make_room()
        if len(self.requests_by_client) >= MOST_TOOLS:
            return OTHER
        self.requests_by_client[tool] = self.upstream_by_client[tool] = 0
        return tool

    def _make_room(self) -> None:
        """Have those leave that asked nothing since the last look, if that is long enough ago."""
        now = self._window * WINDOW_S
        if 0 <= now - self._looked_at < REST_S:
            return
        self._looked_at = now
        counts = {
            tool: self.requests_by_client[tool] + self.upstream_by_client[tool]
            for tool in self.requests_by_client
        }
        for tool in counts.keys() - {OTHER, OWN}:
            if self._counts.get(tool) == counts[tool]:
                del self.requests_by_client[tool], self.upstream_by_client[tool]
        self._counts = counts
