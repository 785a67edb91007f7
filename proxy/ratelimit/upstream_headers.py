"""What Trello's answers say of its buckets: `x-rate-limit-{name}-{interval-ms,max,remaining}`."""

from dataclasses import dataclass
from math import inf

from proxy.model import Fields

_PREFIX = "x-rate-limit-"
_FIRST = ("X-", "x-")
_FIGURES = ("-interval-ms", "-max", "-remaining")
MAX_NAMES = 16
"""Trello has five; further ones of one answer are not looked at."""


@dataclass(frozen=True, slots=True)
class RateLimitHeader:
    """One bucket as Trello saw it when it took the request."""

    interval_s: float
    limit: int
    remaining: int


def parse_rate_limit_headers(fields: Fields) -> dict[str, RateLimitHeader]:
    """By the bucket's name, as `api-token`; those of which all three figures are there."""
    found = {
        name[13:].lower(): int(value)
        for name, value in fields
        if name[:2] in _FIRST and name[:13].lower() == _PREFIX
        if value.isdecimal() and len(value) < 16
    }
    out: dict[str, RateLimitHeader] = {}
    for field in found:
        if not field.endswith("-max"):
            continue
        name = field[:-4]
        interval_ms, most, remaining = (found.get(name + figure) for figure in _FIGURES)
        if not interval_ms or not most or remaining is None or len(out) == MAX_NAMES:
            continue
        out[name] = RateLimitHeader(interval_ms / 1000, most, remaining)
    return out


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
