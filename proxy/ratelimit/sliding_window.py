"""Sliding-window limit: how many requests it leaves, and when the next may be sent (D34).

Deterministic, no I/O. Trello does not document whether its windows are fixed or slide. At most
`limit` arrivals in *any* window satisfies both; and as a request arrives at some moment between its
sending and its response, it counts from the former until one window after the latter. Seconds are
those of a monotonic clock.

Other programs may use the same key. A response's remaining count, less all requests that Trello may
not have counted in it, is used where it is lower than our own count. It is read from the fields
`x-rate-limit-{name}-{interval-ms,max,remaining}`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import ceil, inf

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


RESERVE = 33
"""Divisor of the limit: one request in 33 is reserved for interactive priority."""
_PACED_WINDOW_S = 60.0
"""Requests are not spaced within a longer window: the gaps would be too long."""
_PROBES_PER_WINDOW = 10
"""Requests sent to learn the remaining count, while other programs leave only the reserve."""
_LATENCY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request that counts towards a limit."""

    at: float
    sent_before: int
    """All requests sent before it."""
    in_flight: int
    """Other requests in flight when it was sent."""
    counted: int
    """Requests that counted when it was sent, itself included."""


@dataclass(frozen=True, slots=True)
class _Observed:
    """The header in the response to the most recent request that has one."""

    sent: SentRequest
    header: RateLimitHeader
    other_clients: int
    """Requests of other programs, at least."""


