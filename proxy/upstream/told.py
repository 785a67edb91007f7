"""A bucket of which only Trello's answers tell: the member's, database time, actions. Pure."""

from math import inf

from proxy.upstream.statement import RateLimitHeader

COUNTED_WINDOW_S = 60.0
"""In a longer one a request is not one unit (time in the database), or mostly none (actions)."""
_LOOK_AGAIN_S = 60.0


class HeaderOnlyLimit:
    """No requests while it is empty by the last that was heard; `sent` counts ours, ever."""

    def __init__(self) -> None:
        self._remaining = RateLimitHeader(0.0, 1, 1)
        self._at = -inf
        self._before = 0
        self._blocked_until = -inf

    def observe(self, said: RateLimitHeader, at: float, before: int) -> None:
        """What the request sent `at`, after `before` others, was told; an older one is not news."""
        if at >= self._at:
            self._remaining, self._at, self._before = said, at, before

    def block(self, now: float, jitter: float) -> None:
        """It ran over: as long as its window, a minute at most, and a tenth of `jitter` of that."""
        window_s = min(self._remaining.interval_s or _LOOK_AGAIN_S, _LOOK_AGAIN_S)
        self._blocked_until = now + window_s * (1 + jitter / 10)

    def earliest_send_at(self, now: float, sent: int) -> float:
        """When one more may go."""
        if now < self._blocked_until:
            return self._blocked_until
        said = self._remaining
        lapses_at = self._at + min(said.interval_s, _LOOK_AGAIN_S)
        unknown = sent - self._before - 1 if said.interval_s <= COUNTED_WINDOW_S else 0
        if now >= lapses_at or said.remaining > unknown:
            return now
        return lapses_at
