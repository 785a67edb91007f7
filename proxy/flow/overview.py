"""How things are, for the page that tells: the last hour, limits, who asks Trello, what failed."""

from proxy.clock import Clock
from proxy.flow.hour import LastHour
from proxy.flow.identity import StoredCredential
from proxy.flow.turns import RateLimiter
from proxy.metrics import Metrics
from proxy.policy.pages.figures import DashboardData, LimitUse, RecentFailure

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
