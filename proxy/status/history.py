"""The last hour, minute by minute: how requests were answered, and what Trello was asked for it.

Differences between the counters of `metrics.py`, taken when a minute is over: no request pays.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.credentials.identity import StoredCredential
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock

_RECENT = 5
"""Minutes from which Trello's health is judged."""


MINUTES = 60


class Minute(NamedTuple):
    """What was counted in one minute."""

    stored: int = 0
    """Requests answered from the store."""
    shared: int = 0
    """Requests that shared somebody else's question."""
    asked: int = 0
    """Requests for which Trello was asked."""
    upstream: int = 0
    """Questions to Trello."""
    failed: int = 0
    """Of those, the ones that Trello did not answer as it should."""

    def less(self, other: "Minute") -> "Minute":
        """The difference."""
        return Minute(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


class LimitUse(NamedTuple):
    """One of Trello's limits."""

    limit: str
    left: int
    limit_now: int
    window_s: float


class RecentFailure(NamedTuple):
    """Something that went wrong lately."""

    at: float
    """POSIX seconds."""
    route: str
    what: str


@dataclass(frozen=True, slots=True)
class DashboardData:
    """Everything that changes on the page."""

    minutes: Sequence[Minute]
    """The oldest first; the last is still going on."""
    budgets: Sequence[LimitUse] = ()
    clients: Sequence[tuple[str, int]] = ()
    """Tools and how much each has asked of Trello since the start; the greatest first."""
    failures: Sequence[RecentFailure] = ()
    """The latest first."""

    @property
    def hour(self) -> Minute:
        """All of it."""
        return Minute(*map(sum, zip(*self.minutes, strict=True)))

    @property
    def saved(self) -> int:
        """Questions that Trello was spared in this hour."""
        hour = self.hour
        return max(0, hour.stored + hour.shared + hour.asked - hour.upstream)

    @property
    def hit_ratio(self) -> float | None:
        """Of the requests for Trello's API, those that needed no question of their own."""
        hour = self.hour
        answered = hour.stored + hour.shared + hour.asked
        return (hour.stored + hour.shared) / answered if answered else None

    @property
    def recent(self) -> tuple[int, int]:
        """Upstream requests of the last minutes, and how many of them failed."""
        recent = self.minutes[-_RECENT:]
        return sum(m.upstream for m in recent), sum(m.failed for m in recent)


_MINUTE_S = 60


class LastHour:
    """Sixty minutes at most, the last of which is still going on."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._over: deque[Minute] = deque(maxlen=MINUTES - 1)
        self._minute = self._now()
        self._counted = Minute()

    def tick(self) -> None:
        """Close the minutes that are over; called a few times in each."""
        passed = self._now() - self._minute
        if passed <= 0:
            return
        counted = _counted(self._metrics)
        self._over.append(counted.less(self._counted))
        self._over.extend([Minute()] * (min(passed, MINUTES) - 1))
        self._counted = counted
        self._minute += passed

    def minutes(self) -> list[Minute]:
        """The oldest first."""
        self.tick()
        return [*self._over, _counted(self._metrics).less(self._counted)]

    def _now(self) -> int:
        return int(self._clock.monotonic() // _MINUTE_S)


def _counted(metrics: Metrics) -> Minute:
    """Everything since the start, as if it were one minute."""
    results: dict[str, int] = {}
    for (_, _, _, result), cell in metrics.requests.copy().items():
        results[result] = results.get(result, 0) + cell.count
    upstream = metrics.upstream_requests.copy()
    return Minute(
        stored=results.get("hit", 0) + results.get("stale", 0),
        shared=results.get("collapsed", 0),
        asked=results.get("miss", 0) + results.get("pass", 0),
        upstream=sum(upstream.values()),
        failed=sum(number for (_, _, status), number in upstream.items() if _is_failure(status)),
    )


def _is_failure(status: str) -> bool:
    """Whether Trello gave no answer, or said that it cannot: an error's type, 429, 5xx."""
    return not status.isdigit() or status == "429" or int(status) >= 500


_NAMES = {"members": "/1/members/", "search": "/1/search"}
"""What people call a limit of a route's."""


class Dashboard:
    """Reads what the parts of the proxy know of themselves."""

    def __init__(
        self, metrics: Metrics, limiter: RateLimiter, stored: StoredCredential, clock: Clock
    ) -> None:
        self._history = LastHour(metrics, clock)
        self._metrics = metrics
        self._limiter = limiter
        self._stored = stored
        self.tick = self._history.tick

    def figures(self) -> DashboardData:
        """As they are now."""
        return DashboardData(
            minutes=self._history.minutes(),
            budgets=self._budgets(),
            clients=sorted(
                self._metrics.client_stats.upstream_by_client.items(), key=lambda spent: -spent[1]
            ),
            failures=[RecentFailure(*each) for each in reversed(self._metrics.recent_failures)],
        )

    def _budgets(self) -> list[LimitUse]:
        """What tools may still ask of Trello in the stored identity."""
        limits, left = self._limiter.limits, self._limiter.remaining(self._stored.credential)
        rates = {"token": limits.token, "members": limits.members, "search": limits.search}
        return [
            LimitUse(_NAMES.get(name, name), int(left[name]), rate.count, rate.window_s)
            for name, rate in rates.items()
        ]
