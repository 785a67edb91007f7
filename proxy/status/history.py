"""Dashboard data: the last hour minute by minute, rate limits, clients, recent failures.

The history consists of differences between the counters of `Metrics`, taken at the end of each
minute: requests do no extra work for it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.credentials.identity import StoredCredential
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock

MINUTES = 60
"""Length of the history, the current minute included."""
_HEALTH_MINUTES = 5
"""Minutes that Trello's health is judged by."""
_MINUTE_S = 60
_LIMIT_NAMES = {"members": "/1/members/", "search": "/1/search"}
"""Display names of the limits that hold for one route only."""


class Minute(NamedTuple):
    """Counts of one minute."""

    hits: int = 0
    """Requests answered from the cache, fresh or stale."""
    collapsed: int = 0
    """Requests that shared another request's upstream request."""
    forwarded: int = 0
    """Requests with an upstream request of their own."""
    upstream: int = 0
    """Upstream requests."""
    failed: int = 0
    """Upstream requests that failed: no response, 429 or 5xx."""

    def minus(self, other: "Minute") -> "Minute":
        """The difference, count by count."""
        return Minute(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


class LimitUse(NamedTuple):
    """One of Trello's rate limits and what remains of it."""

    name: str
    remaining: int
    allowed: int
    """Requests in each window."""
    window_s: float


class RecentFailure(NamedTuple):
    """An error that no client caused."""

    at: float
    """POSIX seconds."""
    route: str
    title: str


@dataclass(frozen=True, slots=True)
class DashboardData:
    """The variable part of the home page."""

    minutes: Sequence[Minute]
    """Oldest first; the last is the current one."""
    limits: Sequence[LimitUse] = ()
    clients: Sequence[tuple[str, int]] = ()
    """Client names and their upstream requests since the start; most first."""
    failures: Sequence[RecentFailure] = ()
    """Latest first."""

    @property
    def hour(self) -> Minute:
        """The sum of all minutes."""
        return Minute(*map(sum, zip(*self.minutes, strict=True)))

    @property
    def requests(self) -> int:
        """API requests of this hour."""
        hour = self.hour
        return hour.hits + hour.collapsed + hour.forwarded

    @property
    def saved(self) -> int:
        """Upstream requests that the cache saved in this hour; never negative."""
        return max(0, self.requests - self.hour.upstream)

    @property
    def hit_ratio(self) -> float | None:
        """Share of API requests without an upstream request of their own; None for no requests."""
        hour, requests = self.hour, self.requests
        return (hour.hits + hour.collapsed) / requests if requests else None

    @property
    def recent(self) -> tuple[int, int]:
        """Upstream requests of the last minutes, and how many of them failed."""
        recent = self.minutes[-_HEALTH_MINUTES:]
        return sum(m.upstream for m in recent), sum(m.failed for m in recent)


class LastHour:
    """The counts of up to sixty minutes, the last of which is the current one."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._past: deque[Minute] = deque(maxlen=MINUTES - 1)
        self._current = self._minute_now()
        """Number of the current minute on the monotonic clock."""
        self._total_before = Minute()
        """Totals at the beginning of the current minute."""

    def tick(self) -> None:
        """Close the minutes that have ended; to be called a few times in each."""
        elapsed = self._minute_now() - self._current
        if elapsed <= 0:
            return
        total = _total(self._metrics)
        self._past.append(total.minus(self._total_before))
        self._past.extend([Minute()] * (min(elapsed, MINUTES) - 1))
        self._total_before = total
        self._current += elapsed

    def minutes(self) -> list[Minute]:
        """Oldest first."""
        self.tick()
        return [*self._past, _total(self._metrics).minus(self._total_before)]

    def _minute_now(self) -> int:
        return int(self._clock.monotonic() // _MINUTE_S)


def _total(metrics: Metrics) -> Minute:
    """The counts since the start."""
    results: dict[str, int] = {}
    for (_, _, _, result), counter in metrics.requests.copy().items():
        results[result] = results.get(result, 0) + counter.count
    upstream = metrics.upstream_requests.copy()
    return Minute(
        hits=results.get("hit", 0) + results.get("stale", 0),
        collapsed=results.get("collapsed", 0),
        forwarded=results.get("miss", 0) + results.get("pass", 0),
        upstream=sum(upstream.values()),
        failed=sum(count for (_, _, status), count in upstream.items() if _is_failure(status)),
    )


def _is_failure(status: str) -> bool:
    """Whether an upstream request failed; its `status` is a number or the type of our error."""
    return not status.isdigit() or status == "429" or int(status) >= 500


class Dashboard:
    """Collects the data of the home page."""

    def __init__(
        self, metrics: Metrics, limiter: RateLimiter, stored: StoredCredential, clock: Clock
    ) -> None:
        self._history = LastHour(metrics, clock)
        self._metrics = metrics
        self._limiter = limiter
        self._stored = stored
        self.tick = self._history.tick

    def data(self) -> DashboardData:
        """The data as of now."""
        upstream_by_client = self._metrics.client_stats.upstream_by_client
        return DashboardData(
            minutes=self._history.minutes(),
            limits=self._limits(),
            clients=sorted(upstream_by_client.items(), key=lambda item: -item[1]),
            failures=[RecentFailure(*each) for each in reversed(self._metrics.recent_failures)],
        )

    def _limits(self) -> list[LimitUse]:
        """The limits that hold for API clients with the stored credential."""
        limits, remaining = self._limiter.limits, self._limiter.remaining(self._stored.credential)
        rates = {"token": limits.token, "members": limits.members, "search": limits.search}
        return [
            LimitUse(_LIMIT_NAMES.get(name, name), int(remaining[name]), rate.count, rate.window_s)
            for name, rate in rates.items()
        ]
