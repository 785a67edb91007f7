"""The last hour, minute by minute: how requests were answered, and what Trello was asked for it.

Differences between the counters of `metrics.py`, taken when a minute is over: no request pays.
"""

from collections import deque
from proxy.runtime.clock import Clock
from proxy.observability.metrics import Metrics
from proxy.pages.dashboard import MINUTES, Minute
from proxy.runtime.clock import Clock

from proxy.credentials.identity import StoredCredential
from proxy.ratelimit.limiter import RateLimiter
from proxy.observability.metrics import Metrics
from proxy.pages.dashboard import (DashboardData, LimitUse, RecentFailure,)

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


# ---- from flow/overview.py: '"""How things are, for the page that tells: the last hour, limits, who asks Trello, what failed."""'

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