class SlidingWindowLimit:
    """At most `limit` requests in any `window_s` seconds; Trello's own limit, where lower."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self._configured_limit = limit
        self._configured_window_s = window_s
        self._in_flight = 0
        self._answered: deque[float] = deque()
        """Times of responses within the last window: at most `limit` and those in flight."""
        self._sent = 0
        self._last_at = -inf
        self._latency_s = 0.0
        self._observed: _Observed | None = None
        self._blocked_until = -inf
        self._is_uncertain = False
        """Whether there was a 429, and no other response to a later request."""

    def reconfigure(self, limit: int, window_s: float) -> None:
        """Set another limit; requests sent before still count."""
        self.limit = self._configured_limit = limit
        self.window_s = self._configured_window_s = window_s

    def count_prior(self, ended_at: Iterable[float]) -> None:
        """Count requests of an earlier process in this new limit: when each ended, in order."""
        self._answered.extend(ended_at)

    @property
    def is_shared(self) -> bool:
        """Whether other programs use it too, or Trello has sent a 429 most recently."""
        return self._is_uncertain or self._observed_if_shared is not None

    @property
    def reserve(self) -> int:
        """Requests reserved for interactive priority."""
        return self.limit // RESERVE

    def used(self, now: float) -> int:
        """Requests that may count at Trello."""
        answered, since = self._answered, now - self.window_s
        while answered and answered[0] <= since:
            answered.popleft()
        return self._in_flight + len(answered)

    def remaining(self, now: float) -> int:
        """Requests that may be sent at once, without the reserve."""
        if self.earliest_send_at(now, interactive=True) > now:
            return 0
        left = min(self.limit - self.used(now), self._remaining_by_header(now))
        return max(0, int(left) - self.reserve)

    def reset_after_s(self, now: float) -> float:
        """Seconds until the full limit is available again, if nothing more is sent."""
        if self._in_flight:
            return self.window_s
        last = self._answered[-1] + self.window_s if self.used(now) else now
        return max(last, self._blocked_until) - now

    def earliest_send_at(self, now: float, *, interactive: bool, queued: bool = False) -> float:
        """When one more request may be sent; `inf` if that depends on a response.

        Requests that were `queued`, and all beyond half of the limit, are evenly spaced, so that
        the next window has no burst; interactive ones are not.
        """
        if now < self._blocked_until:
            return self._blocked_until
        reserve = 0 if interactive else self.reserve
        used = self.used(now)
        at = max(
            self._free_at(now, used + reserve + 1 - self.limit),
            self._send_at_by_header(now, reserve),
        )
        if not interactive and (queued or used * 2 >= self.limit):
            at = max(at, self._last_at + self._gap_s)
        return at

    def predict(self, now: float, nth: int, *, interactive: bool) -> float:
        """When the `nth` queued request may be sent, if each is sent as soon as it may be."""
        reserve, gap_s = (0, 0.0) if interactive else (self.reserve, self._gap_s)
        first_at = self.earliest_send_at(now, interactive=interactive, queued=True)
        at = (first_at if first_at < inf else now) + (nth - 1) * gap_s
        free = self.limit - reserve - self.used(now)
        if nth <= free:
            return at
        cycle, place = divmod(nth - free - 1, self.limit - reserve)
        round_s = self.window_s + self._latency_s
        freed_at = [each + self.window_s for each in islice(self._answered, place + 1)]
        if freed_at:
            at = max(at, freed_at[0] + (nth - max(0, free) - 1) * gap_s)
        if place >= len(freed_at):
            return max(at, now + round_s + cycle * round_s)
        return max(at, freed_at[place] + cycle * round_s)

    def acquire(self, now: float) -> SentRequest:
        """Count a request sent now."""
        sent = SentRequest(now, self._sent, self._in_flight, self.used(now) + 1)
        self._sent += 1
        self._in_flight += 1
        self._last_at = now
        return sent

    def release(self) -> None:
        """Uncount a request that was not sent."""
        self._in_flight -= 1

    def end(self, sent: SentRequest, now: float, header: RateLimitHeader | None = None) -> None:
        """Count a request as answered, or as lost after it may have arrived.

        `header`: the limit in the response.
        """
        self._in_flight -= 1
        self._answered.append(now)
        self._latency_s += _LATENCY_WEIGHT * (now - sent.at - self._latency_s)
        self._is_uncertain = self._is_uncertain and sent.at < self._blocked_until
        observed = self._observed
        if header is not None and (observed is None or sent.at >= observed.sent.at):
            self._adopt(header)
            self._observed = _Observed(sent, header, self._other_clients(sent, header))
        elif observed is not None and sent.at >= observed.sent.at + self.window_s:
            self._observed = None

    def block(self, now: float, jitter: float) -> None:
        """Block after a 429: for one window plus up to 10 % by `jitter` (0 to 1).

        Then a single request is sent, and the others after its response.
        """
        self._blocked_until = max(self._blocked_until, now + self.window_s * (1 + jitter / 10))
        self._is_uncertain = True

    def doubt(self) -> None:
        """Send a single request, and the others after its response."""
        self._is_uncertain = True

    @property
    def _gap_s(self) -> float:
        """Seconds between two evenly spaced requests."""
        return self.window_s / self.limit if self.window_s <= _PACED_WINDOW_S else 0.0

    def _free_at(self, now: float, missing: int) -> float:
        """When `missing` of the counted requests have left the window."""
        if missing <= 0:
            return now
        if missing > len(self._answered):
            return inf
        return self._answered[missing - 1] + self.window_s

    @property
    def _observed_if_shared(self) -> _Observed | None:
        """The last header, if it shows that other programs use this limit too."""
        observed = self._observed
        return observed if observed is not None and observed.other_clients else None

    def _remaining_now(self, observed: _Observed) -> int:
        """Trello's remaining count, less all requests that may not be counted in it."""
        sent_since = self._sent - observed.sent.sent_before - 1
        return observed.header.remaining - observed.sent.in_flight - sent_since

    def _remaining_by_header(self, now: float) -> float:
        """Remaining requests according to the last header; `inf` if it does not matter."""
        observed = self._observed_if_shared
        if self._is_uncertain or (observed and now >= observed.sent.at + self.window_s):
            return 1 - self._in_flight
        if observed is None:
            return inf
        left = observed.header.limit - self.used(now) - observed.other_clients
        return min(self._remaining_now(observed), left)

    def _send_at_by_header(self, now: float, reserve: int) -> float:
        """When one more may be sent according to the last header.

        While other programs use the limit too, responses in flight are awaited; after some time
        without one, a single request is sent to learn the remaining count.
        """
        observed = self._observed_if_shared
        if self._is_uncertain or (observed and now >= observed.sent.at + self.window_s):
            return now if not self._in_flight else inf
        if observed is None:
            return now
        left = self._remaining_now(observed)
        used = self.used(now) + observed.other_clients
        free_at = self._free_at(now, used + reserve + 1 - observed.header.limit)
        if left > reserve:
            return free_at
        if self._in_flight:
            return inf
        probe_after_s = self.window_s / _PROBES_PER_WINDOW if left > 0 else self.window_s
        return max(now, observed.sent.at + probe_after_s)

    def _adopt(self, header: RateLimitHeader) -> None:
        """Use the lower of the configured limit and Trello's, in the longer of both windows."""
        limit, window_s = self._configured_limit, self._configured_window_s
        if limit * ceil(header.interval_s / window_s) > header.limit:
            limit, window_s = min(limit, header.limit), max(window_s, header.interval_s)
        self.limit, self.window_s = limit, window_s

    def _other_clients(self, sent: SentRequest, header: RateLimitHeader) -> int:
        """Requests in Trello's count that cannot be ours, at least."""
        if header.interval_s > self.window_s:
            return 0  # requests sent before our window are no longer known
        own = sent.counted + self._sent - sent.sent_before - 1
        return max(0, header.limit - header.remaining - own)
