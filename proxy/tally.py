"""Who asks how much, what of it reached Trello, and what Trello would have seen without the proxy.

Plain arithmetic on plain integers, as in `metrics.py`: a hit pays for it every time.
"""

MOST_TOOLS = 30
"""Names, OTHER and OWN among them."""
OTHER = "other"
"""All tools beyond those that were seen first."""
OWN = "trello-proxy"
"""Whatever the proxy asks of its own accord."""
WINDOW_S = 10
WINDOW_REQUESTS = 100
"""Trello's limit for one token, which all tools would share."""


class Tally:
    """Counts by tool; their names are those of `policy/tool.py`."""

    def __init__(self) -> None:
        self.asked = {OTHER: 0, OWN: 0}
        """Requests for Trello's API, by tool."""
        self.spent = {OTHER: 0, OWN: 0}
        """Requests to Trello, by the tool for which they were made."""
        self.requests = 0
        """Those of `asked`, of all tools."""
        self.throttled = 0
        """So many of them Trello would have refused with a 429."""
        self._window = 0.0
        self._in_window = 0

    def ask(self, tool: str, now: float) -> None:
        """A client's request arrived."""
        if tool not in self.asked:
            tool = self._admitted(tool)
        self.asked[tool] += 1
        self.requests += 1
        window = now // WINDOW_S
        if window != self._window:
            self._window, self._in_window = window, 0
        self._in_window += 1
        if self._in_window > WINDOW_REQUESTS:
            self.throttled += 1

    def spend(self, tool: str) -> None:
        """Trello is asked."""
        if tool not in self.spent:
            tool = self._admitted(tool)
        self.spent[tool] += 1

    def _admitted(self, tool: str) -> str:
        """The tool, with counts of its own from now on; OTHER where there is no room for them."""
        if len(self.asked) >= MOST_TOOLS:
            return OTHER
        self.asked[tool] = self.spent[tool] = 0
        return tool
