"""Rate limits in Trello's responses: `x-rate-limit-{name}-{interval-ms,max,remaining}`. Pure."""

from dataclasses import dataclass
from math import inf

from proxy.model import Fields

_PREFIX = "x-rate-limit-"
_FIRST = ("X-", "x-")
_SUFFIXES = ("-interval-ms", "-max", "-remaining")
MAX_NAMES = 16
"""Trello has five; further ones in a response are ignored."""


@dataclass(frozen=True, slots=True)
class RateLimitHeader:
    """One limit as of the time when Trello received the request."""

    interval_s: float
    limit: int
    remaining: int


def parse_rate_limit_headers(fields: Fields) -> dict[str, RateLimitHeader]:
    """The limits by name, as `api-token`; those with all three figures only."""
    figures = {
        name[13:].lower(): int(value)
        for name, value in fields
        if name[:2] in _FIRST and name[:13].lower() == _PREFIX
        if value.isdecimal() and len(value) < 16
    }
    headers: dict[str, RateLimitHeader] = {}
    for field in figures:
        if not field.endswith("-max"):
            continue
        name = field[:-4]
        interval_ms, limit, remaining = (figures.get(name + suffix) for suffix in _SUFFIXES)
        if not interval_ms or not limit or remaining is None or len(headers) == MAX_NAMES:
            continue
        headers[name] = RateLimitHeader(interval_ms / 1000, limit, remaining)
    return headers


COUNTED_WINDOW_S = 60.0
"""Limits with a longer window count other units: database time, or actions."""
_MAX_BLOCK_S = 60.0


class HeaderOnlyLimit:
    """A limit known from Trello's responses only: the member's, database time, actions.

    It blocks requests while the last response shows none left. Deterministic, no I/O.
    """

    def __init__(self) -> None:
        self._header = RateLimitHeader(0.0, 1, 1)
        self._sent_at = -inf
        self._sent_before = 0
        self._blocked_until = -inf

    def observe(self, header: RateLimitHeader, sent_at: float, sent_before: int) -> None:
        """Use a response's header unless it is older than the last one.

        Its request was sent at `sent_at`, after `sent_before` others.
        """
        if sent_at >= self._sent_at:
            self._header, self._sent_at, self._sent_before = header, sent_at, sent_before

    def block(self, now: float, jitter: float) -> None:
        """Block after a 429: for one window (at most 60 s) plus up to 10 % by `jitter` (0 to 1)."""
        window_s = min(self._header.interval_s or _MAX_BLOCK_S, _MAX_BLOCK_S)
        self._blocked_until = now + window_s * (1 + jitter / 10)

    def earliest_send_at(self, now: float, sent: int) -> float:
        """When one more request may be sent; `sent`: all requests so far."""
        if now < self._blocked_until:
            return self._blocked_until
        header = self._header
        resets_at = self._sent_at + min(header.interval_s, _MAX_BLOCK_S)
        uncounted = sent - self._sent_before - 1 if header.interval_s <= COUNTED_WINDOW_S else 0
        if now >= resets_at or header.remaining > uncounted:
            return now
        return resets_at
